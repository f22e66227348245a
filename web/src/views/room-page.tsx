import { useEffect, useRef, useState } from 'preact/hooks';

import { connect } from '../../../client/src/index.ts';
import type { PageConfig } from '../page-config.ts';
import { portForAttempt, signalingUrl } from '../page-config.ts';
import type { PageParams } from '../page-params.ts';
import { randomPeerId } from '../page-params.ts';
import { Meeting } from '../meeting.ts';
import { exposeTestHooks } from '../test-hooks.ts';
import { JoinForm, type JoinChoice } from './join-form.tsx';
import { RoomView } from './room-view.tsx';

interface Props {
  config: PageConfig;
  params: PageParams;
  hidden: boolean;
}

/** What the last stay in a room ended with. */
interface Ending {
  status: 'left' | 'closed';
  reason: string;
}

/** Of the camera, 16:9. */
const cameraOf = (height: number): MediaTrackConstraints => ({
  height: { ideal: height },
  width: { ideal: Math.round((height * 16) / 9) },
});

function joinMeeting({ config, params }: Omit<Props, 'hidden'>, choice: JoinChoice): Meeting {
  const { token, forceTcp, replica } = params;
  const room = connect({
    url: (attempt) =>
      signalingUrl(location, portForAttempt(config.signalingPorts, replica, attempt)),
    roomId: choice.room,
    peerId: params.peerId || randomPeerId(),
    displayName: choice.name,
    ...{ token, forceTcp },
    ...(params.extensions ? {} : { extensions: [] }),
  });
  return new Meeting(room);
}

/** The form, or the room once joined. */
export function RoomPage({ config, params, hidden }: Props) {
  const [joined, setJoined] = useState<{ meeting: Meeting; choice: JoinChoice }>();
  const [ending, setEnding] = useState<Ending>();
  const autojoined = useRef(false);

  const join = (choice: JoinChoice) => {
    const meeting = joinMeeting({ config, params }, choice);
    exposeTestHooks(meeting);
    setEnding(undefined);
    setJoined({ meeting, choice });
    void meeting.start(choice, cameraOf(params.videoHeight));
  };

  useEffect(() => {
    if (!params.autojoin || params.room === '' || autojoined.current) return;
    autojoined.current = true;
    const { room, name, camera, microphone } = params;
    join({ room, name: name || 'Guest', camera, microphone });
  }, []);

  useEffect(() => {
    if (!joined) return;
    const { room } = joined.meeting;
    const leave = () => room.close();
    addEventListener('pagehide', leave);
    const off = room.on('connection', ({ connection, closeReason, message }) => {
      if (connection !== 'closed') return;
      const gone = message === '' ? 'The server ended the connection.' : message;
      setEnding(
        closeReason === 'left'
          ? { status: 'left', reason: '' }
          : { status: 'closed', reason: gone },
      );
      setJoined(undefined);
    });
    return () => {
      removeEventListener('pagehide', leave);
      off();
    };
  }, [joined]);

  if (joined)
    return <RoomView meeting={joined.meeting} room={joined.choice.room} hidden={hidden} />;
  return <JoinForm params={params} ending={ending} hidden={hidden} onJoin={join} />;
}

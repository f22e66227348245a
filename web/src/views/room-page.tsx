import { useEffect, useRef, useState } from 'preact/hooks';

import type { PageConfig } from '../page-config.ts';
import { portForAttempt, signalingUrl } from '../page-config.ts';
import type { PageParams } from '../page-params.ts';
import { randomPeerId } from '../page-params.ts';
import { defaultCamera } from '../room/capture.ts';
import { describeDevice } from '../room/device-info.ts';
import { RoomClient } from '../room/room-client.ts';
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

function createClient({ config, params }: Omit<Props, 'hidden'>, choice: JoinChoice): RoomClient {
  const peerId = params.peerId || randomPeerId();
  const membership = { roomId: choice.room, peerId, token: params.token };
  const height = params.videoHeight;
  return new RoomClient({
    peerId,
    displayName: choice.name,
    device: describeDevice(navigator.userAgent),
    forceTcp: params.forceTcp,
    camera: {
      ...defaultCamera,
      height: { ideal: height },
      width: { ideal: Math.round((height * 16) / 9) },
    },
    url: (attempt) =>
      signalingUrl(
        location,
        portForAttempt(config.signalingPorts, params.replica, attempt),
        membership,
      ),
  });
}

/** The form, or the room once joined. */
export function RoomPage({ config, params, hidden }: Props) {
  const [joined, setJoined] = useState<{ client: RoomClient; choice: JoinChoice }>();
  const [ending, setEnding] = useState<Ending>();
  const autojoined = useRef(false);

  const join = (choice: JoinChoice) => {
    const client = createClient({ config, params }, choice);
    exposeTestHooks(client);
    setEnding(undefined);
    setJoined({ client, choice });
    client.join();
    void client.startMedia({ camera: choice.camera, microphone: choice.microphone });
  };

  useEffect(() => {
    if (!params.autojoin || params.room === '' || autojoined.current) return;
    autojoined.current = true;
    const { room, name, camera, microphone } = params;
    join({ room, name: name || 'Guest', camera, microphone });
  }, []);

  useEffect(() => {
    if (!joined) return;
    const { client } = joined;
    const leave = () => client.leave();
    addEventListener('pagehide', leave);
    const unsubscribe = client.store.subscribe(({ connection, reason }) => {
      if (connection !== 'left' && connection !== 'closed') return;
      setEnding({ status: connection, reason });
      setJoined(undefined);
    });
    return () => {
      removeEventListener('pagehide', leave);
      unsubscribe();
    };
  }, [joined]);

  if (joined) return <RoomView client={joined.client} room={joined.choice.room} hidden={hidden} />;
  return <JoinForm params={params} ending={ending} hidden={hidden} onJoin={join} />;
}

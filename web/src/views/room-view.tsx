import { useEffect, useState } from 'preact/hooks';

import type { Meeting } from '../meeting.ts';
import { ChatPanel } from './chat-panel.tsx';
import { Events } from './events.tsx';
import { useMeetingState } from './hooks.ts';
import { RemoteAudio } from './remote-audio.tsx';
import { RoomHeader } from './room-header.tsx';
import { StatsPanel } from './stats-panel.tsx';
import { TileGrid } from './tile-grid.tsx';
import { panelButtonId, Toolbar, type Panel } from './toolbar.tsx';

/** From here on the chat fits beside the videos, and is open from the start. */
const PANEL_BESIDE = '(min-width: 900px)';

interface Props {
  meeting: Meeting;
  room: string;
  hidden: boolean;
}

/** The room: who is in it, the bar of controls, and a panel at the side. */
export function RoomView({ meeting, room, hidden }: Props) {
  const state = useMeetingState(meeting);
  const [panel, setPanel] = useState<Panel | undefined>(() =>
    matchMedia(PANEL_BESIDE).matches ? 'chat' : undefined,
  );
  const [openedByHand, setOpenedByHand] = useState(false);
  const [focusedStats, setFocusedStats] = useState<string>();
  const [seenChat, setSeenChat] = useState(0);
  const showsChat = panel === 'chat';
  const received = state.chat.filter(({ self }) => !self).length;

  useEffect(() => {
    if (showsChat) setSeenChat(received);
  }, [showsChat, received]);
  useEffect(() => {
    if (!hidden) document.title = `${room} – kube-sfu`;
  }, [room, hidden]);

  const open = (which: Panel) => {
    setOpenedByHand(true);
    setPanel(which);
  };
  const close = () => {
    if (panel) document.getElementById(panelButtonId(panel))?.focus();
    setPanel(undefined);
  };
  const showStats = (id: string) => {
    setFocusedStats(id);
    open('stats');
  };

  return (
    <div class={`room ${panel ? 'with-panel' : ''}`} hidden={hidden}>
      <RoomHeader meeting={meeting} room={room} state={state} />
      <main class="stage" aria-label="Videos">
        <TileGrid meeting={meeting} state={state} onStats={showStats} />
      </main>
      <Toolbar
        meeting={meeting}
        state={state}
        panel={panel}
        unread={showsChat ? 0 : received - seenChat}
        onPanel={(which) => (panel === which ? close() : open(which))}
      />
      {showsChat && (
        <ChatPanel meeting={meeting} state={state} focused={openedByHand} onClose={close} />
      )}
      {panel === 'stats' && (
        <StatsPanel
          meeting={meeting}
          state={state}
          focused={focusedStats}
          onFocus={setFocusedStats}
          onClose={close}
        />
      )}
      <RemoteAudio subscriptions={state.subscriptions} />
      <Events meeting={meeting} state={state} chatIsOpen={showsChat} />
    </div>
  );
}

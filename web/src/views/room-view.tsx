import { useEffect, useState } from 'preact/hooks';

import type { RoomClient } from '../room/room-client.ts';
import { ChatPanel } from './chat-panel.tsx';
import { Events } from './events.tsx';
import { useRoomState } from './hooks.ts';
import { RemoteAudio } from './remote-audio.tsx';
import { RoomHeader } from './room-header.tsx';
import { StatsPanel } from './stats-panel.tsx';
import { TileGrid } from './tile-grid.tsx';
import { panelButtonId, Toolbar, type Panel } from './toolbar.tsx';

/** From here on the chat fits beside the videos, and is open from the start. */
const PANEL_BESIDE = '(min-width: 900px)';

interface Props {
  client: RoomClient;
  room: string;
  hidden: boolean;
}

/** The room: who is in it, the bar of controls, and a panel at the side. */
export function RoomView({ client, room, hidden }: Props) {
  const state = useRoomState(client);
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
      <RoomHeader client={client} room={room} state={state} />
      <main class="stage" aria-label="Videos">
        <TileGrid client={client} state={state} onStats={showStats} />
      </main>
      <Toolbar
        client={client}
        state={state}
        panel={panel}
        unread={showsChat ? 0 : received - seenChat}
        onPanel={(which) => (panel === which ? close() : open(which))}
      />
      {showsChat && (
        <ChatPanel client={client} state={state} focused={openedByHand} onClose={close} />
      )}
      {panel === 'stats' && (
        <StatsPanel
          client={client}
          state={state}
          focused={focusedStats}
          onFocus={setFocusedStats}
          onClose={close}
        />
      )}
      <RemoteAudio consumers={state.consumers} />
      <Events client={client} state={state} chatIsOpen={showsChat} />
    </div>
  );
}

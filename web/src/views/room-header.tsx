import { useState } from 'preact/hooks';

import { inviteAddress } from '../page-params.ts';
import type { Meeting, MeetingState } from '../meeting.ts';
import { useFocusOnMount } from './hooks.ts';
import { LinkIcon, Logo } from './icons.tsx';
import { retryText, StatusLine } from './status-line.tsx';

const COPIED_MS = 3000;

/** Copies the room's address. Browsers offer the clipboard only to pages served securely. */
function InviteButton({ room }: { room: string }) {
  const [copied, setCopied] = useState(false);
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (!clipboard) return null;
  const copy = async () => {
    await clipboard.writeText(inviteAddress(location, room));
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return (
    <button
      type="button"
      class="quiet"
      aria-label={copied ? 'Copied the link' : 'Copy link to this room'}
      onClick={() => void copy().catch(() => setCopied(false))}
    >
      <LinkIcon />
      <span class="label" aria-live="polite">
        {copied ? 'Copied' : 'Copy link'}
      </span>
    </button>
  );
}

interface Props {
  meeting: Meeting;
  room: string;
  state: MeetingState;
}

export function RoomHeader({ meeting, room, state }: Props) {
  const heading = useFocusOnMount<HTMLHeadingElement>();
  const people = state.peers.length + 1;
  return (
    <header class="room-header">
      <Logo />
      <h1 ref={heading} tabIndex={-1}>
        <span class="sr-only">Room </span>
        {room}
      </h1>
      {state.connection === 'connected' && (
        <span class="people">{people === 1 ? 'only you' : `${people} people`}</span>
      )}
      <StatusLine status={state.connection} reason="" />
      <span class="spacer" />
      <InviteButton room={room} />
      <a class="quiet console-link" href="#/console" target="_blank" rel="noreferrer">
        Console<span class="sr-only"> (opens in a new tab)</span>
      </a>
      {state.retry && (
        <div class="retry">
          <span>{retryText(state)}</span>
          <button type="button" class="quiet" onClick={() => meeting.room.retryNow()}>
            Try now
          </button>
        </div>
      )}
    </header>
  );
}

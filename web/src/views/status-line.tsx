import type { ConnectionState, RoomState } from '../../../client/src/index.ts';

/** `idle`: not tried yet. `left`: this person went. */
export type Status = ConnectionState | 'idle' | 'left';

/** The connection in one word, with a dot that says the same in colour, and the reason in a sentence where there is one. */
export function StatusLine({ status, reason }: { status: Status; reason: string }) {
  return (
    <p class={`status-line ${status}`} role="status">
      <span class="dot" aria-hidden="true" />
      <span class="sr-only">Status: </span>
      <span class="word" data-testid="status">
        {status}
      </span>
      {reason !== '' && <span class="reason">{reason}</span>}
    </p>
  );
}

/** What happened to the connection and what is done about it, while that is going on. */
export function retryText({ connection, retry, message }: RoomState): string {
  if (!retry) return '';
  const what = connection === 'reconnecting' ? 'The connection was lost' : 'No connection yet';
  const why = message === '' ? '' : ` (${message})`;
  return `${what}${why}. Trying again: ${retry.attempt} of ${retry.tries}.`;
}

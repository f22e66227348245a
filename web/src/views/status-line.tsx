import type { Connection, RoomState } from '../room/state.ts';

/** The connection in one word, with a dot that says the same in colour, and the reason in a sentence where there is one. */
export function StatusLine({ status, reason }: { status: Connection; reason: string }) {
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

/** Which try it is, while there is one. */
export function retryText({ retry, reason }: RoomState): string {
  if (!retry) return '';
  const why = reason === '' ? '' : `${reason.replace(/\.$/u, '')} – `;
  return `${why}try ${retry.attempt} of ${retry.tries}`;
}

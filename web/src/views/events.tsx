import { useEffect } from 'preact/hooks';

import type { Meeting, MeetingEvent, MeetingState } from '../meeting.ts';
import { CloseIcon } from './icons.tsx';

/** How long a passing event is shown. Problems stay until they are dismissed. */
const SHOWN_MS = 6000;
/** More at once would cover the videos. */
const MOST_SHOWN = 4;

function Passing({ event, onDone }: { event: MeetingEvent; onDone: () => void }) {
  useEffect(() => {
    const timer = setTimeout(onDone, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [event.id]);
  return <p class="event">{event.text}</p>;
}

const Problem = ({ event, onDone }: { event: MeetingEvent; onDone: () => void }) => (
  <div class="event problem">
    <p>{event.text}</p>
    <button type="button" class="quiet close" aria-label="Dismiss" onClick={onDone}>
      <CloseIcon />
    </button>
  </div>
);

interface Props {
  meeting: Meeting;
  state: MeetingState;
  chatIsOpen: boolean;
}

/** Who came and went and what went wrong: seen in a corner, and read out. Chat is read out by its log while it is open. */
export function Events({ meeting, state, chatIsOpen }: Props) {
  const shown = state.events.slice(-MOST_SHOWN);
  const lastChat = state.chat.findLast(({ self }) => !self);
  return (
    <>
      <div class="events" role="log" aria-label="Events" aria-live="polite">
        {shown.map((event) => {
          const onDone = () => meeting.dismissEvent(event.id);
          return event.kind === 'problem' ? (
            <Problem key={event.id} event={event} onDone={onDone} />
          ) : (
            <Passing key={event.id} event={event} onDone={onDone} />
          );
        })}
      </div>
      <p class="sr-only" aria-live="polite">
        {!chatIsOpen && lastChat ? `${lastChat.displayName} wrote: ${lastChat.text}` : ''}
      </p>
    </>
  );
}

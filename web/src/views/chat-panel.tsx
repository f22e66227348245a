import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { ChatMessage, Meeting, MeetingState } from '../meeting.ts';
import { CloseIcon } from './icons.tsx';

const MAX_LENGTH = 4000;
/** Someone this close to the end, in pixels, reads the newest and wants to see the next. */
const AT_END = 48;

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

const Message = ({ message }: { message: ChatMessage }) => (
  <li class={message.self ? 'own' : ''}>
    <p class="by">
      <strong>{message.self ? 'You' : message.displayName}</strong>{' '}
      <time dateTime={new Date(message.at).toISOString()}>{timeFormat.format(message.at)}</time>
    </p>
    <p class="text">{message.text}</p>
  </li>
);

/** The log, which stays at its end unless someone has scrolled back to read. */
function ChatLog({ chat }: { chat: readonly ChatMessage[] }) {
  const log = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    if (log.current && atEnd.current) log.current.scrollTop = log.current.scrollHeight;
  }, [chat]);
  const remember = (element: HTMLElement) => {
    atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < AT_END;
  };
  return (
    <div
      class="chat-log"
      ref={log}
      role="log"
      aria-label="Chat messages"
      data-testid="chat-log"
      // A scrollable region must be reachable to be scrolled by keyboard.
      tabIndex={0}
      onScroll={(event) => remember(event.currentTarget)}
    >
      {chat.length === 0 && <p class="empty">No messages yet.</p>}
      <ul>
        {chat.map((message) => (
          <Message key={message.id} message={message} />
        ))}
      </ul>
    </div>
  );
}

interface Props {
  meeting: Meeting;
  state: MeetingState;
  /** It was opened by hand, to write: the focus goes to the input. */
  focused: boolean;
  onClose: () => void;
}

export function ChatPanel({ meeting, state, focused, onClose }: Props) {
  const [text, setText] = useState('');
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focused) input.current?.focus();
  }, []);
  const send = () => {
    if (meeting.sendChat(text)) setText('');
    input.current?.focus();
  };
  return (
    <section
      class="panel chat"
      aria-label="Chat"
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
      }}
    >
      <header>
        <h2>Chat</h2>
        <button type="button" class="quiet close" aria-label="Close the chat" onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <ChatLog chat={state.chat} />
      <form
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <input
          ref={input}
          data-testid="chat-input"
          aria-label="Message to everyone in the room"
          placeholder={state.chatOpen ? 'Message to everyone' : 'Connecting…'}
          maxLength={MAX_LENGTH}
          autoComplete="off"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" class="primary" data-testid="chat-send" disabled={!state.chatOpen}>
          Send
        </button>
      </form>
    </section>
  );
}

import {
  captureProblem,
  type CaptureSource,
  type DataChannel,
  type PeerInfo,
  type Room,
  type RoomEvents,
  type RoomState,
} from '../../client/src/index.ts';

/** The channel that carries the room's chat. */
const CHAT_CHANNEL = 'chat';
const MAX_CHAT_LENGTH = 4000;
/** How many messages and events are kept. */
const CHAT_LENGTH = 500;
const EVENTS_LENGTH = 30;

export interface ChatMessage {
  id: number;
  peerId: string;
  displayName: string;
  text: string;
  /** Milliseconds since the epoch, by this page's clock. */
  at: number;
  self: boolean;
}

/** `problem` stays until it is dismissed; the others pass. */
export interface MeetingEvent {
  id: number;
  kind: 'joined' | 'left' | 'problem';
  text: string;
}

/** The room as the page shows it: with its chat, and what a person should be told, oldest first. */
export interface MeetingState extends RoomState {
  chat: readonly ChatMessage[];
  /** Whether a chat message can be sent now. */
  chatOpen: boolean;
  events: readonly MeetingEvent[];
}

/** What a person is called; the id, until the name is known. */
export const displayNameOf = (peers: readonly PeerInfo[], id: string): string =>
  peers.find(({ peerId }) => peerId === id)?.displayName || id;

const nameOf = ({ displayName, peerId }: PeerInfo): string => displayName || peerId;

const what: Record<string, string> = {
  audio: 'Your microphone',
  video: 'Your camera',
  screensharing: 'Your screen',
};

/** Chat is text; clients that are no browser send it as bytes. */
const textOf = (data: unknown): string =>
  data instanceof ArrayBuffer ? new TextDecoder().decode(data) : String(data);

/** The page's side of a room: the chat, the messages to the person, and the buttons for microphone, camera and screen. */
export class Meeting {
  readonly room: Room;
  readonly #chat: DataChannel;
  readonly #listeners = new Set<() => void>();
  /** Operations on one source run one after the other, so that two quick clicks don't open a camera twice. */
  readonly #queues = new Map<CaptureSource, Promise<void>>();
  #own: Pick<MeetingState, 'chat' | 'events'> = { chat: [], events: [] };
  #state: MeetingState | undefined;
  #lastId = 0;

  constructor(room: Room) {
    this.room = room;
    this.#chat = room.openDataChannel(CHAT_CHANNEL);
    room.subscribe(() => this.#changed());
    room.on('peer-joined', (peer) => this.#tell('joined', `${nameOf(peer)} joined`));
    room.on('peer-left', (peer) => this.#tell('left', `${nameOf(peer)} left`));
    room.on('moderation', () => this.#tell('problem', 'An administrator muted you.'));
    room.on('error', ({ message }) => this.#tell('problem', `Chat is not available: ${message}`));
    room.on('publication-ended', (...args) => this.#unpublished(...args));
    room.on('data', ({ peerId, channel, data }) => {
      if (channel === CHAT_CHANNEL && peerId !== undefined) this.#chatted(peerId, textOf(data));
    });
  }

  /** The same object until something changes. */
  get state(): MeetingState {
    return (this.#state ??= {
      ...this.room.state,
      ...this.#own,
      chatOpen: this.#chat.isOpen && this.room.state.connection === 'connected',
    });
  }

  get chatChannel(): DataChannel {
    return this.#chat;
  }

  /** Returns how to unsubscribe. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Turns on what the person wants to start with, asking for both at once where both are wanted. */
  async start(wanted: { camera: boolean; microphone: boolean }, camera: MediaTrackConstraints) {
    if (wanted.camera && wanted.microphone) {
      try {
        await this.room.publishMicrophoneAndCamera({ camera: { constraints: camera } });
        return;
      } catch {
        // A computer may have only one of them: each is asked for by itself.
      }
    }
    await Promise.all([
      ...(wanted.microphone ? [this.setEnabled('audio', true)] : []),
      ...(wanted.camera ? [this.setEnabled('video', true, camera)] : []),
    ]);
  }

  /** Starts or stops a source; a microphone that was opened once is muted instead of closed. */
  setEnabled(
    source: CaptureSource,
    enabled: boolean,
    constraints: MediaTrackConstraints = {},
  ): Promise<void> {
    const task = () => (enabled ? this.#enable(source, constraints) : this.#disable(source));
    const run = (this.#queues.get(source) ?? Promise.resolve()).then(task);
    this.#queues.set(source, run);
    return run;
  }

  /** Returns whether it was sent. */
  sendChat(text: string): boolean {
    const message = text.trim().slice(0, MAX_CHAT_LENGTH);
    if (message === '' || !this.state.chatOpen) return false;
    this.#chat.send(message);
    const { peerId, displayName } = this.room;
    this.#addChat({ peerId, displayName, text: message, self: true });
    return true;
  }

  dismissEvent(eventId: number): void {
    this.#update({ events: this.#own.events.filter(({ id }) => id !== eventId) });
  }

  async #enable(source: CaptureSource, constraints: MediaTrackConstraints): Promise<void> {
    const existing = this.room.publication(source);
    if (existing) {
      existing.resume();
      return;
    }
    try {
      await this.room.publish(source, { constraints });
    } catch (error) {
      // It was left while the browser asked the person.
      if (this.room.state.connection === 'closed') return;
      const problem = captureProblem(source, error);
      if (problem !== undefined) this.#tell('problem', problem);
    }
  }

  /** Only the microphone is muted: a camera's light and a browser's "is sharing" bar should go out. */
  #disable(source: CaptureSource): Promise<void> {
    const publication = this.room.publication(source);
    if (source === 'audio') publication?.pause();
    else publication?.close();
    return Promise.resolve();
  }

  #unpublished(...[{ source }, reason, error]: RoomEvents['publication-ended']): void {
    if (reason !== 'refused') return;
    this.#tell('problem', `${what[source] ?? source} cannot be sent: ${error?.message ?? ''}`);
  }

  #chatted(peerId: string, text: string): void {
    const displayName = displayNameOf(this.room.state.peers, peerId);
    this.#addChat({ peerId, displayName, text: text.slice(0, MAX_CHAT_LENGTH), self: false });
  }

  #addChat(message: Omit<ChatMessage, 'id' | 'at'>): void {
    const chat = [...this.#own.chat, { ...message, id: this.#nextId(), at: Date.now() }];
    this.#update({ chat: chat.slice(-CHAT_LENGTH) });
  }

  #tell(kind: MeetingEvent['kind'], text: string): void {
    const events = [...this.#own.events, { id: this.#nextId(), kind, text }];
    this.#update({ events: events.slice(-EVENTS_LENGTH) });
  }

  #nextId(): number {
    return (this.#lastId += 1);
  }

  #update(change: Partial<typeof this.state>): void {
    this.#own = { ...this.#own, ...change };
    this.#changed();
  }

  #changed(): void {
    this.#state = undefined;
    for (const listener of this.#listeners) listener();
  }
}

import type { Device as DeviceInfo } from '../../../common/wire/peer.ts';
import {
  asSignaling,
  type ServerNotification,
  type ServerRequest,
  type Signaling,
} from '../signaling/messages.ts';
import { CLOSE_FOR_GOOD, ProtooSocket, type Retry } from '../signaling/protoo-socket.ts';
import { isRetryable } from '../signaling/request-error.ts';
import { defaultCamera } from './capture.ts';
import { LayerChooser } from './layer-chooser.ts';
import { LocalMedia } from './local-media.ts';
import {
  addChat,
  addConsumer,
  addEvent,
  addPeers,
  applyNotification,
  displayNameOf,
  patchConsumer,
  removeConsumer,
} from './reduce.ts';
import { Session } from './session.ts';
import {
  initialRoomState,
  withoutConnection,
  type Layers,
  type RoomState,
  type Source,
} from './state.ts';
import { createStore, type Store } from './store.ts';

export interface RoomClientOptions {
  peerId: string;
  displayName: string;
  device: DeviceInfo;
  /** The signaling address for a try; see {@link ProtooSocket}. */
  url: (attempt: number) => string;
  /** Media over TCP alone. */
  forceTcp?: boolean;
  camera?: MediaTrackConstraints;
}

const MAX_CHAT_LENGTH = 4000;

/**
 * One peer in one room: joins, publishes, receives, chats, and comes back by itself after a lost connection with all
 * that it was publishing. What there is to see is in {@link RoomClient.store}.
 */
export class RoomClient {
  readonly store: Store<RoomState> = createStore(initialRoomState);
  readonly #options: RoomClientOptions;
  readonly #media: LocalMedia;
  readonly #layers: LayerChooser;
  #socket: ProtooSocket | undefined;
  #signaling: Signaling | undefined;
  #session: Session | undefined;
  /** Who went while a join was under way: its answer may still name them. */
  readonly #goneWhileJoining = new Set<string>();

  constructor(options: RoomClientOptions) {
    this.#options = options;
    this.#media = new LocalMedia({
      store: this.store,
      camera: options.camera ?? defaultCamera,
      session: () => (this.#session?.joined ? this.#session : undefined),
    });
    this.#layers = new LayerChooser(this.store, (id, { spatialLayer, temporalLayer }) => {
      this.#signaling?.notify('setConsumerPreferredLayers', {
        consumerId: id,
        spatialLayer,
        ...(temporalLayer === undefined ? {} : { temporalLayer }),
      });
    });
  }

  get peerId(): string {
    return this.#options.peerId;
  }

  get displayName(): string {
    return this.#options.displayName;
  }

  /** The media of the present connection, for statistics. */
  get session(): Session | undefined {
    return this.#session;
  }

  get signaling(): Signaling | undefined {
    return this.#signaling;
  }

  /** Connects and joins. How it goes shows in the state. */
  join(): void {
    if (this.#socket) return;
    this.store.update((state) => ({ ...state, connection: 'connecting', reason: '' }));
    const socket = new ProtooSocket({
      url: this.#options.url,
      handlers: {
        open: () => void this.#start(socket),
        retrying: (retry) => this.#lost(retry),
        closed: ({ code, reason }) => this.#ended(code, reason),
        request: (method, data) => this.#answer({ method, data } as ServerRequest),
        notification: (method, data) => this.#notified({ method, data } as ServerNotification),
      },
    });
    this.#socket = socket;
    this.#signaling = asSignaling(socket);
  }

  /** Leaves for good and lets go of camera, microphone and screen. A client that has left is not used again. */
  leave(): void {
    const { connection } = this.store.get();
    if (connection === 'left' || connection === 'closed') return;
    this.store.update((state) => ({ ...state, connection: 'left', reason: '' }));
    this.#socket?.close();
    this.#release();
  }

  /** Tries at once while a try is due later. */
  retryNow(): void {
    this.#socket?.retryNow();
  }

  /** Turns on what the person wants to start with, asking for both at once where both are wanted. */
  startMedia(wanted: { camera: boolean; microphone: boolean }): Promise<void> {
    return this.#media.start(wanted);
  }

  /** Starts or stops a source; a microphone that was opened once is muted instead of closed. */
  setEnabled(source: Source, enabled: boolean): Promise<void> {
    return this.#media.setEnabled(source, enabled);
  }

  /** Returns whether it was sent. */
  sendChat(text: string): boolean {
    const message = text.trim().slice(0, MAX_CHAT_LENGTH);
    const chat = this.#session?.chat;
    if (message === '' || chat?.readyState !== 'open') return false;
    chat.send(message);
    const { peerId, displayName } = this.#options;
    this.store.update((state) =>
      addChat(state, { peerId, displayName, text: message, self: true }),
    );
    return true;
  }

  setConsumerPaused(consumerId: string, paused: boolean): void {
    this.#session?.setConsumerPaused(consumerId, paused);
    this.store.update((state) => patchConsumer(state, consumerId, { paused }));
  }

  /** The layers to receive; `undefined` leaves it to the size of the picture ({@link setPictureHeight}). */
  setPreferredLayers(consumerId: string, layers: Layers | undefined): void {
    this.store.update((state) => patchConsumer(state, consumerId, { preferred: layers }));
    this.#layers.choose(consumerId);
  }

  /** Tells how large a consumer's picture is drawn, in device pixels. */
  setPictureHeight(consumerId: string, height: number): void {
    this.#layers.setHeight(consumerId, height);
  }

  dismissEvent(eventId: number): void {
    this.store.update((state) => ({
      ...state,
      events: state.events.filter(({ id }) => id !== eventId),
    }));
  }

  async #start(socket: ProtooSocket): Promise<void> {
    const session = new Session({
      signaling: asSignaling(socket),
      forceTcp: this.#options.forceTcp ?? false,
      onLost: (reason) => {
        if (this.#session === session) socket.reconnect(reason);
      },
      onChat: (peerId, text) => this.#chatted(peerId, text),
      onChatOpen: (chatOpen) => {
        if (this.#session === session) this.store.update((state) => ({ ...state, chatOpen }));
      },
    });
    this.#session = session;
    this.#goneWhileJoining.clear();
    try {
      const peers = await session.join(this.#options.displayName, this.#options.device);
      if (this.#session !== session) return;
      const present = peers.filter(({ peerId }) => !this.#goneWhileJoining.has(peerId));
      this.store.update((state) => ({
        ...addPeers(state, present),
        connection: 'connected',
        reason: '',
        retry: undefined,
      }));
    } catch (error) {
      if (this.#session === session) this.#joinFailed(socket, error);
      return;
    }
    await Promise.all([this.#media.publishAll(), this.#openChat(session)]);
  }

  async #openChat(session: Session): Promise<void> {
    try {
      await session.openChat();
    } catch (error) {
      if (session.closed) return;
      this.#tell(`Chat is not available: ${messageOf(error)}`);
    }
  }

  #joinFailed(socket: ProtooSocket, error: unknown): void {
    if (isRetryable(error)) {
      socket.reconnect(messageOf(error));
      return;
    }
    this.store.update((state) => ({
      ...state,
      connection: 'closed',
      reason: `The room could not be joined: ${messageOf(error)}`,
    }));
    socket.close();
    this.#release();
  }

  async #answer(message: ServerRequest): Promise<unknown> {
    const session = this.#session;
    if (!session) throw new Error('not joined');
    switch (message.method) {
      case 'newConsumer':
        return this.#consume(session, message.data);
      case 'newDataConsumer':
        return session.consumeData(message.data);
      default:
        throw new Error(`unknown request`);
    }
  }

  async #consume(
    session: Session,
    data: Extract<ServerRequest, { method: 'newConsumer' }>['data'],
  ): Promise<void> {
    const id = data.consumerId;
    if (!session.consumers.has(id)) this.store.update((state) => addConsumer(state, data));
    try {
      const { track } = await session.consume(data);
      // It may have been closed while the browser set it up.
      if (this.store.get().consumers.some((one) => one.id === id)) {
        this.store.update((state) => patchConsumer(state, id, { track }));
        this.#layers.choose(id);
      } else session.closeConsumer(id);
    } catch (error) {
      this.store.update((state) => removeConsumer(state, id));
      throw error;
    }
  }

  #notified(message: ServerNotification): void {
    const before = this.store.get();
    this.store.update((state) => applyNotification(state, message));
    const session = this.#session;
    if (message.method === 'newPeer') this.#goneWhileJoining.delete(message.data.peer.peerId);
    else if (message.method === 'peerClosed') this.#goneWhileJoining.add(message.data.peerId);
    else if (message.method === 'dataConsumerClosed') {
      session?.closeDataConsumer(message.data.dataConsumerId);
    } else if (message.method === 'producerMuted') {
      this.#media.mutedByServer(message.data.producerId);
    } else if (message.method === 'producerClosed') {
      void this.#media.closedByServer(before, message.data.producerId);
    }
    this.#closeRemoved(before, session);
  }

  /** Closes what the state no longer has: a closed consumer, or all of a peer that went. */
  #closeRemoved(before: RoomState, session: Session | undefined): void {
    const { consumers } = this.store.get();
    if (consumers.length === before.consumers.length) return;
    const kept = new Set(consumers.map(({ id }) => id));
    for (const { id } of before.consumers) {
      if (kept.has(id)) continue;
      session?.closeConsumer(id);
      this.#layers.forget(id);
    }
  }

  #chatted(peerId: string, text: string): void {
    this.store.update((state) =>
      addChat(state, {
        peerId,
        displayName: displayNameOf(state, peerId),
        text: text.slice(0, MAX_CHAT_LENGTH),
        self: false,
      }),
    );
  }

  #lost({ attempt, tries, reason }: Retry): void {
    this.#closeSession();
    this.store.update((state) => ({
      ...withoutConnection(state),
      // Before the first join nothing was lost yet.
      connection: state.connection === 'connecting' ? 'connecting' : 'reconnecting',
      reason,
      retry: { attempt, tries },
    }));
  }

  #ended(code: number, reason: string): void {
    const { connection } = this.store.get();
    if (connection !== 'left' && connection !== 'closed') {
      this.store.update((state) => ({
        ...state,
        connection: 'closed',
        reason:
          code === CLOSE_FOR_GOOD && reason === '' ? 'The server ended the connection.' : reason,
      }));
    }
    this.#release();
  }

  #closeSession(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#layers.clear();
  }

  #release(): void {
    this.#closeSession();
    this.#media.close();
    this.store.update((state) => ({
      ...withoutConnection(state),
      producers: [],
      retry: undefined,
    }));
  }

  #tell(text: string): void {
    this.store.update((state) => addEvent(state, 'problem', text));
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

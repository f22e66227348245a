import { dispatch } from './dispatch.ts';
import { DataChannel, type DataChannelOptions } from './data-channel.ts';
import { Emitter } from './emitter.ts';
import type { RoomEvents } from './events.ts';
import { noTrackStats } from './media/stats.ts';
import { askAboutPeer } from './moderation.ts';
import type { ResolvedOptions } from './options.ts';
import type { CaptureSource } from './media/capture.ts';
import type { Publication } from './publication.ts';
import { Publications, type PublishOptions } from './publications.ts';
import { Roster } from './roster.ts';
import type { Feed } from './session/feed.ts';
import { MediaSession, type TransportReport } from './session/media-session.ts';
import { Connection, COULD_NOT_JOIN } from './signaling/connection.ts';
import { persist } from './signaling/persist.ts';
import type {
  NewConsumer,
  ServerNotification,
  ServerRequest,
  ServerStats,
  Signaling,
} from './signaling/messages.ts';
import { CLOSE_FOR_GOOD, type Retry } from './signaling/protoo-socket.ts';
import { initialRoomState, type CloseReason, type RoomState } from './state.ts';
import type { Subscription } from './subscription.ts';
import { Subscriptions } from './subscriptions.ts';

/**
 * One peer in one room. It joins when made, publishes, receives, and comes back by itself after whatever happens to the
 * servers; what it publishes and what it watches stay the same objects.
 */
export class Room extends Emitter<RoomEvents> {
  readonly #options: ResolvedOptions;
  readonly #connection: Connection;
  readonly #roster: Roster;
  readonly #subscriptions: Subscriptions;
  readonly #publications: Publications;
  readonly #channels = new Map<string, DataChannel>();
  readonly #listeners = new Set<() => void>();
  readonly #connected: Promise<void>;
  readonly #online = () => this.#networkIsBack();
  #settleConnected: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #session: MediaSession | undefined;
  #displayName: string;
  #wasConnected = false;
  #own: Omit<RoomState, 'peers' | 'subscriptions' | 'publications'> = initialRoomState;
  #state: RoomState | undefined;

  /** @internal */
  constructor(options: ResolvedOptions) {
    super();
    this.#options = options;
    this.#displayName = options.connectOptions.displayName;
    this.#connected = new Promise((resolve, reject) => {
      this.#settleConnected = { resolve, reject };
    });
    // Whoever waits for it is told; nobody has to.
    this.#connected.catch(() => undefined);
    this.#roster = new Roster({
      joined: (peer) => this.emit('peer-joined', peer),
      left: (peer) => {
        this.#subscriptions.closePeer(peer.peerId);
        this.emit('peer-left', peer);
      },
      updated: (peer) => this.emit('peer-updated', peer),
    });
    this.#subscriptions = this.#createSubscriptions();
    this.#publications = this.#createPublications();
    this.#connection = this.#connect();
    if (typeof addEventListener === 'function') addEventListener('online', this.#online);
  }

  get roomId(): string {
    return this.#options.connectOptions.roomId;
  }

  get peerId(): string {
    return this.#options.connectOptions.peerId;
  }

  get displayName(): string {
    return this.#displayName;
  }

  /** The room as it is now; the same object until something changes. */
  get state(): RoomState {
    return (this.#state ??= {
      ...this.#own,
      peers: this.#roster.peers,
      subscriptions: this.#subscriptions.all.map(({ state }) => state),
      publications: this.#publications.all.map(({ state }) => state),
    });
  }

  /** What is received, in the order in which it came. */
  get subscriptions(): readonly Subscription[] {
    return this.#subscriptions.all;
  }

  get publications(): readonly Publication[] {
    return this.#publications.all;
  }

  /** Calls `listener` after each change of {@link Room.state}. Returns how to unsubscribe. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  subscription(id: string): Subscription | undefined {
    return this.subscriptions.find((one) => one.id === id);
  }

  publication(source: string): Publication | undefined {
    return this.#publications.find(source);
  }

  /** Resolves at the first join. Rejects when the room is closed before. */
  whenConnected(): Promise<void> {
    return this.#connected;
  }

  /**
   * Publishes a track, or opens microphone (`audio`), camera (`video`) or screen (`screensharing`) and publishes that. It
   * can be done before the join; {@link Publication.published} tells when it has come to the server.
   *
   * @throws Error for a source that is published already; what the browser throws when it can't be opened
   */
  publish(what: CaptureSource | MediaStreamTrack, options: PublishOptions = {}) {
    return this.#publications.publish(what, options);
  }

  /** Opens and publishes microphone and camera with one question to the person. */
  publishMicrophoneAndCamera({
    microphone = {},
    camera = {},
  }: { microphone?: PublishOptions; camera?: PublishOptions } = {}) {
    return this.#publications.publishBoth({ microphone, camera });
  }

  /**
   * Opens this peer's side of a data channel: the others get its messages as the event `data`. Asked for again, it is the
   * same one.
   */
  openDataChannel(channel: string, options: DataChannelOptions = {}): DataChannel {
    const existing = this.#channels.get(channel);
    if (existing) return existing;
    const opened = new DataChannel(channel, options, {
      changed: () => this.#changed(),
      closed: () => this.#channels.delete(channel),
      serverStats: async (dataProducerId) =>
        (await this.#connection.request('getDataProducerStats', { dataProducerId })).stats,
    });
    this.#channels.set(channel, opened);
    void this.#joined?.send.syncChannel(opened);
    return opened;
  }

  /** How many voices to receive at once: those who speak. `undefined`: all. */
  setAudioTopN(count: number | undefined): void {
    this.#subscriptions.setAudioTopN(count);
  }

  setDisplayName(displayName: string): void {
    this.#displayName = displayName;
    this.#connection.notify('changeDisplayName', { displayName });
  }

  /** Tries at once while a try to connect is due later. */
  retryNow(): void {
    this.#connection.retryNow();
  }

  /** Restarts ICE of both transports, such as after a change of the network that the browser does not see. */
  async restartIce(): Promise<void> {
    await this.#joined?.restartIce();
  }

  /** The browser's numbers of the transports. */
  async getStats(): Promise<TransportReport[]> {
    return (await this.#joined?.getStats()) ?? [];
  }

  /** The server's numbers of a transport that {@link getStats} names. */
  async getServerStats(transportId: string): Promise<ServerStats> {
    return (await this.#connection.request('getTransportStats', { transportId })).stats;
  }

  /**
   * Pauses what a peer publishes, of these sources or all. Only that peer can resume it. Needs a token that administers
   * the room.
   *
   * @throws Error with the server's words
   */
  async mutePeer(peerId: string, sources: readonly string[] = []): Promise<void> {
    await askAboutPeer(await this.#options.api(), peerId, {
      ...{ method: 'POST', path: '/mute', body: { sources } },
    });
  }

  /** Closes a peer's connection for good. Needs a token that administers the room. */
  async removePeer(peerId: string): Promise<void> {
    await askAboutPeer(await this.#options.api(), peerId, { method: 'DELETE', path: '' });
  }

  /** Leaves for good, and stops the tracks that the SDK opened. A room that was left is not used again. */
  close(): void {
    if (this.#own.connection === 'closed') return;
    this.#end('left', '');
    this.#connection.leave();
  }

  /** The session, once joined: only then can anything be asked of it. */
  get #joined(): MediaSession | undefined {
    return this.#session?.joined ? this.#session : undefined;
  }

  #connect(): Connection {
    const { address, timing } = this.#options;
    return new Connection({
      ...{ url: address, timing },
      handlers: {
        join: (channel) => this.#join(channel),
        resume: (channel) => this.#resume(channel),
        sessionLost: () => this.#sessionLost(),
        retrying: (retry) => this.#retrying(retry),
        closed: ({ code, reason }) => this.#closed(code, reason),
        request: (message) => this.#answer(message),
        notification: (message) => this.#notified(message),
      },
    });
  }

  #createSubscriptions(): Subscriptions {
    const { timing, connectOptions } = this.#options;
    const context = {
      ...{ signaling: this.#signaling(), timing, changed: () => this.#changed() },
      switched: (...args: RoomEvents['track-switched']) => this.emit('track-switched', ...args),
      dropped: (feed: Feed) => this.#session?.receive.forget(feed),
    };
    const subscriptions = new Subscriptions(context, {
      added: (one) => this.#tell('track-added', one),
      removed: (one) => this.#tell('track-removed', one),
    });
    subscriptions.setAudioTopN(connectOptions.audioTopN);
    return subscriptions;
  }

  #createPublications(): Publications {
    return new Publications({
      changed: () => this.#changed(),
      sync: (publication) => void this.#joined?.send.sync(publication),
      ended: (publication, reason, error) =>
        this.#tell('publication-ended', publication, reason, error),
      stats: (publication) =>
        this.#session?.send.stats(publication) ?? Promise.resolve(noTrackStats),
      serverStats: async (publication) => {
        const producerId = this.#session?.send.producerId(publication);
        if (producerId === undefined) return [];
        return (await this.#connection.request('getProducerStats', { producerId })).stats;
      },
    });
  }

  #signaling(): Signaling {
    return {
      request: (method, data) => this.#connection.request(method, data),
      notify: (method, data) => this.#connection.notify(method, data),
    };
  }

  async #join(channel: Signaling): Promise<() => void> {
    const { connectOptions, timing, device } = this.#options;
    const { forceTcp = false, handlerFactory, iceServers, iceTransportPolicy } = connectOptions;
    this.#roster.asking();
    const { session, join } = await MediaSession.open(channel, {
      ...{ signaling: this.#signaling(), timing, forceTcp, handlerFactory },
      canMove: () => this.#connection.resumable,
      settings: {
        ...(iceServers ? { iceServers } : {}),
        ...(iceTransportPolicy ? { iceTransportPolicy } : {}),
      },
      handlers: {
        lost: (reason) => this.#lost(session, reason),
        moved: (move) => this.emit('moved', move),
        data: (message) => this.emit('data', message),
        stranded: (feeds) => this.#gone(feeds, timing.linger.producerLostMs),
        refused: (publication, error) => publication.end('refused', error),
        channelRefused: (dataChannel, error) => {
          dataChannel.close();
          this.emit('error', error);
        },
      },
    });
    this.#session?.close();
    this.#session = session;
    try {
      this.#roster.replace(await join(this.#displayName, device), !this.#wasConnected);
    } catch (error) {
      session.close();
      throw error;
    }
    return () => this.#nowJoined(session);
  }

  #nowJoined({ send }: MediaSession): void {
    this.#nowConnected();
    for (const one of this.#subscriptions.all) one.rejoined();
    for (const publication of this.#publications.all) void send.sync(publication);
    for (const channel of this.#channels.values()) void send.syncChannel(channel);
  }

  async #resume(channel: Signaling): Promise<() => void> {
    const session = this.#session;
    if (!session || session.closed) throw new Error('there is no session');
    this.#roster.asking();
    // The server may have to look for other nodes first: it is asked again by the same socket.
    const alive = await persist(
      () => channel.request('resumeSession', session.held),
      this.#options.timing.retry,
      () => session === this.#session,
    );
    this.#roster.replace(alive.peers, false);
    this.#gone(session.receive.drop(alive), this.#options.timing.linger.resumedMs);
    return () => {
      this.#nowConnected();
      this.#resync(alive.consumerIds);
      this.#connection.notify('changeDisplayName', { displayName: this.#displayName });
      void session.send.resumed(alive);
    };
  }

  /** What the server was told last may not have come there. */
  #resync(consumerIds: readonly string[]): void {
    const subscriptions = this.#subscriptions.all;
    const held = (paused: boolean) =>
      subscriptions
        .filter(({ state }) => state.pausedFor.length > 0 === paused)
        .flatMap(({ feedIds }) => feedIds.filter((id) => consumerIds.includes(id)));
    const [running, paused] = [held(false), held(true)];
    if (running.length > 0) this.#connection.notify('resumeConsumers', { consumerIds: running });
    if (paused.length > 0) this.#connection.notify('pauseConsumers', { consumerIds: paused });
    for (const one of subscriptions) one.resync();
  }

  #nowConnected(): void {
    this.#wasConnected = true;
    this.#settleConnected?.resolve();
    this.#update({ connection: 'connected', message: '', retry: undefined });
    this.#tellConnection();
  }

  /** The media of a session failed for good, as far as the session is still the present one. */
  #lost(session: MediaSession, reason: string): void {
    if (session === this.#session && !session.closed) this.#connection.rejoin(reason);
  }

  #sessionLost(): void {
    this.#session?.close();
    this.#session = undefined;
    for (const one of this.#subscriptions.all) one.sessionLost();
    for (const one of this.#publications.all) one.sent(undefined);
    this.#update({ volumes: {}, activeSpeaker: undefined });
  }

  #retrying({ attempt, tries, reason }: Retry): void {
    this.#update({
      // Before the first join nothing was lost yet.
      connection: this.#wasConnected ? 'reconnecting' : 'connecting',
      message: reason,
      retry: { attempt, tries },
    });
    this.#tellConnection();
  }

  #closed(code: number, reason: string): void {
    const ended = code === CLOSE_FOR_GOOD && !reason.startsWith(COULD_NOT_JOIN);
    this.#end(ended ? 'ended' : 'failed', reason);
  }

  #end(closeReason: CloseReason, message: string): void {
    if (this.#own.connection === 'closed') return;
    this.#update({ connection: 'closed', closeReason, message, retry: undefined });
    if (typeof removeEventListener === 'function') removeEventListener('online', this.#online);
    this.#settleConnected?.reject(new Error(message === '' ? closeReason : message));
    this.#publications.closeAll();
    this.#session?.close();
    for (const channel of this.#channels.values()) channel.close();
    this.#subscriptions.closeAll();
    this.#tellConnection();
  }

  #networkIsBack(): void {
    this.#connection.retryNow();
    void this.#session?.reconnectIce();
  }

  async #answer(message: ServerRequest): Promise<void> {
    const session = this.#session;
    if (!session) throw new Error('not joined');
    switch (message.method) {
      case 'newConsumer':
        await this.#consume(session, message.data);
        return;
      case 'newDataConsumer':
        await session.receive.consumeData(message.data);
        return;
      default:
        throw new Error('unknown request');
    }
  }

  async #consume(session: MediaSession, data: NewConsumer): Promise<void> {
    const feed = await session.receive.consume(data);
    if (session !== this.#session) return;
    this.#subscriptions.offer(feed);
    // After the answer: with it the server starts the consumer, whatever it was told before.
    setTimeout(() => this.#subscriptions.withFeed(feed)?.feedReady(feed), 0);
  }

  #gone(feeds: readonly Feed[], lingerMs: number): void {
    for (const feed of feeds) this.#subscriptions.withFeed(feed)?.feedGone(feed, lingerMs);
  }

  #notified(message: ServerNotification): void {
    dispatch(message, {
      ...{ session: this.#session, roster: this.#roster, subscriptions: this.#subscriptions },
      ...{ linger: this.#options.timing.linger, room: this },
      speaking: (change) => this.#update(change),
    });
    this.#changed();
  }

  #update(change: Partial<RoomState>): void {
    this.#own = { ...this.#own, ...change };
    this.#changed();
  }

  #changed(): void {
    this.#state = undefined;
    for (const listener of this.#listeners) listener();
  }

  #tell<K extends keyof RoomEvents>(event: K, ...args: RoomEvents[K]): void {
    this.#changed();
    this.emit(event, ...args);
  }

  #tellConnection(): void {
    const { connection, closeReason, message, retry } = this.#own;
    this.emit('connection', { connection, closeReason, message, retry });
  }
}

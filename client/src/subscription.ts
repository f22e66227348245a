import type { types } from 'mediasoup-client';

import { spatialLayerForHeight } from './media/layers.ts';
import { addStats, noTrackStats, type TrackStats } from './media/stats.ts';
import { watchElement, type Picture } from './media/visibility.ts';
import type { Feed } from './session/feed.ts';
import { untilSwappable } from './session/swap.ts';
import type { Layers, ServerStats, Signaling } from './signaling/messages.ts';
import type { Timing } from './timing.ts';

/** Why nothing is received though something is published. */
export type PauseReason =
  /** The application paused it. */
  | 'application'
  /** Nobody sees it. */
  | 'hidden'
  /** Others speak; see `audioTopN`. */
  | 'quiet';

/** Why another track took the place of a subscription's. */
export type SwitchReason =
  /** This peer's transport moved. */
  | 'moved'
  /** The publisher's transport moved, or it published again. */
  | 'replaced';

/** A subscription at one moment, as plain values. */
export interface SubscriptionState {
  /** The same for its whole life. */
  id: string;
  peerId: string;
  kind: types.MediaKind;
  source: string;
  stream: MediaStream;
  /** Of the server's present consumer and producer; they change with a move. */
  consumerId: string;
  producerId: string;
  /** mediasoup's: simple, simulcast or svc. */
  type: string;
  /** Why nothing is received; empty: it is. */
  pausedFor: readonly PauseReason[];
  /** Paused by the one who publishes it. */
  producerPaused: boolean;
  /** Its sender or this peer's connection is lost, and it is waited for. */
  interrupted: boolean;
  /** The layers that arrive now; `undefined`: none, or not layered. */
  layers: Layers | undefined;
  /** The layers that the application asked for; `undefined`: chosen by the size of the picture. */
  preferredLayers: Layers | undefined;
  spatialLayers: number;
  temporalLayers: number;
  /** mediasoup's measure of what arrives, 0 to 10. */
  score: number | undefined;
}

/** What a subscription needs of its room. */
export interface SubscriptionContext {
  signaling: Signaling;
  timing: Timing;
  changed: () => void;
  switched: (subscription: Subscription, reason: SwitchReason) => void;
  /** It is over. */
  ended: (subscription: Subscription) => void;
  /** A feed is closed and of no use any more. */
  dropped: (feed: Feed) => void;
}

const LOWEST_PRIORITY = 1;
const HIGHEST_PRIORITY = 255;
/** What the server was told of a consumer. */
interface Told {
  paused: boolean;
  layers: string;
  priority: number;
}

/** As the server makes consumers: running, with all layers. */
const asMade: Told = { paused: false, layers: '', priority: LOWEST_PRIORITY };

/** Pictures are wider than high: a width asks for as much as the height that goes with it. */
const USUAL_RATIO = 16 / 9;

/**
 * What is received of one source of another peer. Its {@link Subscription.stream} is the same object for its whole life,
 * whatever happens to the transports below it: put it into an element once.
 */
export class Subscription {
  readonly id: string;
  readonly stream = new MediaStream();
  readonly #context: SubscriptionContext;
  readonly #pausedFor = new Set<PauseReason>();
  readonly #attached = new Map<Element, Picture>();
  /** What the server was told last of each feed, so that nothing is told twice. */
  readonly #told = new WeakMap<Feed, Told>();
  #feed: Feed;
  /** The one that takes its place once its picture or sound is there. */
  #next: Feed | undefined;
  /** What the feeds before this one received. */
  #before = noTrackStats;
  #interrupted = false;
  #interruptionTimer: ReturnType<typeof setTimeout> | undefined;
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  #preferred: Layers | undefined;
  #height = Number.POSITIVE_INFINITY;
  #priority = LOWEST_PRIORITY;
  #closed = false;
  #state: SubscriptionState | undefined;

  /** @internal */
  constructor(id: string, feed: Feed, context: SubscriptionContext) {
    this.id = id;
    this.#context = context;
    this.#feed = feed;
    if (feed.track) this.stream.addTrack(feed.track);
  }

  get peerId(): string {
    return this.#feed.announced.peerId;
  }

  get source(): string {
    return this.#feed.source;
  }

  get kind(): types.MediaKind {
    return this.#feed.announced.kind;
  }

  /** The track that is in the stream now. */
  get track(): MediaStreamTrack | undefined {
    return this.stream.getTracks()[0];
  }

  get receiver(): RTCRtpReceiver | undefined {
    return this.#feed.receiver;
  }

  /** Over: the peer left, or does not publish it any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The same object until something changes. */
  get state(): SubscriptionState {
    return (this.#state ??= {
      ...{ id: this.id, peerId: this.peerId, kind: this.kind, source: this.source },
      stream: this.stream,
      consumerId: this.#feed.id,
      producerId: this.#feed.announced.producerId,
      type: this.#feed.announced.type,
      pausedFor: [...this.#pausedFor],
      producerPaused: this.#feed.producerPaused,
      interrupted: this.#interrupted,
      layers: this.#feed.layers,
      preferredLayers: this.#preferred,
      spatialLayers: this.#feed.spatialLayers,
      temporalLayers: this.#feed.temporalLayers,
      score: this.#feed.score,
    });
  }

  /** Stops receiving it, or goes on. */
  setPaused(paused: boolean): void {
    this.#setPausedFor('application', paused);
  }

  /** Whether anybody sees it: what nobody sees is not received. {@link attach} does this by itself. */
  setVisible(visible: boolean): void {
    this.#setPausedFor('hidden', !visible);
  }

  /**
   * How large it is drawn, in device pixels: the lowest layer that looks sharp is received. {@link attach} does this by
   * itself.
   */
  setSize({ width = 0, height = 0 }: { width?: number; height?: number }): void {
    this.#height = Math.max(height, width / USUAL_RATIO);
    this.#sync();
  }

  /** The layers to receive; `undefined` leaves it to the size. */
  setPreferredLayers(layers: Layers | undefined): void {
    this.#preferred = layers;
    this.#changed();
    this.#sync();
  }

  /**
   * Who gets bandwidth first where there is not enough for all.
   *
   * @param priority - 1 (the default) to 255
   * @throws RangeError for another number
   */
  setPriority(priority: number): void {
    if (!Number.isInteger(priority) || priority < LOWEST_PRIORITY || priority > HIGHEST_PRIORITY)
      throw new RangeError(`priority: expected ${LOWEST_PRIORITY} to ${HIGHEST_PRIORITY}`);
    this.#priority = priority;
    this.#sync();
  }

  /** Asks the publisher for a picture that needs none before it. */
  requestKeyFrame(): void {
    this.#context.signaling.notify('requestConsumerKeyFrame', { consumerId: this.#feed.id });
  }

  /**
   * Shows it in an element, and receives what that needs: as large as the element is, and nothing while it is out of
   * sight. In several elements, as much as the largest needs.
   *
   * @returns how to detach it
   */
  attach(element: HTMLMediaElement): () => void {
    element.srcObject = this.stream;
    const stop =
      this.kind === 'video'
        ? watchElement(element, (picture) => this.#fit(element, picture))
        : undefined;
    return () => {
      stop?.();
      if (element.srcObject === this.stream) element.srcObject = null;
      this.#fit(element, undefined);
    };
  }

  /** The browser's numbers; counters go on when a track takes another's place. */
  async getStats(): Promise<TrackStats> {
    return addStats(this.#before, await this.#feed.getStats());
  }

  /** The browser's whole report of the present track. */
  async getStatsReport(): Promise<RTCStatsReport | undefined> {
    return this.#feed.receiver?.getStats();
  }

  /** The server's numbers. */
  async getServerStats(): Promise<ServerStats> {
    const consumerId = this.#feed.id;
    return (await this.#context.signaling.request('getConsumerStats', { consumerId })).stats;
  }

  /** @internal Whether it shows or waits to show this. */
  has(feed: Feed): boolean {
    return feed === this.#feed || feed === this.#next;
  }

  /** @internal Whether a new consumer takes the place of its own. */
  isReplacedBy({ announced, source }: Feed): boolean {
    const { producerId, peerId, kind } = this.#feed.announced;
    if (announced.producerId === producerId || announced.replaces === producerId) return true;
    const next = this.#next?.announced.producerId;
    if (next !== undefined && (announced.producerId === next || announced.replaces === next))
      return true;
    const isWaiting = this.#interrupted || this.#feed.gone;
    return (
      isWaiting && announced.peerId === peerId && announced.kind === kind && source === this.source
    );
  }

  /** @internal A new consumer takes the place of the present one, as soon as it may be shown. */
  async replace(feed: Feed): Promise<void> {
    this.#dropNext();
    this.#next = feed;
    const shown = this.#feed;
    await untilSwappable({
      ...{ next: feed, shown, timing: this.#context.timing.move },
      isStill: () => feed.producerPaused || this.#pausedFor.size > 0,
      isVoid: () => this.#next !== feed,
    });
    if (this.#next !== feed) return;
    this.#before = addStats(this.#before, await shown.getStats());
    if (this.#next === feed) this.#swap(feed);
  }

  /** @internal The server was told that the consumer is there, and takes wishes about it. */
  feedReady(feed: Feed): void {
    feed.ready = true;
    this.#sync();
  }

  /** @internal Something about its feed changed. */
  feedChanged(): void {
    this.#changed();
  }

  /**
   * @internal The server closed a consumer of it. What takes its place is waited for.
   *
   * @param lingerMs - 0: nothing will
   */
  feedGone(feed: Feed, lingerMs: number): void {
    feed.gone = true;
    if (feed === this.#next) this.#dropNext();
    if (!this.#feed.gone || this.#next) return;
    if (lingerMs > 0) this.interrupt(lingerMs);
    else this.close();
  }

  /** @internal What it shows does not come any more; it ends unless something takes its place in time. */
  interrupt(lingerMs: number | undefined): void {
    this.#interrupted = true;
    clearTimeout(this.#interruptionTimer);
    if (lingerMs !== undefined)
      this.#interruptionTimer = setTimeout(() => this.#giveUp(), lingerMs);
    this.#changed();
  }

  /** @internal Of its consumers at the server. */
  get feedIds(): string[] {
    return [this.#feed, this.#next]
      .filter((feed) => feed?.gone === false)
      .map((feed) => feed?.id ?? '');
  }

  /** @internal The session was resumed: the server may have missed all that it was told last but pauses. */
  resync(): void {
    const unknown = { paused: this.#pausedFor.size > 0, layers: '', priority: 0 };
    for (const feed of [this.#feed, this.#next]) if (feed?.ready) this.#told.set(feed, unknown);
    this.#sync();
  }

  /** @internal The session is gone, with all of its consumers. */
  sessionLost(): void {
    this.#dropNext();
    this.#feed.gone = true;
    this.interrupt(undefined);
  }

  /** @internal The room was joined anew: what was lost comes again soon, or not at all. */
  rejoined(): void {
    if (this.#interrupted) this.interrupt(this.#context.timing.linger.rejoinedMs);
  }

  /** @internal */
  setQuiet(quiet: boolean): void {
    this.#setPausedFor('quiet', quiet);
  }

  /** @internal */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#interruptionTimer);
    clearTimeout(this.#hiddenTimer);
    this.#dropNext();
    this.#drop(this.#feed);
    this.#context.ended(this);
  }

  /** What comes is waited for: a replacement that is there ends the interruption by itself. */
  #giveUp(): void {
    if (!this.#next) this.close();
  }

  /** Both tracks are in the stream for a moment, so that an element never finds it empty. */
  #swap(feed: Feed): void {
    const old = this.#feed;
    const isMove = feed.announced.producerId === old.announced.producerId;
    this.#next = undefined;
    this.#feed = feed;
    this.#interrupted = false;
    clearTimeout(this.#interruptionTimer);
    const tracks = this.stream.getTracks();
    if (feed.track) this.stream.addTrack(feed.track);
    for (const track of tracks) this.stream.removeTrack(track);
    this.#drop(old);
    this.#changed();
    this.#context.switched(this, isMove ? 'moved' : 'replaced');
  }

  #dropNext(): void {
    const next = this.#next;
    this.#next = undefined;
    if (next) this.#drop(next);
  }

  #drop(feed: Feed): void {
    feed.close();
    this.#context.dropped(feed);
  }

  #fit(element: Element, picture: Picture | undefined): void {
    if (picture) this.#attached.set(element, picture);
    else this.#attached.delete(element);
    const pictures = [...this.#attached.values()];
    if (pictures.length === 0) return;
    const width = Math.max(...pictures.map((one) => one.width));
    const height = Math.max(...pictures.map((one) => one.height));
    if (width > 0 && height > 0) this.setSize({ width, height });
    clearTimeout(this.#hiddenTimer);
    if (pictures.some(({ visible }) => visible)) this.setVisible(true);
    else
      this.#hiddenTimer = setTimeout(() => this.setVisible(false), this.#context.timing.hiddenMs);
  }

  #setPausedFor(reason: PauseReason, paused: boolean): void {
    if (this.#pausedFor.has(reason) === paused) return;
    if (paused) this.#pausedFor.add(reason);
    else this.#pausedFor.delete(reason);
    this.#changed();
    this.#sync();
  }

  #changed(): void {
    this.#state = undefined;
    if (!this.#closed) this.#context.changed();
  }

  /** Tells the server what it does not know yet of what is wished. */
  #sync(): void {
    if (this.#closed) return;
    for (const feed of [this.#feed, this.#next]) {
      if (feed?.ready && !feed.gone) this.#tell(feed);
    }
  }

  #tell(feed: Feed): void {
    const { signaling } = this.#context;
    const consumerId = feed.id;
    const known = this.#told.get(feed) ?? asMade;
    const layers = this.#layersFor(feed);
    const wanted: Told = {
      paused: this.#pausedFor.size > 0,
      layers: layers ? `${layers.spatialLayer}-${layers.temporalLayer ?? ''}` : '',
      priority: this.#priority,
    };
    this.#told.set(feed, wanted);
    if (wanted.paused !== known.paused)
      signaling.notify(wanted.paused ? 'pauseConsumer' : 'resumeConsumer', { consumerId });
    if (layers && wanted.layers !== known.layers) this.#tellLayers(consumerId, layers);
    if (wanted.priority !== known.priority)
      signaling.notify('setConsumerPriority', { consumerId, priority: wanted.priority });
  }

  #tellLayers(consumerId: string, { spatialLayer, temporalLayer }: Layers): void {
    this.#context.signaling.notify('setConsumerPreferredLayers', {
      ...{ consumerId, spatialLayer },
      ...(temporalLayer === undefined ? {} : { temporalLayer }),
    });
  }

  #layersFor({ announced, spatialLayers, temporalLayers }: Feed): Layers | undefined {
    if (announced.type === 'simple') return undefined;
    return (
      this.#preferred ?? {
        spatialLayer: spatialLayerForHeight(this.#height, spatialLayers),
        temporalLayer: temporalLayers - 1,
      }
    );
  }
}

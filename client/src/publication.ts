import type { types } from 'mediasoup-client';

import type { TrackStats } from './media/stats.ts';
import type { ServerStats } from './signaling/messages.ts';

/** How a track is sent. What is left out is chosen by the kind and source. */
export interface EncodingOptions {
  /** Layers, lowest first. One of them with a `scalabilityMode` such as `L3T3_KEY`: SVC; several: simulcast. */
  encodings?: types.RtpEncodingParameters[];
  /** As in `video/VP9`; where the room has it not, its first codec is taken. */
  codec?: string;
  codecOptions?: types.ProducerCodecOptions;
  /** What every watcher is told, up to 4096 bytes as JSON. `source` is set by the SDK. */
  appData?: Record<string, unknown>;
}

/** Why a publication ended. */
export type EndReason =
  /** By the application. */
  | 'closed'
  /** The track ended: the person stopped sharing, or a device went and did not come back. */
  | 'ended'
  /** The server refused it. */
  | 'refused';

/** A publication at one moment, as plain values. */
export interface PublicationState {
  source: string;
  kind: types.MediaKind;
  track: MediaStreamTrack;
  paused: boolean;
  /** Missing while it is not at the server: before the join, and while reconnecting. */
  producerId: string | undefined;
  /** mediasoup's measure of what arrives at the server, 0 to 10. */
  score: number | undefined;
  /** Its device is gone, and is opened again when it comes back. */
  interrupted: boolean;
}

/** What a publication needs of its room. */
export interface PublicationContext {
  changed: () => void;
  /** Its track, pause or end is to be brought to the server. */
  sync: (publication: Publication) => void;
  ended: (publication: Publication, reason: EndReason, error?: Error) => void;
  stats: (publication: Publication) => Promise<TrackStats>;
  serverStats: (publication: Publication) => Promise<ServerStats>;
}

/** Opens the device of a publication, anew or another one. */
export type OpenTrack = (deviceId?: string) => Promise<MediaStreamTrack>;

/**
 * Something that this peer publishes, whatever happens to the connection: it is brought to the server again after each
 * loss, and ends only by {@link Publication.close}, with its track, or when the server refuses it.
 */
export class Publication {
  readonly source: string;
  readonly kind: types.MediaKind;
  /** @internal */
  readonly options: EncodingOptions;
  readonly #context: PublicationContext;
  /** How the SDK opened the track; missing where the application brought it. */
  readonly #open: OpenTrack | undefined;
  readonly #published: Promise<void>;
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #track: MediaStreamTrack;
  #paused = false;
  #interrupted = false;
  #closed = false;
  #producerId: string | undefined;
  #score: number | undefined;
  #state: PublicationState | undefined;

  /** @internal */
  constructor(
    track: MediaStreamTrack,
    options: EncodingOptions & { source: string; open?: OpenTrack | undefined; paused?: boolean },
    context: PublicationContext,
  ) {
    const { source, open, paused = false, ...encoding } = options;
    this.source = source;
    this.kind = track.kind === 'audio' ? 'audio' : 'video';
    this.options = encoding;
    this.#context = context;
    this.#open = open;
    this.#track = track;
    this.#paused = paused;
    this.#published = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    // Whoever waits for it is told; nobody has to.
    this.#published.catch(() => undefined);
    this.#take(track);
  }

  get track(): MediaStreamTrack {
    return this.#track;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves once it has come to the server for the first time; rejects when it ends before. */
  get published(): Promise<void> {
    return this.#published;
  }

  /** The same object until something changes. */
  get state(): PublicationState {
    return (this.#state ??= {
      ...{ source: this.source, kind: this.kind, track: this.#track, paused: this.#paused },
      producerId: this.#producerId,
      score: this.#score,
      interrupted: this.#interrupted,
    });
  }

  /** Sends nothing until {@link resume}; a camera or microphone stays open. */
  pause(): void {
    this.#setPaused(true);
  }

  resume(): void {
    this.#setPaused(false);
  }

  /**
   * Sends another track from now on; nobody has to subscribe anew.
   *
   * @throws TypeError for a track of the other kind
   */
  replaceTrack(track: MediaStreamTrack): void {
    if (track.kind !== this.kind) throw new TypeError(`track: expected ${this.kind}`);
    const old = this.#track;
    this.#take(track);
    if (this.#open && old !== track) old.stop();
    this.#interrupted = false;
    this.#changed();
    this.#context.sync(this);
  }

  /**
   * Takes another camera or microphone.
   *
   * @param deviceId - of `navigator.mediaDevices.enumerateDevices()`
   * @throws Error for a track that the application brought; what the browser throws
   */
  async setDevice(deviceId: string): Promise<void> {
    if (!this.#open) throw new Error('the application brought the track: use replaceTrack');
    const track = await this.#open(deviceId);
    if (this.#isClosed()) track.stop();
    else this.replaceTrack(track);
  }

  /** Ends it. A track that the SDK opened is stopped; the application's own goes on. */
  close(): void {
    this.end('closed');
  }

  /** The browser's numbers; all zero while it is not at the server. */
  getStats(): Promise<TrackStats> {
    return this.#context.stats(this);
  }

  /** The server's numbers. */
  getServerStats(): Promise<ServerStats> {
    return this.#context.serverStats(this);
  }

  /** @internal It has come to the server, or went from there. */
  sent(producerId: string | undefined): void {
    this.#producerId = producerId;
    if (producerId === undefined) this.#score = undefined;
    else this.#settle?.resolve();
    this.#changed();
  }

  /** @internal */
  scored(score: number): void {
    this.#score = score;
    this.#changed();
  }

  /** @internal */
  end(reason: EndReason, error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#open) this.#track.stop();
    this.#settle?.reject(error ?? new Error(`the publication ended: ${reason}`));
    this.#context.ended(this, reason, error);
    this.#context.sync(this);
  }

  /** @internal The devices changed: one that was gone may be back. */
  async devicesChanged(): Promise<void> {
    if (!this.#interrupted || !this.#open || this.#closed) return;
    try {
      const track = await this.#open();
      if (this.#isClosed()) track.stop();
      else this.replaceTrack(track);
    } catch {
      // It is tried again when the devices change once more.
    }
  }

  #take(track: MediaStreamTrack): void {
    this.#track = track;
    track.enabled = !this.#paused;
    track.addEventListener('ended', () => {
      if (this.#track === track && !this.#closed) this.#ended();
    });
  }

  /** A camera or microphone that was unplugged may come back; a screen that is not shared any more does not. */
  #ended(): void {
    if (!this.#open) {
      this.end('ended');
      return;
    }
    this.#interrupted = true;
    this.#changed();
    void this.devicesChanged();
  }

  #setPaused(paused: boolean): void {
    if (this.#paused === paused) return;
    this.#paused = paused;
    this.#track.enabled = !paused;
    this.#changed();
    this.#context.sync(this);
  }

  #changed(): void {
    this.#state = undefined;
    if (!this.#closed) this.#context.changed();
  }

  // A method, since what is awaited may change it.
  #isClosed(): boolean {
    return this.#closed;
  }
}

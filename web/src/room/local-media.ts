import { capture, captureBoth, captureProblem } from './capture.ts';
import { addEvent, patchProducer } from './reduce.ts';
import type { Session } from './session.ts';
import type { ProducerState, RoomState, Source } from './state.ts';
import type { Store } from './store.ts';

export interface LocalMediaOptions {
  store: Store<RoomState>;
  camera: MediaTrackConstraints;
  /** The session to publish in, once joined. */
  session: () => Session | undefined;
}

/**
 * What this peer publishes. The tracks outlive a connection: they are opened when the person turns a source on, and
 * published in every session until it is turned off.
 */
export class LocalMedia {
  readonly #options: LocalMediaOptions;
  /** Operations on one source run one after the other, so that two quick clicks don't open a camera twice. */
  readonly #queues = new Map<Source, Promise<void>>();
  #closed = false;

  constructor(options: LocalMediaOptions) {
    this.#options = options;
  }

  /** Opens camera and microphone with one question to the person; what can't be had is told, and left out. */
  async start({ camera, microphone }: { camera: boolean; microphone: boolean }): Promise<void> {
    if (camera && microphone) await this.#enqueue('audio', () => this.#startBoth());
    await Promise.all([
      ...(microphone && !this.#find('audio') ? [this.setEnabled('audio', true)] : []),
      ...(camera && !this.#find('video') ? [this.setEnabled('video', true)] : []),
    ]);
  }

  setEnabled(source: Source, enabled: boolean): Promise<void> {
    return this.#enqueue(source, () => (enabled ? this.#enable(source) : this.#disable(source)));
  }

  /** Publishes what is turned on and not published yet: after a join, or a rejoin. */
  async publishAll(): Promise<void> {
    const sources = this.#options.store.get().producers.map(({ source }) => source);
    await Promise.all(sources.map((source) => this.#enqueue(source, () => this.#publish(source))));
  }

  /** The server paused a producer; the track is silenced here as well. */
  mutedByServer(producerId: string): void {
    const session = this.#options.session();
    for (const producer of session?.producers.values() ?? []) {
      if (producer.id === producerId) producer.pause();
    }
  }

  /** The server lost a producer: it is published again. */
  async closedByServer(before: RoomState, producerId: string): Promise<void> {
    const source = before.producers.find(({ id }) => id === producerId)?.source;
    if (!source) return;
    this.#options.session()?.producers.get(source)?.close();
    await this.#enqueue(source, () => this.#publish(source));
  }

  /** Lets go of camera, microphone and screen. */
  close(): void {
    this.#closed = true;
    for (const { track } of this.#options.store.get().producers) track.stop();
  }

  #enqueue(source: Source, task: () => Promise<void>): Promise<void> {
    const run = (this.#queues.get(source) ?? Promise.resolve()).then(task);
    this.#queues.set(source, run);
    return run;
  }

  #find(source: Source): ProducerState | undefined {
    return this.#options.store.get().producers.find((producer) => producer.source === source);
  }

  async #startBoth(): Promise<void> {
    const tracks = await captureBoth(this.#options.camera);
    for (const [source, track] of tracks) {
      if (this.#isClosed()) track.stop();
      else this.#add(source, track);
    }
    await Promise.all(tracks.map(([source]) => this.#publish(source)));
  }

  async #enable(source: Source): Promise<void> {
    if (this.#closed) return;
    if (this.#find(source)) {
      this.#setMuted(source, false);
      return;
    }
    try {
      const track = await capture(source, this.#options.camera);
      // It was left while the browser asked the person.
      if (this.#isClosed()) track.stop();
      else this.#add(source, track);
    } catch (error) {
      const problem = captureProblem(source, error);
      if (problem !== undefined) this.#tell(problem);
      return;
    }
    await this.#publish(source);
  }

  /** Only the microphone is muted: a camera's light and a browser's "is sharing" bar should go out. */
  async #disable(source: Source): Promise<void> {
    if (source === 'audio') this.#setMuted(source, true);
    else this.#remove(source);
    return Promise.resolve();
  }

  async #publish(source: Source): Promise<void> {
    const session = this.#options.session();
    const local = this.#find(source);
    if (!session || !local || session.producers.has(source)) return;
    try {
      const { id } = await session.produce(source, local.track, local.muted);
      this.#patch(source, { id });
      // It was turned off while the server made it.
      if (!this.#find(source)) session.closeProducer(source);
    } catch (error) {
      // A lost connection is told by the status, and the next one publishes again.
      if (session.closed) return;
      this.#remove(source);
      this.#tell(`${what[source]} cannot be sent: ${error instanceof Error ? error.message : ''}`);
    }
  }

  #setMuted(source: Source, muted: boolean): void {
    this.#options.session()?.setMuted(source, muted);
    this.#patch(source, { muted });
  }

  #add(source: Source, track: MediaStreamTrack): void {
    // The browser's own "stop sharing", or a camera that was unplugged.
    track.addEventListener('ended', () => {
      if (this.#find(source)?.track === track) this.#remove(source);
    });
    const kind = source === 'audio' ? 'audio' : 'video';
    this.#options.store.update((state) => ({
      ...state,
      producers: [
        ...state.producers,
        { source, kind, track, muted: false, id: undefined, score: undefined },
      ],
    }));
  }

  #remove(source: Source): void {
    this.#options.session()?.closeProducer(source);
    this.#find(source)?.track.stop();
    this.#options.store.update((state) => ({
      ...state,
      producers: state.producers.filter((producer) => producer.source !== source),
    }));
  }

  #patch(source: Source, patch: Partial<ProducerState>): void {
    this.#options.store.update((state) =>
      patchProducer(state, (producer) => producer.source === source, patch),
    );
  }

  #tell(text: string): void {
    this.#options.store.update((state) => addEvent(state, 'problem', text));
  }

  #isClosed(): boolean {
    return this.#closed;
  }
}

const what: Record<Source, string> = {
  audio: 'Your microphone',
  video: 'Your camera',
  screensharing: 'Your screen',
};

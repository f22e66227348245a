import { capture, captureBoth, isCaptureSource, mediaDevices } from './media/capture.ts';
import {
  Publication,
  type EncodingOptions,
  type OpenTrack,
  type PublicationContext,
} from './publication.ts';

/** How {@link Room.publish} publishes. */
export interface PublishOptions extends EncodingOptions {
  /** What it is called; by default `audio` or `video`, by the track's kind. One publication for each. */
  source?: string;
  /** What is opened: camera, microphone or screen. Over the SDK's own. */
  constraints?: MediaTrackConstraints;
  /** Starts it paused. */
  paused?: boolean;
}

/** All that this peer publishes. */
export class Publications {
  readonly #context: PublicationContext;
  readonly #all = new Map<string, Publication>();
  readonly #devicesChanged = () => {
    for (const publication of this.all) void publication.devicesChanged();
  };
  #closed = false;

  constructor(context: PublicationContext) {
    this.#context = {
      ...context,
      ended: (publication, reason, error) => {
        this.#all.delete(publication.source);
        context.ended(publication, reason, error);
      },
    };
    devices()?.addEventListener('devicechange', this.#devicesChanged);
  }

  get all(): readonly Publication[] {
    return [...this.#all.values()];
  }

  find(source: string): Publication | undefined {
    return this.#all.get(source);
  }

  /**
   * Publishes a track, or opens what `what` names and publishes that.
   *
   * @throws Error for a source that is published already; what the browser throws when it can't be opened
   */
  async publish(what: string | MediaStreamTrack, options: PublishOptions): Promise<Publication> {
    const { constraints, source, ...rest } = options;
    if (typeof what !== 'string')
      return this.#add(what, { ...rest, source: source ?? what.kind, open: undefined });
    if (!isCaptureSource(what))
      throw new TypeError(
        `source: ${JSON.stringify(what)}: expected audio, video or screensharing`,
      );
    this.#requireFree(source ?? what);
    const open: OpenTrack = (deviceId) => capture(what, onDevice(constraints, deviceId));
    const reopen = what === 'screensharing' ? undefined : open;
    return this.#add(await open(), { ...rest, source: source ?? what, open: reopen });
  }

  /** Opens and publishes microphone and camera with one question to the person. */
  async publishBoth({
    microphone,
    camera,
  }: {
    microphone: PublishOptions;
    camera: PublishOptions;
  }) {
    for (const source of ['audio', 'video']) this.#requireFree(source);
    const tracks = await captureBoth(microphone.constraints, camera.constraints);
    const publish = (source: 'audio' | 'video', { constraints, ...rest }: PublishOptions) => {
      const open: OpenTrack = (deviceId) => capture(source, onDevice(constraints, deviceId));
      return this.#add(tracks[source], { ...rest, source, open });
    };
    return { audio: publish('audio', microphone), video: publish('video', camera) };
  }

  closeAll(): void {
    this.#closed = true;
    devices()?.removeEventListener('devicechange', this.#devicesChanged);
    for (const publication of this.all) publication.close();
  }

  #add(
    track: MediaStreamTrack,
    options: EncodingOptions & { source: string; open: OpenTrack | undefined; paused?: boolean },
  ): Publication {
    try {
      if (this.#closed) throw new Error('the room is closed');
      this.#requireFree(options.source);
    } catch (error) {
      if (options.open) track.stop();
      throw error;
    }
    const publication = new Publication(track, options, this.#context);
    this.#all.set(publication.source, publication);
    this.#context.changed();
    this.#context.sync(publication);
    return publication;
  }

  #requireFree(source: string): void {
    if (this.#all.has(source)) throw new Error(`${source}: is published already`);
  }
}

const onDevice = (
  constraints: MediaTrackConstraints | undefined,
  deviceId: string | undefined,
): MediaTrackConstraints => ({
  ...constraints,
  ...(deviceId === undefined ? {} : { deviceId: { exact: deviceId } }),
});

/** Missing outside of browsers and on pages that may not use devices: there nothing changes. */
function devices(): MediaDevices | undefined {
  try {
    return mediaDevices();
  } catch {
    return undefined;
  }
}

import { parseScalabilityMode, type types } from 'mediasoup-client';

import type { Layers, NewConsumer } from '../signaling/messages.ts';
import { summarizeTrack, type TrackStats } from '../media/stats.ts';
import type { Line } from './line.ts';

const scoreOf = (score: Record<string, unknown> | undefined): number | undefined =>
  typeof score?.['score'] === 'number' ? score['score'] : undefined;

/**
 * One consumer: what brings a source of a peer here now. A subscription outlives its feeds: one takes the place of another
 * when either side moves.
 */
export class Feed {
  readonly announced: NewConsumer;
  readonly source: string;
  readonly spatialLayers: number;
  readonly temporalLayers: number;
  producerPaused: boolean;
  layers: Layers | undefined;
  score: number | undefined;
  /** The server was answered, and takes what is asked of it. */
  ready = false;
  /** The server has closed it: nothing comes any more. */
  gone = false;
  #consumer: types.Consumer | undefined;
  #line: Line | undefined;
  #closed = false;

  constructor(announced: NewConsumer) {
    this.announced = announced;
    this.source = announced.appData.source ?? announced.kind;
    this.producerPaused = announced.producerPaused;
    this.score = scoreOf(announced.consumerScore);
    const mode = announced.rtpParameters.encodings?.[0]?.scalabilityMode;
    const { spatialLayers, temporalLayers } = parseScalabilityMode(mode);
    this.spatialLayers = spatialLayers;
    this.temporalLayers = temporalLayers;
  }

  get id(): string {
    return this.announced.consumerId;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get line(): Line | undefined {
    return this.#line;
  }

  /** Missing until {@link open} is through. */
  get track(): MediaStreamTrack | undefined {
    return this.#consumer?.track;
  }

  get receiver(): RTCRtpReceiver | undefined {
    return this.#consumer?.rtpReceiver;
  }

  /** Makes the consumer here. Closed meanwhile, it is not kept. */
  async open(line: Line): Promise<void> {
    if (this.#closed) return;
    const { peerId, consumerId, producerId, kind, rtpParameters } = this.announced;
    line.use(this);
    this.#line = line;
    try {
      this.#consumer = await line.transport.consume({
        ...{ id: consumerId, producerId, kind, rtpParameters },
        // A stream for each peer and source: its audio and video are kept in step, its screen apart from them.
        streamId: `${peerId}-${this.source === 'screensharing' ? 'screen' : 'camera'}`,
      });
    } catch (error) {
      this.close();
      throw error;
    }
    if (this.#isClosed()) this.#consumer.close();
  }

  scored(score: Record<string, unknown> | undefined): void {
    this.score = scoreOf(score);
  }

  /** The browser's numbers. All zero for one that is closed. */
  async getStats(): Promise<TrackStats> {
    return summarizeTrack(await this.#report());
  }

  /** Frames that were decoded, or packets of sound that came. */
  async progress(): Promise<number> {
    const { framesDecoded, packetsReceived } = await this.getStats();
    return this.announced.kind === 'video' ? framesDecoded : packetsReceived;
  }

  async #report(): Promise<Iterable<unknown>> {
    if (!this.#consumer || this.#consumer.closed) return [];
    try {
      return (await this.#consumer.getStats()).values();
    } catch {
      // It was closed while it was read.
      return [];
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#consumer?.close();
    this.#line?.release(this);
  }

  // A method, since what is awaited may change it.
  #isClosed(): boolean {
    return this.#closed;
  }
}

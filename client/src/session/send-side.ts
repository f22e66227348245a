import type { types } from 'mediasoup-client';

import type { DataChannel } from '../data-channel.ts';
import { produceOptions } from '../media/encodings.ts';
import { noTrackStats, summarizeTrack, type TrackStats } from '../media/stats.ts';
import type { Publication } from '../publication.ts';
import { persist } from '../signaling/persist.ts';
import { asError, isRefusal } from '../signaling/request-error.ts';
import type { Line, LineContext } from './line.ts';
import { Side, type SideHandlers } from './side.ts';
import type { Wire } from './wire.ts';

export interface SendHandlers extends SideHandlers {
  /** The server does not take it. */
  refused: (publication: Publication, error: Error) => void;
  /** The server does not take this peer's side of a data channel. */
  channelRefused: (channel: DataChannel, error: Error) => void;
}

/** A publication as it is at the server. */
interface Sent {
  producer: types.Producer;
  line: Line;
  /** What the server was told. */
  paused: boolean;
}

/**
 * What this peer publishes, brought to the server: {@link SendSide.sync} makes it there as it is here, and may be called
 * any number of times.
 */
export class SendSide extends Side {
  readonly #handlers: SendHandlers;
  readonly #sent = new Map<Publication, Sent>();
  readonly #channels = new Map<DataChannel, Line>();
  /** Work on one publication or channel runs one after the other. */
  readonly #queues = new Map<object, Promise<void>>();

  constructor(context: LineContext, handlers: SendHandlers) {
    super('producer', context, handlers);
    this.#handlers = handlers;
  }

  get producerIds(): string[] {
    return [...this.#sent.values()].map(({ producer }) => producer.id);
  }

  producerId(publication: Publication): string | undefined {
    return this.#sent.get(publication)?.producer.id;
  }

  publicationOf(producerId: string): Publication | undefined {
    for (const [publication, { producer }] of this.#sent)
      if (producer.id === producerId) return publication;
    return undefined;
  }

  /** Brings a publication to the server as it is now: there or not, its track, paused or not. */
  sync(publication: Publication): Promise<void> {
    return this.#enqueue(publication, () =>
      publication.closed ? this.#unpublish(publication) : this.#publish(publication),
    );
  }

  /** Opens this peer's side of a data channel at the server. */
  syncChannel(channel: DataChannel): Promise<void> {
    return this.#enqueue(channel, () => this.#openChannel(channel));
  }

  /** The server lost a producer: it is made again. */
  async lost(publication: Publication): Promise<void> {
    this.#sent.get(publication)?.producer.close();
    this.#sent.delete(publication);
    publication.sent(undefined);
    await this.sync(publication);
  }

  /** What the server has not any more after a resume is made again; what it has and nobody wants is closed. */
  async resumed({
    producerIds,
    dataProducerIds,
  }: {
    producerIds: string[];
    dataProducerIds: string[];
  }) {
    const { signaling } = this.context;
    const ours = this.producerIds;
    for (const producerId of producerIds)
      if (!ours.includes(producerId)) signaling.notify('closeProducer', { producerId });
    for (const [channel] of this.#channels)
      if (channel.newest && !dataProducerIds.includes(channel.newest.id)) {
        channel.newest.close();
        this.#channels.delete(channel);
      }
    for (const [publication, sent] of [...this.#sent]) {
      if (!producerIds.includes(sent.producer.id)) await this.lost(publication);
      else this.#tellPaused(sent, publication.paused);
    }
  }

  async stats(publication: Publication): Promise<TrackStats> {
    const producer = this.#sent.get(publication)?.producer;
    if (!producer || producer.closed) return noTrackStats;
    return summarizeTrack((await producer.getStats()).values());
  }

  override close(): void {
    super.close();
    this.closeLines();
  }

  protected async takeOver(_line: Line, broken: boolean): Promise<void> {
    if (broken) for (const { line } of this.#sent.values()) if (line.retired) line.close();
    await Promise.all([
      ...[...this.#sent.keys()].map((publication) => this.sync(publication)),
      ...[...this.#channels.keys()].map((channel) => this.syncChannel(channel)),
    ]);
  }

  protected isRelieved(): boolean {
    return false;
  }

  protected left(old: Line): void {
    old.close();
  }

  async #publish(publication: Publication): Promise<void> {
    const line = this.current;
    if (!line || this.closed) return;
    const sent = this.#sent.get(publication);
    if (sent?.line === line && !sent.producer.closed) {
      await this.#update(publication, sent);
      return;
    }
    try {
      await persist(
        () => this.#produce(publication, line, sent?.producer.id),
        this.context.timing.retry,
        () => this.current === line && !this.closed && !publication.closed,
      );
    } catch (error) {
      await this.#failed(publication, line, error);
    }
  }

  async #failed(publication: Publication, line: Line, error: unknown): Promise<void> {
    if (this.closed || publication.closed) return;
    // Another transport took over meanwhile: there it may succeed.
    if (this.current !== line) await this.#publish(publication);
    else if (isRefusal(error)) this.#handlers.refused(publication, asError(error));
    // Not waited for: what takes over publishes this again, after what runs now.
    else void this.failed(line);
  }

  async #produce(
    publication: Publication,
    line: Line,
    replaces: string | undefined,
  ): Promise<void> {
    const { source, track, paused, options } = publication;
    const wire: Wire = {
      appData: { ...options.appData, source },
      paused,
      ...(replaces === undefined ? {} : { replaces }),
    };
    const codecs = this.context.device.sendRtpCapabilities.codecs;
    const producer = await line.transport.produce({
      ...{ track, stopTracks: false, appData: { wire } },
      ...produceOptions({ source, track, options }, codecs),
    });
    line.use(producer);
    producer.observer.on('close', () => line.release(producer));
    const sent = { producer, line, paused };
    this.#sent.set(publication, sent);
    publication.sent(producer.id);
    await this.#update(publication, sent);
  }

  /** What changed while the server made it, or since. */
  async #update(publication: Publication, sent: Sent): Promise<void> {
    const { track, paused } = publication;
    const { producer } = sent;
    if (producer.track !== track) await producer.replaceTrack({ track });
    if (paused) producer.pause();
    else producer.resume();
    if (paused !== sent.paused) this.#tellPaused(sent, paused);
  }

  #tellPaused(sent: Sent, paused: boolean): void {
    sent.paused = paused;
    this.context.signaling.notify(paused ? 'pauseProducer' : 'resumeProducer', {
      producerId: sent.producer.id,
    });
  }

  #unpublish(publication: Publication): Promise<void> {
    const sent = this.#sent.get(publication);
    if (sent) {
      sent.producer.close();
      this.#sent.delete(publication);
      this.context.signaling.notify('closeProducer', { producerId: sent.producer.id });
    }
    return Promise.resolve();
  }

  async #openChannel(channel: DataChannel): Promise<void> {
    const line = this.current;
    if (!line || this.closed || channel.closed || this.#channels.get(channel) === line) return;
    const isWanted = () => this.current === line && !this.closed && !channel.closed;
    try {
      const produce = () => this.#produceData(channel, line);
      await persist(produce, this.context.timing.retry, isWanted);
    } catch (error) {
      await this.#channelFailed(channel, line, error);
    }
  }

  async #produceData(channel: DataChannel, line: Line): Promise<void> {
    const replaces = this.#channels.has(channel) ? channel.newest?.id : undefined;
    const wire: Wire = {
      appData: { channel: channel.channel },
      ...(replaces === undefined ? {} : { replaces }),
    };
    const producer = await line.transport.produceData({
      ordered: true,
      ...channel.options,
      ...{ label: channel.channel, appData: { wire } },
    });
    line.use(producer);
    producer.observer.on('close', () => line.release(producer));
    this.#channels.set(channel, line);
    channel.sentBy(producer);
  }

  async #channelFailed(channel: DataChannel, line: Line, error: unknown): Promise<void> {
    if (this.closed || channel.closed) return;
    // Another transport took over meanwhile: there it may succeed.
    if (this.current !== line) await this.#openChannel(channel);
    else if (isRefusal(error)) this.#handlers.channelRefused(channel, asError(error));
    else void this.failed(line);
  }

  #enqueue(key: object, task: () => Promise<void>): Promise<void> {
    const run = (this.#queues.get(key) ?? Promise.resolve()).then(task);
    this.#queues.set(key, run);
    return run;
  }
}

import type { types } from 'mediasoup-client';

import type { NewConsumer, NewDataConsumer, Resumed } from '../signaling/messages.ts';
import { until } from '../signaling/persist.ts';
import { Feed } from './feed.ts';
import type { Line, LineContext } from './line.ts';
import { Side, type SideHandlers } from './side.ts';

/** A message of another peer's data channel. */
export interface DataMessage {
  /** Missing where the platform itself sends. */
  peerId: string | undefined;
  channel: string;
  protocol: string;
  data: string | ArrayBuffer | Blob;
}

export interface ReceiveHandlers extends SideHandlers {
  data: (message: DataMessage) => void;
  /** The old transport of a move is closed, and these were still shown from it. */
  stranded: (feeds: Feed[]) => void;
}

interface DataFeed {
  announced: NewDataConsumer;
  consumer: types.DataConsumer;
}

/** What this peer watches: its consumers on the present transport, and in a move those on the old one. */
export class ReceiveSide extends Side {
  readonly #handlers: ReceiveHandlers;
  readonly #feeds = new Map<string, Feed>();
  /** Feeds being made, by consumer: an announcement that is repeated meanwhile waits for the same one. */
  readonly #making = new Map<string, Promise<Feed>>();
  readonly #dataFeeds = new Map<string, DataFeed>();
  readonly #makingData = new Map<string, Promise<void>>();

  constructor(context: LineContext, handlers: ReceiveHandlers) {
    super('consumer', context, handlers);
    this.#handlers = handlers;
  }

  feed(consumerId: string): Feed | undefined {
    return this.#feeds.get(consumerId);
  }

  get dataFeeds(): readonly NewDataConsumer[] {
    return [...this.#dataFeeds.values()].map(({ announced }) => announced);
  }

  /** The consumers that are complete: after a lost socket the server is told of these. */
  get complete(): Pick<Resumed, 'consumerIds' | 'dataConsumerIds'> {
    const feeds = [...this.#feeds.values()].filter(({ track, gone }) => track && !gone);
    return { consumerIds: feeds.map(({ id }) => id), dataConsumerIds: [...this.#dataFeeds.keys()] };
  }

  /** Makes a consumer that the server announced. Announced again, it is the same one. */
  consume(data: NewConsumer): Promise<Feed> {
    const id = data.consumerId;
    const existing = this.#feeds.get(id);
    if (existing?.track) return Promise.resolve(existing);
    const making = this.#making.get(id) ?? this.#makeFeed(data);
    this.#making.set(id, making);
    return making.finally(() => this.#making.delete(id));
  }

  async #makeFeed(data: NewConsumer): Promise<Feed> {
    const feed = new Feed(data);
    this.#feeds.set(feed.id, feed);
    try {
      await feed.open(await this.#lineOf(data.transportId));
    } catch (error) {
      this.#feeds.delete(feed.id);
      throw error;
    }
    return feed;
  }

  /** Forgets a feed that is closed, or that the server has closed. */
  forget(feed: Feed): void {
    this.#feeds.delete(feed.id);
  }

  /** Makes the data consumer of another peer's channel. */
  consumeData(data: NewDataConsumer): Promise<void> {
    const id = data.dataConsumerId;
    if (this.#dataFeeds.has(id)) return Promise.resolve();
    const making = this.#makingData.get(id) ?? this.#makeDataFeed(data);
    this.#makingData.set(id, making);
    return making.finally(() => this.#makingData.delete(id));
  }

  async #makeDataFeed(data: NewDataConsumer): Promise<void> {
    const line = await this.#lineOf(data.transportId);
    const consumer = await line.transport.consumeData({
      id: data.dataConsumerId,
      dataProducerId: data.dataProducerId,
      sctpStreamParameters: data.sctpStreamParameters ?? {},
      ...{ label: data.label, protocol: data.protocol },
    });
    const before = this.#dataFeedOf(data.dataProducerId);
    this.#dataFeeds.set(consumer.id, { announced: data, consumer });
    line.use(consumer);
    consumer.observer.on('close', () => {
      this.#dataFeeds.delete(consumer.id);
      line.release(consumer);
    });
    // In a move both get each message: the old one is heard until the new one is open.
    const relieve = () => before?.consumer.close();
    if (consumer.readyState === 'open') relieve();
    else consumer.on('open', relieve);
    consumer.on('message', (message: DataMessage['data']) => {
      if (before && !before.consumer.closed) return;
      const { peerId, label, protocol, appData } = data;
      this.#handlers.data({ peerId, channel: appData.channel ?? label, protocol, data: message });
    });
  }

  #dataFeedOf(dataProducerId: string): DataFeed | undefined {
    return [...this.#dataFeeds.values()].find(
      ({ announced }) => announced.dataProducerId === dataProducerId,
    );
  }

  closeData(dataConsumerId: string): void {
    this.#dataFeeds.get(dataConsumerId)?.consumer.close();
  }

  /** Closes data consumers that are not alive any more. Returns the feeds that are not. */
  drop(alive: Pick<Resumed, 'consumerIds' | 'dataConsumerIds'>): Feed[] {
    for (const id of [...this.#dataFeeds.keys()])
      if (!alive.dataConsumerIds.includes(id)) this.closeData(id);
    return [...this.#feeds.values()].filter(
      ({ id, track }) => track && !alive.consumerIds.includes(id),
    );
  }

  override close(): void {
    for (const { consumer } of [...this.#dataFeeds.values()]) consumer.close();
    super.close();
  }

  protected takeOver(): Promise<void> {
    // The server announces everything anew on the new transport.
    return Promise.resolve();
  }

  protected isRelieved(old: Line): boolean {
    return old.closed;
  }

  protected left(old: Line): void {
    for (const { announced, consumer } of [...this.#dataFeeds.values()])
      if (announced.transportId === old.id) consumer.close();
    this.#handlers.stranded([...this.#feeds.values()].filter(({ line }) => line === old));
  }

  /** A consumer may be announced before the answer that brings its transport. */
  async #lineOf(transportId: string): Promise<Line> {
    const { pollMs, transportMs } = this.context.timing.move;
    const isThere = () => this.closed || this.line(transportId) !== undefined;
    await until(isThere, { pollMs, timeoutMs: transportMs });
    const line = this.line(transportId);
    if (!line) throw new Error(`there is no transport ${transportId}`);
    return line;
  }
}

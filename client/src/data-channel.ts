import type { types } from 'mediasoup-client';

import type { ServerStats } from './signaling/messages.ts';

/** How messages are delivered: in order and all of them, unless said otherwise. */
export interface DataChannelOptions {
  ordered?: boolean;
  /** Milliseconds after which a message is given up. */
  maxPacketLifeTime?: number;
  maxRetransmits?: number;
  protocol?: string;
}

/** Messages that wait while there is no connection; of more, the oldest are dropped. */
const MOST_WAITING = 100;

type Message = string | ArrayBuffer | Blob | ArrayBufferView<ArrayBuffer>;

/** What a data channel needs of its room. */
export interface DataChannelContext {
  changed: () => void;
  closed: () => void;
  serverStats: (dataProducerId: string) => Promise<ServerStats>;
}

/**
 * This peer's side of a data channel: everyone in the room gets what it sends. It is opened again after each loss.
 */
export class DataChannel {
  readonly channel: string;
  /** @internal */
  readonly options: DataChannelOptions;
  readonly #context: DataChannelContext;
  /** Oldest first. In a move the old one is used to its end: by then everybody listens to the new one. */
  readonly #producers: types.DataProducer[] = [];
  #waiting: Message[] = [];
  #closed = false;

  /** @internal */
  constructor(channel: string, options: DataChannelOptions, context: DataChannelContext) {
    this.channel = channel;
    this.options = options;
    this.#context = context;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a message goes out now; else it waits. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** Bytes that the browser has not sent yet. */
  get bufferedAmount(): number {
    return this.#open?.bufferedAmount ?? 0;
  }

  /**
   * Sends a message, or keeps it until there is a connection; the newest 100 are kept.
   *
   * @throws Error when the channel is closed, or the message is larger than the connection allows
   */
  send(message: Message): void {
    if (this.#closed) throw new Error('the data channel is closed');
    const open = this.#open;
    if (open) open.send(message);
    else this.#waiting = [...this.#waiting, message].slice(-MOST_WAITING);
  }

  /** The server's numbers; none while it is not at the server. */
  async getServerStats(): Promise<ServerStats> {
    const id = this.newest?.id;
    return id === undefined ? [] : this.#context.serverStats(id);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const producer of this.#producers) producer.close();
    this.#context.closed();
  }

  /** @internal The newest, which the server was told of last. */
  get newest(): types.DataProducer | undefined {
    return this.#producers.at(-1);
  }

  /** @internal It has come to the server. */
  sentBy(producer: types.DataProducer): void {
    if (this.#closed) {
      producer.close();
      return;
    }
    this.#producers.push(producer);
    producer.observer.on('close', () => {
      this.#producers.splice(this.#producers.indexOf(producer), 1);
      this.#flush();
    });
    if (producer.readyState === 'open') this.#flush();
    else producer.on('open', () => this.#flush());
  }

  get #open(): types.DataProducer | undefined {
    return this.#producers.find(({ readyState, closed }) => readyState === 'open' && !closed);
  }

  #flush(): void {
    const open = this.#open;
    if (open) for (const message of this.#waiting.splice(0)) open.send(message);
    this.#context.changed();
  }
}

import type { Consumer, DataConsumer, PipeTransport } from 'mediasoup/types';
import type { z } from 'zod';

import type {
  RouterAddress,
  pipeConsumeDataResponse,
  pipeConsumeResponse,
  pipeDemandRequest,
  pipeReleaseRequest,
} from '../../common/wire/media-node.ts';
import type { NodeContext } from '../context.ts';
import { makeOn } from '../mediasoup/errors.ts';
import { watchFirstFrames } from '../mediasoup/first-frames.ts';
import type { LiveDataProducer, LiveProducer, LiveRouter } from '../mediasoup/objects.ts';
import { savePipe } from './endpoint.ts';
import { StateSender } from './state-sender.ts';

/** Something that goes into the pipe, with the newest of the destination's calls that asked for it. */
interface Piped<C> {
  sequence: number;
  consumer: Promise<C | undefined>;
}

interface SourcePipeParts {
  router: LiveRouter;
  destination: RouterAddress;
  destinationTransportId: string;
  transport: PipeTransport;
}

type Demand = z.output<typeof pipeDemandRequest>;
type Release = z.output<typeof pipeReleaseRequest>;

/** The source end of a pipe: what this node's router sends to a router elsewhere. */
export class SourcePipe {
  readonly router: LiveRouter;
  readonly destination: RouterAddress;
  readonly destinationTransportId: string;
  readonly transport: PipeTransport;
  readonly #media = new Map<string, Piped<Consumer>>();
  readonly #data = new Map<string, Piped<DataConsumer>>();
  readonly #state: StateSender;
  readonly #ctx: NodeContext;
  #heardAt = Date.now();
  /** Closed as the destination wants it, or since it is gone. */
  #destinationKnows = false;

  constructor(ctx: NodeContext, parts: SourcePipeParts) {
    this.#ctx = ctx;
    this.router = parts.router;
    this.destination = parts.destination;
    this.destinationTransportId = parts.destinationTransportId;
    this.transport = parts.transport;
    this.#state = new StateSender({
      retryMs: ctx.config.pipes.stateRetryMs,
      maxRetryMs: ctx.config.pipes.stateMaxRetryMs,
      send: (state) =>
        ctx.nodes.at(this.destination.node).pipeState(this.destinationTransportId, state),
      onGone: () => this.#closeKnown(),
    });
    this.transport.observer.once('close', () => this.#state.close());
  }

  get id(): string {
    return this.transport.id;
  }
  get producers(): number {
    return this.#media.size;
  }
  get dataProducers(): number {
    return this.#data.size;
  }
  /** The ids of what it sends. */
  get contents(): { producerIds: string[]; dataProducerIds: string[] } {
    return { producerIds: [...this.#media.keys()], dataProducerIds: [...this.#data.keys()] };
  }
  /** How long the destination has been silent, in milliseconds. */
  get silentMs(): number {
    return Date.now() - this.#heardAt;
  }

  async consume(
    producerIds: string[],
    sequence: number,
  ): Promise<z.output<typeof pipeConsumeResponse>> {
    this.#heardAt = Date.now();
    const answers = await Promise.all(
      producerIds.map(async (id) => {
        const live = this.#ctx.registry.producers.get(id);
        if (live?.transport.router !== this.router) return undefined;
        const consumer = await piped(this.#media, id, sequence, () => this.#pipe(live));
        return consumer && { live, consumer };
      }),
    );
    return {
      stateSequence: this.#state.sequence,
      consumers: answers.flatMap((answer) => (answer ? [answerOf(answer)] : [])),
    };
  }

  async consumeData(
    dataProducerIds: string[],
    sequence: number,
  ): Promise<z.output<typeof pipeConsumeDataResponse>> {
    this.#heardAt = Date.now();
    const answers = await Promise.all(
      dataProducerIds.map(async (id) => {
        const live = this.#ctx.registry.dataProducers.get(id);
        if (live?.transport.router !== this.router) return undefined;
        const consumer = await piped(this.#data, id, sequence, () => this.#pipeData(live));
        return consumer && { live, consumer };
      }),
    );
    return { dataConsumers: answers.flatMap((answer) => (answer ? [dataAnswerOf(answer)] : [])) };
  }

  /** Lets go of what nobody watches at the destination. */
  async release({
    producerIds,
    dataProducerIds,
    sequence,
    closeTransport,
  }: Release): Promise<void> {
    this.#heardAt = Date.now();
    if (closeTransport) {
      this.#closeKnown();
      return;
    }
    await letGo(this.#media, sequence, (id) => producerIds.includes(id));
    await letGo(this.#data, sequence, (id) => dataProducerIds.includes(id));
  }

  /** Keeps what the destination has, or has asked for since; lets go of the rest. */
  async demand({ producerIds, dataProducerIds, sequence }: Demand): Promise<void> {
    this.#heardAt = Date.now();
    const media = new Set(producerIds);
    const data = new Set(dataProducerIds);
    await letGo(this.#media, sequence, (id) => !media.has(id));
    await letGo(this.#data, sequence, (id) => !data.has(id));
  }

  /** Records this end. @throws {ApiError} `router_not_found` when one of the routers has no row; `store_unavailable` */
  save(): Promise<void> {
    const { id, router, destination } = this;
    return savePipe(this.#ctx, 'source', { id, router, remote: destination });
  }

  close(): void {
    this.transport.close();
  }

  /** Tells the destination that this end is closed, unless it knows. It finds out by itself when it can't be told. */
  async tellClosed(): Promise<void> {
    if (this.#destinationKnows) return;
    await this.#ctx.nodes
      .at(this.destination.node)
      .pipeState(this.destinationTransportId, {
        sequence: this.#state.sequence + 1,
        producers: [],
        closedDataProducerIds: [],
        lostDataProducerIds: [],
        pipeClosed: true,
      })
      .catch(() => undefined);
  }

  #closeKnown(): void {
    this.#destinationKnows = true;
    this.close();
  }

  async #pipe(live: LiveProducer): Promise<Consumer | undefined> {
    const { producer } = live.source;
    if (producer.closed) return undefined;
    const consumer = await makeOn(this.transport, 'pipe', () =>
      this.transport.consume({ producerId: producer.id }),
    );
    const tell = (): void =>
      this.#state.producerChanged({
        producerId: live.id,
        closed: producer.closed,
        lost: live.source.closeReason === 'ProducerLost',
        paused: producer.paused,
        score: producer.score,
      });
    producer.observer.on('pause', tell).on('resume', tell).on('score', tell).on('close', tell);
    consumer.observer.once('close', () => {
      this.#media.delete(live.id);
      // A closing producer tells its own end, be it before or after its consumers.
      if (!producer.closed)
        producer.observer
          .off('pause', tell)
          .off('resume', tell)
          .off('score', tell)
          .off('close', tell);
    });
    if (isClosed(producer)) {
      consumer.close();
      return undefined;
    }
    watchFirstFrames(this.#ctx, consumer, () =>
      producer.score.filter(({ score }) => score > 0).map(({ encodingIdx }) => encodingIdx),
    );
    return consumer;
  }

  async #pipeData(live: LiveDataProducer): Promise<DataConsumer | undefined> {
    const { producer } = live.source;
    if (producer.closed) return undefined;
    const consumer = await makeOn(this.transport, 'pipe', () =>
      this.transport.consumeData({ dataProducerId: producer.id }),
    );
    const tell = (): void =>
      this.#state.dataProducerClosed(live.id, live.source.closeReason === 'ProducerLost');
    producer.observer.on('close', tell);
    consumer.observer.once('close', () => {
      this.#data.delete(live.id);
      if (!producer.closed) producer.observer.off('close', tell);
    });
    if (isClosed(producer)) {
      consumer.close();
      return undefined;
    }
    return consumer;
  }
}

/** A function, since the answer may have changed during an await. */
const isClosed = ({ closed }: { closed: boolean }): boolean => closed;

async function piped<C>(
  entries: Map<string, Piped<C>>,
  id: string,
  sequence: number,
  make: () => Promise<C | undefined>,
): Promise<C | undefined> {
  let entry = entries.get(id);
  if (entry) entry.sequence = Math.max(entry.sequence, sequence);
  else {
    entry = { sequence, consumer: make() };
    entries.set(id, entry);
  }
  let consumer: C | undefined;
  try {
    consumer = await entry.consumer;
  } finally {
    if (consumer === undefined && entries.get(id) === entry) entries.delete(id);
  }
  return consumer;
}

/** Closes what `unwanted` names, unless it was asked for by a later call than `sequence`. */
async function letGo<C extends { close(): void }>(
  entries: Map<string, Piped<C>>,
  sequence: number,
  unwanted: (id: string) => boolean,
): Promise<void> {
  const going = [...entries].filter(([id, entry]) => unwanted(id) && entry.sequence <= sequence);
  await Promise.all(
    going.map(async ([id, entry]) => {
      // One that could not be made is gone already.
      const consumer = await entry.consumer.catch(() => undefined);
      if (entry.sequence > sequence) return;
      if (entries.get(id) === entry) entries.delete(id);
      consumer?.close();
    }),
  );
}

const answerOf = ({ live, consumer }: { live: LiveProducer; consumer: Consumer }) => ({
  producerId: live.id,
  kind: consumer.kind,
  rtpParameters: consumer.rtpParameters,
  paused: live.source.producer.paused,
  score: live.source.producer.score,
  peerId: live.source.peerId,
  mediaPeerId: live.source.mediaPeerId,
  appData: live.source.appData,
  replaces: live.source.replaces,
});

const dataAnswerOf = ({ live, consumer }: { live: LiveDataProducer; consumer: DataConsumer }) => ({
  dataProducerId: live.id,
  ...(consumer.sctpStreamParameters ? { sctpStreamParameters: consumer.sctpStreamParameters } : {}),
  label: consumer.label,
  protocol: consumer.protocol,
  peerId: live.source.peerId,
  mediaPeerId: live.source.mediaPeerId,
  appData: live.source.appData,
  replaces: live.source.replaces,
});

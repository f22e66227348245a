import type {
  PipeTransport,
  ProducerScore,
  RtpParameters,
  SctpStreamParameters,
} from 'mediasoup/types';
import type { z } from 'zod';

import { ApiError } from '../../common/errors.ts';
import type {
  RouterAddress,
  destinationPipeRequest,
  pipeConsumeDataResponse,
  pipeConsumeResponse,
  pipeStateRequest,
} from '../../common/wire/media-node.ts';
import type { NodeContext } from '../context.ts';
import { tellScore } from '../mediasoup/consumers.ts';
import { makeOn } from '../mediasoup/errors.ts';
import type { DataSource, LiveRouter, Source } from '../mediasoup/objects.ts';
import type { MediaNode } from '../nodes/nodes.ts';
import { savePipe } from './endpoint.ts';
import { OriginStates } from './origin-states.ts';
import { PipedSet } from './piped-set.ts';
import { farEndGone } from './state-sender.ts';

type Answer = z.output<typeof pipeConsumeResponse>['consumers'][number];
type DataAnswer = z.output<typeof pipeConsumeDataResponse>['dataConsumers'][number];
type State = z.output<typeof pipeStateRequest>;

interface DestinationPipeParts {
  router: LiveRouter;
  source: RouterAddress;
  sourceTransportId: string;
  transport: PipeTransport;
}

/** The destination end of a pipe: what a router elsewhere sends to this node's router. */
export class DestinationPipe {
  readonly router: LiveRouter;
  readonly source: RouterAddress;
  readonly transport: PipeTransport;
  readonly sourceTransportId: string;
  readonly #media: PipedSet<Source>;
  readonly #data: PipedSet<DataSource>;
  readonly #states: OriginStates;
  /** Closed at the origin while they are on their way here. */
  readonly #closedData = new Set<string>();
  readonly #ctx: NodeContext;
  #sequence = 0;
  #heardAt = Date.now();
  #usedAt = Date.now();

  constructor(ctx: NodeContext, parts: DestinationPipeParts) {
    this.#ctx = ctx;
    this.router = parts.router;
    this.source = parts.source;
    this.transport = parts.transport;
    this.sourceTransportId = parts.sourceTransportId;
    this.#media = new PipedSet(parts.router.sources);
    this.#data = new PipedSet(parts.router.dataSources);
    this.#states = new OriginStates(this.#media, ({ consumers }) => {
      for (const consumer of consumers) tellScore(ctx, consumer);
    });
  }

  get id(): string {
    return this.transport.id;
  }
  get closed(): boolean {
    return this.transport.closed;
  }
  get producers(): number {
    return this.#media.size;
  }
  get dataProducers(): number {
    return this.#data.size;
  }
  /** The ids of what it has brought. */
  get contents(): { producerIds: string[]; dataProducerIds: string[] } {
    return { producerIds: this.#media.brought, dataProducerIds: this.#data.brought };
  }
  /** What nobody uses, and for how long. */
  get unused(): { id: string; forMs: number }[] {
    return [...this.#media.unused(), ...this.#data.unused()];
  }

  /** Brings these to this router, where they are not yet. */
  async ensure({
    producerIds,
    dataProducerIds,
  }: Pick<z.output<typeof destinationPipeRequest>, 'producerIds' | 'dataProducerIds'>) {
    this.#usedAt = Date.now();
    const [media, data] = await Promise.all([
      this.#media.ensure(producerIds, (missing) => this.#bring(missing)),
      this.#data.ensure(dataProducerIds, (missing) => this.#bringData(missing)),
    ]);
    return { pipeTransportId: this.id, producerIds: media, dataProducerIds: data };
  }

  /** Resolves once it is done. */
  async applyState({
    sequence,
    producers,
    closedDataProducerIds,
    lostDataProducerIds,
    pipeClosed,
  }: State): Promise<void> {
    this.#heardAt = Date.now();
    if (pipeClosed) {
      this.close();
      return;
    }
    for (const { producerId, ...state } of producers)
      this.#states.learn(producerId, sequence, { ...state, score: state.score as ProducerScore[] });
    for (const id of closedDataProducerIds) {
      if (this.#data.isBringing(id)) this.#closedData.add(id);
      const source = this.#data.get(id);
      if (source && lostDataProducerIds.includes(id)) source.closeReason = 'ProducerLost';
      source?.producer.close();
    }
    for (const { producerId } of producers) await this.#states.applied(producerId);
  }

  /** Lets go of what nobody has watched for long, and of the pipe when nothing is left in it. */
  async releaseIdle(): Promise<void> {
    const { idleMs } = this.#ctx.config.pipes;
    const media = this.#media.idle(idleMs);
    const data = this.#data.idle(idleMs);
    if (media.length + data.length > 0) {
      this.#usedAt = Date.now();
      for (const { producer } of [...media, ...data]) producer.close();
      await this.#release(
        media.map(({ id }) => id),
        data.map(({ id }) => id),
      );
    } else if (this.#isEmpty() && Date.now() - this.#usedAt > idleMs) this.close();
  }

  /** Tells the source what is still needed, and finds out whether the source still is. */
  async demand(): Promise<void> {
    try {
      await this.#sourceNode().pipeDemand(this.sourceTransportId, {
        producerIds: this.#media.ids,
        dataProducerIds: this.#data.ids,
        sequence: this.#sequence,
      });
      this.#heardAt = Date.now();
    } catch (error) {
      const silentMs = Date.now() - this.#heardAt;
      const isLost = farEndGone(error) || silentMs > this.#ctx.config.pipes.lostAfterMs;
      if (isLost || (await this.#sourceUnregistered())) this.close();
    }
  }

  /** Records this end. @throws {ApiError} `router_not_found` when one of the routers has no row; `store_unavailable` */
  save(): Promise<void> {
    const { id, router, source } = this;
    return savePipe(this.#ctx, 'destination', { id, router, remote: source });
  }

  /** Closes both ends; what goes through the pipe is closed with it. */
  close(): void {
    this.transport.close();
  }

  /** Has the source close its end; it finds out by itself when it can't be told. */
  async closeSource(): Promise<void> {
    await this.#release([], [], true);
  }

  #sourceNode(): MediaNode {
    return this.#ctx.nodes.at(this.source.node);
  }

  /** The row of a node that is gone goes soon. While the store is away, nobody knows. */
  async #sourceUnregistered(): Promise<boolean> {
    const { instanceId } = this.source.node;
    const registered = await this.#ctx.repository
      .registeredOf([instanceId])
      .catch(() => new Set([instanceId]));
    return !registered.has(instanceId);
  }

  #isEmpty(): boolean {
    return this.#media.ids.length + this.#data.ids.length === 0;
  }

  async #release(
    producerIds: string[],
    dataProducerIds: string[],
    closeTransport = false,
  ): Promise<void> {
    const sequence = ++this.#sequence;
    await this.#sourceNode()
      .pipeRelease(this.sourceTransportId, {
        producerIds,
        dataProducerIds,
        sequence,
        closeTransport,
      })
      // The next demand, or its absence, says the same.
      .catch(() => undefined);
  }

  #giveBack(producerIds: string[], dataProducerIds: string[]): void {
    this.#ctx.background('pipes: undo', () => this.#release(producerIds, dataProducerIds));
  }

  /** Those that can't be produced here, which are left out: the others stay. */
  async #failing<T>(answers: T[], produce: (answer: T) => Promise<void>): Promise<T[]> {
    const failed: T[] = [];
    const produceOne = async (answer: T): Promise<void> => {
      try {
        await produce(answer);
      } catch (error) {
        this.#ctx.logger.warn({ err: error, pipe: this.id }, 'not brought through the pipe');
        failed.push(answer);
      }
    };
    await Promise.all(answers.map(produceOne));
    this.#requireOpen();
    return failed;
  }

  async #bring(producerIds: string[]): Promise<void> {
    const sequence = ++this.#sequence;
    try {
      const { consumers, stateSequence } = await this.#ask((node) =>
        node.pipeConsume(this.sourceTransportId, { producerIds, sequence }),
      );
      const failed = await this.#failing(consumers, (one) => this.#produce(one, stateSequence));
      if (failed.length > 0)
        this.#giveBack(
          failed.map(({ producerId }) => producerId),
          [],
        );
    } catch (error) {
      this.#giveBack(producerIds, []);
      throw error;
    }
  }

  async #bringData(dataProducerIds: string[]): Promise<void> {
    const sequence = ++this.#sequence;
    try {
      const { dataConsumers } = await this.#ask((node) =>
        node.pipeConsumeData(this.sourceTransportId, { dataProducerIds, sequence }),
      );
      const failed = await this.#failing(dataConsumers, (one) => this.#produceData(one));
      if (failed.length > 0)
        this.#giveBack(
          [],
          failed.map(({ dataProducerId }) => dataProducerId),
        );
    } catch (error) {
      this.#giveBack([], dataProducerIds);
      throw error;
    } finally {
      for (const id of dataProducerIds) this.#closedData.delete(id);
    }
  }

  async #ask<T>(call: (node: MediaNode) => Promise<T>): Promise<T> {
    try {
      const answer = await call(this.#sourceNode());
      this.#heardAt = Date.now();
      return answer;
    } catch (error) {
      if (farEndGone(error)) this.close();
      throw error;
    }
  }

  async #produce(answer: Answer, stateSequence: number): Promise<void> {
    const { producerId: id, kind, paused, peerId, mediaPeerId, appData, replaces } = answer;
    const producer = await makeOn(this.transport, 'pipe', () =>
      this.transport.produce({
        kind,
        rtpParameters: answer.rtpParameters as RtpParameters,
        paused,
      }),
    );
    const score = answer.score as ProducerScore[];
    const source: Source = {
      id,
      producer,
      peerId,
      mediaPeerId,
      appData,
      replaces,
      users: 0,
      consumers: new Set(),
      originScore: score,
    };
    this.#media.add(source);
    // With the pipe, not by its peer.
    producer.on('transportclose', () => {
      source.closeReason = 'ProducerLost';
    });
    producer.observer.once('close', () => {
      this.#media.remove(id);
      this.#states.forget(id);
      this.#usedAt = Date.now();
    });
    this.#states.learn(id, stateSequence, { closed: false, lost: false, paused, score });
    await this.#states.apply(id);
  }

  async #produceData(answer: DataAnswer): Promise<void> {
    const { dataProducerId: id, label, protocol, peerId, mediaPeerId, appData, replaces } = answer;
    const producer = await makeOn(this.transport, 'pipe', () =>
      this.transport.produceData({
        sctpStreamParameters: answer.sctpStreamParameters as SctpStreamParameters,
        label,
        protocol,
      }),
    );
    const source: DataSource = { id, producer, peerId, mediaPeerId, appData, replaces, users: 0 };
    this.#data.add(source);
    producer.on('transportclose', () => {
      source.closeReason = 'ProducerLost';
    });
    producer.observer.once('close', () => {
      this.#data.remove(id);
      this.#usedAt = Date.now();
    });
    if (this.#closedData.has(id)) producer.close();
  }

  #requireOpen(): void {
    if (this.closed) throw new ApiError('far_side_failed', 'the pipe was closed meanwhile');
  }
}

import type {
  LiveTable,
  MediaRepository,
  MissingConsumer,
} from '../../common/db/repositories/media.ts';
import { isApiError } from '../../common/errors.ts';
import { tell, type NodeContext } from '../context.ts';
import type { ConsumeFlow } from '../flow/consume.ts';
import { closePeer } from '../flow/sessions.ts';
import type {
  DataSource,
  LiveConsumer,
  LiveDataConsumer,
  LiveProducer,
  LiveTransport,
  Source,
} from '../mediasoup/objects.ts';
import { tellProducerClosed } from '../mediasoup/producers.ts';
import type { Routers } from '../mediasoup/routers.ts';
import { closeTransport, loseTransport } from '../mediasoup/transports.ts';
import { Refused } from './refused.ts';

type Rows = Awaited<ReturnType<MediaRepository['rowsOfInstance']>>;

interface SweepParts {
  routers: Routers;
  flow: ConsumeFlow;
}

/**
 * Compares the tables with the live objects and puts right what a failure, a lost answer or an outage has left: it looks
 * at what is, never at what happened, and leaves young objects alone. While the store is away it does nothing.
 */
export class Sweep {
  readonly #ctx: NodeContext;
  readonly #parts: SweepParts;
  readonly #timer: NodeJS.Timeout;
  readonly #repairing = new Set<string>();
  readonly #refused: Refused;
  #running: Promise<void> | undefined;

  constructor(ctx: NodeContext, parts: SweepParts) {
    this.#ctx = ctx;
    this.#parts = parts;
    this.#refused = new Refused(ctx.config.sweep.refusedMs);
    this.#timer = setInterval(() => void this.run(), ctx.config.sweep.intervalMs);
    this.#timer.unref();
  }

  /** Pairs that were tried in vain, and are not tried again for a while. */
  get refused(): { transportId: string; producerId: string }[] {
    return this.#refused.list().map(({ transport, producerId }) => ({
      // Behind the family, see #repair.
      transportId: transport.slice(transport.indexOf(' ') + 1),
      producerId,
    }));
  }

  /** One comparison; one that runs already is joined. Never rejects. */
  run(): Promise<void> {
    this.#running ??= this.#sweep()
      .catch((error: unknown) => {
        const level = isApiError(error, 'store_unavailable') ? 'info' : 'error';
        this.#ctx.logger[level]({ err: error }, 'sweep skipped');
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #sweep(): Promise<void> {
    const { repository, self, config, sourcePipes } = this.#ctx;
    await sourcePipes.sweep();
    await this.#keepRegistered();
    await this.#closeGonePeers();
    const rows = await repository.rowsOfInstance(self.instanceId, config.sweep.graceMs);
    await this.#deleteDeadRows(rows);
    await this.#closeUnrecorded();
    await this.#closeSuperseded();
    await this.#makeMissing();
  }

  /** Our row may have been deleted by someone who took us for dead, and with it all that hangs off it. */
  async #keepRegistered(): Promise<void> {
    const { repository, self, register } = this.#ctx;
    const registered = await repository.registeredOf([self.instanceId]);
    if (!registered.has(self.instanceId)) await register();
  }

  async #closeGonePeers(): Promise<void> {
    const { registry, sessions, repository, outbox } = this.#ctx;
    const known = [...new Set([...this.#oldPeers(), ...sessions.ids])];
    if (known.length === 0) return;
    const existing = await repository.existingPeers(known);
    sessions.forgetMoved(existing);
    for (const mediaPeerId of known)
      if (!existing.has(mediaPeerId) && !registry.isPeerClosed(mediaPeerId)) {
        // Its client may still be there, and would wait for media that never comes.
        const replicaUrl = await this.#replicaOf(mediaPeerId);
        if (replicaUrl)
          outbox.reportLost(replicaUrl, { mediaPeerId, reason: 'connection_unknown' });
        closePeer(this.#ctx, mediaPeerId);
        this.#count('peers', 1);
      }
  }

  async #replicaOf(mediaPeerId: string): Promise<string | undefined> {
    const { registry, sessions } = this.#ctx;
    const [transport] = registry.transportsOf(mediaPeerId);
    // A session that could not be read names no replica.
    const session = await sessions.find(mediaPeerId)?.catch(() => undefined);
    return transport?.peer.replicaUrl ?? session?.ref.replicaUrl;
  }

  #oldPeers(): string[] {
    const before = Date.now() - this.#ctx.config.sweep.graceMs;
    return [...this.#ctx.registry.transports.values()]
      .filter(({ createdAt }) => createdAt < before)
      .map(({ peer }) => peer.mediaPeerId);
  }

  async #deleteDeadRows(rows: Rows): Promise<void> {
    const { repository, rows: reaper, self } = this.#ctx;
    await reaper.flush();
    const live = this.#liveIds();
    for (const [table, ids] of rows) {
      const dead = ids.filter((id) => !live[table].has(id));
      if (dead.length === 0) continue;
      if (table === 'media_router') await repository.deleteRouters(self.instanceId, dead);
      else await repository.deleteRows(table, dead);
      this.#count('rows', dead.length);
    }
  }

  #liveIds(): Record<LiveTable, { has(id: string): boolean }> {
    const { registry, sourcePipes, destinationPipes } = this.#ctx;
    return {
      media_router: registry.routers,
      media_transport: registry.transports,
      media_producer: registry.producers,
      media_data_producer: registry.dataProducers,
      media_consumer: registry.consumers,
      media_data_consumer: registry.dataConsumers,
      media_pipe_transport: new Set(
        [...sourcePipes.all, ...destinationPipes.all].map(({ id }) => id),
      ),
    };
  }

  /**
   * What has no row is closed, and its peers are told: whoever had a consumer made has failed half-way, or its producer's row
   * is gone; the rest went with this node's own row, and nobody finds it any more. Routers and pipes are recorded again.
   */
  async #closeUnrecorded(): Promise<void> {
    const { registry, repository, config } = this.#ctx;
    const before = Date.now() - config.sweep.graceMs;
    const old = <T extends { createdAt: number }>(objects: Map<string, T>): T[] =>
      [...objects.values()].filter(({ createdAt }) => createdAt < before);
    const routers = old(registry.routers);
    const transports = old(registry.transports);
    // These are known here only once they are recorded.
    const producers = [...registry.producers.values()];
    const dataProducers = [...registry.dataProducers.values()];
    const pipes = [...this.#ctx.sourcePipes.all, ...this.#ctx.destinationPipes.all];
    const consumers = old(registry.consumers);
    const dataConsumers = old(registry.dataConsumers);
    const recorded = await repository.recordedOf(
      new Map([
        ['media_router', idsOf(routers)],
        ['media_transport', idsOf(transports)],
        ['media_producer', idsOf(producers)],
        ['media_data_producer', idsOf(dataProducers)],
        ['media_pipe_transport', idsOf(pipes)],
        ['media_consumer', idsOf(consumers)],
        ['media_data_consumer', idsOf(dataConsumers)],
      ]),
    );
    const unrecorded = <T extends { id: string }>(objects: T[]): T[] =>
      objects.filter(({ id }) => !recorded.has(id));

    // What has closed meanwhile needs no row.
    for (const live of unrecorded(routers))
      if (!live.router.closed)
        await this.#parts.routers.save(live, live.generation).catch(ignoreConflict);
    for (const pipe of unrecorded(pipes))
      if (!pipe.transport.closed) await pipe.save().catch(ignoreNoRouter);
    this.#loseUnrecorded(unrecorded(transports), unrecorded(producers));
    for (const { source } of unrecorded(dataProducers)) closeLost(source);
    this.#loseConsumers(unrecorded(consumers), unrecorded(dataConsumers));
  }

  /** The peer may have heard of them: a row goes with the producer's, and the word of its end may never come here. */
  #loseConsumers(consumers: LiveConsumer[], dataConsumers: LiveDataConsumer[]): void {
    const reason = 'ProducerLost';
    for (const { id: consumerId, consumer, transport } of consumers) {
      consumer.close();
      tell(this.#ctx, transport.peer, { method: 'consumerClosed', data: { consumerId, reason } });
    }
    for (const { id: dataConsumerId, consumer, transport } of dataConsumers) {
      consumer.close();
      const data = { dataConsumerId, reason } as const;
      tell(this.#ctx, transport.peer, { method: 'dataConsumerClosed', data });
    }
    this.#count('consumers', consumers.length + dataConsumers.length);
  }

  #loseUnrecorded(transports: LiveTransport[], producers: LiveProducer[]): void {
    for (const live of transports) loseTransport(this.#ctx, live, 'transport_unknown');
    const left = producers.filter(({ source }) => !source.producer.closed);
    for (const live of left) {
      closeLost(live.source);
      tellProducerClosed(this.#ctx, live);
    }
    this.#count('transports', transports.length);
    this.#count('producers', left.length);
  }

  /**
   * Receiving transports that were made for a move and never used, since the peer has moved on: the answer that named them
   * may have been lost. One that is connected is for its peer to close, which may still watch there.
   */
  async #closeSuperseded(): Promise<void> {
    const { registry, repository, config } = this.#ctx;
    const before = Date.now() - config.sweep.graceMs;
    const unused = [...registry.transports.values()].filter(
      ({ direction, connecting, createdAt, transport }) =>
        direction === 'consumer' &&
        transport.type === 'webrtc' &&
        connecting === undefined &&
        createdAt < before,
    );
    if (unused.length === 0) return;
    const superseded = await repository.supersededOf(idsOf(unused));
    for (const id of superseded) closeTransport(this.#ctx, id);
    this.#count('transports', superseded.length);
  }

  /** Peers that should watch a producer of this node and don't, since a step failed or a pipe was lost. */
  async #makeMissing(): Promise<void> {
    const { repository, self, config } = this.#ctx;
    const { flow } = this.#parts;
    const { graceMs } = config.sweep;
    this.#refused.purge();
    this.#repair(
      await repository.missingConsumers(self.instanceId, graceMs),
      'media',
      async (id, ids) => (await flow.consume(id, ids)).map(({ producerId }) => producerId),
    );
    this.#repair(
      await repository.missingDataConsumers(self.instanceId, graceMs),
      'data',
      async (id, ids) =>
        (await flow.consumeData(id, ids)).map(({ dataProducerId }) => dataProducerId),
    );
  }

  /** One attempt at a time for each receiving transport, however long a far node hangs. */
  #repair(
    missing: MissingConsumer[],
    family: string,
    consume: (transportId: string, producerIds: string[]) => Promise<string[]>,
  ): void {
    for (const [transportId, pairs] of Map.groupBy(missing, (pair) => pair.transportId)) {
      const key = `${family} ${transportId}`;
      const ids = pairs
        .map(({ producerId }) => producerId)
        .filter((id) => !this.#refused.has(key, id));
      if (ids.length === 0 || this.#repairing.has(key)) continue;
      this.#repairing.add(key);
      this.#ctx.background('sweep: consume', async () => {
        try {
          const made = await consume(transportId, ids);
          this.#count('missing_consumers', made.length);
          const done = new Set(made);
          this.#refused.add(
            key,
            ids.filter((id) => !done.has(id)),
          );
        } finally {
          this.#repairing.delete(key);
        }
      });
    }
  }

  #count(what: string, count: number): void {
    if (count > 0) this.#ctx.metrics.swept.inc({ what }, count);
  }
}

/** Not by its peer. */
function closeLost(source: Source | DataSource): void {
  source.closeReason = 'ProducerLost';
  source.producer.close();
}

const idsOf = (objects: { id: string }[]): string[] => objects.map(({ id }) => id);

/** The room was removed meanwhile: the router goes too. */
function ignoreConflict(error: unknown): void {
  if (!isApiError(error, 'conflict')) throw error;
}

/** The router at its other end has no row (yet). */
function ignoreNoRouter(error: unknown): void {
  if (!isApiError(error, 'router_not_found')) throw error;
}

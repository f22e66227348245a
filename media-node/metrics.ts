import { Counter, Gauge, Histogram } from 'prom-client';

import {
  createServiceMetrics,
  durationBuckets,
  type ServiceMetrics,
} from '../common/service/metrics.ts';
import type { NodeContext } from './context.ts';

/** The media node's own metrics. Labels are bounded: no room or peer ids. */
export interface MediaNodeMetrics extends ServiceMetrics {
  joinDuration: Histogram<'step'>;
  pipeSetup: Histogram<'result'>;
  consumersCreated: Counter<'kind'>;
  messagesDropped: Counter;
  workerRestarts: Counter;
  swept: Counter<'what'>;
  bytes: Counter<'direction' | 'transport'>;
  rooms: Gauge;
  routers: Gauge<'role'>;
  transports: Gauge<'direction'>;
  producers: Gauge<'kind'>;
  consumers: Gauge<'kind'>;
  pipes: Gauge<'end'>;
  outboxDepth: Gauge;
  workersAlive: Gauge;
  workerCpu: Counter<'worker'>;
}

export function createMediaNodeMetrics(): MediaNodeMetrics {
  const service = createServiceMetrics();
  const registers = [service.registry];
  const named = (name: string, help: string) => ({
    name: `kube_sfu_media_node_${name}`,
    help,
    registers,
  });
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Gauge<L>({ ...named(name, help), labelNames });
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter<L>({ ...named(name, help), labelNames });
  const histogram = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Histogram<L>({ ...named(name, help), labelNames, buckets: durationBuckets });
  return {
    ...service,
    joinDuration: histogram(
      'join_duration_seconds',
      'Time of a join by step: answer (marked and read), consume and consume_data (consumers exist), total.',
      ['step'],
    ),
    pipeSetup: histogram(
      'pipe_setup_duration_seconds',
      'Time to connect a pipe with another router, by result (ok or error), at its destination.',
      ['result'],
    ),
    consumersCreated: counter(
      'consumers_created_total',
      'Consumers made since the start, by kind (audio, video or data).',
      ['kind'],
    ),
    messagesDropped: counter(
      'outbox_dropped_total',
      'Messages for clients that could not be delivered to their signaling replica in time.',
      [],
    ),
    workerRestarts: counter('worker_restarts_total', 'Media workers that died.', []),
    swept: counter(
      'swept_total',
      'What the sweep put right, by what it was: rows, peers, consumers or missing_consumers.',
      ['what'],
    ),
    bytes: counter(
      'bytes_total',
      'Bytes by direction (in or out) and kind of transport (client or pipe). Sampled at each scrape: what a transport carried after its last one is not counted.',
      ['direction', 'transport'],
    ),
    rooms: gauge('rooms', 'Rooms with a router on this node.', []),
    routers: gauge('routers', 'Routers by role.', ['role']),
    transports: gauge('transports', 'Transports of peers by direction.', ['direction']),
    producers: gauge('producers', 'Producers by kind (audio, video or data).', ['kind']),
    consumers: gauge('consumers', 'Consumers by kind (audio, video or data).', ['kind']),
    pipes: gauge('pipes', 'Ends of pipes by end (source or destination).', ['end']),
    outboxDepth: gauge('outbox_messages', 'Messages for clients that wait to be sent.', []),
    workersAlive: gauge('workers', 'Media workers that run.', []),
    workerCpu: counter(
      'worker_cpu_seconds_total',
      'CPU time of each media worker’s place, over restarts.',
      ['worker'],
    ),
  };
}

interface BytesSeen {
  in: number;
  out: number;
}

/** Brings the gauges up to date at each scrape. */
export function observeNode(ctx: NodeContext): () => Promise<void> {
  const sampleBytes = byteSampler(ctx);
  return async () => {
    observeObjects(ctx);
    observeWorkers(ctx);
    await sampleBytes();
  };
}

function observeObjects({ metrics, registry, sourcePipes, destinationPipes }: NodeContext): void {
  const routers = [...registry.routers.values()];
  const transports = [...registry.transports.values()];
  const producers = [...registry.producers.values()];
  const consumers = [...registry.consumers.values()];
  metrics.rooms.set(new Set(routers.map(({ roomId }) => roomId)).size);
  for (const role of ['Producer', 'Consumer', 'Both'])
    metrics.routers.set({ role }, routers.filter((router) => router.role === role).length);
  for (const direction of ['producer', 'consumer'])
    metrics.transports.set(
      { direction },
      transports.filter((transport) => transport.direction === direction).length,
    );
  for (const kind of ['audio', 'video']) {
    metrics.producers.set(
      { kind },
      producers.filter(({ source }) => source.producer.kind === kind).length,
    );
    metrics.consumers.set(
      { kind },
      consumers.filter(({ consumer }) => consumer.kind === kind).length,
    );
  }
  metrics.producers.set({ kind: 'data' }, registry.dataProducers.size);
  metrics.consumers.set({ kind: 'data' }, registry.dataConsumers.size);
  metrics.pipes.set({ end: 'source' }, sourcePipes.all.length);
  metrics.pipes.set({ end: 'destination' }, destinationPipes.all.length);
}

function observeWorkers({ metrics, workers, outbox }: NodeContext): void {
  metrics.workersAlive.set(workers.alive);
  metrics.outboxDepth.set(outbox.depth);
}

interface Countable {
  id: string;
  getStats(): Promise<{ bytesReceived: number; bytesSent: number }[]>;
}

/** Adds what each transport carried since the last scrape; a bounded number of them at each, in turn. */
function byteSampler(ctx: NodeContext): () => Promise<void> {
  const seen = new WeakMap<object, BytesSeen>();
  let next = 0;
  const count = async (kind: 'client' | 'pipe', transport: Countable): Promise<void> => {
    // One that is closed meanwhile has nothing to tell.
    const [stats] = await transport.getStats().catch(() => []);
    if (!stats) return;
    const before = seen.get(transport) ?? { in: 0, out: 0 };
    const now = { in: stats.bytesReceived, out: stats.bytesSent };
    seen.set(transport, now);
    ctx.metrics.bytes.inc({ direction: 'in', transport: kind }, Math.max(0, now.in - before.in));
    ctx.metrics.bytes.inc({ direction: 'out', transport: kind }, Math.max(0, now.out - before.out));
  };
  return async () => {
    const max = ctx.config.metrics.maxTransportsPerScrape;
    const all: [kind: 'client' | 'pipe', transport: Countable][] = [
      ...[...ctx.registry.transports.values()].map(({ transport }): ['client', Countable] => [
        'client',
        transport,
      ]),
      ...[...ctx.sourcePipes.all, ...ctx.destinationPipes.all].map(
        ({ transport }): ['pipe', Countable] => ['pipe', transport],
      ),
    ];
    if (next >= all.length) next = 0;
    const turn = all.slice(next, next + max);
    next += turn.length;
    await Promise.all(turn.map(([kind, transport]) => count(kind, transport)));
  };
}

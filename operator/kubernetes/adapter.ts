import { KubernetesClient } from '../../common/kubernetes/client.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { Cluster } from '../cluster.ts';
import type { KubernetesConfig } from '../config.ts';
import type { Clock } from '../runtime/clock.ts';
import { KubernetesEvents } from './events.ts';
import { createInformers, type Informers } from './informers.ts';
import type { KubernetesMetrics } from './metrics.ts';
import { readerOf } from './reader.ts';
import {
  createBudgetClient,
  createPodClient,
  createRoomClient,
  createWorkerClient,
} from './resources.ts';

export interface KubernetesAdapterDeps {
  config: KubernetesConfig;
  metrics: KubernetesMetrics;
  clock: Clock;
  logger: Logger;
  /** Asked right before each write; throws where this process may not write (any more). */
  fence?: () => void;
}

/** A real cluster behind the reconcilers' interface. Its copies are kept warm from the start, also on a standby. */
export interface KubernetesAdapter {
  cluster: Cluster;
  /** Resolves when every kind was listed. */
  whenSynced: Promise<void>;
  /** The kinds that were not listed yet. */
  waitingFor(): string[];
  /** Writes what Events wait, for a bounded time. Close the operator first. */
  flush(): Promise<void>;
  /** Ends all watches and connections. */
  close(): Promise<void>;
}

const createCluster = (
  client: KubernetesClient,
  informers: Informers,
  { config, events }: { config: KubernetesConfig; events: KubernetesEvents },
): Cluster => {
  const deps = { client, informers, fieldManager: config.fieldManager };
  const nodes = readerOf(informers.nodes);
  return {
    workers: createWorkerClient(deps),
    rooms: createRoomClient(deps),
    pods: createPodClient(deps),
    nodes: { get: (name) => nodes.get({ name }), watch: (listener) => nodes.watch(listener) },
    budgets: createBudgetClient(deps),
    events,
  };
};

/** @throws what keeps the kubeconfig from being read */
export function startKubernetesAdapter(deps: KubernetesAdapterDeps): KubernetesAdapter {
  const { config, metrics, clock, logger, fence } = deps;
  const client = new KubernetesClient({
    config,
    observe: metrics.observeRequest,
    ...(fence ? { fence } : {}),
  });
  const informers = createInformers({ config, client, metrics, logger });
  const { backoffMinMs, backoffMaxMs } = config;
  const events = new KubernetesEvents({
    config: config.events,
    backoff: { initialMs: backoffMinMs, maxMs: backoffMaxMs },
    ...{ client, metrics, clock, logger },
  });
  const all = Object.entries(informers) as [string, Informers[keyof Informers]][];
  for (const [, informer] of all) informer.start();
  return {
    cluster: createCluster(client, informers, { config, events }),
    whenSynced: Promise.all(all.map(([, { whenSynced }]) => whenSynced)).then(() => undefined),
    waitingFor: () => all.filter(([, { synced }]) => !synced).map(([what]) => what),
    flush: () => events.close(config.events.flushTimeoutMs),
    async close() {
      await Promise.all(all.map(([, informer]) => informer.stop()));
      await client.close();
    },
  };
}

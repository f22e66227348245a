import type { Logger } from 'pino';
import { Counter, Histogram, Registry } from 'prom-client';

import { createMediaNodeClient } from '../../common/clients/media-node.ts';
import type { HasMeta, Informer } from '../../common/kubernetes/informer.ts';
import type { ServiceMetrics } from '../../common/service/metrics.ts';
import type { Cluster } from '../../operator/cluster.ts';
import type { OperatorConfig } from '../../operator/config.ts';
import type { OperatorDeps } from '../../operator/deps.ts';
import { InstanceAudit } from '../../operator/instances/audit.ts';
import { InstanceSweeper, type InstanceRegistry } from '../../operator/instances/sweeper.ts';
import { createInformers } from '../../operator/kubernetes/informers.ts';
import type { KubernetesMetrics } from '../../operator/kubernetes/metrics.ts';
import { readerOf } from '../../operator/kubernetes/reader.ts';
import {
  createBudgetClient,
  createPodClient,
  createRoomClient,
  createWorkerClient,
} from '../../operator/kubernetes/resources.ts';
import { startManager } from '../../operator/manager.ts';
import { createOperatorMetrics } from '../../operator/metrics.ts';
import { NodeMonitor } from '../../operator/nodes/monitor.ts';
import { PlacementLedger } from '../../operator/placement/ledger.ts';
import { RecordedEvents } from '../fake-surroundings.ts';
import type { SimulatedKubernetes } from './kubernetes.ts';
import type { SimulatedNetwork } from './network.ts';
import type { SimulatedProcess } from './process.ts';

export interface OperatorSurroundings {
  kubernetes: SimulatedKubernetes;
  network: SimulatedNetwork;
  config: OperatorConfig;
  registry: InstanceRegistry;
  logger: Logger;
}

/** Without Node's own figures, which have nothing to do with a simulation. */
function simulatedMetrics(): ServiceMetrics {
  const registry = new Registry();
  const shared = { help: 'as the service has it', registers: [registry] };
  return {
    registry,
    httpRequestDuration: new Histogram({
      ...{ ...shared, name: 'requests', labelNames: ['method', 'route', 'code'] },
    }),
    httpClientDuration: new Histogram({
      ...{ ...shared, name: 'calls', labelNames: ['target', 'route', 'code'] },
    }),
    errors: new Counter({ ...shared, name: 'errors', labelNames: ['code'] }),
  };
}

const noKubernetesMetrics = {
  informerObserver: () => ({ listed: () => undefined, watchEnded: () => undefined }),
  watchInformer: () => undefined,
} as unknown as KubernetesMetrics;

/** Runs the operator's own code in a process: informers, monitor, controllers, sweeper, audit. */
export async function runOperator(
  process: SimulatedProcess,
  { kubernetes, network, config, registry, logger }: OperatorSurroundings,
): Promise<OperatorDeps> {
  const { clock } = process;
  const client = kubernetes.clientOf(process);
  const informers = createInformers({
    ...{ config: config.kubernetes!, client, metrics: noKubernetesMetrics, logger },
  });
  const all = Object.values(informers) as Informer<HasMeta>[];
  for (const informer of all) informer.start();
  const shared = { client, informers, fieldManager: 'operator' };
  const machines = readerOf(informers.nodes);
  const cluster: Cluster = {
    workers: createWorkerClient(shared),
    rooms: createRoomClient(shared),
    pods: createPodClient(shared),
    nodes: { get: (name) => machines.get({ name }), watch: (tell) => machines.watch(tell) },
    budgets: createBudgetClient(shared),
    events: new RecordedEvents(),
  };
  const token = network.join(process);
  const nodeClient = createMediaNodeClient({
    ...{ config: config.nodeClient, metrics: simulatedMetrics() },
    signToken: () => Promise.resolve(token),
  });
  const monitor = new NodeMonitor({
    ...{ pods: cluster.pods, config: config.nodes, clock, logger },
    fetchStatus: (url, timeoutMs) => nodeClient.status(url, { timeoutMs }),
    openLine: (url, onClose) => network.openLine(process, url, onClose),
    addressOf: () => undefined,
    announce: () => Promise.resolve(),
  });
  const rows: InstanceRegistry = {
    listInstances: () => process.receive(registry.listInstances()),
    removeInstances: (ids) => process.receive(registry.removeInstances(ids)),
  };
  const { backoff, auditIntervalMs } = config.instances;
  const sweeper = new InstanceSweeper({ registry: rows, backoff, clock, logger });
  const nodes = () => monitor.list();
  const audit = new InstanceAudit({
    ...{ registry: rows, sweeper, nodes, intervalMs: auditIntervalMs, clock, logger },
  });
  const metrics = createOperatorMetrics(new Registry());
  const ledger = new PlacementLedger();
  const deps: OperatorDeps = {
    ...{ cluster, monitor, ledger, sweeper, nodeClient, config, metrics, clock, logger },
  };
  await Promise.all(all.map(({ whenSynced }) => whenSynced));
  startManager(deps);
  audit.start();
  return deps;
}

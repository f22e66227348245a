import type { Knex } from 'knex';

import { createMediaNodeClient } from '../common/clients/media-node.ts';
import { createServiceTokenSigner } from '../common/auth/service-token.ts';
import { createKnex } from '../common/db/knex.ts';
import { observePool } from '../common/db/pool-metrics.ts';
import type { Logger } from '../common/service/logger.ts';
import type { ServiceMetrics } from '../common/service/metrics.ts';
import { deleteRoomRows } from './audit/collect.ts';
import { examineApart } from './audit/examine-apart.ts';
import { PeriodicAudit } from './audit/periodic.ts';
import { resourcesOfCluster } from './audit/resources.ts';
import type { Cluster } from './cluster.ts';
import type { OperatorConfig } from './config.ts';
import type { OperatorDeps } from './deps.ts';
import { InstanceAudit } from './instances/audit.ts';
import { createPostgresRegistry } from './instances/postgres.ts';
import { InstanceSweeper, type InstanceRegistry } from './instances/sweeper.ts';
import { startManager } from './manager.ts';
import type { OperatorMetrics } from './metrics.ts';
import { decideAddress } from './nodes/address.ts';
import { openLine } from './nodes/line.ts';
import { NodeMonitor } from './nodes/monitor.ts';
import { PlacementLedger } from './placement/ledger.ts';
import type { Clock } from './runtime/clock.ts';
import { poolOf } from './workers/labels.ts';

export interface OperatorOptions {
  config: OperatorConfig;
  cluster: Cluster;
  serviceMetrics: ServiceMetrics;
  metrics: OperatorMetrics;
  clock: Clock;
  logger: Logger;
  /** Asked right before each call that changes something on a media node; throws where this process may not (any more). */
  fence?: () => void;
}

export interface Operator {
  close(): Promise<void>;
}

/** Without a store there are no rows to look after. */
const noRegistry: InstanceRegistry = {
  listInstances: () => Promise.resolve([]),
  removeInstances: () => Promise.resolve(),
};

function createNodeClient({
  config,
  serviceMetrics,
  fence,
}: OperatorOptions): OperatorDeps['nodeClient'] {
  const { secret, ttlSeconds } = config.serviceAuth;
  return createMediaNodeClient({
    config: config.nodeClient,
    metrics: serviceMetrics,
    fence,
    signToken: createServiceTokenSigner({ secret, ttlSeconds, issuer: 'operator' }),
  });
}

function createMonitor(
  options: OperatorOptions,
  nodeClient: OperatorDeps['nodeClient'],
): NodeMonitor {
  const { config, cluster, metrics, clock, logger } = options;
  return new NodeMonitor({
    pods: cluster.pods,
    config: config.nodes,
    clock,
    logger,
    openLine,
    async fetchStatus(url, timeoutMs) {
      try {
        const status = await nodeClient.status(url, { timeoutMs });
        metrics.polls.inc({ result: 'answered' });
        return status;
      } catch (error) {
        metrics.polls.inc({ result: 'missed' });
        throw error;
      }
    },
    addressOf: (pod) => {
      const { namespace } = pod.metadata;
      const pool = cluster.workers.get({ namespace, name: poolOf(pod) });
      const machine = pod.spec.nodeName ? cluster.nodes.get(pod.spec.nodeName) : undefined;
      return pool && decideAddress({ pod, network: pool.spec.network, machine });
    },
    announce: async (url, address) => {
      await nodeClient.announceAddress(url, address);
    },
  });
}

/** Compares the places while this operator acts; without a store there is nothing to compare. */
function startPeriodicAudit(
  options: OperatorOptions,
  knex: Knex | undefined,
): PeriodicAudit | undefined {
  const { config, cluster, metrics, clock, logger } = options;
  const { database } = config;
  if (!knex || !database) return undefined;
  const audit = new PeriodicAudit({
    examine: (signal) =>
      examineApart({ config, database, resources: resourcesOfCluster(cluster) }, signal),
    deleteRoomRows: (roomIds) => deleteRoomRows(knex, roomIds),
    ...{ config, clock, logger, metrics: metrics.audit },
  });
  audit.start();
  return audit;
}

/** Runs the controllers against a cluster, whichever kind it is. */
export function startOperator(options: OperatorOptions): Operator {
  const { config, cluster, metrics, clock, logger } = options;
  const knex: Knex | undefined = config.database && createKnex(config.database);
  if (knex) observePool(options.serviceMetrics.registry, knex);
  const registry = knex ? createPostgresRegistry(knex) : noRegistry;
  const { backoff, auditIntervalMs } = config.instances;
  const sweeper = new InstanceSweeper({ registry, backoff, clock, logger });
  const nodeClient = createNodeClient(options);
  const monitor = createMonitor(options, nodeClient);
  const nodes = () => monitor.list();
  const audit = new InstanceAudit({
    registry,
    sweeper,
    nodes,
    intervalMs: auditIntervalMs,
    clock,
    logger,
  });
  const ledger = new PlacementLedger();
  const manager = startManager({
    ...{ cluster, monitor, ledger, sweeper, nodeClient },
    ...{ config, metrics, clock, logger },
  });
  audit.start();
  const periodicAudit = startPeriodicAudit(options, knex);
  return {
    async close() {
      await manager.close();
      await Promise.all([monitor.close(), audit.close(), periodicAudit?.close()]);
      await sweeper.close();
      await knex?.destroy();
    },
  };
}

import type { MediaNodeClient } from '../common/clients/media-node.ts';
import type { Logger } from '../common/service/logger.ts';
import type { Cluster } from './cluster.ts';
import type { OperatorConfig } from './config.ts';
import type { InstanceSweeper } from './instances/sweeper.ts';
import type { OperatorMetrics } from './metrics.ts';
import type { NodeMonitor } from './nodes/monitor.ts';
import type { PlacementLedger } from './placement/ledger.ts';
import type { Clock } from './runtime/clock.ts';

/** The calls that the operator makes to media nodes. */
type NodeClient = Pick<
  MediaNodeClient,
  'putRouter' | 'deleteRouter' | 'status' | 'drain' | 'announceAddress'
>;

/** What the reconcilers act with. */
export interface OperatorDeps {
  cluster: Cluster;
  monitor: NodeMonitor;
  ledger: PlacementLedger;
  sweeper: InstanceSweeper;
  nodeClient: NodeClient;
  config: OperatorConfig;
  metrics: OperatorMetrics;
  clock: Clock;
  logger: Logger;
}

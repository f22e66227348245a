import type { Knex } from 'knex';

import type { MediaNodeClient } from '../common/clients/media-node.ts';
import type { SignalingClient } from '../common/clients/signaling.ts';
import type { PeersRepository } from '../common/db/repositories/peers.ts';
import type { ReplicasRepository } from '../common/db/repositories/replicas.ts';
import type { Logger } from '../common/service/logger.ts';
import type { SignalingConfig } from './config.ts';
import type { Dispatcher } from './fanout/dispatcher.ts';
import type { KeyedQueue } from './keyed-queue.ts';
import type { SignalingMetrics } from './metrics.ts';
import type { Leaver } from './peers/leave.ts';
import type { Registry } from './peers/registry.ts';
import type { Mover } from './moves/mover.ts';
import type { Suspicions } from './moves/suspicions.ts';
import type { ReplicaMembership } from './peers/membership.ts';
import type { Kube } from './placement/kube.ts';
import type { Placements } from './placement/placements.ts';

/** The parts of one replica, as they are handed to what uses them. */
export interface Services {
  config: SignalingConfig;
  logger: Logger;
  metrics: SignalingMetrics;
  knex: Knex;
  peers: PeersRepository;
  replicas: ReplicasRepository;
  nodes: MediaNodeClient;
  others: SignalingClient;
  /** The same without retries and with little patience, for what a connecting peer waits for. */
  hastyOthers: SignalingClient;
  kube: Kube;
  placements: Placements;
  registry: Registry;
  /** Bindings wait in it, by room. */
  bindings: KeyedQueue;
  dispatcher: Dispatcher;
  leaver: Leaver;
  mover: Mover;
  suspicions: Suspicions;
  membership: ReplicaMembership;
}

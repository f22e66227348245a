import type { MediaRepository } from '../common/db/repositories/media.ts';
import type { Logger } from '../common/service/logger.ts';
import type { NodeAddress, PeerRef } from '../common/wire/media-node.ts';
import type { PeerMessage } from '../common/wire/peer.ts';
import type { MediaNodeConfig } from './config.ts';
import type { Sessions } from './flow/sessions.ts';
import type { Registry } from './mediasoup/registry.ts';
import type { WorkerPool } from './mediasoup/workers.ts';
import type { MediaNodeMetrics } from './metrics.ts';
import type { Nodes } from './nodes/nodes.ts';
import type { Outbox } from './notifications/outbox.ts';
import type { RoomReplicas } from './notifications/replicas.ts';
import type { DestinationPipes } from './pipes/destination.ts';
import type { SourcePipes } from './pipes/source.ts';
import type { RowReaper } from './rows/reaper.ts';

/** One media node's parts, handed to every function that acts on it. `node.ts` puts it together. */
export interface NodeContext {
  readonly config: MediaNodeConfig;
  readonly logger: Logger;
  readonly metrics: MediaNodeMetrics;
  /** This run of the process, and where others reach it. */
  readonly self: NodeAddress;
  readonly repository: MediaRepository;
  readonly registry: Registry;
  readonly workers: WorkerPool;
  readonly rows: RowReaper;
  readonly outbox: Outbox;
  readonly replicas: RoomReplicas;
  readonly nodes: Nodes;
  readonly sessions: Sessions;
  readonly sourcePipes: SourcePipes;
  readonly destinationPipes: DestinationPipes;
  /** Set by `POST /drain`: nothing new is taken. */
  draining: boolean;
  /** What ICE candidates carry instead of the listening address. Set by `PUT /announced_address`. */
  announcedAddress: string | undefined;
  /** Makes sure that this instance's row exists. */
  register: () => Promise<void>;
  /** Runs on after the answer; a failure is logged, and never takes the process down. */
  background: (what: string, work: () => Promise<unknown>) => void;
}

/** Tells one peer something. */
export function tell(ctx: Pick<NodeContext, 'outbox'>, peer: PeerRef, message: PeerMessage): void {
  ctx.outbox.send(peer.replicaUrl, { mediaPeerIds: [peer.mediaPeerId] }, message);
}

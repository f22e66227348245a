import type { MediaWorker } from '../../common/resources/types.ts';
import { poolLabel } from '../workers/labels.ts';
import type { PlacementLedger } from '../placement/ledger.ts';
import type { NodeCandidate } from '../placement/types.ts';
import type { ObservedNode } from './observe.ts';

/** The nodes as placement sees them: those that have answered, with their pool's capacity and what is decided for them. */
export function buildCandidates(
  nodes: readonly ObservedNode[],
  poolOf: (key: { namespace: string; name: string }) => MediaWorker | undefined,
  ledger: PlacementLedger,
): NodeCandidate[] {
  return nodes.flatMap((node) => {
    const { namespace, labels } = node.pod.metadata;
    const pool = poolOf({ namespace, name: labels?.[poolLabel] ?? '' });
    if (!node.instance || !node.url || !pool) return [];
    return [toCandidate(node, node.instance, node.url, { pool, ledger })];
  });
}

function toCandidate(
  { pod, state }: ObservedNode,
  { id, status }: NonNullable<ObservedNode['instance']>,
  url: string,
  { pool, ledger }: { pool: MediaWorker; ledger: PlacementLedger },
): NodeCandidate {
  const { capacity, role } = pool.spec;
  const workers = Math.max(1, status.workers.length);
  const leaves = pool.metadata.deletionTimestamp ?? pod.metadata.deletionTimestamp;
  return {
    podName: pod.metadata.name,
    instanceId: id,
    url,
    pool: pool.metadata.name,
    poolLabels: pool.metadata.labels ?? {},
    role,
    state: state === 'Ready' && leaves ? 'Draining' : state,
    workers,
    capacity: {
      routers: workers * capacity.routersPerWorker,
      producers: workers * capacity.producersPerWorker,
      consumers: workers * capacity.consumersPerWorker,
    },
    load: {
      routers: Math.max(status.routers.length, ledger.routersOn(id)),
      producers: status.load.producers,
      consumers: status.load.consumers,
      cpuPercent: status.load.cpuPercent,
    },
  };
}

import { messageOf } from '../../common/errors.ts';
import type { OperatorDeps } from '../deps.ts';
import type { ObservedNode } from '../nodes/observe.ts';

/**
 * Closes routers that belong to no room: what a deleted room left on a node that could not be reached then. A router is
 * written down before it is made, so one that stays unknown for a while has no owner.
 */
export function createOrphanCollector(
  deps: Pick<OperatorDeps, 'ledger' | 'nodeClient' | 'config' | 'clock' | 'metrics' | 'logger'>,
): (node: ObservedNode) => void {
  const { ledger, nodeClient, config, clock, metrics, logger } = deps;
  /** When each unknown router was first seen, by the pod it is on. */
  const seen = new Map<string, Map<string, number>>();

  async function close(url: string, roomId: string, routerId: string): Promise<void> {
    try {
      await nodeClient.deleteRouter(url, { roomId, routerId });
      metrics.orphanedRouters.inc();
      logger.warn({ roomId, routerId }, 'closed a router that belongs to no room');
    } catch (error) {
      logger.warn({ routerId, reason: messageOf(error) }, 'could not close an orphaned router');
    }
  }

  return ({ pod, instance, url }) => {
    const before = seen.get(pod.metadata.uid);
    const unknown = instance?.status.routers.filter(({ routerId }) => !ledger.has(routerId)) ?? [];
    const now = clock.now();
    seen.delete(pod.metadata.uid);
    if (unknown.length === 0) return;
    const since = new Map(
      unknown.map(({ routerId }) => [routerId, before?.get(routerId) ?? now] as const),
    );
    seen.set(pod.metadata.uid, since);
    for (const { routerId, roomId } of unknown)
      if (url && now - (since.get(routerId) ?? now) >= config.rooms.orphanGraceMs)
        void close(url, roomId, routerId);
  };
}

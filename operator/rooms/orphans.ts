import { messageOf } from '../../common/errors.ts';
import type { OperatorDeps } from '../deps.ts';
import type { ObservedNode } from '../nodes/observe.ts';

/**
 * Closes routers that belong to no room: what a deleted room left on a node that could not be reached then, and what an
 * operator made right before its end, without the time to write it down. An operator knows what it makes from its decision
 * on, so a router that stays unknown for a while has no owner. A node that was given up and is back has routers that were
 * replaced meanwhile: these are closed at once.
 */
export function createOrphanCollector(
  deps: Pick<OperatorDeps, 'ledger' | 'nodeClient' | 'config' | 'clock' | 'metrics' | 'logger'>,
): (node: ObservedNode, isBack: boolean) => void {
  const { ledger, nodeClient, config, clock, metrics, logger } = deps;
  /** The unknown routers of each pod: when the pod was last looked at, and when each router was first seen. */
  const seen = new Map<string, { at: number; since: Map<string, number> }>();
  const { orphanGraceMs } = config.rooms;
  /** A pod that was not looked at for so long is replaced, or gone. */
  const forgetAfterMs = orphanGraceMs + config.nodes.replaceAfterMs;

  async function close(url: string, roomId: string, routerId: string): Promise<void> {
    try {
      await nodeClient.deleteRouter(url, { roomId, routerId });
      metrics.orphanedRouters.inc();
      logger.warn({ roomId, routerId }, 'closed a router that belongs to no room');
    } catch (error) {
      logger.warn({ routerId, reason: messageOf(error) }, 'could not close an orphaned router');
    }
  }

  return ({ pod, instance, url }, isBack) => {
    const { uid } = pod.metadata;
    const before = seen.get(uid)?.since;
    const unknown = instance?.status.routers.filter(({ routerId }) => !ledger.has(routerId)) ?? [];
    const now = clock.now();
    seen.delete(uid);
    if (unknown.length === 0) return;
    const since = new Map(
      unknown.map(({ routerId }) => [routerId, before?.get(routerId) ?? now] as const),
    );
    for (const [other, { at }] of seen) if (now - at > forgetAfterMs) seen.delete(other);
    seen.set(uid, { at: now, since });
    for (const { routerId, roomId } of unknown)
      if (url && (isBack || now - (since.get(routerId) ?? now) >= orphanGraceMs))
        void close(url, roomId, routerId);
  };
}

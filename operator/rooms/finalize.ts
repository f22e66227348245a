import { isApiError } from '../../common/errors.ts';
import type { Placement } from '../../common/resources/types.ts';
import { formatKey } from '../cluster.ts';
import type { ReconcileResult } from '../runtime/controller.ts';
import { finalizer } from '../workers/labels.ts';
import { viewPlacements, type RoomContext } from './context.ts';
import { closeRouters } from './routers.ts';

/** Closes a deleted room's routers, for a bounded time, then lets the room go. */
export async function finalizeRoom(context: RoomContext): Promise<ReconcileResult> {
  const { deps, room } = context;
  const { deletionTimestamp, finalizers = [] } = room.metadata;
  if (!finalizers.includes(finalizer)) return {};
  // A router whose instance is over went with it.
  const unclosed = await closeRouters(
    context,
    viewPlacements(context).filter(({ lost }) => !lost),
  );
  const { rooms, reconcile } = deps.config;
  const leftMs = Date.parse(deletionTimestamp ?? '') + rooms.closeTimeoutMs - deps.clock.now();
  if (unclosed.length > 0 && leftMs > 0)
    return { requeueAfterMs: Math.min(leftMs, reconcile.backoff.initialMs) };
  const rest = finalizers.filter((name) => name !== finalizer);
  await deps.cluster.rooms.setFinalizers(room, rest).catch((error: unknown) => {
    if (!isApiError(error, 'not_found')) throw error;
  });
  if (unclosed.length > 0) noteAbandoned(context, unclosed);
  return {};
}

function noteAbandoned({ deps, room }: RoomContext, unclosed: readonly Placement[]): void {
  const { metrics, logger, cluster, config } = deps;
  metrics.abandonedRouters.inc(unclosed.length);
  const names = unclosed.map(({ routerId, podName }) => `${routerId} on ${podName}`);
  logger.warn({ room: formatKey(room.metadata), routers: names }, 'gave up on closing routers');
  cluster.events.record(room, {
    type: 'Warning',
    reason: 'RoutersAbandoned',
    action: 'CloseRouters',
    note:
      `gave up after ${config.rooms.closeTimeoutMs} ms on closing ${names.join(', ')}: the node did not answer or ` +
      `refused. They are closed when it answers again, or go with it`,
  });
}

import { isApiError } from '../../common/errors.ts';
import type { Placement } from '../../common/resources/types.ts';
import { formatKey } from '../cluster.ts';
import type { ReconcileResult } from '../runtime/controller.ts';
import { finalizer } from '../workers/labels.ts';
import { announce, viewPlacements, type RoomContext } from './context.ts';
import { closeRouters } from './routers.ts';

/** Closes a deleted room's routers, for a bounded time, then lets the room go. */
export async function finalizeRoom(context: RoomContext): Promise<ReconcileResult> {
  const { deps, room } = context;
  const { deletionTimestamp, finalizers = [] } = room.metadata;
  if (!finalizers.includes(finalizer)) return {};
  const views = viewPlacements(context);
  // A router whose instance is over went with it; one on a node that was given up for its silence may still be there.
  const unclosed = await closeRouters(
    context,
    views.filter(({ lost }) => !lost),
  );
  const { rooms, reconcile } = deps.config;
  const leftMs = Date.parse(deletionTimestamp ?? '') + rooms.closeTimeoutMs - deps.clock.now();
  if (unclosed.length > 0 && leftMs > 0)
    return { requeueAfterMs: Math.min(leftMs, reconcile.backoff.initialMs) };
  const givenUp = views.filter(({ lost }) => lost === 'dead').map(({ placement }) => placement);
  const rest = finalizers.filter((name) => name !== finalizer);
  await deps.cluster.rooms.setFinalizers(room, rest).catch((error: unknown) => {
    if (!isApiError(error, 'not_found')) throw error;
  });
  const abandoned = [...unclosed, ...givenUp];
  if (abandoned.length > 0) noteAbandoned(context, abandoned);
  return {};
}

function noteAbandoned(context: RoomContext, abandoned: readonly Placement[]): void {
  const { metrics, logger, clock } = context.deps;
  const { metadata } = context.room;
  metrics.abandonedRouters.inc(abandoned.length);
  const names = abandoned.map(({ routerId, podName }) => `${routerId} on ${podName}`);
  logger.warn({ room: formatKey(metadata), routers: names }, 'gave up on closing routers');
  const seconds = Math.round((clock.now() - Date.parse(metadata.deletionTimestamp ?? '')) / 1000);
  const note =
    `gave up after ${seconds} s on closing ${names.join(', ')}: the node did not answer or refused. ` +
    `They are closed when it answers again, or go with it`;
  announce(context, [
    { type: 'Warning', reason: 'RoutersAbandoned', action: 'CloseRouters', note },
  ]);
}

/** How a room leaves routers: each has a deadline, rooms take turns, and nobody has to go before there is another router. */
import type { MediaWorker, Placement } from '../../common/resources/types.ts';
import { formatKey } from '../cluster.ts';
import { isActive, serves, sidesOf } from '../placement/draft.ts';
import type { Side } from '../placement/types.ts';
import { drainingSince, isLeaving } from '../workers/labels.ts';
import type { RoomContext } from './context.ts';
import type { TurnRequest } from './turns.ts';
import { isEmpty, type PlacementView } from './view.ts';

/** When the router's peers must have moved, in milliseconds since the epoch; Infinity for one that has no deadline. */
export const deadlineOf = ({ drainDeadline }: Placement): number =>
  drainDeadline === undefined ? Infinity : Date.parse(drainDeadline);

const poolOf = ({ deps, room }: RoomContext, { pool }: Placement): MediaWorker | undefined =>
  deps.cluster.workers.get({ namespace: room.metadata.namespace, name: pool });

/** How long a drain may take; without its pool no time at all. */
const timeoutOf = (pool: MediaWorker | undefined): number =>
  (pool?.spec.drain.timeoutSeconds ?? 0) * 1000;

/**
 * Gives what drains its deadline: the drain time of its pool from now, or from when its node began to drain, and the end of a
 * pod that is deleted. One that was given before is brought forward where the pool's time has become shorter, and never put off.
 */
export const setDeadlines = (context: RoomContext, placements: readonly Placement[]): Placement[] =>
  placements.map((placement) => {
    if (isActive(placement)) return withoutDeadline(placement);
    const latest = latestEnd(context, placement);
    if (deadlineOf(placement) <= latest) return placement;
    return { ...placement, drainDeadline: new Date(latest).toISOString() };
  });

function withoutDeadline({ drainDeadline: _, ...placement }: Placement): Placement {
  return placement;
}

function latestEnd(context: RoomContext, placement: Placement): number {
  const { deps, room } = context;
  const { namespace } = room.metadata;
  const pod = deps.monitor.get({ namespace, name: placement.podName })?.pod;
  const timeoutMs = timeoutOf(poolOf(context, placement));
  const now = deps.clock.now();
  const begun = (pod && drainingSince(pod)) ?? Infinity;
  const deleted = Date.parse(pod?.metadata.deletionTimestamp ?? '');
  const ends = [now + timeoutMs, begun + timeoutMs, Number.isNaN(deleted) ? Infinity : deleted];
  // Whoever hears of it only now has the moment that follows each deadline.
  return Math.max(now, Math.min(...ends));
}

/**
 * Asks for the room's turn on each node that is to drain and still takes work. A node that takes none by itself, or is about
 * to end, is left at once.
 *
 * @returns the routers that are to stay for now
 */
export function takeTurns(
  context: RoomContext,
  views: readonly PlacementView[],
): { held: ReadonlySet<string>; heldForMs: number } {
  const key = formatKey(context.room.metadata);
  const leaving = views.filter((view) => !view.lost && leavesInTurn(context, view));
  const waits = leaving
    .filter(({ placement }) => isActive(placement))
    .map(({ placement, node }): [string, number] => {
      const request = node && turnRequest(context, placement, drainingSince(node.pod));
      return [placement.routerId, request ? context.turns.ask(request) : waitForMarkMs];
    })
    .filter(([, waitMs]) => waitMs > 0);
  const moving = leaving.filter((view) => isActive(view.placement) || !isEmpty(view));
  context.turns.keepOnly(key, new Set(moving.map(({ placement }) => placement.instanceId)));
  return {
    held: new Set(waits.map(([routerId]) => routerId)),
    heldForMs: Math.min(Infinity, ...waits.map(([, waitMs]) => waitMs)),
  };
}

/** A pool that is deleted is about to say of each of its pods since when they drain. */
const waitForMarkMs = 1_000;

function leavesInTurn(context: RoomContext, { node, placement, status }: PlacementView): boolean {
  if (!node || status?.state !== 'Ready' || node.pod.metadata.deletionTimestamp) return false;
  return (
    isLeaving(node.pod) || poolOf(context, placement)?.metadata.deletionTimestamp !== undefined
  );
}

function turnRequest(
  context: RoomContext,
  placement: Placement,
  since: number | undefined,
): TurnRequest | undefined {
  if (since === undefined) return undefined;
  const { deps, room } = context;
  const pool = poolOf(context, placement);
  return {
    instanceId: placement.instanceId,
    room: formatKey(room.metadata),
    total: deps.ledger.roomsOn(placement.podName).length,
    maxConcurrentRooms: pool?.spec.drain.maxConcurrentRooms ?? Infinity,
    ...{ since, timeoutMs: timeoutOf(pool), now: deps.clock.now() },
  };
}

/**
 * Lets a router that is about to drain take peers until another one of its side does: nobody is to leave before there is where
 * to go. Its deadline stands, and tells that it does not count for the room any more. One on a node that takes no peers by
 * itself is of no use to anybody who comes.
 */
export function keepUntilReplaced(
  views: readonly PlacementView[],
  placements: readonly Placement[],
  begins: (routerId: string) => boolean,
): Placement[] {
  const before = new Map(views.map((view) => [view.placement.routerId, view]));
  const takesPeers = (side: Side): boolean =>
    placements.some((other) => other.state === 'Ready' && serves(other, side));
  return placements.map((placement) => {
    const view = before.get(placement.routerId);
    if (!view || !begins(placement.routerId) || view.status?.state !== 'Ready') return placement;
    if (sidesOf(placement.role).every(takesPeers)) return placement;
    return { ...placement, state: view.placement.state };
  });
}

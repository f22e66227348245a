import { isDeepStrictEqual } from 'node:util';

import type { MediaRoom, MediaRoomStatus, Placement } from '../../common/resources/types.ts';
import { formatKey, parseKey } from '../cluster.ts';
import type { OperatorDeps } from '../deps.ts';
import { CandidateCache } from '../nodes/candidates.ts';
import { generationAfter, maxPlacements } from '../placement/decide.ts';
import { isActive } from '../placement/draft.ts';
import type { Reconcile, ReconcileResult } from '../runtime/controller.ts';
import { finalizer } from '../workers/labels.ts';
import { announce, viewPlacements, type RoomContext } from './context.ts';
import { decideRoom, type RoomDecision } from './decide.ts';
import { deadlineOf, keepUntilReplaced } from './drain.ts';
import {
  buildClosedEvents,
  buildDecisionEvents,
  buildDrainEvents,
  buildStatusEvents,
} from './events.ts';
import { finalizeRoom } from './finalize.ts';
import { idleEnd, lifetimeOf, ttlEnd, type EndOf } from './lifetime.ts';
import type { RoomMemory } from './memory.ts';
import { closeRouters, ensureRouters, type RoutersOutcome } from './routers.ts';
import { buildRoomStatus } from './status.ts';
import { countPeers, isEmpty } from './view.ts';

/**
 * Brings a MediaRoom to its spec: finalizer → place → close what has drained → make routers → status. It ends a room whose
 * time is over.
 */
export function createRoomReconcile(deps: OperatorDeps, memory: RoomMemory): Reconcile {
  const candidates = new CandidateCache(
    deps.monitor,
    (key) => deps.cluster.workers.get(key),
    deps.ledger,
  );
  const forget = (key: string): ReconcileResult => {
    deps.ledger.delete(key);
    memory.forget(key);
    return {};
  };
  return async (key) => {
    const room = deps.cluster.rooms.get(parseKey(key));
    if (!room) return forget(key);
    const notes = memory.notesOf(key, room.metadata.uid);
    const context: RoomContext = { deps, candidates, notes, turns: memory.turns, room };
    if (room.metadata.deletionTimestamp) {
      const result = await finalizeRoom({ ...context, room: notes.withPlan(room) });
      return result.requeueAfterMs === undefined ? forget(key) : result;
    }
    if (await endRoom(context, ttlEnd)) return {};
    const { decision, room: placed, isEmpty, failure } = await placeRoom(context, memory);
    const last = { ...context, room: placed };
    if (isEmpty && (await endRoom(last, idleEnd))) return {};
    if (failure) throw failure;
    return nextLook(last, decision);
  };
}

interface Outcome {
  decision: RoomDecision;
  /** As it was written last. */
  room: MediaRoom;
  /** Known to be so: nothing is known of peers on a silent node. */
  isEmpty: boolean;
  failure: RoutersOutcome['failure'];
}

async function placeRoom(given: RoomContext, memory: RoomMemory): Promise<Outcome> {
  const { deps, notes } = given;
  const key = formatKey(given.room.metadata);
  const stored = await ensureFinalizer(deps, given.room);
  const context = { ...given, room: notes.withPlan(stored) };
  const decision = decideRoom(context);
  // At once: a node may come while the decision is carried out, and wakes those that wait.
  memory.setWaiting(key, decision.shortfalls.length > 0);
  notes.setPlan(planOf(decision, decision.placements));
  noteDecision(context, decision);
  // What goes keeps nobody waiting for what comes.
  const [unclosed, made] = await Promise.all([
    closeReleased(context, decision),
    ensureRouters(context, viewPlacements(context, decision.placements)),
  ]);
  const settled = settleDrains(context, decision, made.placements);
  notes.setPlan(planOf(settled, settled.placements));
  const placements = upToMost(settled.placements, unclosed);
  deps.ledger.set(key, placements);
  notes.keepOnly(new Set(placements.map(({ routerId }) => routerId)));
  const outcome = { ...made, placements };
  const status = buildStatus(context, settled, outcome);
  const room = await writeStatus(deps, stored, status);
  notes.setPlan(undefined);
  announce(given, buildStatusEvents(stored.status, status, outcome.failure?.message));
  const isEmpty = peersOf(context, outcome.placements) === 0;
  return { decision, room, isEmpty, failure: outcome.failure };
}

const planOf = (
  { released, generation }: RoomDecision,
  placements: readonly Placement[],
): Parameters<RoomContext['notes']['setPlan']>[0] => ({
  placements: upToMost(placements, released),
  wanted: placements.map(({ routerId }) => routerId),
  generation,
});

/** What becomes of the routers that are to drain, now that those in their place exist or don't. */
function settleDrains(
  context: RoomContext,
  decision: RoomDecision,
  made: readonly Placement[],
): RoomDecision {
  const { status } = context.room;
  const current = status?.placements ?? [];
  const placements = keepUntilReplaced(viewPlacements(context, current), made, (routerId) =>
    decision.draining.has(routerId),
  );
  const isLeft = new Set(placements.filter((p) => !isActive(p)).map(({ routerId }) => routerId));
  const draining = new Map([...decision.draining].filter(([routerId]) => isLeft.has(routerId)));
  const generation = generationAfter(
    { current, generation: status?.placementGeneration ?? 0 },
    placements,
  );
  const settled = { ...decision, placements, draining, generation };
  announce(context, buildDrainEvents(settled));
  return settled;
}

/** What goes is left out where the list would be too long; on a node that can't close it now it is closed as an orphan. */
const upToMost = (placements: readonly Placement[], leaving: readonly Placement[]): Placement[] =>
  [...placements, ...leaving].slice(0, maxPlacements);

async function ensureFinalizer(deps: OperatorDeps, room: MediaRoom): Promise<MediaRoom> {
  const finalizers = room.metadata.finalizers ?? [];
  if (finalizers.includes(finalizer)) return room;
  return deps.cluster.rooms.setFinalizers(room, [...finalizers, finalizer]);
}

function noteDecision(context: RoomContext, decision: RoomDecision): void {
  const { deps, room } = context;
  const { metrics, logger } = deps;
  const known = new Set(room.status?.placements?.map(({ routerId }) => routerId));
  for (const { placement, lost: cause } of decision.lost) {
    metrics.lostPlacements.inc({ cause: cause ?? 'gone' });
    logger.info({ routerId: placement.routerId, cause: cause ?? 'moved' }, 'router lost');
  }
  for (const { routerId, role, podName } of decision.placements) {
    if (known.has(routerId)) continue;
    metrics.placements.inc({ role });
    logger.info({ routerId, role, podName }, 'router placed');
  }
  announce(context, buildDecisionEvents(room, decision));
}

/** @returns drained routers that could not be closed now, and so stay part of the room */
async function closeReleased(
  context: RoomContext,
  { released, overdue }: RoomDecision,
): Promise<Placement[]> {
  if (released.length === 0) return [];
  const unclosed = await closeRouters(context, viewPlacements(context, released));
  const closed = released.filter((placement) => !unclosed.includes(placement));
  announce(context, buildClosedEvents(closed, overdue));
  return unclosed;
}

function peersOf(context: RoomContext, placements: readonly Placement[]): number | undefined {
  const views = viewPlacements(context, placements);
  const unknown = views.some(({ status, placement }) => !status && placement.state !== 'Pending');
  return unknown ? undefined : countPeers(views);
}

function buildStatus(
  context: RoomContext,
  { generation, shortfalls }: RoomDecision,
  { placements, failure }: RoutersOutcome,
): MediaRoomStatus {
  return buildRoomStatus({
    room: context.room,
    placements,
    generation,
    shortfalls,
    peers: peersOf(context, placements),
    failure: failure?.message,
    now: new Date(context.deps.clock.now()),
  });
}

async function writeStatus(
  { cluster }: OperatorDeps,
  room: MediaRoom,
  status: MediaRoomStatus,
): Promise<MediaRoom> {
  if (isDeepStrictEqual(status, room.status)) return room;
  return cluster.rooms.setStatus(room, status);
}

/** Deletes a room whose time is over. @returns whether it was */
async function endRoom(context: RoomContext, endOf: EndOf): Promise<boolean> {
  const { deps, room } = context;
  const end = endOf(room, deps.clock.now());
  if (!end) return false;
  await deps.cluster.rooms.delete(room);
  deps.logger.info({ room: formatKey(room.metadata), reason: end.reason }, 'deleted a room');
  announce(context, [{ ...end, type: 'Normal', action: 'Delete' }]);
  return true;
}

/** When to look again if nothing tells to do so before. Spread, so that rooms of one time don't all come back at one. */
function nextLook(context: RoomContext, decision: RoomDecision): ReconcileResult {
  const { deps, room, notes } = context;
  const { rooms, placement, reconcile } = deps.config;
  const now = deps.clock.now();
  const { ttlMs, idleMs } = lifetimeOf(room, now);
  const requeueAfterMs = Math.min(
    reconcile.resyncMs * (0.8 + 0.2 * Math.random()),
    ...[ttlMs, idleMs, untilShrink(room, decision, rooms.shrinkAfterMs)],
    ...[decision.heldForMs, untilDrained(context)],
    notes.refusing(now).size > 0 ? placement.refusalMs : Infinity,
  );
  return { requeueAfterMs: Math.ceil(requeueAfterMs) };
}

/** When a draining router may be closed, should nothing be heard of it before. */
function untilDrained(context: RoomContext): number {
  const { clock, config } = context.deps;
  const { drainGraceMs } = config.rooms;
  const draining = viewPlacements(context).filter(({ placement }) => !isActive(placement));
  const times = draining.map((view) =>
    isEmpty(view)
      ? drainGraceMs
      : Math.max(1, deadlineOf(view.placement) + drainGraceMs - clock.now()),
  );
  return Math.min(Infinity, ...times);
}

/** When a router that is one too many will have been empty for long enough. */
function untilShrink({ spec }: MediaRoom, { sizing }: RoomDecision, shrinkAfterMs: number): number {
  if (sizing.routers.length <= spec.consumers.routers) return Infinity;
  const waiting = sizing.routers
    .filter((router) => router.mayGo && router.settled && router.peers === 0)
    .map(({ emptyForMs }) => shrinkAfterMs - emptyForMs)
    .filter((leftMs) => leftMs > 0);
  return Math.min(Infinity, ...waiting);
}

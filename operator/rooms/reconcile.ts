import { isDeepStrictEqual } from 'node:util';

import { isApiError } from '../../common/errors.ts';
import { findCondition } from '../../common/resources/conditions.ts';
import type { MediaRoom, MediaRoomStatus, Placement } from '../../common/resources/types.ts';
import { formatKey, parseKey } from '../cluster.ts';
import type { OperatorDeps } from '../deps.ts';
import type { PlacementDecision } from '../placement/types.ts';
import type { Reconcile, ReconcileResult } from '../runtime/controller.ts';
import { finalizer } from '../workers/labels.ts';
import { decideRoom, viewPlacements, type RoomContext } from './decide.ts';
import type { RoomMemory } from './memory.ts';
import { closeRouters, ensureRouters, type RoutersOutcome } from './routers.ts';
import { buildRoomStatus } from './status.ts';
import { countPeers } from './view.ts';

/** Brings a MediaRoom to its spec: finalizer → place → record → close what has drained → make routers → status → idle. */
export function createRoomReconcile(deps: OperatorDeps, memory: RoomMemory): Reconcile {
  return async (key) => {
    const found = deps.cluster.rooms.get(parseKey(key));
    if (!found) {
      deps.ledger.delete(key);
      memory.waiting.delete(key);
      return {};
    }
    if (found.metadata.deletionTimestamp) return finalizeRoom({ deps, memory, room: found });
    const room = await ensureFinalizer(deps, found);
    const decision = decideRoom({ deps, memory, room });
    noteWaiting(memory, key, decision);
    const context = { deps, memory, room: await record({ deps, memory, room }, decision) };
    const unclosed = await closeRouters(context, decision.released);
    const kept = [...decision.placements, ...unclosed];
    deps.ledger.set(key, kept);
    const outcome = await ensureRouters(context, viewPlacements(context, kept));
    const status = buildStatus(context, decision, outcome);
    const written = await writeStatus(context, status);
    if (outcome.failure) throw outcome.failure;
    return nextLook({ ...context, room: written });
  };
}

function noteWaiting(memory: RoomMemory, key: string, { shortfalls }: PlacementDecision): void {
  if (shortfalls.length > 0) memory.waiting.add(key);
  else memory.waiting.delete(key);
}

async function ensureFinalizer(deps: OperatorDeps, room: MediaRoom): Promise<MediaRoom> {
  const finalizers = room.metadata.finalizers ?? [];
  if (finalizers.includes(finalizer)) return room;
  return deps.cluster.rooms.setFinalizers(room, [...finalizers, finalizer]);
}

/** Writes new placements down before any router is made, so that none is ever made that nobody knows of. */
async function record(context: RoomContext, decision: PlacementDecision): Promise<MediaRoom> {
  const { room } = context;
  const known = new Set(room.status?.placements?.map(({ routerId }) => routerId));
  if (decision.placements.every(({ routerId }) => known.has(routerId))) return room;
  const placements = [...decision.placements, ...decision.released];
  return writeStatus(context, buildStatus(context, decision, { placements, failure: undefined }));
}

function peersOf(context: RoomContext, placements: readonly Placement[]): number | undefined {
  const views = viewPlacements(context, placements);
  const unknown = views.some(({ status, placement }) => !status && placement.state !== 'Pending');
  return unknown ? undefined : countPeers(views);
}

function buildStatus(
  context: RoomContext,
  { generation, shortfalls }: PlacementDecision,
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
  { deps, room }: RoomContext,
  status: MediaRoomStatus,
): Promise<MediaRoom> {
  if (isDeepStrictEqual(status, room.status)) return room;
  return deps.cluster.rooms.setStatus(room, status);
}

/** Deletes a room that has been idle for long enough, else says when to look again. */
async function nextLook({ deps, room, memory }: RoomContext): Promise<ReconcileResult> {
  const { resyncMs } = deps.config.reconcile;
  const idleMs = untilIdleDeletion(room, deps.clock.now());
  if (idleMs <= 0) {
    deps.logger.info({ room: formatKey(room.metadata) }, 'deleting an idle room');
    await deps.cluster.rooms.delete(room);
    return {};
  }
  const draining = room.status?.placements?.some(({ state }) => state === 'Draining');
  const drainMs = draining ? deps.config.rooms.drainGraceMs : Infinity;
  const refusalMs = memory.refusing(room.metadata.uid, deps.clock.now()).size
    ? deps.config.placement.refusalMs
    : Infinity;
  return { requeueAfterMs: Math.min(resyncMs, idleMs, drainMs, refusalMs) };
}

function untilIdleDeletion({ spec, status }: MediaRoom, now: number): number {
  const idle = findCondition(status?.conditions, 'Idle');
  if (spec.idlePolicy.action !== 'Delete' || idle?.status !== 'True') return Infinity;
  return Date.parse(idle.lastTransitionTime) + spec.idlePolicy.afterSeconds * 1000 - now;
}

/** Closes a deleted room's routers, for a bounded time, then lets the room go. */
async function finalizeRoom(context: RoomContext): Promise<ReconcileResult> {
  const { deps, room } = context;
  const { deletionTimestamp, finalizers = [] } = room.metadata;
  if (!finalizers.includes(finalizer)) return {};
  // A router whose instance is over went with it.
  const living = viewPlacements(context).filter(({ lost }) => !lost);
  const unclosed = await closeRouters(
    context,
    living.map(({ placement }) => placement),
  );
  const giveUpAt = Date.parse(deletionTimestamp ?? '') + deps.config.rooms.closeTimeoutMs;
  if (unclosed.length > 0 && deps.clock.now() < giveUpAt)
    return { requeueAfterMs: deps.config.reconcile.backoff.initialMs };
  if (unclosed.length > 0) {
    deps.metrics.abandonedRouters.inc(unclosed.length);
    const routerIds = unclosed.map(({ routerId }) => routerId);
    deps.logger.warn({ room: formatKey(room.metadata), routerIds }, 'gave up on closing routers');
  }
  const rest = finalizers.filter((name) => name !== finalizer);
  await deps.cluster.rooms.setFinalizers(room, rest).catch((error: unknown) => {
    if (!isApiError(error, 'not_found')) throw error;
  });
  deps.ledger.delete(formatKey(room.metadata));
  context.memory.waiting.delete(formatKey(room.metadata));
  return {};
}

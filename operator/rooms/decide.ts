import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import { formatKey } from '../cluster.ts';
import type { OperatorDeps } from '../deps.ts';
import { buildCandidates } from '../nodes/candidates.ts';
import { decidePlacements } from '../placement/decide.ts';
import type { PlacementDecision } from '../placement/types.ts';
import type { RoomMemory } from './memory.ts';
import { isEmpty, viewPlacement, type PlacementView } from './view.ts';

export interface RoomContext {
  deps: OperatorDeps;
  memory: RoomMemory;
  room: MediaRoom;
}

const idsOf = (views: readonly PlacementView[]): Set<string> =>
  new Set(views.map(({ placement }) => placement.routerId));

export function viewPlacements(
  { deps, room }: RoomContext,
  placements: readonly Placement[] = room.status?.placements ?? [],
): PlacementView[] {
  return placements.map((placement) =>
    viewPlacement(placement, room.metadata.namespace, deps.monitor),
  );
}

/** A router that was never used moves as soon as its node can't take it; one in use stays until its instance is over. */
function isLost({ placement, lost, node, status }: PlacementView, refusing: Set<string>): boolean {
  if (lost) return true;
  if (placement.state !== 'Pending') return false;
  return refusing.has(placement.instanceId) || (status !== undefined && node?.state !== 'Ready');
}

function isDrained({ deps, memory, room }: RoomContext, view: PlacementView): boolean {
  const { placement } = view;
  if (placement.state !== 'Draining') return false;
  const now = deps.clock.now();
  const drainingForMs = now - memory.drainingSince(placement.routerId, now);
  const { namespace } = room.metadata;
  const pool = deps.cluster.workers.get({ namespace, name: placement.pool });
  const timeoutMs = (pool?.spec.drain.timeoutSeconds ?? 0) * 1000;
  if (drainingForMs < deps.config.rooms.drainGraceMs) return false;
  return isEmpty(view) || drainingForMs >= timeoutMs;
}

/** Decides the room's placements and reserves them in the ledger at once. */
export function decideRoom(context: RoomContext): PlacementDecision {
  const { deps, memory, room } = context;
  const { metadata, spec, status } = room;
  const key = formatKey(metadata);
  const current = status?.placements ?? [];
  deps.ledger.set(key, current);
  const views = viewPlacements(context);
  const refusing = memory.refusing(metadata.uid, deps.clock.now());
  const lost = views.filter((view) => isLost(view, refusing));
  const decision = decidePlacements({
    room: { name: metadata.name, uid: metadata.uid, ...spec },
    current,
    generation: status?.placementGeneration ?? 0,
    nodes: buildCandidates(
      deps.monitor.list().filter(({ pod }) => pod.metadata.namespace === metadata.namespace),
      (poolKey) => deps.cluster.workers.get(poolKey),
      deps.ledger,
    ),
    lost: idsOf(lost),
    empty: idsOf(views.filter(isEmpty)),
    drained: idsOf(views.filter((view) => isDrained(context, view))),
    refusing,
    policy: deps.config.placement,
  });
  deps.ledger.set(key, [...decision.placements, ...decision.released]);
  noteDecision(context, decision, lost);
  return decision;
}

function noteDecision(
  { deps, memory, room }: RoomContext,
  decision: PlacementDecision,
  lost: PlacementView[],
): void {
  const { metrics, logger } = deps;
  const known = new Set(room.status?.placements?.map(({ routerId }) => routerId));
  for (const { placement, lost: cause } of lost) {
    metrics.lostPlacements.inc({ cause: cause ?? 'gone' });
    memory.forgetRouter(placement.routerId);
    logger.info({ routerId: placement.routerId, cause: cause ?? 'moved' }, 'router lost');
  }
  for (const { routerId, role, podName } of decision.placements) {
    if (known.has(routerId)) continue;
    metrics.placements.inc({ role });
    logger.info({ routerId, role, podName }, 'router placed');
  }
}

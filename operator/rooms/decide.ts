import { formatKey } from '../cluster.ts';
import { decidePlacements } from '../placement/decide.ts';
import type { PlacementDecision } from '../placement/types.ts';
import { sizeConsumers, type Sizing } from './consumer-routers.ts';
import { viewPlacements, type RoomContext } from './context.ts';
import { deadlineOf, setDeadlines, takeTurns } from './drain.ts';
import { isEmpty, type PlacementView } from './view.ts';

/** A decision about a room's placements, with what it was made of. */
export interface RoomDecision extends PlacementDecision {
  sizing: Sizing;
  /** Placements that are no more where they were. */
  lost: readonly PlacementView[];
  /** Draining routers that are closed although peers are still on them, since their time is over. */
  overdue: ReadonlySet<string>;
  /** How long the room is to wait for its turn to leave a node, in milliseconds; Infinity where it need not. */
  heldForMs: number;
}

const idsOf = (views: readonly PlacementView[]): Set<string> =>
  new Set(views.map(({ placement }) => placement.routerId));

/** A router that was never used moves as soon as its node can't take it; one in use stays until its instance is over. */
function isLost({ placement, lost, node, status }: PlacementView, refusing: ReadonlySet<string>) {
  if (lost) return true;
  if (placement.state !== 'Pending') return false;
  const takesNone = node?.state === 'Draining' || node?.state === 'Unreachable';
  return refusing.has(placement.instanceId) || (status !== undefined && takesNone);
}

/** Nobody is on it, or the time is over and whoever was on it had a moment to connect elsewhere. */
function isDrained({ deps, notes }: RoomContext, view: PlacementView): boolean {
  const { placement } = view;
  if (placement.state !== 'Draining') return false;
  const now = deps.clock.now();
  const { drainGraceMs } = deps.config.rooms;
  if (now - notes.drainingSince(placement.routerId, now) < drainGraceMs) return false;
  return isEmpty(view) || now >= deadlineOf(placement) + drainGraceMs;
}

/** Decides the room's placements and reserves them in the ledger at once. */
export function decideRoom(context: RoomContext): RoomDecision {
  const { deps, notes, room, candidates } = context;
  const { metadata, spec, status } = room;
  const key = formatKey(metadata);
  const current = status?.placements ?? [];
  deps.ledger.set(key, current);
  const views = viewPlacements(context);
  const refusing = notes.refusing(deps.clock.now());
  const lost = views.filter((view) => isLost(view, refusing));
  const empty = idsOf(views.filter(isEmpty));
  const drained = idsOf(views.filter((view) => isDrained(context, view)));
  const { held, heldForMs } = takeTurns(context, views);
  const sizing = sizeConsumers(context, views);
  const { change, wanted } = sizing.decision;
  const decision = decidePlacements({
    room: { name: metadata.name, uid: metadata.uid, ...spec },
    wanted: { Producer: spec.producers.routers, Consumer: wanted },
    ...(change === 'grow' ? { growBelowPercent: deps.config.rooms.growAtPercent } : {}),
    current,
    generation: status?.placementGeneration ?? 0,
    nodes: candidates.list(metadata.namespace),
    ...{ lost: idsOf(lost), empty, drained, held, refusing },
    ...(change === 'shrink' ? { leaving: sizing.decision.leaving } : {}),
    policy: deps.config.placement,
  });
  const placements = setDeadlines(context, decision.placements);
  deps.ledger.set(key, [...placements, ...decision.released]);
  const overdue = new Set(
    decision.released.map(({ routerId }) => routerId).filter((id) => !empty.has(id)),
  );
  return { ...decision, placements, sizing, lost, overdue, heldForMs };
}

import type { Placement } from '../../common/resources/types.ts';
import type { NodeRole } from '../../common/wire/media-node.ts';
import { fitsSide, takesRouter } from './candidates.ts';
import { Draft, isActive, serves, sidesOf } from './draft.ts';
import { pickNode } from './preference.ts';
import { describeShortfall } from './shortfall.ts';
import type {
  DrainCause,
  NodeCandidate,
  PlacementDecision,
  PlacementRequest,
  Shortfall,
  Side,
} from './types.ts';

const bothSides: readonly Side[] = ['Producer', 'Consumer'];

/** As many as a room's status may list. */
export const maxPlacements = 128;

type Causes = Map<string, DrainCause>;

const drain = (placement: Placement, cause: DrainCause, causes: Causes): Placement => {
  causes.set(placement.routerId, cause);
  return { ...placement, state: 'Draining' };
};

/** Keeps what may stay; what sits on a node that drains, or that the spec no longer selects, is to drain. */
function keepOrDrain(request: PlacementRequest, causes: Causes): Placement[] {
  return request.current
    .filter(({ routerId: id }) => !request.lost.has(id))
    .map((placement) => {
      const node = request.nodes.find(({ instanceId }) => instanceId === placement.instanceId);
      if (!isActive(placement) || !node) return placement;
      if (node.state === 'Draining' && !request.held.has(placement.routerId))
        return drain(placement, 'NodeDraining', causes);
      const fits = sidesOf(placement.role).every((side) => fitsSide(node, side, request.room));
      return fits ? placement : drain(placement, 'NotSelected', causes);
    });
}

/** A side has more routers than wanted: the newest drain, those that no peer needs first. */
function drainSurplus(
  placements: Placement[],
  side: Side,
  request: PlacementRequest,
  causes: Causes,
): Placement[] {
  const active = placements.filter((p) => isActive(p) && serves(p, side));
  const surplus = active.length - request.wanted[side];
  if (surplus <= 0) return placements;
  const other: Side = side === 'Producer' ? 'Consumer' : 'Producer';
  const spare = (p: Placement): boolean =>
    p.role === side ||
    placements.filter((q) => isActive(q) && serves(q, other)).length > request.wanted[other];
  const leaving = new Set(active.filter(spare).sort(goesFirst(request)).slice(0, surplus));
  return placements.map((p) => (leaving.has(p) ? drain(p, 'Surplus', causes) : p));
}

function goesFirst({ leaving, empty }: PlacementRequest) {
  const rank = ({ routerId: id }: Placement): number =>
    id === leaving ? 0 : empty.has(id) ? 1 : 2;
  return (a: Placement, b: Placement): number =>
    rank(a) - rank(b) || b.generation - a.generation || (a.routerId < b.routerId ? 1 : -1);
}

/** The best node for a router of these sides, or none. */
function pick(request: PlacementRequest, draft: Draft, sides: readonly Side[]) {
  const { nodes, policy, room } = request;
  const takes = (node: NodeCandidate): boolean => takesRouter(node, sides, request, draft);
  return pickNode(nodes, takes, { sides, crowd: draft, roomUid: room.uid, policy });
}

/** A room that wants one router each way gets one for both, where the best node for the first side can be both. */
function placeOnOneRouter(request: PlacementRequest, draft: Draft): void {
  if (!bothSides.every((side) => request.wanted[side] === 1 && draft.missing(side) === 1)) return;
  if (pick(request, draft, ['Producer'])?.role !== 'Both') return;
  const both = pick(request, draft, bothSides);
  if (both) draft.add(both, 'Both');
}

function placeSide(request: PlacementRequest, draft: Draft, side: NodeRole & Side): void {
  while (draft.missing(side) > 0) {
    const node = pick(request, draft, [side]);
    if (!node) return;
    draft.add(node, side);
  }
}

function shortfallOf(request: PlacementRequest, draft: Draft, side: Side): Shortfall[] {
  const missing = draft.missing(side);
  if (missing === 0) return [];
  const wanted = request.wanted[side];
  const message = `${side}: ${describeShortfall(request, side, draft)}`;
  return [{ side, wanted, placed: wanted - missing, message }];
}

/**
 * Placements that have drained: to be closed, and no more part of the room. Where more drain than a status can hold, as
 * when nodes are replaced again and again within one drain time, the oldest are cut short.
 */
function release(placements: Placement[], { drained }: PlacementRequest): Placement[] {
  const draining = placements.filter((p) => !isActive(p));
  const released = draining.filter((p) => drained.has(p.routerId));
  const excess = placements.length - released.length - maxPlacements;
  if (excess <= 0) return released;
  const oldest = draining
    .filter((p) => !drained.has(p.routerId))
    .sort((a, b) => a.generation - b.generation || (a.routerId < b.routerId ? -1 : 1));
  return [...released, ...oldest.slice(0, excess)];
}

/**
 * Decides a room's placements. What is there stays where it can; what is lost or draining is replaced; nothing goes over
 * a node's capacity or on a node that isn't ready. The same input gives the same decision, and the decision's own
 * outcome as input gives no change.
 */
export function decidePlacements(request: PlacementRequest): PlacementDecision {
  const draining: Causes = new Map();
  const kept = bothSides.reduce(
    (placements, side) => drainSurplus(placements, side, request, draining),
    keepOrDrain(request, draining),
  );
  const draft = new Draft(request, kept);
  placeOnOneRouter(request, draft);
  for (const side of bothSides) placeSide(request, draft, side);
  const released = release(draft.placements, request);
  const gone = new Set(released);
  return {
    placements: draft.placements.filter((p) => !gone.has(p)),
    generation: generationAfter(request, draft.placements),
    released,
    draining,
    shortfalls: bothSides.flatMap((side) => shortfallOf(request, draft, side)),
  };
}

/** The room's placement generation. It rises when a router was added, lost, or told to drain; a drained one that goes was counted already. */
export function generationAfter(
  request: Pick<PlacementRequest, 'current' | 'generation'>,
  placements: readonly Placement[],
): number {
  const activeIds = (list: readonly Placement[]): string =>
    list
      .filter(isActive)
      .map(({ routerId: id }) => id)
      .join();
  const changed = activeIds(request.current) !== activeIds(placements);
  return changed ? request.generation + 1 : request.generation;
}

import type { Placement } from '../../common/resources/types.ts';
import type { NodeRole } from '../../common/wire/media-node.ts';
import { filterNodes, fitsSide, type Crowd } from './candidates.ts';
import { sortNodes } from './preference.ts';
import { routerId } from './router-id.ts';
import type {
  NodeCandidate,
  PlacementDecision,
  PlacementRequest,
  Shortfall,
  Side,
} from './types.ts';

const sidesOf = (role: NodeRole): Side[] => (role === 'Both' ? ['Producer', 'Consumer'] : [role]);
const serves = (placement: Placement, side: Side): boolean =>
  sidesOf(placement.role).includes(side);
const isActive = ({ state }: Placement): boolean => state !== 'Draining';

const wantedOf = ({ room }: PlacementRequest, side: Side): number =>
  (side === 'Producer' ? room.producers : room.consumers).routers;

/** Keeps what may stay; what sits on a node that drains, or that the spec no longer selects, is to drain. */
function keepOrDrain(request: PlacementRequest): Placement[] {
  const nodes = new Map(request.nodes.map((node) => [node.instanceId, node]));
  return request.current
    .filter(({ routerId: id }) => !request.lost.has(id))
    .map((placement) => {
      const node = nodes.get(placement.instanceId);
      if (!isActive(placement) || !node) return placement;
      const fits = sidesOf(placement.role).every((side) => fitsSide(node, side, request.room));
      return fits && node.state !== 'Draining' ? placement : { ...placement, state: 'Draining' };
    });
}

/** A side has more routers than wanted: the newest drain, those that no peer needs first. */
function drainSurplus(placements: Placement[], side: Side, request: PlacementRequest): Placement[] {
  const active = placements.filter((p) => isActive(p) && serves(p, side));
  const surplus = active.length - wantedOf(request, side);
  if (surplus <= 0) return placements;
  const other: Side = side === 'Producer' ? 'Consumer' : 'Producer';
  const spare = (p: Placement): boolean =>
    p.role === side ||
    placements.filter((q) => isActive(q) && serves(q, other)).length > wantedOf(request, other);
  const leaving = new Set(
    active
      .filter(spare)
      .sort(
        (a, b) =>
          Number(request.empty.has(b.routerId)) - Number(request.empty.has(a.routerId)) ||
          b.generation - a.generation ||
          (a.routerId < b.routerId ? 1 : -1),
      )
      .slice(0, surplus),
  );
  return placements.map((p) => (leaving.has(p) ? { ...p, state: 'Draining' } : p));
}

/** Counts where this room's routers are while a decision adds to them. */
class Draft implements Crowd {
  readonly placements: Placement[];
  readonly #request: PlacementRequest;
  readonly #added = new Map<string, number>();
  readonly #generation: number;

  constructor(request: PlacementRequest, kept: Placement[]) {
    this.#request = request;
    this.placements = [...kept];
    this.#generation = request.generation + 1;
  }

  added(instanceId: string): number {
    return this.#added.get(instanceId) ?? 0;
  }

  ofRoom(instanceId: string): number {
    return this.placements.filter((p) => isActive(p) && p.instanceId === instanceId).length;
  }

  missing(side: Side): number {
    const active = this.placements.filter((p) => isActive(p) && serves(p, side)).length;
    return Math.max(0, wantedOf(this.#request, side) - active);
  }

  /** The best node for a router of these sides, or none. */
  pick(sides: Side[]): NodeCandidate | undefined {
    const { usable } = filterNodes(this.#request, sides, this);
    const { policy, room } = this.#request;
    return sortNodes(usable, { sides, crowd: this, roomUid: room.uid, policy })[0];
  }

  add(node: NodeCandidate, role: NodeRole): void {
    const { room } = this.#request;
    const generation = this.#generation;
    this.#added.set(node.instanceId, this.added(node.instanceId) + 1);
    this.placements.push({
      routerId: routerId({ room, role, ordinal: this.#freeOrdinal(role), generation }),
      role,
      pool: node.pool,
      podName: node.podName,
      instanceId: node.instanceId,
      url: node.url,
      generation,
      state: 'Pending',
    });
  }

  /** Placements of an earlier generation can't clash, since the generation is part of the id. */
  #freeOrdinal(role: NodeRole): number {
    return this.placements.filter((p) => p.role === role && p.generation === this.#generation)
      .length;
  }
}

/** A room that wants one router each way gets one for both, where the best node for the first side can be both. */
function placeOnOneRouter(request: PlacementRequest, draft: Draft): void {
  const sides: Side[] = ['Producer', 'Consumer'];
  if (!sides.every((side) => wantedOf(request, side) === 1 && draft.missing(side) === 1)) return;
  const first = draft.pick(['Producer']);
  if (first?.role !== 'Both') return;
  const both = draft.pick(sides);
  if (both) draft.add(both, 'Both');
}

function placeSide(draft: Draft, side: Side): void {
  while (draft.missing(side) > 0) {
    const node = draft.pick([side]);
    if (!node) return;
    draft.add(node, side);
  }
}

function describeShortfall(request: PlacementRequest, draft: Draft, side: Side): Shortfall[] {
  const missing = draft.missing(side);
  if (missing === 0) return [];
  const { fitting } = filterNodes(request, [side], draft);
  const wanted = wantedOf(request, side);
  const ready = fitting.filter(({ state }) => state === 'Ready').length;
  const why =
    fitting.length === 0
      ? 'no node fits the selector and role'
      : ready === 0
        ? `none of ${fitting.length} fitting nodes is ready`
        : `${ready} fitting nodes are ready, and none has capacity left`;
  return [{ side, wanted, placed: wanted - missing, message: `${side}: ${why}` }];
}

/** Placements that have drained: to be closed, and no more part of the room. */
const release = (placements: Placement[], { drained }: PlacementRequest): Placement[] =>
  placements.filter((p) => !isActive(p) && drained.has(p.routerId));

/**
 * Decides a room's placements. What is there stays where it can; what is lost or draining is replaced; nothing goes over
 * a node's capacity or on a node that isn't ready. The same input gives the same decision, and the decision's own
 * outcome as input gives no change.
 */
export function decidePlacements(request: PlacementRequest): PlacementDecision {
  const kept = (['Producer', 'Consumer'] as const).reduce(
    (placements, side) => drainSurplus(placements, side, request),
    keepOrDrain(request),
  );
  const draft = new Draft(request, kept);
  placeOnOneRouter(request, draft);
  placeSide(draft, 'Producer');
  placeSide(draft, 'Consumer');
  const released = release(draft.placements, request);
  const gone = new Set(released);
  const placements = draft.placements.filter((p) => !gone.has(p));
  return {
    placements,
    generation: nextGeneration(request, draft.placements),
    released,
    shortfalls: (['Producer', 'Consumer'] as const).flatMap((side) =>
      describeShortfall(request, draft, side),
    ),
  };
}

/** Rises when a router was added, lost, or told to drain; a drained one that goes was counted already. */
function nextGeneration(request: PlacementRequest, placements: Placement[]): number {
  const activeIds = (list: readonly Placement[]): string =>
    list
      .filter(isActive)
      .map(({ routerId: id }) => id)
      .join();
  const changed = activeIds(request.current) !== activeIds(placements);
  return changed ? request.generation + 1 : request.generation;
}

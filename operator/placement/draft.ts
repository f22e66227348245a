import type { Placement } from '../../common/resources/types.ts';
import type { NodeRole } from '../../common/wire/media-node.ts';
import type { Crowd } from './candidates.ts';
import { routerId } from './router-id.ts';
import type { NodeCandidate, PlacementRequest, Side } from './types.ts';

export const sidesOf = (role: NodeRole): readonly Side[] =>
  role === 'Both' ? ['Producer', 'Consumer'] : [role];
export const serves = ({ role }: Placement, side: Side): boolean =>
  role === side || role === 'Both';
export const isActive = ({ state }: Placement): boolean => state !== 'Draining';

const addTo = (counts: Map<string, number>, key: string): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};

/** A decision in the making: counts where this room's routers are while more are added. */
export class Draft implements Crowd {
  readonly placements: Placement[];
  readonly #request: PlacementRequest;
  readonly #added = new Map<string, number>();
  readonly #ofRoom = new Map<string, number>();
  readonly #generation: number;

  constructor(request: PlacementRequest, kept: readonly Placement[]) {
    this.#request = request;
    this.placements = [...kept];
    this.#generation = request.generation + 1;
    for (const placement of kept.filter(isActive)) addTo(this.#ofRoom, placement.instanceId);
  }

  added(instanceId: string): number {
    return this.#added.get(instanceId) ?? 0;
  }

  ofRoom(instanceId: string): number {
    return this.#ofRoom.get(instanceId) ?? 0;
  }

  has(side: Side): boolean {
    return this.placements.some((placement) => isActive(placement) && serves(placement, side));
  }

  missing(side: Side): number {
    const active = this.placements.filter((p) => isActive(p) && serves(p, side)).length;
    return Math.max(0, this.#request.wanted[side] - active);
  }

  add(node: NodeCandidate, role: NodeRole): void {
    const { room } = this.#request;
    const { instanceId } = node;
    const generation = this.#generation;
    addTo(this.#added, instanceId);
    addTo(this.#ofRoom, instanceId);
    this.placements.push({
      routerId: routerId({ room, instanceId, role, ordinal: this.#freeOrdinal(role), generation }),
      role,
      pool: node.pool,
      podName: node.podName,
      instanceId,
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

import type { NodeCandidate, PlacementRequest, Side } from './types.ts';

/** Filters: each says whether a node may take one more router of a room's side. */

const serves = (node: NodeCandidate, side: Side): boolean =>
  node.role === 'Both' || node.role === side;

const isSelected = (node: NodeCandidate, side: Side, room: PlacementRequest['room']): boolean => {
  const { matchLabels } = (side === 'Producer' ? room.producers : room.consumers).selector;
  return Object.entries(matchLabels).every(([key, value]) => node.poolLabels[key] === value);
};

/** Whether the room may use the node for this side at all, whatever its state and load. */
export const fitsSide = (
  node: NodeCandidate,
  side: Side,
  room: PlacementRequest['room'],
): boolean => serves(node, side) && isSelected(node, side, room);

const takesRouters = (node: NodeCandidate, refusing: ReadonlySet<string>): boolean =>
  node.state === 'Ready' && !refusing.has(node.instanceId);

/** `added`: routers that the decision now being made puts on the node. */
function hasRoom({ capacity, load }: NodeCandidate, side: Side, added: number): boolean {
  const figure = side === 'Producer' ? 'producers' : 'consumers';
  return load.routers + added < capacity.routers && load[figure] < capacity[figure];
}

export interface Crowd {
  /** Routers that this decision puts on the instance. */
  added(instanceId: string): number;
  /** Active routers that this room has on the instance, the added ones included. */
  ofRoom(instanceId: string): number;
}

/** More routers of one room than workers on a node would share a worker: no gain, so it isn't done. */
const hasFreeWorker = (node: NodeCandidate, crowd: Crowd): boolean =>
  crowd.ofRoom(node.instanceId) < node.workers;

export interface Filtered {
  /** Nodes that the room may use for the side. */
  fitting: NodeCandidate[];
  /** Those of them that take a router now. */
  usable: NodeCandidate[];
}

export function filterNodes(request: PlacementRequest, sides: Side[], crowd: Crowd): Filtered {
  const { nodes, room, refusing } = request;
  const fitting = nodes.filter((node) => sides.every((side) => fitsSide(node, side, room)));
  const usable = fitting.filter(
    (node) =>
      takesRouters(node, refusing) &&
      hasFreeWorker(node, crowd) &&
      sides.every((side) => hasRoom(node, side, crowd.added(node.instanceId))),
  );
  return { fitting, usable };
}

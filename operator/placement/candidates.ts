import { percent } from './preference.ts';
import type { NodeCandidate, PlacementRequest, Side } from './types.ts';

/** Filters: each says whether a node may take one more router of a room's side. */

const serves = (node: NodeCandidate, side: Side): boolean =>
  node.role === 'Both' || node.role === side;

export const labelsOf = (room: PlacementRequest['room'], side: Side): Record<string, string> =>
  (side === 'Producer' ? room.producers : room.consumers).selector.matchLabels;

function isSelected(node: NodeCandidate, side: Side, room: PlacementRequest['room']): boolean {
  const labels = labelsOf(room, side);
  for (const key in labels) if (node.poolLabels[key] !== labels[key]) return false;
  return true;
}

/** Whether the room may use the node for this side at all, whatever its state and load. */
export const fitsSide = (
  node: NodeCandidate,
  side: Side,
  room: PlacementRequest['room'],
): boolean => serves(node, side) && isSelected(node, side, room);

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
  /** Whether the room has an active router for the side, the added ones included. */
  has(side: Side): boolean;
}

/** Whether the node takes one more router of this room, for these sides, now. */
export function takesRouter(
  node: NodeCandidate,
  sides: readonly Side[],
  request: PlacementRequest,
  crowd: Crowd,
): boolean {
  const { room, refusing, growBelowPercent = Infinity } = request;
  if (node.state !== 'Ready' || refusing.has(node.instanceId)) return false;
  // More routers of one room than workers on a node would share a worker: no gain, so it isn't done for a side that has one.
  const isFirst = sides.some((side) => !crowd.has(side));
  if (!isFirst && crowd.ofRoom(node.instanceId) >= node.workers) return false;
  const added = crowd.added(node.instanceId);
  for (const side of sides)
    if (!fitsSide(node, side, room) || !hasRoom(node, side, added)) return false;
  const { load, capacity } = node;
  return (
    !sides.includes('Consumer') || percent(load.consumers, capacity.consumers) < growBelowPercent
  );
}

import { fitsSide, labelsOf, type Crowd } from './candidates.ts';
import type { NodeCandidate, PlacementRequest, Side } from './types.ts';

const listed = 3;

/** The first few names; a status is no place for a long list. */
function nameSome(names: readonly string[]): string {
  const sorted = [...new Set(names)].sort();
  const rest = sorted.length - listed;
  return sorted.slice(0, listed).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

const field = (side: Side): string => (side === 'Producer' ? 'producers' : 'consumers');

function describeSelector(request: PlacementRequest, side: Side): string {
  const labels = Object.entries(labelsOf(request.room, side)).map(
    ([key, value]) => `${key}=${value}`,
  );
  return labels.length > 0 ? ` and the labels ${labels.join(', ')}` : '';
}

const poolsOf = (nodes: readonly NodeCandidate[]): string =>
  nameSome(nodes.map(({ pool }) => pool));

/** Why a side got fewer routers than wanted, and what helps. */
export function describeShortfall(request: PlacementRequest, side: Side, crowd: Crowd): string {
  const fitting = request.nodes.filter((node) => fitsSide(node, side, request.room));
  if (fitting.length === 0)
    return (
      `no node of a MediaWorker with role ${side} or Both${describeSelector(request, side)} has answered yet: ` +
      `check that one exists and is ready, and spec.${field(side)}.selector`
    );
  const ready = fitting.filter(({ state }) => state === 'Ready');
  if (ready.length === 0)
    return `no node of MediaWorker ${poolsOf(fitting)} is ready: see its conditions and pods`;
  const refusing = ready.filter(({ instanceId }) => request.refusing.has(instanceId));
  if (refusing.length === ready.length)
    return `every ready node has just refused a router: ${nameSome(refusing.map(({ podName }) => podName))}`;
  const alike = ready.filter((node) => crowd.ofRoom(node.instanceId) >= node.workers);
  if (alike.length === ready.length)
    return `every ready node of MediaWorker ${poolsOf(ready)} has a router of this room already: raise spec.replicas`;
  return `no ready node of MediaWorker ${poolsOf(ready)} has room for a router: raise spec.replicas or spec.capacity`;
}

import type { Crowd } from './candidates.ts';
import type { NodeCandidate, PlacementPolicy, Side } from './types.ts';

/** FNV-1a, to go on from an earlier hash, and with its bits mixed so that names that differ in one character are apart. */
function hash(text: string, seed = 0x811c9dc5): number {
  let value = seed;
  for (let i = 0; i < text.length; i++) {
    value ^= text.charCodeAt(i);
    value = Math.imul(value, 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** `used` in percent of `of`. */
export const percent = (used: number, of: number): number => (of === 0 ? 100 : (used / of) * 100);

/** How full a node is for the sides, in percent: its fullest resource counts. */
export function loadPercent(node: NodeCandidate, sides: readonly Side[]): number {
  return fullest(node, sides, { routers: 0, weighing: 0 });
}

/**
 * The same with what is to come: routers that were placed and are not seen on the node yet count as much as an average
 * one. Otherwise all rooms that are placed between two polls would find the same node the emptiest.
 */
function expectedPercent(node: NodeCandidate, sides: readonly Side[], added: number): number {
  return fullest(node, sides, { routers: added, weighing: node.unseen + added });
}

function fullest(
  node: NodeCandidate,
  sides: readonly Side[],
  more: { routers: number; weighing: number },
): number {
  const { capacity, load, averageRouter } = node;
  let most = Math.max(percent(load.routers + more.routers, capacity.routers), load.cpuPercent);
  for (const side of sides) {
    const figure = side === 'Producer' ? 'producers' : 'consumers';
    const used = load[figure] + more.weighing * averageRouter[figure];
    most = Math.max(most, percent(used, capacity[figure]));
  }
  return most;
}

export interface PreferenceContext {
  sides: readonly Side[];
  crowd: Crowd;
  roomUid: string;
  policy: PlacementPolicy;
}

const maxStep = 0xffff;

/** Less is better: fewer routers of this room (spread), then not busy, then less loaded, in coarse steps. */
function costOf(node: NodeCandidate, { sides, crowd, policy }: PreferenceContext): number {
  const load = expectedPercent(node, sides, crowd.added(node.instanceId));
  const step = Math.min(maxStep, Math.floor(load / policy.loadStepPercent));
  const busy = node.load.cpuPercent > policy.busyCpuPercent ? 1 : 0;
  return (crowd.ofRoom(node.instanceId) * 2 + busy) * (maxStep + 1) + step;
}

/** The best of the nodes that `takes` lets through. Equal ones are told apart by a hash of room and pod. */
export function pickNode(
  nodes: readonly NodeCandidate[],
  takes: (node: NodeCandidate) => boolean,
  context: PreferenceContext,
): NodeCandidate | undefined {
  const seed = hash(context.roomUid);
  let best: { node: NodeCandidate; cost: number; order: number } | undefined;
  for (const node of nodes) {
    if (!takes(node)) continue;
    const cost = costOf(node, context);
    if (best && cost > best.cost) continue;
    const order = hash(node.podName, seed);
    if (!best || cost < best.cost || isBefore({ node, order }, best)) best = { node, cost, order };
  }
  return best?.node;
}

interface Ordered {
  node: NodeCandidate;
  order: number;
}

const isBefore = (a: Ordered, b: Ordered): boolean =>
  a.order === b.order ? a.node.podName < b.node.podName : a.order < b.order;

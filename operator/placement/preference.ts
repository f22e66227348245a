import type { Crowd } from './candidates.ts';
import type { NodeCandidate, PlacementPolicy, Side } from './types.ts';

/** FNV-1a: spreads equal nodes differently for each room, the same each time. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value ^= text.charCodeAt(i);
    value = Math.imul(value, 0x01000193);
  }
  return value >>> 0;
}

const percent = (used: number, of: number): number => (of === 0 ? 100 : (used / of) * 100);

/** How full a node is for the sides, in percent: its fullest resource counts. */
export function loadPercent(node: NodeCandidate, sides: readonly Side[], added = 0): number {
  const { capacity, load } = node;
  return Math.max(
    percent(load.routers + added, capacity.routers),
    load.cpuPercent,
    ...sides.map((side) =>
      side === 'Producer'
        ? percent(load.producers, capacity.producers)
        : percent(load.consumers, capacity.consumers),
    ),
  );
}

export interface PreferenceContext {
  sides: Side[];
  crowd: Crowd;
  roomUid: string;
  policy: PlacementPolicy;
}

/**
 * The order in which usable nodes are taken: those without a router of this room first (spread), then those that are
 * not busy, then by load in coarse steps, then by a hash of room and pod.
 */
export function sortNodes(nodes: NodeCandidate[], context: PreferenceContext): NodeCandidate[] {
  const { sides, crowd, roomUid, policy } = context;
  const keyed = nodes.map((node) => ({
    node,
    key: [
      crowd.ofRoom(node.instanceId),
      node.load.cpuPercent > policy.busyCpuPercent ? 1 : 0,
      Math.floor(loadPercent(node, sides, crowd.added(node.instanceId)) / policy.loadStepPercent),
      hash(`${roomUid}/${node.podName}`),
    ],
  }));
  keyed.sort((a, b) => {
    const at = a.key.findIndex((value, i) => value !== b.key[i]);
    if (at < 0) return a.node.podName < b.node.podName ? -1 : 1;
    return (a.key[at] ?? 0) - (b.key[at] ?? 0);
  });
  return keyed.map(({ node }) => node);
}

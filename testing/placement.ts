import type {
  NodeCandidate,
  PlacementDecision,
  PlacementRequest,
} from '../operator/placement/types.ts';

/** A node that has nothing on it and takes all; `change` says what is different. */
export const makeNode = (podName: string, change: Partial<NodeCandidate> = {}): NodeCandidate => ({
  podName,
  instanceId: `instance-${podName}`,
  url: `http://${podName}`,
  pool: 'pool',
  poolLabels: {},
  role: 'Both',
  state: 'Ready',
  workers: 1,
  capacity: { routers: 10, producers: 100, consumers: 100 },
  load: { routers: 0, producers: 0, consumers: 0, cpuPercent: 0 },
  unseen: 0,
  averageRouter: { producers: 0, consumers: 0 },
  ...change,
});

/** A room that wants so many routers of each side, as a part of a request. */
export const makeRoom = (
  producers: number,
  consumers: number,
  uid = 'uid',
): Pick<PlacementRequest, 'room' | 'wanted'> => ({
  room: {
    ...{ name: 'room', uid },
    producers: { selector: { matchLabels: {} } },
    consumers: { selector: { matchLabels: {} } },
  },
  wanted: { Producer: producers, Consumer: consumers },
});

/** A request for a new room of one router each way; `change` says what is different. */
export const makeRequest = (change: Partial<PlacementRequest> = {}): PlacementRequest => ({
  ...makeRoom(1, 1),
  ...{ current: [], generation: 0, nodes: [] },
  ...{
    lost: new Set(),
    empty: new Set(),
    drained: new Set(),
    held: new Set(),
    refusing: new Set(),
  },
  policy: { busyCpuPercent: 80, loadStepPercent: 10 },
  ...change,
});

/** The request that follows when the decision was carried out: the nodes carry its routers, and nothing else changed. */
export function nextRequest(
  request: PlacementRequest,
  { placements, generation }: PlacementDecision,
  change: Partial<PlacementRequest> = {},
): PlacementRequest {
  const known = new Set(request.current.map(({ routerId }) => routerId));
  const added = placements.filter(({ routerId }) => !known.has(routerId));
  const routersOn = (node: NodeCandidate): number =>
    node.load.routers + added.filter(({ instanceId }) => instanceId === node.instanceId).length;
  return {
    ...request,
    ...change,
    current: placements.map((p) => (p.state === 'Pending' ? { ...p, state: 'Ready' } : p)),
    generation,
    lost: change.lost ?? new Set(),
    nodes: (change.nodes ?? request.nodes).map((node) => ({
      ...node,
      load: { ...node.load, routers: routersOn(node) },
    })),
  };
}

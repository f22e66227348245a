import { setCondition } from '../../common/resources/conditions.ts';
import type {
  Condition,
  MediaWorker,
  MediaWorkerNode,
  MediaWorkerStatus,
} from '../../common/resources/types.ts';
import type { ObservedNode } from '../nodes/observe.ts';
import { loadPercent } from '../placement/preference.ts';
import type { NodeCandidate } from '../placement/types.ts';
import { drainingSince, poolLabel } from './labels.ts';

export interface WorkerStatusInput {
  worker: MediaWorker;
  nodes: readonly ObservedNode[];
  candidates: readonly NodeCandidate[];
  /** Pods that could not be made for want of ports. */
  withoutPorts: number;
  now: Date;
}

/** CPU figures jump about; status carries them in coarse steps. */
const cpuStepPercent = 5;
const coarse = (percent: number): number => Math.round(percent / cpuStepPercent) * cpuStepPercent;

function buildNode({ pod, url, state, instance }: ObservedNode): MediaWorkerNode {
  const draining = drainingSince(pod) !== undefined && state === 'Ready';
  const base = {
    podName: pod.metadata.name,
    ...(url ? { url } : {}),
    state: draining ? ('Draining' as const) : state,
  };
  if (!instance) return base;
  const { load, routers } = instance.status;
  return {
    ...base,
    instanceId: instance.id,
    rooms: new Set(routers.map(({ roomId }) => roomId)).size,
    peers: load.peers,
    consumers: load.consumers,
    cpuPercent: coarse(load.cpuPercent),
  };
}

function readyCondition(
  { worker }: WorkerStatusInput,
  nodes: MediaWorkerNode[],
): Pick<Condition, 'status' | 'reason' | 'message'> {
  const { replicas } = worker.spec;
  const ready = nodes.filter(({ state }) => state === 'Ready').length;
  const message = `${ready} of ${replicas} nodes are ready`;
  if (worker.metadata.deletionTimestamp)
    return { status: 'False', reason: 'Deleting', message: `${nodes.length} nodes are left` };
  if (ready >= replicas) return { status: 'True', reason: 'AllNodesReady', message };
  const silent = nodes.filter(({ state }) => state === 'Unreachable' || state === 'Dead');
  return silent.length > 0
    ? { status: 'False', reason: 'NodesUnreachable', message }
    : { status: 'False', reason: 'NodesStarting', message };
}

const podsCondition = ({
  withoutPorts,
}: WorkerStatusInput): Pick<Condition, 'status' | 'reason' | 'message'> =>
  withoutPorts > 0
    ? {
        status: 'False',
        reason: 'PortRangeExhausted',
        message: `spec.network.portRange has no free block for ${withoutPorts} more nodes`,
      }
    : { status: 'True', reason: 'PodsExist', message: '' };

function poolLoad({ worker, candidates }: WorkerStatusInput): number {
  const { role } = worker.spec;
  const sides = role === 'Both' ? (['Producer', 'Consumer'] as const) : ([role] as const);
  const loads = candidates
    .filter(({ state }) => state === 'Ready')
    .map((node) => loadPercent(node, sides));
  return loads.length === 0 ? 0 : Math.round(loads.reduce((a, b) => a + b, 0) / loads.length);
}

/** The pool's status from what was observed. */
export function buildWorkerStatus(input: WorkerStatusInput): MediaWorkerStatus {
  const { worker, now } = input;
  const { generation, name } = worker.metadata;
  const nodes = input.nodes
    .map(buildNode)
    .sort((a, b) => a.podName.localeCompare(b.podName, 'en', { numeric: true }));
  const rooms = new Set(
    input.nodes.flatMap(({ instance }) => instance?.status.routers.map((r) => r.roomId) ?? []),
  );
  const conditions = [
    { type: 'Ready', observedGeneration: generation, ...readyCondition(input, nodes) },
    { type: 'PodsCreated', observedGeneration: generation, ...podsCondition(input) },
  ].reduce<Condition[]>(
    (list, condition) => setCondition(list, condition, now),
    worker.status?.conditions ?? [],
  );
  return {
    observedGeneration: generation,
    replicas: nodes.length,
    readyReplicas: nodes.filter(({ state }) => state === 'Ready').length,
    selector: `${poolLabel}=${name}`,
    rooms: rooms.size,
    peers: nodes.reduce((sum, node) => sum + (node.peers ?? 0), 0),
    loadPercent: coarse(poolLoad(input)),
    nodes,
    conditions,
  };
}

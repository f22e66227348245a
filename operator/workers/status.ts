import type {
  MediaWorker,
  MediaWorkerNode,
  MediaWorkerStatus,
} from '../../common/resources/types.ts';
import type { Pod } from '../cluster.ts';
import type { ObservedNode } from '../nodes/observe.ts';
import { loadPercent } from '../placement/preference.ts';
import type { NodeCandidate } from '../placement/types.ts';
import { buildConditions, type PoolFacts } from './conditions.ts';
import { drainingSince, isLeaving, poolLabel } from './labels.ts';
import { blockOf, formatBlock, mediaBlockOf } from './ports.ts';
import { findObstacle, type Obstacle } from './stuck.ts';
import { isUpdated } from './view.ts';

export interface WorkerStatusInput extends Pick<PoolFacts, 'worker' | 'shortage' | 'scaling'> {
  nodes: readonly ObservedNode[];
  candidates: readonly NodeCandidate[];
  /** The shape that the pool's pods are to have; undefined while no pod can be made of its overrides. */
  shape: string | undefined;
  now: Date;
}

/** CPU figures jump about; status carries them in coarse steps. */
const cpuStepPercent = 5;
const coarse = (percent: number): number => Math.round(percent / cpuStepPercent) * cpuStepPercent;

function portsOf(pod: Pod): string | undefined {
  const block = blockOf(pod);
  const mode = pod.spec.hostNetwork ? 'HostNetwork' : 'HostPort';
  return block && formatBlock(mediaBlockOf(mode, block));
}

/** Since when a node drains and until when, as far as it was chosen to. */
function drainOf(pod: Pod, { spec }: MediaWorker): Partial<MediaWorkerNode> {
  const since = drainingSince(pod);
  if (since === undefined) return {};
  const deadline = since + spec.drain.timeoutSeconds * 1000;
  return {
    drainStartedAt: new Date(since).toISOString(),
    drainDeadline: new Date(deadline).toISOString(),
  };
}

function buildNode(
  { pod, url, state, instance }: ObservedNode,
  worker: MediaWorker,
): MediaWorkerNode {
  const ports = portsOf(pod);
  const { nodeName } = pod.spec;
  const base = {
    podName: pod.metadata.name,
    ...(url ? { url } : {}),
    ...(ports ? { ports } : {}),
    ...(nodeName ? { hostName: nodeName } : {}),
    state: isLeaving(pod) && state === 'Ready' ? ('Draining' as const) : state,
    ...drainOf(pod, worker),
  };
  if (!instance) return base;
  const { load, routers, version, announcedAddress } = instance.status;
  return {
    ...base,
    ...(announcedAddress ? { address: announcedAddress } : {}),
    version,
    instanceId: instance.id,
    rooms: new Set(routers.map(({ roomId }) => roomId)).size,
    peers: load.peers,
    consumers: load.consumers,
    cpuPercent: coarse(load.cpuPercent),
  };
}

function poolLoad({ worker, candidates }: WorkerStatusInput): number {
  const { role } = worker.spec;
  const sides = role === 'Both' ? (['Producer', 'Consumer'] as const) : ([role] as const);
  const loads = candidates
    .filter(({ state }) => state === 'Ready')
    .map((node) => loadPercent(node, sides));
  return loads.length === 0 ? 0 : Math.round(loads.reduce((a, b) => a + b, 0) / loads.length);
}

/** Pods that are to come up and say what keeps them from it. */
const obstaclesOf = (nodes: readonly ObservedNode[]): Map<string, Obstacle> =>
  new Map(
    nodes
      .filter(({ pod }) => !isLeaving(pod))
      .flatMap((node): [string, Obstacle][] => {
        const obstacle = findObstacle(node.pod, node);
        return obstacle ? [[node.pod.metadata.name, obstacle]] : [];
      }),
  );

function shapesOf({ worker, nodes, shape }: WorkerStatusInput): PoolFacts['shapes'] {
  if (shape === undefined) return undefined;
  const living = nodes.filter(({ pod }) => !pod.metadata.deletionTimestamp);
  const updated = living.filter(({ pod }) => isUpdated(pod, worker, shape)).length;
  return { updated, outdated: living.length - updated };
}

const distinct = (values: string[]): string[] => [...new Set(values)].sort();

const names = new Intl.Collator('en', { numeric: true });
const byName = (a: ObservedNode, b: ObservedNode): number =>
  names.compare(a.pod.metadata.name, b.pod.metadata.name);

/** The pool's status from what was observed. */
export function buildWorkerStatus(input: WorkerStatusInput): MediaWorkerStatus {
  const { worker, shortage, scaling } = input;
  const { generation, name } = worker.metadata;
  const observed = [...input.nodes].sort(byName);
  const nodes = observed.map((node) => buildNode(node, worker));
  const rooms = new Set(
    observed.flatMap(({ instance }) => instance?.status.routers.map(({ roomId }) => roomId) ?? []),
  );
  const shapes = shapesOf(input);
  const obstacles = obstaclesOf(observed);
  return {
    observedGeneration: generation,
    replicas: nodes.length,
    readyReplicas: nodes.filter(({ state }) => state === 'Ready').length,
    ...(shapes ? { updatedReplicas: shapes.updated } : {}),
    drainingReplicas: nodes.filter(({ state }) => state === 'Draining').length,
    selector: `${poolLabel}=${name}`,
    rooms: rooms.size,
    peers: nodes.reduce((sum, node) => sum + (node.peers ?? 0), 0),
    loadPercent: coarse(poolLoad(input)),
    addresses: distinct(nodes.flatMap(({ address }) => address ?? [])),
    versions: distinct(nodes.flatMap(({ version }) => version ?? [])),
    nodes,
    conditions: buildConditions({ worker, nodes, shortage, obstacles, shapes, scaling }, input.now),
  };
}

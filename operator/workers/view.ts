import { isApiError } from '../../common/errors.ts';
import type { MediaWorker } from '../../common/resources/types.ts';
import { mediaContainerStatus, type KubernetesNode, type Pod } from '../cluster.ts';
import type { OperatorConfig } from '../config.ts';
import type { ObservedNode } from '../nodes/observe.ts';
import { specHash } from './build-pod.ts';
import { foreignPodsOf, podsOf, type PoolContext } from './context.ts';
import { decidePods, type PodsDecision, type PodView, type ReplaceCause } from './decide-pods.ts';
import { drainingSince, ordinalOf, specHashAnnotation } from './labels.ts';
import { blockOf, fitsPool } from './ports.ts';

/** The shape of the pool's pods; undefined while none can be made of its overrides: then nothing is replaced either. */
export function shapeOf(worker: MediaWorker, config: OperatorConfig['pods']): string | undefined {
  try {
    return specHash(worker, config);
  } catch (error) {
    if (isApiError(error, 'invalid_request')) return undefined;
    throw error;
  }
}

/** Whether the pod is one that the pool would make now. */
export function isUpdated(pod: Pod, worker: MediaWorker, shape: string | undefined): boolean {
  if (shape === undefined) return true;
  const block = blockOf(pod);
  const hasShape = pod.metadata.annotations?.[specHashAnnotation] === shape;
  return hasShape && block !== undefined && fitsPool(block, worker);
}

/** What is known of a pod. */
interface PodFacts {
  pod: Pod;
  worker: MediaWorker;
  node: ObservedNode | undefined;
  machine: KubernetesNode | undefined;
  shape: string | undefined;
  /** How long a node must be silent for its pod to be replaced, in milliseconds. */
  replaceAfterMs: number;
}

function replaceCauseOf({ pod, worker, machine, shape }: PodFacts): ReplaceCause | undefined {
  if (!isUpdated(pod, worker, shape)) return 'Outdated';
  return machine?.spec.unschedulable ? 'Cordoned' : undefined;
}

const hasFailed = ({ status }: Pod): boolean =>
  status.phase === 'Failed' || status.phase === 'Succeeded';

/** Rooms leave a dead node at once; its pod stays for a while, since it may come back by itself. */
function giveUpAt({ node, replaceAfterMs }: PodFacts): number | undefined {
  if (node?.state !== 'Dead') return undefined;
  return node.instance ? node.instance.answeredAt + replaceAfterMs : -Infinity;
}

export function viewPod(facts: PodFacts): PodView {
  const { pod } = facts;
  const { name, deletionTimestamp } = pod.metadata;
  return {
    name,
    ordinal: ordinalOf(pod),
    failed: hasFailed(pod),
    giveUpAt: giveUpAt(facts),
    deletedAt: deletionTimestamp === undefined ? undefined : Date.parse(deletionTimestamp),
    drainingSince: drainingSince(pod),
    replace: replaceCauseOf(facts),
    ...viewNode(facts),
  };
}

const wasAsked = (node: ObservedNode | undefined): boolean =>
  node !== undefined && (node.instance !== undefined || node.misses > 0);

function viewNode({
  pod,
  node,
}: PodFacts): Pick<PodView, 'state' | 'runs' | 'unpolled' | 'peers' | 'routers'> {
  const status = node?.instance?.status;
  const runs = mediaContainerStatus(pod)?.state.running !== undefined;
  return {
    state: node?.state ?? 'Pending',
    runs,
    unpolled: runs && !wasAsked(node),
    peers: status?.load.peers ?? 0,
    routers: status?.routers.length ?? 0,
  };
}

function factsOf({ deps, worker }: PoolContext, pod: Pod, shape: string | undefined): PodFacts {
  const { nodeName } = pod.spec;
  return {
    ...{ pod, worker, shape },
    replaceAfterMs: deps.config.nodes.replaceAfterMs,
    node: deps.monitor.get(pod.metadata),
    machine: nodeName === undefined ? undefined : deps.cluster.nodes.get(nodeName),
  };
}

/** Looks at the pool and decides what becomes of its pods. */
export function decide(context: PoolContext): PodsDecision {
  const { deps, worker, ports } = context;
  const { spec, metadata } = worker;
  const { maxSurge } = spec.rollout;
  const shape = shapeOf(worker, deps.config.pods);
  return decidePods({
    replicas: spec.replicas,
    pods: podsOf(context).map((pod) => viewPod(factsOf(context, pod, shape))),
    deleting: metadata.deletionTimestamp !== undefined,
    takenOrdinals: foreignPodsOf(context).map(ordinalOf),
    // Peers who are told to connect anew at the deadline have a moment to do so.
    drainTimeoutMs: spec.drain.timeoutSeconds * 1000 + deps.config.rooms.drainGraceMs,
    deletionTimeoutMs: deps.config.pods.deletionTimeoutMs,
    maxSurge,
    freeBlocks: ports.countFree(worker, spec.replicas + maxSurge),
    now: deps.clock.now(),
  });
}

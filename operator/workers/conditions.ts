import { setCondition } from '../../common/resources/conditions.ts';
import type { Condition, MediaWorker, MediaWorkerNode } from '../../common/resources/types.ts';
import type { ScalingDecision } from './autoscale.ts';
import {
  poolStatusOf,
  type PoolConditionType,
  type PoolReason,
  type ShortageReason,
} from './reasons.ts';
import type { Obstacle } from './stuck.ts';

/** Why pods that are wanted do not exist. */
export interface Shortage {
  reason: ShortageReason;
  message: string;
}

/** What the conditions of a pool are made of. */
export interface PoolFacts {
  worker: MediaWorker;
  nodes: readonly MediaWorkerNode[];
  shortage: Shortage | undefined;
  /** Pods that do not come up, by name. */
  obstacles: ReadonlyMap<string, Obstacle>;
  /** Pods of the present shape, and of another; undefined while no pod can be made of the pool's overrides. */
  shapes: { updated: number; outdated: number } | undefined;
  /** The last decision of the autoscaler, where it acts. */
  scaling: ScalingDecision | undefined;
}

type Fact = Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>;

const factOf = <T extends PoolConditionType>(
  type: T,
  reason: PoolReason<T>,
  message: string,
): Fact => ({ type, status: poolStatusOf(type, reason), reason: reason as string, message });

/** How many pods a message names. */
const namedPods = 3;

const scalingTypes = ['ScalingActive', 'ScalingLimited'];

function describeObstacles(obstacles: PoolFacts['obstacles']): string {
  const named = [...obstacles].slice(0, namedPods);
  const more = obstacles.size - named.length;
  const texts = named.map(([pod, { reason, message }]) => `${pod}: ${reason}: ${message}`);
  return [...texts, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function readyFact({ worker, nodes, shortage, obstacles }: PoolFacts): Fact {
  const { replicas } = worker.spec;
  const ready = nodes.filter(({ state }) => state === 'Ready').length;
  const count = `${ready} of ${replicas} nodes are ready`;
  if (worker.metadata.deletionTimestamp)
    return factOf('Ready', 'Deleting', `${nodes.length} nodes are left`);
  if (ready >= replicas) return factOf('Ready', 'AllNodesReady', count);
  if (shortage) return factOf('Ready', shortage.reason, `${count}; ${shortage.message}`);
  const [first] = obstacles.values();
  if (first) return factOf('Ready', first.reason, `${count}; ${describeObstacles(obstacles)}`);
  const silent = nodes.filter(({ state }) => state === 'Unreachable' || state === 'Dead');
  if (silent.length === 0) return factOf('Ready', 'NodesStarting', count);
  const names = silent.slice(0, namedPods).map(({ podName }) => podName);
  return factOf('Ready', 'NodesUnreachable', `${count}; no answer from ${names.join(', ')}`);
}

const podsFact = ({ shortage }: PoolFacts): Fact =>
  shortage
    ? factOf('PodsCreated', shortage.reason, shortage.message)
    : factOf('PodsCreated', 'PodsExist', 'every pod that is wanted exists');

function updatedFact({ worker, shapes, shortage, obstacles }: PoolFacts): Fact {
  if (!shapes) {
    const message = shortage?.message ?? 'no pod can be made of spec.podTemplate';
    return factOf('Updated', 'InvalidPodTemplate', message);
  }
  const { updated, outdated } = shapes;
  const message = `${updated} of ${worker.spec.replicas} nodes have the shape of the spec`;
  if (outdated === 0) return factOf('Updated', 'AllNodesUpdated', message);
  const progress = `${message}; ${outdated} old ones are left`;
  const details = shortage?.message ?? describeObstacles(obstacles);
  return details
    ? factOf('Updated', 'RolloutStuck', `${progress}; ${details}`)
    : factOf('Updated', 'RollingOut', progress);
}

function scalingFacts({ worker, scaling }: PoolFacts): Fact[] {
  const { autoscaling, replicas } = worker.spec;
  if (!autoscaling) return [];
  if (replicas === 0) return [factOf('ScalingActive', 'ScalingDisabled', 'spec.replicas is 0')];
  if (!scaling)
    return [factOf('ScalingActive', 'NotLookedYet', 'the load has not been looked at yet')];
  return [activeFact(scaling), limitedFact(scaling, autoscaling)];
}

const activeFact = ({ active }: ScalingDecision): Fact =>
  active
    ? factOf('ScalingActive', 'LoadKnown', 'spec.replicas follows the load')
    : factOf('ScalingActive', 'LoadUnknown', 'no node says how loaded it is');

function limitedFact(
  { limit }: ScalingDecision,
  { minReplicas, maxReplicas }: NonNullable<MediaWorker['spec']['autoscaling']>,
): Fact {
  const texts = {
    WithinBounds: `the load asks for ${minReplicas} to ${maxReplicas} nodes`,
    TooManyReplicas: `the load asks for more than spec.autoscaling.maxReplicas ${maxReplicas}`,
    TooFewReplicas: `the load asks for fewer than spec.autoscaling.minReplicas ${minReplicas}`,
  };
  const reason = limit ?? 'WithinBounds';
  return factOf('ScalingLimited', reason, texts[reason]);
}

/** The pool's conditions; those that no longer apply go. */
export function buildConditions(facts: PoolFacts, now: Date): Condition[] {
  const { worker } = facts;
  const scaling = scalingFacts(facts);
  const applies = ({ type }: Condition): boolean =>
    !scalingTypes.includes(type) || scaling.some((fact) => fact.type === type);
  const observedGeneration = worker.metadata.generation;
  return [readyFact(facts), podsFact(facts), updatedFact(facts), ...scaling].reduce<Condition[]>(
    (list, fact) => setCondition(list, { ...fact, observedGeneration }, now),
    (worker.status?.conditions ?? []).filter(applies),
  );
}

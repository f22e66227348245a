import { setCondition } from '../../common/resources/conditions.ts';
import type { Condition, MediaWorker, MediaWorkerNode } from '../../common/resources/types.ts';
import type { ScalingDecision } from './autoscale.ts';
import type { Obstacle } from './stuck.ts';

/** Why pods that are wanted do not exist. */
export interface Shortage {
  /** One CamelCase word. */
  reason: string;
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
  const type = 'Ready';
  const { replicas } = worker.spec;
  const ready = nodes.filter(({ state }) => state === 'Ready').length;
  const count = `${ready} of ${replicas} nodes are ready`;
  const no = (reason: string, message: string): Fact => ({
    type,
    status: 'False',
    reason,
    message,
  });
  if (worker.metadata.deletionTimestamp) return no('Deleting', `${nodes.length} nodes are left`);
  if (ready >= replicas) return { type, status: 'True', reason: 'AllNodesReady', message: count };
  if (shortage) return no(shortage.reason, `${count}; ${shortage.message}`);
  const [first] = obstacles.values();
  if (first) return no(first.reason, `${count}; ${describeObstacles(obstacles)}`);
  const silent = nodes.filter(({ state }) => state === 'Unreachable' || state === 'Dead');
  if (silent.length === 0) return no('NodesStarting', count);
  const names = silent.slice(0, namedPods).map(({ podName }) => podName);
  return no('NodesUnreachable', `${count}; no answer from ${names.join(', ')}`);
}

function podsFact({ shortage }: PoolFacts): Fact {
  const type = 'PodsCreated';
  return shortage
    ? { type, status: 'False', ...shortage }
    : { type, status: 'True', reason: 'PodsExist', message: 'every pod that is wanted exists' };
}

function updatedFact({ worker, shapes, shortage, obstacles }: PoolFacts): Fact {
  const type = 'Updated';
  if (!shapes) {
    const message = shortage?.message ?? 'no pod can be made of spec.podTemplate';
    return { type, status: 'Unknown', reason: 'InvalidPodTemplate', message };
  }
  const { updated, outdated } = shapes;
  const message = `${updated} of ${worker.spec.replicas} nodes have the shape of the spec`;
  if (outdated === 0) return { type, status: 'True', reason: 'AllNodesUpdated', message };
  const progress = `${message}; ${outdated} old ones are left`;
  const details = shortage?.message ?? describeObstacles(obstacles);
  return details
    ? { type, status: 'False', reason: 'RolloutStuck', message: `${progress}; ${details}` }
    : { type, status: 'False', reason: 'RollingOut', message: progress };
}

function scalingFacts({ worker, scaling }: PoolFacts): Fact[] {
  const { autoscaling, replicas } = worker.spec;
  if (!autoscaling) return [];
  if (replicas === 0 || !scaling) {
    const isOff = replicas === 0;
    const reason = isOff ? 'ScalingDisabled' : 'NotLookedYet';
    const message = isOff ? 'spec.replicas is 0' : 'the load has not been looked at yet';
    return [{ type: 'ScalingActive', status: isOff ? 'False' : 'Unknown', reason, message }];
  }
  return [activeFact(scaling), limitedFact(scaling, autoscaling)];
}

const activeFact = ({ active }: ScalingDecision): Fact => ({
  type: 'ScalingActive',
  ...(active
    ? { status: 'True', reason: 'LoadKnown', message: 'spec.replicas follows the load' }
    : { status: 'False', reason: 'LoadUnknown', message: 'no node says how loaded it is' }),
});

function limitedFact(
  { limit }: ScalingDecision,
  { minReplicas, maxReplicas }: NonNullable<MediaWorker['spec']['autoscaling']>,
): Fact {
  const type = 'ScalingLimited';
  if (!limit)
    return {
      ...{ type, status: 'False', reason: 'WithinBounds' },
      message: `the load asks for ${minReplicas} to ${maxReplicas} nodes`,
    };
  const message =
    limit === 'TooManyReplicas'
      ? `the load asks for more than spec.autoscaling.maxReplicas ${maxReplicas}`
      : `the load asks for fewer than spec.autoscaling.minReplicas ${minReplicas}`;
  return { type, status: 'True', reason: limit, message };
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

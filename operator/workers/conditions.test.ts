import { describe, expect, it } from '@jest/globals';

import { findCondition } from '../../common/resources/conditions.ts';
import type {
  Condition,
  MediaWorker,
  MediaWorkerNode,
  MediaWorkerStatus,
} from '../../common/resources/types.ts';
import { validateResource } from '../../common/resources/validate.ts';
import { buildConditions, type PoolFacts } from './conditions.ts';
import { describeTransitions } from './transitions.ts';

const now = new Date('2026-01-01T00:00:00Z');

const makeWorker = (spec: object = {}, metadata: object = {}): MediaWorker => {
  const worker = validateResource({
    apiVersion: 'kube-sfu.dev/v1alpha1',
    kind: 'MediaWorker',
    metadata: { name: 'c', namespace: 'media' },
    spec: { role: 'Consumer', replicas: 2, ...spec },
  }) as MediaWorker;
  return { ...worker, metadata: { ...worker.metadata, generation: 7, ...metadata } };
};
const makeNodes = (...states: MediaWorkerNode['state'][]): MediaWorkerNode[] =>
  states.map((state, i) => ({ podName: `c-${i}`, state }));
const makeFacts = (change: Partial<PoolFacts> = {}): PoolFacts => ({
  worker: makeWorker(),
  nodes: makeNodes('Ready', 'Ready'),
  shortage: undefined,
  obstacles: new Map(),
  shapes: { updated: 2, outdated: 0 },
  scaling: undefined,
  ...change,
});
const autoscaled = (replicas = 2): MediaWorker =>
  makeWorker({ replicas, autoscaling: { maxReplicas: 5, targetCPUPercent: 50 } });

interface Case {
  name: string;
  facts: Partial<PoolFacts>;
  type: string;
  want: Partial<Condition> | undefined;
}

const shortage = { reason: 'Forbidden' as const, message: 'pods are forbidden' };
const pullFailure = { reason: 'ImagePullBackOff' as const, message: 'no such image' };

const cases: Case[] = [
  {
    name: 'ready when every node is',
    facts: {},
    type: 'Ready',
    want: { status: 'True', reason: 'AllNodesReady', message: '2 of 2 nodes are ready' },
  },
  {
    name: 'ready with more nodes than wanted, as during a rollout',
    facts: {
      nodes: makeNodes('Ready', 'Ready', 'Pending'),
      obstacles: new Map([['c-2', pullFailure]]),
    },
    type: 'Ready',
    want: { status: 'True', reason: 'AllNodesReady' },
  },
  {
    name: 'not ready while nodes start',
    facts: { nodes: makeNodes('Ready', 'Pending') },
    type: 'Ready',
    want: { status: 'False', reason: 'NodesStarting', message: '1 of 2 nodes are ready' },
  },
  {
    name: 'not ready while nodes do not answer, with their names',
    facts: { nodes: makeNodes('Ready', 'Unreachable') },
    type: 'Ready',
    want: {
      ...{ status: 'False', reason: 'NodesUnreachable' },
      message: '1 of 2 nodes are ready; no answer from c-1',
    },
  },
  {
    name: 'not ready while pods can not be made, with the reason',
    facts: { nodes: makeNodes('Ready'), shortage },
    type: 'Ready',
    want: {
      ...{ status: 'False', reason: 'Forbidden' },
      message: '1 of 2 nodes are ready; pods are forbidden',
    },
  },
  {
    name: 'not ready while pods do not come up, with the first few of them',
    facts: {
      nodes: makeNodes('Pending', 'Pending'),
      obstacles: new Map(['c-0', 'c-1', 'c-2', 'c-3', 'c-4'].map((name) => [name, pullFailure])),
    },
    type: 'Ready',
    want: {
      ...{ status: 'False', reason: 'ImagePullBackOff' },
      message: `0 of 2 nodes are ready; ${['c-0', 'c-1', 'c-2']
        .map((name) => `${name}: ImagePullBackOff: no such image; `)
        .join('')}and 2 more`,
    },
  },
  {
    name: 'not ready while it is deleted',
    facts: { worker: makeWorker({}, { deletionTimestamp: now.toISOString() }) },
    type: 'Ready',
    want: { status: 'False', reason: 'Deleting', message: '2 nodes are left' },
  },
  {
    name: 'without its pods when they can not be made',
    facts: { shortage },
    type: 'PodsCreated',
    want: { status: 'False', ...shortage },
  },
  {
    name: 'with its pods',
    facts: {},
    type: 'PodsCreated',
    want: { status: 'True', reason: 'PodsExist' },
  },
  {
    name: 'rolling out while old pods are left',
    facts: { shapes: { updated: 1, outdated: 2 } },
    type: 'Updated',
    want: {
      ...{ status: 'False', reason: 'RollingOut' },
      message: '1 of 2 nodes have the shape of the spec; 2 old ones are left',
    },
  },
  {
    name: 'stuck in its rollout while new pods do not come up',
    facts: { shapes: { updated: 1, outdated: 2 }, obstacles: new Map([['c-2', pullFailure]]) },
    type: 'Updated',
    want: {
      ...{ status: 'False', reason: 'RolloutStuck' },
      message:
        '1 of 2 nodes have the shape of the spec; 2 old ones are left; c-2: ImagePullBackOff: no such image',
    },
  },
  {
    name: 'stuck in its rollout while no new pods can be made',
    facts: { shapes: { updated: 0, outdated: 2 }, shortage },
    type: 'Updated',
    want: { status: 'False', reason: 'RolloutStuck' },
  },
  {
    name: 'updated when no old pod is left',
    facts: {},
    type: 'Updated',
    want: { status: 'True', reason: 'AllNodesUpdated' },
  },
  {
    name: 'of no known shape while no pod can be made of its overrides',
    facts: { shapes: undefined, shortage: { reason: 'InvalidPodTemplate', message: 'no' } },
    type: 'Updated',
    want: { status: 'Unknown', reason: 'InvalidPodTemplate', message: 'no' },
  },
  {
    name: 'silent of scaling where it is not wanted',
    facts: {},
    type: 'ScalingActive',
    want: undefined,
  },
  {
    name: 'not scaled when it is to be empty',
    facts: { worker: autoscaled(0) },
    type: 'ScalingActive',
    want: { status: 'False', reason: 'ScalingDisabled' },
  },
  {
    name: 'not scaled before the first look',
    facts: { worker: autoscaled() },
    type: 'ScalingActive',
    want: { status: 'Unknown', reason: 'NotLookedYet' },
  },
  {
    name: 'not scaled while its load is not known',
    facts: {
      worker: autoscaled(),
      scaling: { replicas: 2, limit: undefined, grounds: '', active: false },
    },
    type: 'ScalingActive',
    want: { status: 'False', reason: 'LoadUnknown' },
  },
  {
    name: 'scaled within its bounds',
    facts: {
      worker: autoscaled(),
      scaling: { replicas: 2, limit: undefined, grounds: '', active: true },
    },
    type: 'ScalingLimited',
    want: { status: 'False', reason: 'WithinBounds' },
  },
  {
    name: 'held by a bound',
    facts: {
      worker: autoscaled(),
      scaling: { replicas: 5, limit: 'TooManyReplicas', grounds: '', active: true },
    },
    type: 'ScalingLimited',
    want: {
      ...{ status: 'True', reason: 'TooManyReplicas' },
      message: 'the load asks for more than spec.autoscaling.maxReplicas 5',
    },
  },
];

describe('the conditions of a pool', () => {
  it.each(cases)('show a pool that is $name', ({ facts, type, want }) => {
    const conditions = buildConditions(makeFacts(facts), now);
    const found = findCondition(conditions, type);
    if (want === undefined) expect(found).toBeUndefined();
    else expect(found).toMatchObject({ ...want, observedGeneration: 7 });
  });

  it('keep those that others have set, and lose those that no longer apply', () => {
    const base = { observedGeneration: 6, lastTransitionTime: '', reason: 'X', message: '' };
    const conditions: Condition[] = [
      { ...base, type: 'Approved', status: 'True' },
      { ...base, type: 'ScalingActive', status: 'True' },
    ];
    const worker = { ...makeWorker(), status: { conditions } };
    const types = buildConditions(makeFacts({ worker }), now).map(({ type }) => type);
    expect(types).toEqual(['Approved', 'Ready', 'PodsCreated', 'Updated']);
  });
});

describe('describeTransitions', () => {
  const statusOf = (facts: Partial<PoolFacts>): MediaWorkerStatus => ({
    conditions: buildConditions(makeFacts(facts), now),
  });
  const starting = { nodes: makeNodes('Ready', 'Pending') };
  const told = (before: Partial<PoolFacts> | undefined, after: Partial<PoolFacts>): string[] =>
    describeTransitions(before && statusOf(before), statusOf(after)).map(
      ({ type, reason, action }) => `${type} ${reason} ${action}`,
    );

  it.each([
    { name: 'nothing new', before: {}, after: {}, want: [] },
    { name: 'a new pool that starts', before: undefined, after: starting, want: [] },
    { name: 'a pool that is ready', before: starting, after: {}, want: ['Normal Ready Observe'] },
    { name: 'nodes that start again', before: {}, after: starting, want: [] },
    {
      name: 'nodes that do not answer',
      before: {},
      after: { nodes: makeNodes('Ready', 'Unreachable') },
      want: ['Warning NodesUnreachable Observe'],
    },
    {
      name: 'pods that can not be made, once',
      before: starting,
      after: { ...starting, shortage },
      want: ['Warning Forbidden CreatePods'],
    },
    {
      name: 'pods that still can not be made',
      before: { ...starting, shortage },
      after: { ...starting, shortage },
      want: [],
    },
    {
      name: 'pods that can not be made while enough others serve',
      before: {},
      after: { shortage },
      want: ['Warning Forbidden CreatePods'],
    },
    {
      name: 'pods that do not come up',
      before: starting,
      after: { ...starting, obstacles: new Map([['c-1', pullFailure]]) },
      want: ['Warning ImagePullBackOff Observe'],
    },
    {
      name: 'a rollout that begins',
      before: {},
      after: { shapes: { updated: 0, outdated: 2 } },
      want: ['Normal RolloutStarted Rollout'],
    },
    {
      name: 'a rollout that goes on',
      before: { shapes: { updated: 0, outdated: 2 } },
      after: { shapes: { updated: 1, outdated: 1 } },
      want: [],
    },
    {
      name: 'a rollout that is stuck',
      before: { shapes: { updated: 1, outdated: 1 } },
      after: { shapes: { updated: 1, outdated: 1 }, obstacles: new Map([['c-2', pullFailure]]) },
      want: ['Warning RolloutStuck Rollout'],
    },
    {
      name: 'a rollout that ends',
      before: { shapes: { updated: 1, outdated: 1 } },
      after: {},
      want: ['Normal RolloutFinished Rollout'],
    },
  ])('tells of $name', ({ before, after, want }) => {
    expect(told(before, after)).toEqual(want);
  });
});

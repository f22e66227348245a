import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { NodeState } from '../placement/types.ts';
import { decidePods, type PodsDecision, type PodsRequest, type PodView } from './decide-pods.ts';

const makePod = (ordinal: number, change: Partial<PodView> = {}): PodView => ({
  name: `pool-${ordinal}`,
  ordinal,
  state: 'Ready',
  runs: true,
  unpolled: false,
  failed: false,
  giveUpAt: undefined,
  deletedAt: undefined,
  drainingSince: undefined,
  replace: undefined,
  peers: 0,
  routers: 0,
  ...change,
});
const makeRequest = (change: Partial<PodsRequest> = {}): PodsRequest => ({
  replicas: 2,
  pods: [],
  deleting: false,
  drainTimeoutMs: 1000,
  takenOrdinals: [],
  deletionTimeoutMs: 5000,
  maxSurge: 1,
  freeBlocks: 10,
  now: 10_000,
  ...change,
});

interface Case {
  name: string;
  request: Partial<PodsRequest>;
  wantCreate?: number[];
  wantDrain?: string[];
  wantRemove?: string[];
  wantAbandon?: string[];
}

const cases: Case[] = [
  { name: 'make every pod of a new pool', request: {}, wantCreate: [0, 1] },
  { name: 'do nothing when all is as wanted', request: { pods: [makePod(0), makePod(1)] } },
  { name: 'use the smallest free number', request: { pods: [makePod(1)] }, wantCreate: [0] },
  {
    name: 'not use the number of a pod that is still ending',
    request: { pods: [makePod(0, { deletedAt: 9_000 }), makePod(2)] },
    wantCreate: [1],
  },
  {
    name: 'drain the emptiest when there are too many',
    request: {
      pods: [makePod(0, { peers: 2 }), makePod(1, { peers: 1 }), makePod(2, { peers: 3 })],
    },
    wantDrain: ['pool-1 ScaledDown'],
  },
  {
    name: 'drain the newest of equals',
    request: { pods: [makePod(0), makePod(1), makePod(2)] },
    wantDrain: ['pool-2 ScaledDown'],
  },
  {
    name: 'drain one that does not serve before one that does',
    request: { pods: [makePod(0, { state: 'Pending' }), makePod(1), makePod(2)] },
    wantDrain: ['pool-0 ScaledDown'],
  },
  {
    name: 'remove a drained pod',
    request: {
      pods: [makePod(0), makePod(1), makePod(2, { state: 'Draining', drainingSince: 9_900 })],
    },
    wantRemove: ['pool-2 Drained'],
  },
  {
    name: 'keep a draining pod that has peers',
    request: {
      pods: [
        makePod(0),
        makePod(1),
        makePod(2, { state: 'Draining', drainingSince: 9_900, peers: 1 }),
      ],
    },
  },
  {
    name: 'keep a pod that has not heard of its drain yet',
    request: { pods: [makePod(0), makePod(1), makePod(2, { drainingSince: 9_900 })] },
  },
  {
    name: 'remove a draining pod with its peers when its time is over',
    request: {
      pods: [
        makePod(0),
        makePod(1),
        makePod(2, { state: 'Draining', drainingSince: 9_000, peers: 1 }),
      ],
    },
    wantRemove: ['pool-2 DrainTimedOut'],
  },
  {
    name: 'remove a failed pod and make another',
    request: { pods: [makePod(0, { failed: true }), makePod(1)] },
    wantRemove: ['pool-0 Failed'],
    wantCreate: [2],
  },
  {
    name: 'drain everything of a deleted pool and make nothing',
    request: { deleting: true, pods: [makePod(0)] },
    wantDrain: ['pool-0 PoolDeleted'],
  },
  {
    name: 'make one pod more while pods of an old shape are replaced',
    request: { pods: [makePod(0, { replace: 'Outdated' }), makePod(1, { replace: 'Outdated' })] },
    wantCreate: [2],
  },
  {
    name: 'let no old pod go before the new one serves',
    request: {
      pods: [
        makePod(0, { replace: 'Outdated' }),
        makePod(1, { replace: 'Outdated' }),
        makePod(2, { state: 'Pending' }),
      ],
    },
  },
  {
    name: 'drain the emptiest old pod once the new one serves',
    request: {
      pods: [
        makePod(0, { replace: 'Outdated' }),
        makePod(1, { replace: 'Outdated', peers: 1 }),
        makePod(2, { peers: 9 }),
      ],
    },
    wantDrain: ['pool-0 Outdated'],
  },
  {
    name: 'drain an old pod first where there are no ports for one more',
    request: {
      freeBlocks: 0,
      pods: [makePod(0, { replace: 'Outdated' }), makePod(1, { replace: 'Outdated' })],
    },
    wantDrain: ['pool-1 Outdated'],
  },
  {
    name: 'replace a pod whose node is dead',
    request: { pods: [makePod(0, { giveUpAt: 10_000, state: 'Dead' }), makePod(1)] },
    wantRemove: ['pool-0 Dead'],
    wantCreate: [2],
  },
  {
    name: 'replace a pod that somebody deleted at once, and wait for its end',
    request: { pods: [makePod(0, { deletedAt: 9_000 }), makePod(1)] },
    wantCreate: [2],
  },
  {
    name: 'give up a deleted pod that does not end in time',
    request: { pods: [makePod(0), makePod(1), makePod(2, { deletedAt: 5_000 })] },
    wantAbandon: ['pool-2'],
  },
  {
    name: 'give up a deleted pod of a deleted pool too',
    request: { deleting: true, pods: [makePod(2, { deletedAt: 5_000 })] },
    wantAbandon: ['pool-2'],
  },
  {
    name: 'not use names that others have',
    request: { pods: [makePod(1)], takenOrdinals: [0] },
    wantCreate: [2],
  },
  {
    name: 'let the pod of a node that drains by itself go, and make another',
    request: { pods: [makePod(0), makePod(1, { state: 'Draining' })] },
    wantDrain: ['pool-1 NodeDrains'],
    wantCreate: [2],
  },
  {
    name: 'replace a pod on a cordoned machine: first the new one',
    request: { pods: [makePod(0, { replace: 'Cordoned' }), makePod(1)] },
    wantCreate: [2],
  },
  {
    name: 'replace a pod on a cordoned machine: then it drains',
    request: { pods: [makePod(0, { replace: 'Cordoned', peers: 9 }), makePod(1), makePod(2)] },
    wantDrain: ['pool-0 Cordoned'],
  },
  {
    name: 'make as many pods more as the surge allows',
    request: {
      replicas: 3,
      maxSurge: 2,
      pods: [0, 1, 2].map((i) => makePod(i, { replace: 'Outdated' })),
    },
    wantCreate: [3, 4],
  },
  {
    name: 'not make more pods than there are to replace',
    request: { maxSurge: 9, pods: [makePod(0, { replace: 'Outdated' }), makePod(1)] },
    wantCreate: [2],
  },
  {
    name: 'not make more pods than there are ports for',
    request: {
      ...{ replicas: 3, maxSurge: 3, freeBlocks: 1 },
      pods: [0, 1, 2].map((i) => makePod(i, { replace: 'Outdated' })),
    },
    wantCreate: [3],
  },
  {
    name: 'count pods that still drain as part of the surge',
    request: {
      pods: [
        makePod(0, { replace: 'Outdated' }),
        makePod(1, { state: 'Draining', drainingSince: 9_900, peers: 1 }),
        makePod(2),
      ],
    },
  },
  {
    name: 'make a missing pod although others still drain',
    request: {
      pods: [
        makePod(0, { replace: 'Outdated' }),
        makePod(1, { state: 'Draining', drainingSince: 9_900, peers: 1 }),
      ],
    },
    wantCreate: [2],
  },
  {
    name: 'drain an old pod that can not start without waiting for its successor',
    request: {
      replicas: 1,
      pods: [
        makePod(0, { replace: 'Outdated', state: 'Pending' }),
        makePod(1, { state: 'Pending' }),
      ],
    },
    wantDrain: ['pool-0 Outdated'],
  },
  {
    name: 'keep the new pod that starts while the old one serves',
    request: {
      replicas: 1,
      pods: [makePod(0, { replace: 'Outdated', peers: 9 }), makePod(1, { state: 'Pending' })],
    },
  },
  {
    name: 'go down during a rollout by old pods that the pool can do without',
    request: {
      replicas: 1,
      pods: [
        makePod(0, { replace: 'Outdated', peers: 1 }),
        makePod(1, { replace: 'Outdated' }),
        makePod(2, { state: 'Pending' }),
      ],
    },
    wantDrain: ['pool-1 Outdated'],
  },
  {
    name: 'wait for ports that are about to be free before an old pod goes without a successor',
    request: {
      freeBlocks: 0,
      pods: [makePod(0, { replace: 'Outdated' }), makePod(1), makePod(2, { deletedAt: 9_000 })],
    },
  },
  {
    name: 'count the ports of a pod that is removed now among those',
    request: {
      freeBlocks: 0,
      pods: [makePod(0, { replace: 'Outdated' }), makePod(1), makePod(2, { drainingSince: 9_000 })],
    },
    wantRemove: ['pool-2 DrainTimedOut'],
  },
  {
    name: 'let nobody go in turn while the last successor starts',
    request: {
      freeBlocks: 0,
      pods: [makePod(0, { replace: 'Outdated' }), makePod(1, { state: 'Pending' })],
    },
  },
  {
    name: 'remove a draining pod whose process never ran at once',
    request: {
      pods: [
        ...[makePod(0), makePod(1)],
        makePod(2, { state: 'Pending', runs: false, drainingSince: 9_900 }),
      ],
    },
    wantRemove: ['pool-2 Drained'],
  },
  {
    name: 'keep a draining pod whose process runs and was not asked yet',
    request: {
      pods: [
        ...[makePod(0), makePod(1)],
        makePod(2, { state: 'Pending', unpolled: true, drainingSince: 9_900 }),
      ],
    },
  },
  {
    name: 'choose nobody to go before all were asked how full they are',
    request: {
      pods: [
        makePod(0, { peers: 1 }),
        makePod(1, { state: 'Pending', unpolled: true }),
        makePod(2),
      ],
    },
  },
  {
    name: 'replace nothing in a pool that is to be empty',
    request: { replicas: 0, pods: [makePod(0, { replace: 'Outdated' })] },
    wantDrain: ['pool-0 Outdated'],
  },
];

describe('decidePods', () => {
  it.each(cases)('should $name', ({ request, wantCreate, wantDrain, wantRemove, wantAbandon }) => {
    const decision = decidePods(makeRequest(request));
    const label = ({ name, cause }: { name: string; cause: string }): string => `${name} ${cause}`;
    expect(decision.create).toEqual(wantCreate ?? []);
    expect(decision.drain.map(label)).toEqual(wantDrain ?? []);
    expect(decision.remove.map(label)).toEqual(wantRemove ?? []);
    expect(decision.abandon).toEqual(wantAbandon ?? []);
  });

  it.each([
    { name: 'nothing runs out', pods: [makePod(0), makePod(1)], want: undefined },
    {
      name: 'a drain runs',
      pods: [makePod(0), makePod(1, { drainingSince: 9_900, peers: 1 })],
      want: 10_900,
    },
    {
      name: 'a deleted pod ends',
      pods: [makePod(0, { deletedAt: 9_000 }), makePod(1, { drainingSince: 9_900, peers: 1 })],
      want: 10_900,
    },
    { name: 'only a deleted pod ends', pods: [makePod(0, { deletedAt: 9_000 })], want: 14_000 },
  ])('says when to look again: $name', ({ pods, want }) => {
    expect(decidePods(makeRequest({ pods })).nextDeadline).toBe(want);
  });

  it('comes to the wanted pods from any start, within the surge and never below what served', () => {
    const anyPod = fc.record({
      state: fc.constantFrom<NodeState>('Pending', 'Ready', 'Draining', 'Unreachable'),
      failed: fc.constantFrom(false, false, false, true),
      giveUpAt: fc.constantFrom(undefined, undefined, 9_000, 11_000),
      replace: fc.constantFrom<PodView['replace']>(undefined, 'Outdated', 'Cordoned'),
      peers: fc.integer({ min: 0, max: 3 }),
      drainingSince: fc.constantFrom(undefined, undefined, 9_500),
      deletedAt: fc.constantFrom(undefined, undefined, 9_500),
    });
    const anyPool = fc.record({
      replicas: fc.integer({ min: 0, max: 5 }),
      maxSurge: fc.integer({ min: 1, max: 3 }),
      spareBlocks: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(
        fc.array(anyPod, { maxLength: 6 }),
        anyPool,
        (specs, { replicas, maxSurge, spareBlocks }) => {
          let pods = specs.map((spec, i) =>
            makePod(i, spec.giveUpAt === undefined ? spec : { ...spec, state: 'Dead' }),
          );
          const blocks = Math.max(pods.length, replicas + spareBlocks);
          let now = 10_000;
          for (let round = 0; round < 120; round++) {
            const freeBlocks = blocks - pods.length;
            const decision = decidePods(makeRequest({ replicas, maxSurge, freeBlocks, pods, now }));
            const serving = countServing(pods);
            const created = decision.create.slice(0, freeBlocks);
            const { active, draining } = countStaying(pods, decision);
            if (created.length > 0)
              expect(active + created.length).toBeLessThanOrEqual(
                replicas + Math.max(0, maxSurge - draining),
              );
            pods = afterRound(pods, decision, now);
            // A drain never takes what the pool needs, unless there are no ports to do without it.
            const lost = decision.drain.length;
            if (blocks > replicas + maxSurge && lost > 0)
              expect(countServing(pods)).toBeGreaterThanOrEqual(Math.min(serving, replicas));
            pods.push(...created.map((ordinal) => makePod(ordinal, { state: 'Pending' })));
            now += 300;
          }
          expect(pods.filter(({ drainingSince }) => drainingSince === undefined)).toHaveLength(
            replicas,
          );
          expect(pods).toHaveLength(replicas);
          expect(
            pods.filter(({ replace, failed, giveUpAt }) => replace ?? (failed || giveUpAt)),
          ).toEqual([]);
        },
      ),
      { numRuns: 400 },
    );
  });
});

const countServing = (pods: readonly PodView[]): number =>
  pods.filter(
    ({ state, deletedAt, drainingSince, failed }) =>
      state === 'Ready' && deletedAt === undefined && drainingSince === undefined && !failed,
  ).length;

function countStaying(
  pods: readonly PodView[],
  { remove }: PodsDecision,
): { active: number; draining: number } {
  const removed = new Set(remove.map(({ name }) => name));
  const staying = pods.filter(
    ({ name, deletedAt }) => deletedAt === undefined && !removed.has(name),
  );
  const draining = staying.filter(
    ({ state, drainingSince }) => drainingSince !== undefined || state === 'Draining',
  ).length;
  return { active: staying.length - draining, draining };
}

/** Deleted pods go in the next round, nodes start and hear of their drain; peers never leave by themselves. */
function afterRound(pods: PodView[], decision: PodsDecision, now: number): PodView[] {
  const gone = new Set(decision.remove.map(({ name }) => name));
  const drained = new Set(decision.drain.map(({ name }) => name));
  return pods
    .filter(({ deletedAt }) => deletedAt === undefined)
    .map((pod) => ({
      ...pod,
      deletedAt: gone.has(pod.name) ? now : undefined,
      drainingSince: pod.drainingSince ?? (drained.has(pod.name) ? now : undefined),
    }))
    .map((pod) => ({
      ...pod,
      state: pod.drainingSince === undefined && pod.state !== 'Draining' ? 'Ready' : 'Draining',
    }));
}

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { decidePods, type PodsRequest, type PodView } from './decide-pods.ts';

const makePod = (ordinal: number, change: Partial<PodView> = {}): PodView => ({
  name: `pool-${ordinal}`,
  ordinal,
  state: 'Ready',
  failed: false,
  terminating: false,
  drainingSince: undefined,
  outdated: false,
  peers: 0,
  routers: 0,
  ...change,
});
const makeRequest = (change: Partial<PodsRequest> = {}): PodsRequest => ({
  replicas: 2,
  pods: [],
  deleting: false,
  drainTimeoutMs: 1000,
  canSurge: true,
  now: 10_000,
  ...change,
});

interface Case {
  name: string;
  request: Partial<PodsRequest>;
  wantCreate?: number[];
  wantDrain?: string[];
  wantRemove?: string[];
}

const cases: Case[] = [
  { name: 'make every pod of a new pool', request: {}, wantCreate: [0, 1] },
  { name: 'do nothing when all is as wanted', request: { pods: [makePod(0), makePod(1)] } },
  { name: 'use the smallest free number', request: { pods: [makePod(1)] }, wantCreate: [0] },
  {
    name: 'not use the number of a pod that is still ending',
    request: { pods: [makePod(0, { terminating: true }), makePod(2)] },
    wantCreate: [1],
  },
  {
    name: 'drain the emptiest when there are too many',
    request: {
      pods: [makePod(0, { peers: 2 }), makePod(1, { peers: 1 }), makePod(2, { peers: 3 })],
    },
    wantDrain: ['pool-1'],
  },
  {
    name: 'drain the newest of equals',
    request: { pods: [makePod(0), makePod(1), makePod(2)] },
    wantDrain: ['pool-2'],
  },
  {
    name: 'drain one that does not serve before one that does',
    request: { pods: [makePod(0, { state: 'Pending' }), makePod(1), makePod(2)] },
    wantDrain: ['pool-0'],
  },
  {
    name: 'remove a drained pod',
    request: {
      pods: [makePod(0), makePod(1), makePod(2, { state: 'Draining', drainingSince: 9_900 })],
    },
    wantRemove: ['pool-2'],
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
    wantRemove: ['pool-2'],
  },
  {
    name: 'remove a failed pod and make another',
    request: { pods: [makePod(0, { failed: true }), makePod(1)] },
    wantRemove: ['pool-0'],
    wantCreate: [2],
  },
  {
    name: 'drain everything of a deleted pool and make nothing',
    request: { deleting: true, pods: [makePod(0)] },
    wantDrain: ['pool-0'],
  },
  {
    name: 'make one pod more while pods of an old shape are replaced',
    request: { pods: [makePod(0, { outdated: true }), makePod(1, { outdated: true })] },
    wantCreate: [2],
  },
  {
    name: 'let no old pod go before the new one serves',
    request: {
      pods: [
        makePod(0, { outdated: true }),
        makePod(1, { outdated: true }),
        makePod(2, { state: 'Pending' }),
      ],
    },
  },
  {
    name: 'drain the emptiest old pod once the new one serves',
    request: {
      pods: [
        makePod(0, { outdated: true }),
        makePod(1, { outdated: true, peers: 1 }),
        makePod(2, { peers: 9 }),
      ],
    },
    wantDrain: ['pool-0'],
  },
  {
    name: 'drain an old pod first where there are no ports for one more',
    request: {
      canSurge: false,
      pods: [makePod(0, { outdated: true }), makePod(1, { outdated: true })],
    },
    wantDrain: ['pool-1'],
  },
];

describe('decidePods', () => {
  it.each(cases)('should $name', ({ request, wantCreate, wantDrain, wantRemove }) => {
    const decision = decidePods(makeRequest(request));
    expect(decision.create).toEqual(wantCreate ?? []);
    expect(decision.drain).toEqual(wantDrain ?? []);
    expect(decision.remove.map(({ name }) => name)).toEqual(wantRemove ?? []);
  });

  it('comes to the wanted pods from any start, when what it decides is done', () => {
    const anyPod = fc.record({
      state: fc.constantFrom('Pending' as const, 'Ready' as const, 'Draining' as const),
      failed: fc.boolean(),
      outdated: fc.boolean(),
      peers: fc.integer({ min: 0, max: 3 }),
      drainingSince: fc.constantFrom(undefined, 9_500),
    });
    fc.assert(
      fc.property(
        fc.array(anyPod, { maxLength: 6 }),
        fc.integer({ min: 0, max: 5 }),
        fc.boolean(),
        (specs, replicas, canSurge) => {
          let pods = specs.map((spec, i) => makePod(i, spec));
          let now = 10_000;
          for (let round = 0; round < 40; round++) {
            const decision = decidePods(makeRequest({ replicas, pods, canSurge, now }));
            const gone = new Set(decision.remove.map(({ name }) => name));
            pods = pods
              .filter(({ name }) => !gone.has(name))
              .map((pod) => ({
                ...pod,
                drainingSince:
                  pod.drainingSince ?? (decision.drain.includes(pod.name) ? now : undefined),
              }))
              // Nodes start, and hear of their drain; peers never leave by themselves.
              .map((pod) => ({
                ...pod,
                state:
                  pod.drainingSince === undefined && pod.state !== 'Draining'
                    ? 'Ready'
                    : 'Draining',
              }));
            pods.push(...decision.create.map((ordinal) => makePod(ordinal, { state: 'Pending' })));
            now += 300;
          }
          const active = pods.filter(({ drainingSince }) => drainingSince === undefined);
          expect(active).toHaveLength(replicas);
          expect(pods).toHaveLength(replicas);
          expect(pods.some(({ failed }) => failed)).toBe(false);
          const stuckOutdated = pods.filter(({ outdated, state }) => outdated && state === 'Ready');
          expect(stuckOutdated).toEqual([]);
        },
      ),
    );
  });
});

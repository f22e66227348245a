import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import { ApiError } from '../../common/errors.ts';
import { FakeClock } from '../../testing/fake-clock.ts';
import type { ObservedNode } from '../nodes/observe.ts';
import { InstanceAudit, findEnded } from './audit.ts';
import { InstanceSweeper } from './sweeper.ts';

const logger = pino({ level: 'silent' });

function makeSweeper() {
  const clock = new FakeClock();
  const removed: string[][] = [];
  const store = { away: false };
  const registry = {
    listInstances: () =>
      store.away
        ? Promise.reject(new ApiError('store_unavailable', 'away'))
        : Promise.resolve([{ instanceId: 'old', podName: 'c-0' }]),
    removeInstances: (ids: string[]) => {
      if (store.away) return Promise.reject(new ApiError('store_unavailable', 'away'));
      removed.push(ids);
      return Promise.resolve();
    },
  };
  const backoff = { initialMs: 100, maxMs: 400 };
  const sweeper = new InstanceSweeper({ registry, backoff, clock, logger });
  return { sweeper, registry, clock, removed, store };
}

describe('InstanceSweeper', () => {
  it('removes an instance, and those that end meanwhile in one go', async () => {
    const { sweeper, clock, removed } = makeSweeper();
    for (const id of ['a', 'b', 'c', 'b']) sweeper.remove(id);
    await clock.advance(0);
    expect(removed).toEqual([['a'], ['b', 'c']]);
    expect(sweeper.pending).toBe(0);
  });

  it('keeps trying while the store is away, with a back-off, and forgets nothing', async () => {
    const { sweeper, clock, removed, store } = makeSweeper();
    store.away = true;
    sweeper.remove('a');
    await clock.advance(250);
    sweeper.remove('b');
    expect(sweeper.pending).toBe(2);
    store.away = false;
    await clock.advance(400);
    expect(removed).toEqual([['a', 'b']]);
    expect(clock.pending).toBe(0);
    await sweeper.close();
  });

  it('gives up nothing but its timer when it is closed', async () => {
    const { sweeper, clock, store } = makeSweeper();
    store.away = true;
    sweeper.remove('a');
    await clock.advance(0);
    await sweeper.close();
    expect(clock.pending).toBe(0);
  });
});

const observed = (podName: string, id: string | undefined, answeredAt = 0): ObservedNode =>
  ({
    pod: { metadata: { name: podName } },
    instance: id === undefined ? undefined : { id, answeredAt },
  }) as unknown as ObservedNode;

describe('findEnded', () => {
  const listing = { at: 100, rows: [{ instanceId: 'old', podName: 'c-0' }] };
  it.each([
    { name: 'an instance whose pod is gone', nodes: [observed('c-1', 'x', 200)], want: ['old'] },
    {
      name: 'an instance that another has followed',
      nodes: [observed('c-0', 'new', 200)],
      want: ['old'],
    },
    {
      name: 'nothing on an answer from before the listing',
      nodes: [observed('c-0', 'new', 50)],
      want: [],
    },
    {
      name: 'nothing on a pod that has not answered',
      nodes: [observed('c-0', undefined)],
      want: [],
    },
    { name: 'no instance that answers', nodes: [observed('c-0', 'old', 200)], want: [] },
  ])('finds $name', ({ nodes, want }) => {
    expect(findEnded(listing, nodes)).toEqual(want);
  });
});

describe('InstanceAudit', () => {
  it('removes what an earlier operator left behind, one interval after it was listed', async () => {
    const { sweeper, registry, clock, removed } = makeSweeper();
    const audit = new InstanceAudit({
      ...{ registry, sweeper, clock, logger },
      intervalMs: 1000,
      nodes: () => [],
    });
    audit.start();
    await clock.advance(999);
    expect(removed).toEqual([]);
    await clock.advance(1);
    expect(removed).toEqual([['old']]);
    await audit.close();
    expect(clock.pending).toBe(0);
  });

  it('waits for a store that is away', async () => {
    const { sweeper, registry, clock, removed, store } = makeSweeper();
    store.away = true;
    const audit = new InstanceAudit({
      ...{ registry, sweeper, clock, logger },
      intervalMs: 1000,
      nodes: () => [],
    });
    audit.start();
    await clock.advance(3000);
    store.away = false;
    await clock.advance(2000);
    expect(removed).toEqual([['old']]);
    await audit.close();
  });
});

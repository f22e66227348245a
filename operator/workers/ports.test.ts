import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { validateResource } from '../../common/resources/validate.ts';
import type { MediaWorker } from '../../common/resources/types.ts';
import type { Pod } from '../cluster.ts';
import { portsAnnotation } from './labels.ts';
import {
  allocateBlock,
  apiPortOf,
  blockOf,
  blockSize,
  countBlocks,
  fitsPool,
  formatBlock,
  mediaBlockOf,
  PortAllocator,
  type CreateOutcome,
  type PortBlock,
} from './ports.ts';

const makePool = (workersPerNode: number, mode = 'HostPort', range = [20000, 20011]): MediaWorker =>
  validateResource({
    apiVersion: 'kube-sfu.dev/v1alpha1',
    kind: 'MediaWorker',
    metadata: { name: 'pool', namespace: 'media' },
    spec: {
      role: 'Both',
      workersPerNode,
      network: { mode, portRange: { start: range[0], end: range[1] } },
    },
  }) as MediaWorker;

const makePod = (name: string, block: PortBlock): Pod =>
  ({
    metadata: {
      ...{ name, namespace: 'media' },
      annotations: { [portsAnnotation]: formatBlock(block) },
    },
  }) as unknown as Pod;

const anyBlock = fc
  .record({ start: fc.integer({ min: 0, max: 60 }), size: fc.integer({ min: 1, max: 8 }) })
  .map(({ start, size }): PortBlock => ({ start, end: start + size - 1 }));

describe('countBlocks', () => {
  it('counts as many as can be allocated one after the other', () => {
    fc.assert(
      fc.property(
        fc.array(anyBlock, { maxLength: 10 }),
        fc.integer({ min: 1, max: 6 }),
        (taken, size) => {
          const range = { start: 10, end: 50 };
          const held = [...taken];
          let count = 0;
          for (let next = allocateBlock(range, size, held); next; count++) {
            held.push(next);
            next = allocateBlock(range, size, held);
          }
          expect(countBlocks(range, size, taken)).toBe(count);
        },
      ),
    );
  });
});

describe('allocateBlock', () => {
  it('takes the first ports in a row that nobody holds', () => {
    const range = { start: 100, end: 109 };
    expect(allocateBlock(range, 3, [])).toEqual({ start: 100, end: 102 });
    expect(allocateBlock(range, 3, [{ start: 101, end: 102 }])).toEqual({ start: 103, end: 105 });
    expect(allocateBlock(range, 1, [{ start: 101, end: 102 }])).toEqual({ start: 100, end: 100 });
    expect(allocateBlock(range, 10, [])).toEqual({ start: 100, end: 109 });
    expect(allocateBlock(range, 11, [])).toBeUndefined();
    expect(allocateBlock(range, 10, [{ start: 90, end: 99 }])).toEqual({ start: 100, end: 109 });
  });

  it('for any taken blocks gives a free block in the range, and none only when there is none', () => {
    fc.assert(
      fc.property(
        fc.array(anyBlock, { maxLength: 10 }),
        fc.integer({ min: 1, max: 6 }),
        (taken, size) => {
          const range = { start: 10, end: 50 };
          const isFree = (port: number): boolean =>
            taken.every(({ start, end }) => port < start || port > end);
          const fits = (start: number): boolean =>
            start + size - 1 <= range.end &&
            Array.from({ length: size }, (_, i) => start + i).every(isFree);
          const block = allocateBlock(range, size, taken);
          const first = Array.from({ length: 41 }, (_, i) => 10 + i).find(fits);
          expect(block?.start).toBe(first);
          if (block) expect(block.end - block.start + 1).toBe(size);
        },
      ),
    );
  });
});

describe('a block', () => {
  it('has a port for each worker, and one for the API where pods share the network of their machine', () => {
    const block = { start: 100, end: 102 };
    expect(blockSize(makePool(2))).toBe(2);
    expect(blockSize(makePool(2, 'PodIP'))).toBe(2);
    expect(blockSize(makePool(2, 'HostNetwork'))).toBe(3);
    expect(mediaBlockOf('HostNetwork', block)).toEqual({ start: 100, end: 101 });
    expect(mediaBlockOf('HostPort', block)).toEqual(block);
    expect(apiPortOf('HostNetwork', block, 7000)).toBe(102);
    expect(apiPortOf('HostPort', block, 7000)).toBe(7000);
  });

  it.each([
    { block: { start: 20000, end: 20001 }, want: true },
    { block: { start: 20010, end: 20011 }, want: true },
    { block: { start: 20011, end: 20012 }, want: false },
    { block: { start: 19999, end: 20000 }, want: false },
    { block: { start: 20000, end: 20002 }, want: false },
  ])('of $block.start-$block.end fits the pool: $want', ({ block, want }) => {
    expect(fitsPool(block, makePool(2))).toBe(want);
  });
});

describe('PortAllocator', () => {
  const setUp = () => {
    const pods = new Map<string, Pod>();
    const clock = { time: 0, now: () => clock.time };
    const allocator = new PortAllocator({
      pods: { list: () => [...pods.values()] },
      clock: { now: clock.now, schedule: () => () => undefined },
      reservationMs: 1000,
    });
    return { pods, clock, allocator };
  };
  const key = (name: string) => ({ namespace: 'media', name });

  it('gives two pods that are made at the same time different blocks', () => {
    const { allocator } = setUp();
    expect(allocator.reserve(key('a'), makePool(2))).toEqual({ start: 20000, end: 20001 });
    expect(allocator.reserve(key('b'), makePool(2))).toEqual({ start: 20002, end: 20003 });
    expect(allocator.countFree(makePool(2), 10)).toBe(4);
    expect(allocator.countFree(makePool(2), 3)).toBe(3);
    expect(allocator.countFree(makePool(5), 10)).toBe(1);
  });

  it('gives a pod that is tried again the same block, and another when its size has changed', () => {
    const { allocator } = setUp();
    const first = allocator.reserve(key('a'), makePool(2))!;
    allocator.settle(key('a'), { block: first, outcome: 'Unknown' });
    expect(allocator.reserve(key('a'), makePool(2))).toEqual(first);
    expect(allocator.reserve(key('a'), makePool(3))).toEqual({ start: 20002, end: 20004 });
  });

  it('keeps the block of a pod that may exist through a later refusal, for a bounded time', () => {
    const { allocator, clock } = setUp();
    const block = allocator.reserve(key('a'), makePool(2))!;
    allocator.settle(key('a'), { block, outcome: 'Unknown' });
    allocator.settle(key('a'), { block, outcome: 'Refused' });
    expect(allocator.countFree(makePool(2), 10)).toBe(5);
    clock.time = 1000;
    expect(allocator.countFree(makePool(2), 10)).toBe(6);
    expect(allocator.reserved).toBe(0);
  });

  it('under any sequence of attempts, ends and late news gives no two pods one port, and leaks none', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const step = fc.oneof(
      fc.record({
        do: fc.constant('create' as const),
        name,
        workers: fc.constantFrom(2, 3),
        outcome: fc.constantFrom<CreateOutcome>('Created', 'Refused', 'Unknown'),
        // Without an answer the pod may have been made or not.
        made: fc.boolean(),
      }),
      fc.record({ do: fc.constant('delete' as const), name }),
      fc.record({ do: fc.constant('news' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { pods: cache, clock, allocator } = setUp();
        const world = new Map<string, Pod>();
        const news: (() => void)[] = [];
        const tell = (pod: Pod, exists: boolean): void => {
          news.push(() => {
            if (exists) cache.set(pod.metadata.name, pod);
            else cache.delete(pod.metadata.name);
            allocator.see(pod);
          });
        };
        const create = (of: Extract<(typeof steps)[number], { do: 'create' }>): void => {
          // Nobody makes a pod whose name the cache still has.
          if (cache.has(of.name)) return;
          const block = allocator.reserve(key(of.name), makePool(of.workers));
          if (!block) return;
          const isTaken = world.has(of.name);
          const exists = of.outcome === 'Created' || (of.outcome === 'Unknown' && of.made);
          if (exists && !isTaken) {
            const pod = makePod(of.name, block);
            world.set(of.name, pod);
            tell(pod, true);
          }
          allocator.settle(key(of.name), { block, outcome: isTaken ? 'Unknown' : of.outcome });
        };
        for (const current of steps) {
          clock.time += 1;
          if (current.do === 'create') create(current);
          else if (current.do === 'news') news.shift()?.();
          else {
            const pod = world.get(current.name);
            if (pod && world.delete(current.name)) tell(pod, false);
          }
          const ports = [...world.values()].flatMap((pod) => {
            const { start, end } = blockOf(pod)!;
            return Array.from({ length: end - start + 1 }, (_, i) => start + i);
          });
          expect(new Set(ports).size).toBe(ports.length);
        }
        for (const deliver of news) deliver();
        clock.time += 2000;
        const held = [...world.values()].map((pod) => blockOf(pod)!);
        const after = allocateBlock({ start: 20000, end: 20011 }, 2, held);
        expect(allocator.reserve(key('new'), makePool(2))).toEqual(after);
        allocator.see(makePod('new', { start: 0, end: 0 }));
        expect(allocator.reserved).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});

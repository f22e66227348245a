import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Registry } from 'prom-client';

import { FakeClock, settle } from '../../testing/fake-clock.ts';
import { createRuntimeMetrics } from './metrics.ts';
import { WorkQueue, backoffDelay } from './queue.ts';

interface Run {
  key: string;
  finish: () => void;
}

/** A queue whose work ends when the test says so. */
function makeQueue(concurrency = 1) {
  const clock = new FakeClock();
  const registry = new Registry();
  const running: Run[] = [];
  const started: string[] = [];
  const queue = new WorkQueue({
    name: 'test',
    concurrency,
    backoff: { initialMs: 100, maxMs: 1000 },
    random: () => 0,
    work: (key) =>
      new Promise((resolve) => {
        started.push(key);
        const run: Run = {
          key,
          finish: () => {
            running.splice(running.indexOf(run), 1);
            resolve();
          },
        };
        running.push(run);
      }),
    metrics: createRuntimeMetrics(registry, clock.now),
    clock,
  });
  const finishAll = async (): Promise<void> => {
    for (let run = running[0]; run; run = running[0]) {
      run.finish();
      await settle();
    }
  };
  return { queue, clock, running, started, finishAll, registry };
}

describe('WorkQueue', () => {
  it('works on a key once, however often it is added while it waits', async () => {
    const { queue, started, finishAll } = makeQueue();
    queue.add('blocker');
    for (let i = 0; i < 5; i++) queue.add('a');
    await finishAll();
    expect(started).toEqual(['blocker', 'a']);
  });

  it('works on a key once more when it was added while it was worked on', async () => {
    const { queue, started, running, finishAll } = makeQueue(4);
    queue.add('a');
    queue.add('a');
    queue.add('a');
    expect(running).toHaveLength(1);
    await finishAll();
    expect(started).toEqual(['a', 'a']);
  });

  it('takes the shortest of several delays', async () => {
    const { queue, clock, started } = makeQueue();
    queue.addAfter('a', 500);
    queue.addAfter('a', 200);
    queue.addAfter('a', 900);
    await clock.advance(199);
    expect(started).toEqual([]);
    await clock.advance(1);
    expect(started).toEqual(['a']);
    expect(clock.pending).toBe(0);
  });

  it('forgets a delay when the key is added at once', async () => {
    const { queue, clock, started, finishAll } = makeQueue();
    queue.addAfter('a', 500);
    queue.add('a');
    await finishAll();
    await clock.advance(1000);
    expect(started).toEqual(['a']);
  });

  it('doubles the delay of a failing key up to the longest, and begins anew once it is forgotten', async () => {
    const { queue, clock, started, finishAll } = makeQueue();
    const delays: number[] = [];
    const next = async (): Promise<void> => {
      const before = started.length;
      queue.addRateLimited('a');
      let waited = 0;
      for (; started.length === before; waited += 50) await clock.advance(50);
      delays.push(waited);
      await finishAll();
    };
    for (let i = 0; i < 6; i++) await next();
    queue.forget('a');
    await next();
    expect(delays).toEqual([100, 200, 400, 800, 1000, 1000, 100]);
  });

  it('takes urgent keys before all others, however each was added before', async () => {
    const { queue, started, finishAll } = makeQueue();
    for (const key of ['blocker', 'a', 'b', 'c', 'd']) queue.add(key);
    queue.add('c', 'Urgent');
    queue.add('new', 'Urgent');
    queue.add('c');
    // It is worked on, and goes first once more.
    queue.add('blocker');
    queue.add('blocker', 'Urgent');
    await finishAll();
    expect(started).toEqual(['blocker', 'c', 'new', 'blocker', 'a', 'b', 'd']);
  });

  it('takes keys in the order in which they came, one that was added again while it was worked on last', async () => {
    const { queue, started, finishAll } = makeQueue();
    for (const key of ['a', 'b', 'c']) queue.add(key);
    queue.add('a');
    await finishAll();
    expect(started).toEqual(['a', 'b', 'c', 'a']);
  });

  it('keeps a delay that was asked for while the key was worked on, and a back-off for itself alone', async () => {
    const { queue, clock, started, finishAll } = makeQueue(2);
    queue.add('a');
    queue.addAfter('a', 300);
    queue.addRateLimited('b');
    queue.addRateLimited('b');
    await finishAll();
    await clock.advance(99);
    expect(started).toEqual(['a']);
    await clock.advance(1);
    await finishAll();
    await clock.advance(200);
    expect(started).toEqual(['a', 'b', 'a']);
    await finishAll();
  });

  it('closes: starts nothing more, and waits for what runs', async () => {
    const { queue, clock, started, finishAll } = makeQueue();
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 10);
    let closed = false;
    const closing = queue.close().then(() => (closed = true));
    await clock.advance(100);
    expect(closed).toBe(false);
    await finishAll();
    await closing;
    queue.add('d');
    expect(started).toEqual(['a']);
    await queue.close();
  });

  it("shows depth, adds and what runs under controller-runtime's names", async () => {
    const { queue, clock, registry, finishAll } = makeQueue();
    queue.add('a');
    queue.add('b');
    queue.add('c');
    await clock.advance(2000);
    const text = await registry.metrics();
    expect(text).toContain('workqueue_depth{name="test"} 2');
    expect(text).toContain('workqueue_adds_total{name="test"} 3');
    expect(text).toContain('workqueue_unfinished_work_seconds{name="test"} 2');
    expect(text).toContain('workqueue_longest_running_processor_seconds{name="test"} 2');
    await finishAll();
    const after = await registry.metrics();
    expect(after).toContain('workqueue_depth{name="test"} 0');
    expect(after).toContain('workqueue_work_duration_seconds_count{name="test"} 3');
  });

  it('shows the keys that come later, and those that fail until they are forgotten', async () => {
    const { queue, clock, registry, finishAll } = makeQueue();
    const shown = async (): Promise<string[]> =>
      (await registry.metrics())
        .split('\n')
        .filter((line) => /^kube_sfu_operator_queue_(delayed|failing)_keys/.test(line))
        .map((line) => line.slice(line.lastIndexOf(' ') + 1));
    queue.addRateLimited('a');
    queue.addAfter('b', 500);
    expect(await shown()).toEqual(['2', '1']);
    await clock.advance(100);
    expect(await shown()).toEqual(['1', '1']);
    queue.forget('a');
    await finishAll();
    expect(await shown()).toEqual(['1', '0']);
    await queue.close();
    expect(await shown()).toEqual(['0', '0']);
  });

  it('under any sequence of adds, ends and waits: one run a key, bounded concurrency, nothing lost', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd');
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const), key, ms: fc.constant(0) }),
      fc.record({ do: fc.constant('after' as const), key, ms: fc.integer({ min: 1, max: 300 }) }),
      fc.record({ do: fc.constant('retry' as const), key, ms: fc.constant(0) }),
      fc.record({ do: fc.constant('finish' as const), key, ms: fc.constant(0) }),
      fc.record({ do: fc.constant('wait' as const), key, ms: fc.integer({ min: 1, max: 300 }) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 3 }),
        async (steps, concurrency) => {
          const { queue, clock, running, started, finishAll } = makeQueue(concurrency);
          /** How many runs each key had begun when it was last added. */
          const owed = new Map<string, number>();
          const runsOf = (of: string): number => started.filter((item) => item === of).length;
          for (const { do: action, key: of, ms } of steps) {
            if (action === 'add') {
              // A run must begin in this call or later.
              owed.set(of, runsOf(of));
              queue.add(of);
            } else if (action === 'after') queue.addAfter(of, ms);
            else if (action === 'retry') queue.addRateLimited(of);
            else if (action === 'finish') running.find((run) => run.key === of)?.finish();
            else await clock.advance(ms);
            await settle();
            expect(new Set(running.map((run) => run.key)).size).toBe(running.length);
            expect(running.length).toBeLessThanOrEqual(concurrency);
          }
          await finishAll();
          for (const [of, runs] of owed) expect(runsOf(of)).toBeGreaterThan(runs);
          await clock.advance(10_000);
          await finishAll();
          expect(running).toEqual([]);
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('backoffDelay', () => {
  const config = { initialMs: 3, maxMs: 1000 };
  const random = fc.double({ min: 0, max: 1, noNaN: true });

  it('never exceeds the longest delay, for any number of failures', () => {
    fc.assert(
      fc.property(fc.nat(), random, (failures, part) => {
        const delay = backoffDelay(config, failures, part);
        expect(delay).toBeGreaterThanOrEqual(3 * 0.8);
        expect(delay).toBeLessThanOrEqual(1000);
      }),
    );
  });

  it('spreads keys that failed at once, each longer than after one failure less', () => {
    fc.assert(
      fc.property(fc.nat({ max: 7 }), random, random, (failures, one, other) => {
        const next = backoffDelay(config, failures + 1, one);
        expect(next).toBeGreaterThan(backoffDelay(config, failures, other));
      }),
    );
    expect(backoffDelay(config, 4, 0.9)).toBeLessThan(backoffDelay(config, 4, 0.1));
  });
});

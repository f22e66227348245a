import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';

import { ApiError } from '../../common/errors.ts';
import { currentTraceId } from '../../common/service/trace.ts';
import { FakeClock } from '../../testing/fake-clock.ts';
import { createController, type Reconcile } from './controller.ts';
import { createRuntimeMetrics } from './metrics.ts';

function makeController(reconcile: Reconcile) {
  const clock = new FakeClock();
  const registry = new Registry();
  const logged: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => logged.push(line) });
  const controller = createController(
    { name: 'test', concurrency: 2, backoff: { initialMs: 100, maxMs: 1000 }, reconcile },
    { logger, metrics: createRuntimeMetrics(registry), clock },
  );
  const count = async (result: string): Promise<string | undefined> =>
    new RegExp(`reconcile_total\\{controller="test",result="${result}"\\} (\\d+)`).exec(
      await registry.metrics(),
    )?.[1];
  return { controller, clock, count, logged };
}

describe('createController', () => {
  it('is done with a key that is as it should be', async () => {
    const keys: string[] = [];
    const { controller, clock, count } = makeController((key) => {
      keys.push(key);
      return Promise.resolve({});
    });
    controller.enqueue('a/b');
    await clock.advance(100_000);
    expect(keys).toEqual(['a/b']);
    expect(await count('success')).toBe('1');
  });

  it('looks again when a reconcile asks for it', async () => {
    let runs = 0;
    const { controller, clock, count } = makeController(() =>
      Promise.resolve(++runs < 3 ? { requeueAfterMs: 1000 } : {}),
    );
    controller.enqueue('a/b');
    await clock.advance(10_000);
    expect(runs).toBe(3);
    expect(await count('requeue_after')).toBe('2');
  });

  it('repeats a failed reconcile with a back-off, and logs it', async () => {
    let runs = 0;
    const { controller, clock, count, logged } = makeController(() =>
      ++runs < 3 ? Promise.reject(new Error('no luck')) : Promise.resolve({}),
    );
    controller.enqueue('a/b');
    await clock.advance(79);
    expect(runs).toBe(1);
    await clock.advance(21);
    expect(runs).toBe(2);
    await clock.advance(200);
    expect(runs).toBe(3);
    expect(await count('error')).toBe('2');
    expect(logged.join()).toContain('no luck');
  });

  it('does not cut a back-off short for what can wait, but for what can not', async () => {
    let runs = 0;
    const { controller, clock } = makeController(() =>
      ++runs < 4 ? Promise.reject(new Error('no luck')) : Promise.resolve({}),
    );
    controller.enqueue('a/b');
    await clock.advance(300);
    expect(runs).toBe(3);
    for (let i = 0; i < 20; i++) {
      controller.enqueueAfter('a/b', 5);
      await clock.advance(10);
    }
    expect(runs).toBe(3);
    controller.enqueue('a/b');
    await clock.advance(0);
    expect(runs).toBe(4);
    controller.enqueueAfter('a/b', 5);
    await clock.advance(5);
    expect(runs).toBe(5);
  });

  it('makes each reconcile a trace of its own', async () => {
    const traces: (string | undefined)[] = [];
    const { controller, clock } = makeController(async () => {
      const before = currentTraceId();
      await Promise.resolve();
      traces.push(before, currentTraceId());
      return {};
    });
    controller.enqueue('a/b');
    controller.enqueue('a/c');
    await clock.advance(0);
    expect(traces).toHaveLength(4);
    expect(traces).not.toContain(undefined);
    expect(new Set(traces).size).toBe(2);
    expect(currentTraceId()).toBeUndefined();
  });

  it('takes a conflict quietly', async () => {
    let runs = 0;
    const { controller, clock, count, logged } = makeController(() =>
      ++runs < 2 ? Promise.reject(new ApiError('conflict', 'changed')) : Promise.resolve({}),
    );
    controller.enqueue('a/b');
    await clock.advance(1000);
    expect(runs).toBe(2);
    expect(await count('requeue')).toBe('1');
    expect(await count('error')).toBe('0');
    expect(logged).toEqual([]);
  });
});

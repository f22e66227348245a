import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';

import { ApiError } from '../../common/errors.ts';
import type { KubernetesCall } from '../../common/kubernetes/client.ts';
import type { KubernetesObject } from '../../common/resources/types.ts';
import { FakeClock, settle } from '../../testing/fake-clock.ts';
import type { EventNote } from '../cluster.ts';
import type { EventsConfig } from '../config.ts';
import { cutNote, EventMemory } from './event-memory.ts';
import { KubernetesEvents } from './events.ts';
import { createKubernetesMetrics } from './metrics.ts';

const config: EventsConfig = {
  seriesWindowMs: 60_000,
  burst: 5,
  refillMs: 10_000,
  maxQueue: 10,
  maxRemembered: 20,
  flushTimeoutMs: 1000,
};

const object = (name: string): KubernetesObject => ({
  apiVersion: 'kube-sfu.dev/v1alpha1',
  kind: 'MediaRoom',
  metadata: {
    name,
    namespace: 'ns',
    uid: `uid-${name}`,
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: {},
});
const placed: EventNote = { type: 'Normal', reason: 'Placed', action: 'Place', note: 'on a, b' };
const note = (text: string): EventNote => ({ ...placed, note: text });

function makeRecorder(change: Partial<EventsConfig> = {}) {
  const clock = new FakeClock();
  const registry = new Registry();
  const calls: KubernetesCall[] = [];
  /** What the next calls end with. */
  let failure: (() => Error | 'hangs' | undefined) | undefined;
  const events = new KubernetesEvents({
    client: {
      async call<T>(call: KubernetesCall): Promise<T> {
        await Promise.resolve();
        const error = failure?.();
        if (error === 'hangs') await new Promise(() => undefined);
        if (error) throw error as Error;
        calls.push(call);
        return {} as T;
      },
    },
    config: { ...config, ...change },
    backoff: { initialMs: 100, maxMs: 1000 },
    metrics: createKubernetesMetrics(registry),
    clock,
    logger: pino({ level: 'silent' }),
  });
  const metric = async (name: string): Promise<string[]> =>
    (await registry.metrics())
      .split('\n')
      .filter((line) => line.startsWith(`kube_sfu_operator_events_${name}`))
      .map((line) => line.replace(/^.*="(\w+)"\} /, '$1 '));
  const fail = (next: typeof failure): void => {
    failure = next;
  };
  const summary = (): unknown[] =>
    calls.map(({ method, body }) => {
      const { series } = body as { series?: { count: number } };
      return series ? `${method} ${series.count}` : method;
    });
  return { events, clock, calls, summary, metric, fail };
}

describe('KubernetesEvents', () => {
  it('writes an Event of events.k8s.io/v1 about the object, in its namespace', async () => {
    const { events, calls } = makeRecorder();
    events.record(object('lobby'), placed);
    await settle();
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({
      method: 'POST',
      path: '/apis/events.k8s.io/v1/namespaces/ns/events',
      body: {
        kind: 'Event',
        metadata: { namespace: 'ns', name: expect.stringMatching(/^lobby\.[0-9a-f]+$/) },
        eventTime: '2026-01-01T00:00:00.000000Z',
        reportingController: 'kube-sfu.dev/operator',
        regarding: { kind: 'MediaRoom', namespace: 'ns', name: 'lobby', uid: 'uid-lobby' },
        ...placed,
      },
    });
  });

  it('makes a series of equal ones', async () => {
    const { events, clock, calls, summary } = makeRecorder();
    events.record(object('lobby'), placed);
    await clock.advance(5_000);
    events.record(object('lobby'), placed);
    await settle();
    expect(summary()).toEqual(['POST', 'PATCH 2']);
    expect(calls[1]).toMatchObject({
      patch: 'merge',
      path: expect.stringMatching(/events\/lobby\.[0-9a-f]+$/),
      body: { series: { count: 2, lastObservedTime: '2026-01-01T00:00:05.000000Z' } },
    });
    events.record(object('lobby'), placed);
    await settle();
    expect(summary()).toEqual(['POST', 'PATCH 2', 'PATCH 3']);
  });

  it.each([
    { name: 'another object', of: 'other', event: placed },
    { name: 'another note', of: 'lobby', event: note('on c') },
    { name: 'another reason', of: 'lobby', event: { ...placed, reason: 'Moved' } },
    { name: 'another type', of: 'lobby', event: { ...placed, type: 'Warning' as const } },
  ])('makes no series with $name', async ({ of, event }) => {
    const { events, summary } = makeRecorder();
    events.record(object('lobby'), placed);
    events.record(object(of), event);
    await settle();
    expect(summary()).toEqual(['POST', 'POST']);
  });

  it('makes a new Event once the series was quiet for its window', async () => {
    const { events, clock, calls, summary } = makeRecorder();
    events.record(object('lobby'), placed);
    await clock.advance(60_000);
    events.record(object('lobby'), placed);
    await settle();
    expect(summary()).toEqual(['POST', 'POST']);
    const names = calls.map(({ body }) => (body as { metadata: { name: string } }).metadata.name);
    expect(new Set(names).size).toBe(2);
  });

  it('makes the Event of a series again when it is gone', async () => {
    const { events, clock, summary, fail } = makeRecorder();
    events.record(object('lobby'), placed);
    await clock.advance(50_000);
    let first = true;
    fail(() => {
      if (!first) return undefined;
      first = false;
      return new ApiError('not_found', 'its time is over');
    });
    events.record(object('lobby'), placed);
    await settle();
    expect(summary()).toEqual(['POST', 'POST 2']);
  });

  it('writes no more than the burst of one object, then one for each refill', async () => {
    const { events, clock, summary, metric } = makeRecorder();
    for (let i = 0; i < 8; i++) events.record(object('lobby'), note(`n${i}`));
    events.record(object('other'), placed);
    await settle();
    expect(summary()).toHaveLength(6);
    expect(await metric('lost')).toEqual(['rate_limited 3']);
    await clock.advance(10_000);
    for (let i = 0; i < 3; i++) events.record(object('lobby'), note(`m${i}`));
    await settle();
    expect(summary()).toHaveLength(7);
  });

  it('counts a series on without a turn to write it, and writes the last count at the end', async () => {
    const { events, summary } = makeRecorder();
    for (let i = 0; i < 50; i++) {
      events.record(object('lobby'), placed);
      await settle();
    }
    expect(summary()).toEqual(['POST', 'PATCH 2', 'PATCH 3', 'PATCH 4', 'PATCH 5']);
    await events.close(1000);
    expect(summary().at(-1)).toBe('PATCH 50');
  });

  it('keeps what waits while the API server is away, up to a bound', async () => {
    const { events, clock, summary, metric, fail } = makeRecorder();
    fail(() => new ApiError('kubernetes_unavailable', 'away'));
    for (let i = 0; i < 12; i++) events.record(object(`room-${i}`), placed);
    await clock.advance(120_000);
    expect(summary()).toEqual([]);
    expect(await metric('lost')).toEqual(['queue_full 2']);
    fail(undefined);
    await clock.advance(1000);
    expect(summary()).toHaveLength(10);
    expect(await metric('written')).toEqual(['create 10']);
    expect(clock.pending).toBe(0);
  });

  it('takes one that is there already for written: an answer was lost', async () => {
    const { events, clock, metric, fail } = makeRecorder();
    const failures = [new ApiError('timed_out', 'no answer'), new ApiError('conflict', 'exists')];
    fail(() => failures.shift());
    events.record(object('a'), placed);
    await clock.advance(1000);
    expect(failures).toEqual([]);
    expect(await metric('lost')).toEqual([]);
  });

  it('drops what is refused and goes on', async () => {
    const { events, summary, metric, fail } = makeRecorder();
    let refusals = 1;
    fail(() => (refusals-- > 0 ? new ApiError('forbidden', 'the namespace ends') : undefined));
    events.record(object('a'), placed);
    events.record(object('b'), placed);
    await settle();
    expect(summary()).toEqual(['POST']);
    expect(await metric('lost')).toEqual(['refused 1']);
  });

  it('ends within its bound when the API server hangs, and takes nothing more', async () => {
    const { events, clock, metric, fail } = makeRecorder();
    fail(() => 'hangs');
    events.record(object('a'), placed);
    events.record(object('b'), placed);
    let closed = false;
    const closing = events.close(1000).then(() => (closed = true));
    await clock.advance(999);
    expect(closed).toBe(false);
    await clock.advance(1);
    await closing;
    events.record(object('c'), placed);
    expect(await metric('lost')).toEqual(['shutdown 3']);
    expect(clock.pending).toBe(0);
  });

  it('ends at once when it pauses because the API server is away', async () => {
    const { events, clock, metric, fail } = makeRecorder();
    fail(() => new ApiError('kubernetes_unavailable', 'away'));
    events.record(object('a'), placed);
    await settle();
    await events.close(1000);
    expect(await metric('lost')).toEqual(['shutdown 1']);
    expect(clock.pending).toBe(0);
  });
});

describe('EventMemory', () => {
  it('stays bounded whatever happens, and forgets what is over', () => {
    const memory = new EventMemory(config);
    for (let i = 0; i < 1000; i++) memory.note(object(`room-${i}`), note(`n${i}`), i);
    expect(memory.size).toBeLessThanOrEqual(2 * (config.maxRemembered + 1));
    memory.note(object('last'), placed, 1_000_000);
    expect(memory.size).toBe(2);
  });
});

describe('cutNote', () => {
  it.each([
    { name: 'leaves a short note', text: 'on a', want: 'on a' },
    { name: 'leaves one of just the limit', text: 'x'.repeat(1024), want: 'x'.repeat(1024) },
    { name: 'cuts a longer one', text: 'x'.repeat(1025), want: `${'x'.repeat(1021)}…` },
    { name: 'cuts between characters', text: 'ü'.repeat(600), want: `${'ü'.repeat(510)}…` },
  ])('$name', ({ text, want }) => {
    expect(cutNote(text)).toBe(want);
    expect(Buffer.byteLength(cutNote(text))).toBeLessThanOrEqual(1024);
  });
});

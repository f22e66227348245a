import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import { ApiError } from '../../common/errors.ts';
import { FakeClock } from '../../testing/fake-clock.ts';
import { FakeNode } from '../../testing/fake-node.ts';
import { apiPortName, type Pod, type PodClient, type WatchEvent } from '../cluster.ts';
import { drainingSinceAnnotation } from '../workers/labels.ts';
import { NodeMonitor } from './monitor.ts';

const config = {
  ...{ intervalMs: 1000, timeoutMs: 1500, silentIntervalMs: 500, refusedIntervalMs: 100 },
  ...{ drainingIntervalMs: 250, concurrency: 16, staleAfterMisses: 2, deadAfterMisses: 3 },
  ...{ deadAfterMs: 3000, deadAfterRefusals: 3, replaceAfterMs: 30_000, startTimeoutMs: 60_000 },
};

type Mode = 'Answers' | 'Silent' | 'Refuses' | 'Breaks';

/** One node with the way that it behaves towards polls, and the connection that the monitor holds to it. */
class Machine {
  mode: Mode = 'Answers';
  polls = 0;
  /** How long an answer takes. */
  delayMs = 0;
  /** For how long the process that asks stands still from then on. */
  stallMs = 0;
  node: FakeNode;
  endLine: (() => void) | undefined;
  pod: Pod;
  readonly name: string;

  constructor(name: string, ip: string) {
    this.name = name;
    this.node = new FakeNode({ podName: name, pool: 'c', role: 'Consumer', secret: 'x' });
    this.pod = {
      metadata: { name, namespace: 'default', uid: `uid-${name}` },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            ...{ name: 'media-node', env: [] },
            ports: [{ name: apiPortName, containerPort: 7000, protocol: 'TCP' }],
          },
        ],
      },
      status: {
        ...{ phase: 'Running', podIP: ip },
        containerStatuses: [{ restartCount: 0, state: { running: { startedAt: '' } } }],
      },
    } as unknown as Pod;
  }
}

const refusal = (code: string): Error =>
  new ApiError('node_unavailable', code, {
    cause: new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) }),
  });

let clock: FakeClock;
let machines: Map<string, Machine>;
let monitor: NodeMonitor;
let tell: (event: WatchEvent<Pod>) => void;

function start(...names: string[]): void {
  clock = new FakeClock();
  machines = new Map(
    names.map((name, i) => [`http://10.0.0.${i}:7000`, new Machine(name, `10.0.0.${i}`)]),
  );
  const pods = {
    watch(listener: typeof tell) {
      tell = listener;
      for (const { pod } of machines.values()) listener({ type: 'ADDED', object: pod });
      return () => undefined;
    },
  } as unknown as PodClient;
  monitor = new NodeMonitor({
    ...{ pods, clock, config, logger: pino({ level: 'silent' }) },
    fetchStatus: ask,
    openLine(url, onClose) {
      const machine = machines.get(url)!;
      machine.endLine = () => {
        machine.endLine = undefined;
        onClose();
      };
      return () => {
        machine.endLine = undefined;
      };
    },
    addressOf: () => undefined,
    announce: () => Promise.resolve(),
  });
  monitor.start();
}

/** A poll over the network: each ends by an answer, a closed connection or the time-out. */
async function ask(url: string, timeoutMs: number) {
  const machine = machines.get(url)!;
  machine.polls++;
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => void clock.schedule(ms, resolve));
  if (machine.mode === 'Refuses') throw refusal('ECONNREFUSED');
  if (machine.mode === 'Breaks') throw refusal('ECONNRESET');
  const isLate =
    machine.mode === 'Silent' || Math.max(machine.delayMs, machine.stallMs) > timeoutMs;
  await wait(machine.stallMs + (isLate ? timeoutMs : machine.delayMs));
  // What was stopped and goes on answers what it was asked meanwhile, if that still waits.
  if (isLate) throw new ApiError('timed_out', 'no answer in time');
  return machine.node.status();
}

const machine = (name: string): Machine => [...machines.values()].find((m) => m.name === name)!;
const stateOf = (name: string) => monitor.get({ namespace: 'default', name })?.state;
/** How long until the node has the state, in steps of 10 ms. */
async function timeUntil(name: string, state: string, withinMs: number): Promise<number> {
  const since = clock.now();
  while (stateOf(name) !== state && clock.now() - since < withinMs) await clock.advance(10);
  return clock.now() - since;
}

beforeEach(() => start('a', 'b', 'c'));
/** Ends the monitor, with the time that polls under way take. */
async function stop(): Promise<void> {
  const closed = monitor.close();
  await clock.advance(5000);
  await closed;
}
afterEach(stop);

describe('a node that ends', () => {
  it('is given up within half a second of the end of its connection', async () => {
    await clock.advance(5300);
    const ended = machine('a');
    ended.mode = 'Refuses';
    ended.endLine?.();
    expect(await timeUntil('a', 'Dead', 1000)).toBeLessThanOrEqual(300);
    expect(stateOf('b')).toBe('Ready');
  });

  it('is given up within its interval and half a second where only polls tell', async () => {
    await clock.advance(5300);
    machine('a').mode = 'Refuses';
    expect(await timeUntil('a', 'Dead', 5000)).toBeLessThanOrEqual(1300);
  });

  it('is not given up for connections that break while it answers others', async () => {
    await clock.advance(5300);
    machine('a').mode = 'Breaks';
    machine('a').endLine?.();
    await clock.advance(250);
    machine('a').mode = 'Answers';
    await clock.advance(5000);
    expect(stateOf('a')).toBe('Ready');
  });

  it('is not given up when no other node answers, until one does', async () => {
    await clock.advance(5300);
    for (const one of machines.values()) {
      one.mode = 'Refuses';
      one.endLine?.();
    }
    await clock.advance(60_000);
    expect(['a', 'b', 'c'].map(stateOf)).toEqual(['Unreachable', 'Unreachable', 'Unreachable']);
    machine('b').mode = 'Answers';
    await clock.advance(3000);
    expect(['a', 'b', 'c'].map(stateOf)).toEqual(['Dead', 'Ready', 'Dead']);
  });
});

describe("what a pod says of its node's process", () => {
  const news = (name: string, restartCount: number, isRunning: boolean): WatchEvent<Pod> => {
    const { pod } = machine(name);
    const state = isRunning ? { running: { startedAt: '' } } : { terminated: { exitCode: 137 } };
    const containerStatuses = [{ restartCount, state }];
    return { type: 'MODIFIED', object: { ...pod, status: { ...pod.status, containerStatuses } } };
  };
  const instanceOf = (name: string) => monitor.get({ namespace: 'default', name })?.instance;
  /** The pod tells of a crash. @returns how long until that counts */
  async function timeUntilOver(mode: Mode): Promise<number> {
    await clock.advance(5300);
    machine('a').mode = mode;
    const since = clock.now();
    tell(news('a', 0, false));
    while (instanceOf('a') && clock.now() - since < 5000) await clock.advance(10);
    return clock.now() - since;
  }

  it('counts at once where nothing listens any more', async () => {
    expect(await timeUntilOver('Refuses')).toBeLessThanOrEqual(10);
  });

  it('counts after the time of a poll where nothing is to be heard', async () => {
    expect(await timeUntilOver('Silent')).toBeLessThanOrEqual(1500);
  });

  it('is outdated where the process has been started again and answers already', async () => {
    await clock.advance(5300);
    machine('a').node.restart();
    await clock.advance(1000);
    const { id } = instanceOf('a')!;
    expect(id).toBe(machine('a').node.instanceId);
    const seen = new Set<string | undefined>();
    monitor.onChange((_, after) => seen.add(after?.instance?.id));
    tell(news('a', 0, false));
    await clock.advance(100);
    tell(news('a', 1, false));
    tell(news('a', 1, true));
    await clock.advance(5000);
    expect(
      [...seen].filter((other) => other !== instanceOf('b')?.id && other !== instanceOf('c')?.id),
    ).toEqual([id]);
    expect(instanceOf('a')?.restartCount).toBe(1);
    machine('a').node.restart();
    tell(news('a', 2, true));
    await clock.advance(100);
    expect(instanceOf('a')?.id).toBe(machine('a').node.instanceId);
  });
});

describe('a node that goes silent', () => {
  it('is given up about three seconds later, whenever that was', async () => {
    for (let phaseMs = 0; phaseMs < 1000; phaseMs += 90) {
      await stop();
      start('a', 'b', 'c');
      await clock.advance(5000 + phaseMs);
      machine('a').mode = 'Silent';
      const took = await timeUntil('a', 'Dead', 10_000);
      expect(took).toBeGreaterThan(2000);
      expect(took).toBeLessThanOrEqual(3700);
    }
  });

  it('gets no new routers before that', async () => {
    await clock.advance(5000);
    machine('a').mode = 'Silent';
    expect(await timeUntil('a', 'Unreachable', 10_000)).toBeLessThanOrEqual(3100);
  });

  it.each([1000, 2000])('keeps its rooms when it only stalls for %i ms', async (stallMs) => {
    for (let phaseMs = 0; phaseMs < 1000; phaseMs += 90) {
      await stop();
      start('a', 'b', 'c');
      await clock.advance(5000 + phaseMs);
      const seen: unknown[] = [];
      monitor.onChange((_, after) => seen.push(after?.state));
      machine('a').mode = 'Silent';
      await clock.advance(stallMs);
      machine('a').mode = 'Answers';
      await clock.advance(5000);
      expect(seen).not.toContain('Dead');
    }
  });

  it('keeps its rooms while it is the operator that stands still', async () => {
    await clock.advance(5000);
    for (const one of machines.values()) one.stallMs = 4000;
    await clock.advance(60_000);
    expect(['a', 'b', 'c'].map(stateOf)).toEqual(['Ready', 'Ready', 'Ready']);
  });

  it('keeps its rooms while every answer takes long', async () => {
    await clock.advance(5000);
    machine('a').delayMs = 1400;
    await clock.advance(60_000);
    expect(stateOf('a')).toBe('Ready');
  });

  it('is not given up while no other node answers either', async () => {
    await clock.advance(5000);
    for (const one of machines.values()) one.mode = 'Silent';
    await clock.advance(60_000);
    expect(['a', 'b', 'c'].map(stateOf)).toEqual(['Unreachable', 'Unreachable', 'Unreachable']);
  });

  it('is given up later where it is the only one', async () => {
    await stop();
    start('a');
    await clock.advance(5000);
    machine('a').mode = 'Silent';
    const took = await timeUntil('a', 'Dead', 60_000);
    expect(took).toBeGreaterThanOrEqual(29_000);
    expect(took).toBeLessThanOrEqual(32_000);
  });

  it('is ready again with its first answer, polled as others from its end on', async () => {
    await clock.advance(5000);
    machine('a').mode = 'Silent';
    await timeUntil('a', 'Dead', 10_000);
    const before = machine('a').polls;
    await clock.advance(20_000);
    expect(machine('a').polls - before).toBeLessThanOrEqual(21);
    machine('a').mode = 'Answers';
    expect(await timeUntil('a', 'Ready', 5000)).toBeLessThanOrEqual(1000);
  });
});

describe('the polling', () => {
  it('asks each node once an interval, and one that drains more often', async () => {
    await clock.advance(10_000);
    expect(machine('a').polls).toBeLessThanOrEqual(11);
    const { pod } = machine('b');
    const annotations = { [drainingSinceAnnotation]: '2026-01-01T00:00:00Z' };
    tell({ type: 'MODIFIED', object: { ...pod, metadata: { ...pod.metadata, annotations } } });
    const before = machine('b').polls;
    await clock.advance(10_000);
    expect(machine('b').polls - before).toBeGreaterThanOrEqual(37);
  });

  it('does not follow a connection that its node closes again and again', async () => {
    await clock.advance(5000);
    const before = machine('a').polls;
    for (let i = 0; i < 100; i++) {
      machine('a').endLine?.();
      await clock.advance(100);
    }
    expect(machine('a').polls - before).toBeLessThanOrEqual(25);
    expect(stateOf('a')).toBe('Ready');
  });

  it('goes on with others while many are silent', async () => {
    await stop();
    start('good', ...Array.from({ length: 40 }, (_, i) => `bad-${i}`));
    await clock.advance(5000);
    for (const one of machines.values()) if (one.name !== 'good') one.mode = 'Silent';
    await clock.advance(10_000);
    expect(stateOf('good')).toBe('Ready');
    expect(stateOf('bad-0')).toBe('Dead');
    expect(stateOf('bad-39')).toBe('Dead');
  });

  it('ends with the pod', async () => {
    await clock.advance(5000);
    const gone = machine('a');
    tell({ type: 'DELETED', object: gone.pod });
    const before = gone.polls;
    await clock.advance(5000);
    expect(gone.polls).toBe(before);
    expect(gone.endLine).toBeUndefined();
    expect(stateOf('a')).toBeUndefined();
  });
});

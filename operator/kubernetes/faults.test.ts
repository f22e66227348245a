/**
 * The API server is away, breaks watches, refuses calls, forgets history, falls silent or loses answers, each for a long time and
 * while work goes on: the operator comes to the state that is wanted, with nothing left to do, in the memory that it had before,
 * and what nobody has touched was left alone.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { refusal, type ApiProxy } from '../../testing/kubernetes/api-proxy.ts';
import { BusyWorld } from '../../testing/kubernetes/busy-world.ts';
import type { ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { startWorldControlPlane } from '../../testing/kubernetes/world.ts';

interface Scenario {
  name: string;
  /** How long the fault lasts, in milliseconds. */
  lastsMs: number;
  /** Breaks the API server until it is healed. */
  begin: (proxy: ApiProxy) => void;
  /** After how long it begins again while the fault lasts, in milliseconds. */
  everyMs?: number;
  /** Most lists, watches and refused connections a second in the second half of the fault, when the pauses have grown. */
  maxRate: number;
  /** Nothing that is new can be served meanwhile. */
  isAway?: boolean;
  config?: Record<string, unknown>;
}

const isWatch = /^GET \S*[?&]watch=true/;

const scenarios: Scenario[] = [
  {
    name: 'is away for two minutes',
    lastsMs: 120_000,
    begin: (proxy) => proxy.cut(),
    // As many rooms as have new figures to write fail, each with the longest back-off of half a minute; and the watches do.
    maxRate: 5,
    isAway: true,
  },
  {
    name: 'answers 429 or 500 to every other call for five minutes',
    lastsMs: 300_000,
    begin: (proxy) => proxy.failShare({ share: 0.5, statuses: [429, 500], seed: 3 }),
    maxRate: 4,
  },
  {
    name: 'resets each watch every second',
    lastsMs: 60_000,
    begin: (proxy) => proxy.resetWatches(1000),
    maxRate: 7,
  },
  {
    name: 'lets versions expire every second',
    lastsMs: 60_000,
    begin: (proxy) => proxy.expireVersions(),
    everyMs: 1000,
    maxRate: 3,
  },
  {
    name: 'answers every watch that its version has expired',
    lastsMs: 60_000,
    begin: (proxy) => {
      proxy.resetWatches();
      proxy.inject(refusal(410), isWatch);
    },
    maxRate: 3,
  },
  {
    name: 'lets every watch fall silent',
    lastsMs: 60_000,
    begin: (proxy) => proxy.stallWatches(),
    config: { kubernetes: { watchTimeoutMs: 5000, watchStallMs: 2000, relistMs: 15_000 } },
    maxRate: 3,
  },
  {
    name: 'has its watches cut off by a firewall that tells nobody',
    lastsMs: 60_000,
    begin: (proxy) => proxy.stallWatches({ open: true }),
    everyMs: 20_000,
    maxRate: 3,
  },
  {
    name: 'loses answers to writes',
    lastsMs: 60_000,
    begin: (proxy) => proxy.loseAnswers({ share: 0.3, seed: 5 }),
    config: { kubernetes: { requestTimeoutMs: 2000 } },
    maxRate: 3,
  },
];

/** The longest fault, and what goes before and after it, on a busy machine. */
const testTimeoutMs = 900_000;
/** How long the fault lasts once before memory is looked at first, in milliseconds. */
const warmUpMs = 15_000;
/** Most that the operator may hold more after the fault than before it, in bytes. */
const maxGrowth = 4 * 2 ** 20;
/** Least share of the rooms that come and go that is ready when the fault has lasted. */
const minServed = 0.2;

type Still = Awaited<ReturnType<BusyWorld['still']>>;

interface Look {
  still: Still;
  /** What the operator holds, in bytes. */
  heap: number;
}

interface Outcome {
  before: Look;
  after: Look;
  /** Lists, watches and refused connections a second in the second half of the fault. */
  rate: number;
  /** Share of the rooms that come and go that was ready at the end of the fault. */
  served: number;
  restarts: number;
  /** What each Event is about and says. */
  events: string[];
}

const countReads = ({ calls, refusedConnections }: ApiProxy): number =>
  refusedConnections + calls.filter((call) => call.startsWith('GET ')).length;

/** @returns lists, watches and refused connections a second in the second half */
async function breakFor(
  busy: BusyWorld,
  { begin, everyMs }: Scenario,
  ms: number,
): Promise<number> {
  const { proxy } = busy;
  begin(proxy);
  const timer = everyMs === undefined ? undefined : setInterval(() => begin(proxy), everyMs);
  await sleep(ms / 2);
  const [reads, since] = [countReads(proxy), Date.now()];
  await sleep(ms / 2);
  clearInterval(timer);
  return (1000 * (countReads(proxy) - reads)) / (Date.now() - since);
}

const look = async (busy: BusyWorld): Promise<Look> => ({
  still: await busy.still(),
  heap: await busy.operator.heapUsed(),
});

async function run(scenario: Scenario, controlPlane: ControlPlane, seed: number): Promise<Outcome> {
  const busy = await BusyWorld.create({ controlPlane, seed, config: scenario.config ?? {} });
  try {
    busy.startWork();
    await breakFor(busy, scenario, warmUpMs);
    busy.proxy.heal();
    await busy.stopWork();
    await busy.settle();
    const before = await look(busy);
    busy.startWork();
    const rate = await breakFor(busy, scenario, scenario.lastsMs);
    const served = await busy.readyShare();
    busy.proxy.heal();
    await busy.stopWork();
    await busy.settle();
    const after = await look(busy);
    const events = (await busy.world.events()).map(
      ({ regarding: { kind, name }, reason, note }) => `${kind} ${name}: ${reason}: ${note}`,
    );
    return { before, after, rate, served, events, restarts: busy.restarts };
  } finally {
    await busy.close();
  }
}

let controlPlane: ControlPlane;
/** All begin at once: most of their time is waiting. */
const runs = new Map<string, Promise<Outcome>>();

beforeAll(async () => {
  controlPlane = await startWorldControlPlane();
  for (const [seed, scenario] of scenarios.entries()) {
    const outcome = run(scenario, controlPlane, seed);
    // Its own test tells.
    outcome.catch(() => undefined);
    runs.set(scenario.name, outcome);
  }
}, 90_000);

afterAll(async () => {
  await Promise.allSettled(runs.values());
  await controlPlane.stop();
}, testTimeoutMs);

describe('an operator whose API server', () => {
  it.each(scenarios)(
    '$name comes to what is wanted, in the memory that it had, and leaves live rooms alone',
    async ({ name, maxRate, isAway = false }) => {
      const { before, after, rate, served, events, restarts } = await runs.get(name)!;
      expect(after.still).toEqual(before.still);
      expect(after.still.disturbances).toEqual([]);
      expect(restarts).toBe(0);
      expect(after.heap - before.heap).toBeLessThan(maxGrowth);
      expect(rate).toBeLessThan(maxRate);
      if (!isAway) expect(served).toBeGreaterThan(minServed);
      expect(events.filter((event, i) => events.indexOf(event) !== i)).toEqual([]);
    },
    testTimeoutMs,
  );
});

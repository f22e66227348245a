import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import {
  decideReplicas,
  recommend,
  Recommendations,
  type Autoscaling,
  type NodeLoad,
  type RecommendInput,
} from './autoscale.ts';

const makeSpec = (change: Partial<Autoscaling> = {}): Autoscaling => ({
  minReplicas: 1,
  maxReplicas: 10,
  targetConsumersPerWorker: 400,
  scaleUp: { stabilizationWindowSeconds: 0 },
  scaleDown: { stabilizationWindowSeconds: 300 },
  ...change,
});
const cpuSpec = (): Autoscaling => {
  const spec = makeSpec({ targetCPUPercent: 60 });
  delete spec.targetConsumersPerWorker;
  return spec;
};
const node = (consumers: number, change: Partial<NodeLoad> = {}): NodeLoad => ({
  kind: 'Counts',
  consumers,
  cpuPercent: 0,
  ...change,
});
const unknown = node(0, { kind: 'Unknown' });
const leaving = (consumers: number): NodeLoad => node(consumers, { kind: 'Leaves' });
const makeInput = (nodes: NodeLoad[], change: Partial<RecommendInput> = {}): RecommendInput => ({
  spec: makeSpec(),
  replicas: nodes.filter(({ kind }) => kind !== 'Leaves').length,
  nodes,
  workersPerNode: 1,
  tolerancePercent: 10,
  ...change,
});

interface Case {
  name: string;
  input: RecommendInput;
  want: number | undefined;
  wantGrounds?: string;
}

const cases: Case[] = [
  {
    name: 'add a node when the average is over the target',
    input: makeInput([node(480), node(480), node(480)]),
    want: 4,
    wantGrounds: 'consumers per worker 480 > 400',
  },
  {
    name: 'add as many as the load needs',
    input: makeInput([node(1200), node(1200)]),
    want: 6,
  },
  {
    name: 'remove what the load does not need',
    input: makeInput([node(100), node(100), node(100), node(100)]),
    want: 1,
    wantGrounds: 'consumers per worker 100 < 400',
  },
  {
    name: 'keep the number within the tolerance',
    input: makeInput([node(439), node(439)]),
    want: 2,
    wantGrounds: 'consumers per worker 439, target 400',
  },
  { name: 'keep the number just below the target', input: makeInput([node(361)]), want: 1 },
  {
    name: 'count the workers of a node',
    input: makeInput([node(960)], { workersPerNode: 2 }),
    want: 2,
  },
  {
    name: 'go by the CPU',
    input: makeInput([node(0, { cpuPercent: 90 }), node(0, { cpuPercent: 90 })], {
      spec: cpuSpec(),
    }),
    want: 3,
    wantGrounds: "CPU of the nodes' busiest workers 90 % > 60 %",
  },
  {
    name: 'go by the figure that asks for the most',
    input: makeInput([node(100, { cpuPercent: 90 }), node(100, { cpuPercent: 90 })], {
      spec: makeSpec({ targetCPUPercent: 60 }),
    }),
    want: 3,
  },
  {
    name: 'keep the number when one figure asks for less and another is near its target',
    input: makeInput([node(10, { cpuPercent: 60 }), node(10, { cpuPercent: 60 })], {
      spec: makeSpec({ targetCPUPercent: 60 }),
    }),
    want: 2,
  },
  {
    name: 'take nodes that say nothing for idle when there is too much',
    input: makeInput([node(600), unknown]),
    want: 2,
  },
  {
    name: 'take nodes that say nothing for busy when there is too little',
    input: makeInput([node(100), node(100), unknown]),
    want: 2,
  },
  {
    name: 'decide nothing when no node says anything',
    input: makeInput([unknown, unknown]),
    want: undefined,
  },
  { name: 'decide nothing without nodes', input: makeInput([], { replicas: 2 }), want: undefined },
  {
    name: 'count what is about to move from a node that drains',
    input: makeInput([node(300), leaving(300)]),
    want: 2,
  },
  {
    name: 'never ask for fewer nodes because of more load',
    input: makeInput([node(500), node(500)], { replicas: 9 }),
    want: 9,
  },
  {
    name: 'add no node for a rounding error',
    input: makeInput([node(0.1 + 0.2)], {
      spec: makeSpec({ targetConsumersPerWorker: 1 }),
    }),
    want: 1,
  },
];

describe('recommend', () => {
  it.each(cases)('should $name', ({ input, want, wantGrounds }) => {
    const recommendation = recommend(input);
    expect(recommendation?.replicas).toBe(want);
    if (wantGrounds !== undefined) expect(recommendation?.grounds).toBe(wantGrounds);
  });

  it('never asks for less for more load, and brings a load that it scaled for to its target', () => {
    const anyNodes = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(anyNodes, (consumers) => {
        const nodes = consumers.map((count) => node(count));
        const wanted = recommend(makeInput(nodes))!.replicas;
        const more = recommend(makeInput(consumers.map((count) => node(count * 2))))!.replicas;
        expect(more).toBeGreaterThanOrEqual(wanted);
        const sum = consumers.reduce((a, b) => a + b, 0);
        if (wanted > nodes.length) expect(sum / wanted).toBeLessThanOrEqual(400);
        if (wanted < nodes.length && wanted > 0) expect(sum / wanted).toBeLessThanOrEqual(400);
      }),
    );
  });
});

describe('decideReplicas', () => {
  /** A pool whose nodes follow what is decided at once, looked at every 10 seconds. */
  const run = (spec: Autoscaling, replicas: number, loads: number[]): number[] => {
    const history = new Recommendations(replicas, 0);
    let current = replicas;
    return loads.map((total, i) => {
      const nodes = Array.from({ length: current }, () => node(total / current));
      const input = makeInput(nodes, { spec, replicas: current });
      current = decideReplicas({ ...input, history, now: (i + 1) * 10_000 }).replicas;
      return current;
    });
  };
  const times = (count: number, load: number): number[] =>
    Array.from({ length: count }, () => load);

  it('scales up at once, and down once the load has been low for the time', () => {
    const sizes = run(makeSpec(), 1, [1600, ...times(40, 400)]);
    expect(sizes[0]).toBe(4);
    expect(sizes.findIndex((size) => size < 4)).toBe(31);
    expect(sizes.at(-1)).toBe(1);
  });

  it('scales up no higher than the lowest of the time for it', () => {
    const spec = makeSpec({ scaleUp: { stabilizationWindowSeconds: 30 } });
    const sizes = run(spec, 1, [1600, 1600, 800, 1600, 1600, 1600, 1600, 1600]);
    expect(sizes).toEqual([1, 1, 1, 2, 2, 2, 4, 4]);
  });

  it('takes nothing away right after its start', () => {
    expect(run(makeSpec(), 4, times(29, 0))).toEqual(times(29, 4));
  });

  it.each([
    {
      name: 'the highest',
      change: { maxReplicas: 3 },
      nodes: times(3, 4000),
      want: { replicas: 3, limit: 'TooManyReplicas' },
    },
    {
      name: 'the lowest',
      change: { minReplicas: 2, scaleDown: { stabilizationWindowSeconds: 0 } },
      nodes: times(2, 0),
      want: { replicas: 2, limit: 'TooFewReplicas' },
    },
    {
      name: 'the highest that was lowered',
      change: { maxReplicas: 2 },
      nodes: times(4, 400),
      want: { replicas: 2, limit: 'TooManyReplicas' },
    },
    { name: 'neither', change: {}, nodes: times(3, 400), want: { replicas: 3, limit: undefined } },
  ])('keeps to the bounds and tells which one holds it: $name', ({ change, nodes, want }) => {
    const input = makeInput(
      nodes.map((count) => node(count)),
      { spec: makeSpec(change) },
    );
    const history = new Recommendations(0, -1_000_000);
    expect(decideReplicas({ ...input, history, now: 0 })).toMatchObject({ ...want, active: true });
  });

  it('keeps to the bounds without figures, and changes nothing else', () => {
    const decide = (replicas: number) =>
      decideReplicas({
        ...makeInput([unknown], { spec: makeSpec({ minReplicas: 2 }), replicas }),
        history: new Recommendations(replicas, 0),
        now: 0,
      });
    expect(decide(5)).toMatchObject({ replicas: 5, active: false, limit: undefined });
    expect(decide(1)).toMatchObject({
      replicas: 2,
      active: false,
      grounds: 'no node says how loaded it is; spec.autoscaling.minReplicas is 2',
    });
  });

  it('agrees with a plain look at the whole history, for any recommendations', () => {
    const anyWindow = fc.integer({ min: 0, max: 100 });
    const anyStep = fc.record({
      after: fc.integer({ min: 1, max: 30 }),
      replicas: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 40 }), anyWindow, anyWindow, (steps, up, down) => {
        const spec = makeSpec({
          scaleUp: { stabilizationWindowSeconds: up },
          scaleDown: { stabilizationWindowSeconds: down },
        });
        const history = new Recommendations(5, 0);
        const all = [{ at: 0, replicas: 5 }];
        let current = 5;
        let now = 0;
        for (const { after, replicas } of steps) {
          now += after * 1000;
          history.add(replicas, now);
          all.push({ at: now, replicas });
          const within = (seconds: number): number[] =>
            all.filter(({ at }) => at >= now - seconds * 1000).map((item) => item.replicas);
          const want = Math.min(
            Math.max(current, Math.min(...within(up))),
            Math.max(...within(down)),
          );
          current = history.stabilize(current, spec, now);
          expect(current).toBe(want);
        }
      }),
    );
  });
});

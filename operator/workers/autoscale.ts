import type { MediaWorker } from '../../common/resources/types.ts';

export type Autoscaling = NonNullable<MediaWorker['spec']['autoscaling']>;

/** A node of the pool as the autoscaler sees it. */
export interface NodeLoad {
  /** `Counts`: takes rooms. `Leaves`: its load is about to move to the others. `Unknown`: it does not say, or not yet. */
  kind: 'Counts' | 'Leaves' | 'Unknown';
  consumers: number;
  cpuPercent: number;
}

/** One recommendation with its grounds, for a person. */
export interface Recommendation {
  replicas: number;
  grounds: string;
}

export interface RecommendInput {
  spec: Autoscaling;
  /** Nodes that are wanted now. */
  replicas: number;
  nodes: readonly NodeLoad[];
  workersPerNode: number;
  /** Deviation from the target that changes nothing, in percent of it. */
  tolerancePercent: number;
}

interface Metric {
  name: string;
  unit: string;
  target: number;
  /** What a node that has exactly this much adds to the sum. */
  of: (node: NodeLoad) => number;
}

const metricsOf = ({ spec, workersPerNode }: RecommendInput): Metric[] => [
  ...(spec.targetConsumersPerWorker === undefined
    ? []
    : [
        {
          name: 'consumers per worker',
          unit: '',
          target: spec.targetConsumersPerWorker,
          of: ({ consumers }: NodeLoad) => consumers / workersPerNode,
        },
      ]),
  ...(spec.targetCPUPercent === undefined
    ? []
    : [
        {
          name: "CPU of the nodes' busiest workers",
          unit: ' %',
          target: spec.targetCPUPercent,
          of: ({ cpuPercent }: NodeLoad) => cpuPercent,
        },
      ]),
];

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/**
 * How many nodes one figure asks for, as a HorizontalPodAutoscaler counts: the nodes by how far their average is from the
 * target. Nodes that say nothing are taken to be idle where there is too much, and at the target where there is too little,
 * so that they never make a step larger.
 */
function recommendFor(
  { name, unit, target, of }: Metric,
  { nodes, replicas, tolerancePercent }: RecommendInput,
): Recommendation {
  const counted = nodes.filter(({ kind }) => kind === 'Counts').length;
  const unknown = nodes.filter(({ kind }) => kind === 'Unknown').length;
  const known = nodes.filter(({ kind }) => kind !== 'Unknown');
  const sum = sumOf(known.map(of));
  const average = sum / counted;
  const isNear = (ratio: number): boolean => Math.abs(ratio - 1) * 100 <= tolerancePercent;
  const keep = {
    replicas,
    grounds: `${name} ${Math.round(average)}${unit}, target ${target}${unit}`,
  };
  const ratio = average / target;
  if (isNear(ratio)) return keep;
  const assumed = ratio < 1 ? unknown * target : 0;
  const size = counted + unknown;
  const cautious = (sum + assumed) / size / target;
  if (isNear(cautious) || cautious > 1 !== ratio > 1) return keep;
  const wanted = Math.ceil(roundOff(cautious * size));
  // The same side twice: more load never means fewer nodes than now, less never more.
  if (ratio > 1 ? wanted < replicas : wanted > replicas) return keep;
  const sign = ratio > 1 ? '>' : '<';
  return {
    replicas: wanted,
    grounds: `${name} ${Math.round(average)}${unit} ${sign} ${target}${unit}`,
  };
}

/** Sums of fractions are a hair off: that must not add a node. */
const roundOff = (value: number): number => Math.round(value * 1e6) / 1e6;

/**
 * How many nodes the load asks for: the most that any figure does.
 *
 * @returns undefined where no node that counts says how loaded it is
 */
export function recommend(input: RecommendInput): Recommendation | undefined {
  if (!input.nodes.some(({ kind }) => kind === 'Counts')) return undefined;
  return metricsOf(input)
    .map((metric) => recommendFor(metric, input))
    .reduce((most, next) => (next.replicas > most.replicas ? next : most));
}

/**
 * The lowest or the highest of the values of the last while. It keeps only those that can still be it: one for each
 * distinct value at most.
 */
class Extreme {
  readonly #isBetter: (a: number, b: number) => boolean;
  #items: { at: number; value: number }[] = [];

  constructor(isBetter: (a: number, b: number) => boolean) {
    this.#isBetter = isBetter;
  }

  add(value: number, at: number): void {
    while (this.#items.length > 0 && !this.#isBetter(this.#items.at(-1)?.value ?? value, value))
      this.#items.pop();
    this.#items.push({ at, value });
  }

  /** Of the values from `since` on. */
  best(since: number): number | undefined {
    while (this.#items.length > 1 && (this.#items[0]?.at ?? since) < since) this.#items.shift();
    return this.#items[0]?.value;
  }
}

/** What the autoscaler remembers of a pool: its recommendations of late. */
export class Recommendations {
  readonly #lowest = new Extreme((a, b) => a < b);
  readonly #highest = new Extreme((a, b) => a > b);
  lastAt: number | undefined;

  /** @param replicas the nodes that are wanted now: after a start nothing is taken away before its time */
  constructor(replicas: number, now: number) {
    this.add(replicas, now);
    this.lastAt = undefined;
  }

  add(replicas: number, now: number): void {
    this.#lowest.add(replicas, now);
    this.#highest.add(replicas, now);
    this.lastAt = now;
  }

  /** What is between the lowest of the time for scaling up and the highest of the time for scaling down. */
  stabilize(replicas: number, spec: Autoscaling, now: number): number {
    const since = ({ stabilizationWindowSeconds }: Autoscaling['scaleUp']): number =>
      now - stabilizationWindowSeconds * 1000;
    const up = this.#lowest.best(since(spec.scaleUp)) ?? replicas;
    const down = this.#highest.best(since(spec.scaleDown)) ?? replicas;
    return Math.min(Math.max(replicas, up), down);
  }
}

type ScalingLimit = 'TooFewReplicas' | 'TooManyReplicas' | undefined;

export interface ScalingDecision {
  replicas: number;
  /** Which bound keeps the pool from what its load asks for. */
  limit: ScalingLimit;
  /** Why, for a person. */
  grounds: string;
  /** Whether figures were there to decide by. */
  active: boolean;
}

export interface ScalingRequest extends RecommendInput {
  history: Recommendations;
  now: number;
}

function findLimit(replicas: number, { minReplicas, maxReplicas }: Autoscaling): ScalingLimit {
  if (replicas > maxReplicas) return 'TooManyReplicas';
  return replicas < minReplicas ? 'TooFewReplicas' : undefined;
}

const clamp = (replicas: number, { minReplicas, maxReplicas }: Autoscaling): number =>
  Math.min(maxReplicas, Math.max(minReplicas, replicas));

/** Decides how many nodes a pool is to have. Adds to the history: to be called once for each look. */
export function decideReplicas(request: ScalingRequest): ScalingDecision {
  const { spec, replicas, history, now } = request;
  const recommended = recommend(request);
  if (recommended) history.add(recommended.replicas, now);
  // The bounds hold even where nothing is known of the load.
  const stable = recommended ? history.stabilize(replicas, spec, now) : replicas;
  const limit = findLimit(stable, spec);
  const grounds = recommended?.grounds ?? 'no node says how loaded it is';
  return {
    replicas: clamp(stable, spec),
    limit,
    grounds: limit ? `${grounds}; ${describeLimit(limit, spec)}` : grounds,
    active: recommended !== undefined,
  };
}

function describeLimit(
  limit: NonNullable<ScalingLimit>,
  { minReplicas, maxReplicas }: Autoscaling,
): string {
  return limit === 'TooManyReplicas'
    ? `spec.autoscaling.maxReplicas is ${maxReplicas}`
    : `spec.autoscaling.minReplicas is ${minReplicas}`;
}

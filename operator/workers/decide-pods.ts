import type { NodeState } from '../placement/types.ts';

/** A pod of the pool with what decides about it. */
export interface PodView {
  name: string;
  ordinal: number;
  state: NodeState;
  /** The pod itself has ended for good, or was given up. */
  failed: boolean;
  terminating: boolean;
  /** Milliseconds since the epoch. */
  drainingSince: number | undefined;
  /** Made for an older shape of the spec. */
  outdated: boolean;
  peers: number;
  routers: number;
}

export interface PodsRequest {
  replicas: number;
  pods: readonly PodView[];
  /** The pool is being deleted. */
  deleting: boolean;
  drainTimeoutMs: number;
  /** Whether there are ports for one pod more than wanted, while pods of an old shape are replaced. */
  canSurge: boolean;
  now: number;
}

export interface PodsDecision {
  /** Ordinals to make pods for. */
  create: number[];
  /** Names of pods that are to take no more and to go when they are empty. */
  drain: string[];
  remove: { name: string; reason: 'Failed' | 'Drained' | 'DrainTimedOut' }[];
  /** When a drain's time is over, if one runs. */
  nextDeadline: number | undefined;
}

const isEmpty = ({ peers, routers }: PodView): boolean => peers === 0 && routers === 0;

/** Who goes first: pods of an old shape, those that don't serve, the emptiest, the newest. */
const byDispensability = (a: PodView, b: PodView): number =>
  Number(b.outdated) - Number(a.outdated) ||
  Number(a.state === 'Ready') - Number(b.state === 'Ready') ||
  a.peers - b.peers ||
  a.routers - b.routers ||
  b.ordinal - a.ordinal;

function decideRemoval(pod: PodView, request: PodsRequest): PodsDecision['remove'] {
  const { name, drainingSince } = pod;
  if (pod.failed) return [{ name, reason: 'Failed' }];
  if (drainingSince === undefined) return [];
  // A node that has not answered has nothing to lose; one that serves must have said that it drains.
  if ((pod.state === 'Draining' || pod.state === 'Pending') && isEmpty(pod))
    return [{ name, reason: 'Drained' }];
  const timedOut = request.now >= drainingSince + request.drainTimeoutMs;
  return timedOut ? [{ name, reason: 'DrainTimedOut' }] : [];
}

/** How many pods may go now: the surplus; while pods of an old shape are replaced, one more than wanted exists. */
function decideDrain(active: PodView[], draining: number, request: PodsRequest): string[] {
  const { replicas, deleting, canSurge } = request;
  const sorted = [...active].sort(byDispensability);
  if (deleting) return sorted.map(({ name }) => name);
  const surplus = active.length - replicas;
  const replacing = active.some(({ outdated }) => outdated);
  const replacementsServe = active.every(({ outdated, state }) => outdated || state === 'Ready');
  // Without ports for one more, an old pod has to go before its successor can come: one at a time.
  const inTurn = surplus === 0 && !canSurge && draining === 0 && replacementsServe;
  if (replacing && inTurn) return sorted.slice(0, 1).map(({ name }) => name);
  if (surplus <= 0) return [];
  // Nobody goes before the new pod serves, unless there is more surplus than the one that a replacement makes.
  const count = replacing && !replacementsServe ? surplus - 1 : surplus;
  return sorted.slice(0, count).map(({ name }) => name);
}

function decideCreate(active: PodView[], request: PodsRequest): number[] {
  if (request.deleting) return [];
  const replacing = active.some(({ outdated }) => outdated) && request.replicas > 0;
  const wanted = request.replicas + (replacing && request.canSurge ? 1 : 0);
  const count = wanted - active.length;
  const taken = new Set(request.pods.map(({ ordinal }) => ordinal));
  const free: number[] = [];
  for (let ordinal = 0; free.length < count; ordinal++) if (!taken.has(ordinal)) free.push(ordinal);
  return free;
}

/** Decides which pods of a pool to make, to drain and to remove. */
export function decidePods(request: PodsRequest): PodsDecision {
  const living = request.pods.filter(({ terminating }) => !terminating);
  const remove = living.flatMap((pod) => decideRemoval(pod, request));
  const removed = new Set(remove.map(({ name }) => name));
  const staying = living.filter(({ name }) => !removed.has(name));
  const draining = staying.filter(({ drainingSince }) => drainingSince !== undefined);
  const chosen = staying.filter(({ drainingSince }) => drainingSince === undefined);
  // A node that drains by itself takes no rooms any more: its pod is to go as well.
  const drainsItself = chosen.filter(({ state }) => state === 'Draining');
  const active = chosen.filter(({ state }) => state !== 'Draining');
  const deadlines = draining.map(
    ({ drainingSince }) => (drainingSince ?? 0) + request.drainTimeoutMs,
  );
  return {
    create: decideCreate(active, request),
    drain: [
      ...drainsItself.map(({ name }) => name),
      ...decideDrain(active, draining.length + drainsItself.length, request),
    ],
    remove,
    nextDeadline: deadlines.length > 0 ? Math.min(...deadlines) : undefined,
  };
}

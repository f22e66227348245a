import type { NodeState } from '../placement/types.ts';

/** Why a pod is to be replaced: it has another shape than its pool, or its machine takes no pods any more. */
export type ReplaceCause = 'Outdated' | 'Cordoned';

/** Why a pod is over without a drain: it ended for good, or its node stays silent. */
type EndCause = 'Failed' | 'Dead';

/** A pod of the pool with what decides about it. */
export interface PodView {
  name: string;
  ordinal: number;
  state: NodeState;
  /** Its process runs, as far as its machine knows. */
  runs: boolean;
  /** Nobody has asked its node yet, as after a start of the operator: its figures mean nothing. */
  unpolled: boolean;
  /** Its processes have ended, and are not started again. */
  failed: boolean;
  /** When it is to be replaced for its silence, in milliseconds since the epoch; undefined while its node is not given up. */
  giveUpAt: number | undefined;
  /** When the deletion was asked for, in milliseconds since the epoch. */
  deletedAt: number | undefined;
  /** Since when it drains, in milliseconds since the epoch. */
  drainingSince: number | undefined;
  replace: ReplaceCause | undefined;
  peers: number;
  routers: number;
}

export interface PodsRequest {
  replicas: number;
  pods: readonly PodView[];
  /** The pool is being deleted. */
  deleting: boolean;
  /** Names that can't be used, of pods that are no longer or never were the pool's own. */
  takenOrdinals: readonly number[];
  drainTimeoutMs: number;
  /** After how long a pod that was deleted and is still there is let go. */
  deletionTimeoutMs: number;
  /** How many more pods than wanted may exist while pods are replaced. */
  maxSurge: number;
  /** For how many more pods there are ports. */
  freeBlocks: number;
  now: number;
}

export type DrainCause = ReplaceCause | 'ScaledDown' | 'PoolDeleted' | 'NodeDrains';
export type RemoveCause = EndCause | 'Drained' | 'DrainTimedOut';

export interface PodsDecision {
  /** Ordinals to make pods for. */
  create: number[];
  /** Pods that are to take no more and to go when they are empty. */
  drain: { name: string; cause: DrainCause }[];
  remove: { name: string; cause: RemoveCause }[];
  /** Pods to let go without knowing what became of their process. */
  abandon: string[];
  /** Whether there are pods whose nodes nobody has asked yet, so that there is more to decide soon. */
  unpolled: boolean;
  /** When the time of a drain, of a silence or of a deletion is over, if one runs. */
  nextDeadline: number | undefined;
}

const isEmpty = ({ peers, routers }: PodView): boolean => peers === 0 && routers === 0;
const isReady = ({ state }: PodView): boolean => state === 'Ready';

/** Who goes first: those that don't serve, the emptiest, the newest. */
const byDispensability = (a: PodView, b: PodView): number =>
  Number(isReady(a)) - Number(isReady(b)) ||
  a.peers - b.peers ||
  a.routers - b.routers ||
  b.ordinal - a.ordinal;

/** The pods of a pool by what can become of them. */
interface Groups {
  terminating: PodView[];
  removed: PodsDecision['remove'];
  /** Pods that were chosen to go, and nodes that drain by themselves: they take no rooms, so that their pod goes too. */
  draining: PodView[];
  /** Pods that count for the pool. */
  active: PodView[];
}

function decideRemoval(pod: PodView, request: PodsRequest): PodsDecision['remove'] {
  const { name, drainingSince, failed, giveUpAt = Infinity } = pod;
  if (failed) return [{ name, cause: 'Failed' }];
  if (request.now >= giveUpAt) return [{ name, cause: 'Dead' }];
  if (drainingSince === undefined) return [];
  // A node that serves must have said that it drains; a process that does not run has nothing to lose.
  const isIdle = pod.state === 'Draining' || (pod.state === 'Pending' && !pod.runs);
  if (isIdle && !pod.unpolled && isEmpty(pod)) return [{ name, cause: 'Drained' }];
  const timedOut = request.now >= drainingSince + request.drainTimeoutMs;
  return timedOut ? [{ name, cause: 'DrainTimedOut' }] : [];
}

function group(request: PodsRequest): Groups {
  const terminating = request.pods.filter(({ deletedAt }) => deletedAt !== undefined);
  const living = request.pods.filter(({ deletedAt }) => deletedAt === undefined);
  const removed = living.flatMap((pod) => decideRemoval(pod, request));
  const gone = new Set(removed.map(({ name }) => name));
  const staying = living.filter(({ name }) => !gone.has(name));
  const isDraining = ({ drainingSince, state }: PodView): boolean =>
    drainingSince !== undefined || state === 'Draining';
  return {
    terminating,
    removed,
    draining: staying.filter(isDraining),
    active: staying.filter((pod) => !isDraining(pod)),
  };
}

/**
 * Of pods to be replaced as many may go as there are more than wanted, and of those that serve only as many as the pool
 * can do without; of the others those that are beyond the wanted number.
 */
function decideDrain(groups: Groups, request: PodsRequest): PodsDecision['drain'] {
  const { active } = groups;
  const { replicas } = request;
  if (request.deleting) return active.map(({ name }) => ({ name, cause: 'PoolDeleted' }));
  // Who is the emptiest shows once all were asked.
  if (active.some(({ unpolled }) => unpolled)) return [];
  const sorted = [...active].sort(byDispensability);
  const stale = sorted.filter(({ replace }) => replace);
  const fresh = sorted.filter(({ replace }) => !replace);
  if (mayGoInTurn(groups, request)) return stale.slice(0, 1).map(becauseOfReplacement);
  const surplus = Math.max(0, active.length - replicas);
  const spareReady = Math.max(0, active.filter(isReady).length - replicas);
  const idle = stale.filter((pod) => !isReady(pod));
  const serving = stale.filter(isReady).slice(0, spareReady);
  const replaced = [...idle, ...serving].slice(0, surplus);
  const excess = Math.min(surplus - replaced.length, Math.max(0, fresh.length - replicas));
  return [
    ...replaced.map(becauseOfReplacement),
    ...fresh.slice(0, excess).map(({ name }) => ({ name, cause: 'ScaledDown' as const })),
  ];
}

const becauseOfReplacement = ({ name, replace }: PodView): PodsDecision['drain'][number] => ({
  name,
  cause: replace ?? 'ScaledDown',
});

/** Without ports for one more, an old pod has to go before its successor can come: one at a time. */
function mayGoInTurn(groups: Groups, request: PodsRequest): boolean {
  const { active, draining, terminating, removed } = groups;
  // Who goes anyway leaves ports.
  const isSettled = [draining, terminating, removed].every((going) => going.length === 0);
  const replacementsServe = active.every((pod) => pod.replace ?? isReady(pod));
  const isFull = active.length === request.replicas && request.freeBlocks === 0;
  return isFull && isSettled && replacementsServe;
}

function decideCreate({ active, draining }: Groups, request: PodsRequest): number[] {
  const { replicas, maxSurge, freeBlocks, pods, takenOrdinals } = request;
  if (request.deleting) return [];
  const stale = replicas > 0 ? active.filter(({ replace }) => replace).length : 0;
  const missing = Math.max(0, replicas - active.length);
  // Pods that still drain count: there are never more than maxSurge more than wanted because of replacements.
  const surge = Math.min(stale, Math.max(0, maxSurge - draining.length));
  const extra = Math.max(0, active.length - replicas);
  const possible = Math.max(0, Math.min(surge - extra, freeBlocks - missing));
  return freeOrdinals(missing + possible, [
    ...pods.map(({ ordinal }) => ordinal),
    ...takenOrdinals,
  ]);
}

function freeOrdinals(count: number, taken: readonly number[]): number[] {
  const used = new Set(taken);
  const free: number[] = [];
  for (let ordinal = 0; free.length < count; ordinal++) if (!used.has(ordinal)) free.push(ordinal);
  return free;
}

const earliest = (times: number[]): number | undefined =>
  times.length > 0 ? Math.min(...times) : undefined;

/** Decides which pods of a pool to make, to drain, to remove and to give up. */
export function decidePods(request: PodsRequest): PodsDecision {
  const groups = group(request);
  const { draining, terminating } = groups;
  const abandonAt = ({ deletedAt = 0 }: PodView): number => deletedAt + request.deletionTimeoutMs;
  const overdue = terminating.filter((pod) => abandonAt(pod) <= request.now);
  return {
    create: decideCreate(groups, request),
    drain: [
      ...draining
        .filter(({ drainingSince }) => drainingSince === undefined)
        .map(({ name }) => ({ name, cause: 'NodeDrains' as const })),
      ...decideDrain(groups, request),
    ],
    remove: groups.removed,
    abandon: overdue.map(({ name }) => name),
    unpolled: groups.active.some(({ unpolled }) => unpolled),
    nextDeadline: earliest([
      ...draining.flatMap(({ drainingSince }) =>
        drainingSince === undefined ? [] : drainingSince + request.drainTimeoutMs,
      ),
      ...[...draining, ...groups.active].flatMap(({ giveUpAt }) => giveUpAt ?? []),
      ...terminating.filter((pod) => !overdue.includes(pod)).map(abandonAt),
    ]),
  };
}

import type { NodeStatus } from '../../common/wire/media-node.ts';
import { mediaContainerStatus, type Pod } from '../cluster.ts';
import type { NodeState } from '../placement/types.ts';
import type { Miss } from './missed-poll.ts';

/** What is known of the node in one pod. */
export interface ObservedNode {
  pod: Pod;
  url: string | undefined;
  state: NodeState;
  /** The running instance as it last answered; undefined before its first answer and after its end. */
  instance: ObservedInstance | undefined;
  /** Polls missed in a row. */
  misses: number;
  /** Polls in a row whose connection was refused, the last one included. */
  refusals: number;
  /** When the first of these misses was known, in milliseconds since the epoch. */
  silentSince: number | undefined;
}

interface ObservedInstance {
  id: string;
  restartCount: number;
  status: NodeStatus;
  /** When the poll of this answer was sent, and when the answer came, in milliseconds since the epoch. */
  askedAt: number;
  answeredAt: number;
}

export interface LivenessPolicy {
  /** Missed polls after which a node gets no new router. */
  staleAfterMisses: number;
  /** Missed polls after which a node is given up and what was on it moves, once its silence has lasted long enough too. */
  deadAfterMisses: number;
  /** How long its last answer must be back for that. */
  deadAfterMs: number;
  /** Refused connections in a row after which it is given up without further waiting. */
  deadAfterRefusals: number;
  /** How long the silence of a node without a witness may last, and that of any before its pod is replaced. */
  replaceAfterMs: number;
  /** How long a process may run before its first answer. */
  startTimeoutMs: number;
}

const restartCountOf = (pod: Pod): number => mediaContainerStatus(pod)?.restartCount ?? 0;

/** Whether the pod itself says that its process runs; without a statement it may. */
export const mayRun = (pod: Pod): boolean => {
  if (pod.status.phase === 'Failed' || pod.status.phase === 'Succeeded') return false;
  const container = mediaContainerStatus(pod);
  return container === undefined || container.state.running !== undefined;
};

export const isPodReady = ({ status }: Pod): boolean =>
  status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ??
  false;

const unbroken = { misses: 0, refusals: 0, silentSince: undefined };

export function observePod(pod: Pod, url: string | undefined, before?: ObservedNode): ObservedNode {
  const known = before?.pod.metadata.uid === pod.metadata.uid ? before : undefined;
  const fresh: ObservedNode = {
    pod,
    url,
    state: 'Pending',
    instance: undefined,
    ...unbroken,
  };
  if (!known || !mayRun(pod)) return fresh;
  const sameRun = !known.instance || known.instance.restartCount === restartCountOf(pod);
  return sameRun ? { ...known, pod, url } : fresh;
}

/**
 * The pod's news of a process that answers all the same: it was started again, or the news is an older one.
 *
 * @returns undefined while the pod does not say that a process runs: newer news of it is to come
 */
export function observeSameRun(pod: Pod, before: ObservedNode): ObservedNode | undefined {
  if (!mayRun(pod) || !before.instance) return undefined;
  const restartCount = restartCountOf(pod);
  return { ...before, pod, instance: { ...before.instance, restartCount } };
}

/** Whether the node gives its clients the address that it is to give them. */
export const announces = (status: NodeStatus, address: string | undefined): boolean =>
  address === undefined || status.announcedAddress === address;

export interface Answer {
  status: NodeStatus;
  /** The address that it is to announce; undefined when any will do. */
  address?: string | undefined;
}

/** When a poll was sent and when its outcome was known, in milliseconds since the epoch. */
export interface PollTimes {
  askedAt: number;
  now: number;
}

/**
 * A node answered its poll. Another instance than before means that the process was restarted. One that announces another
 * address than it should is not ready: clients would not reach it.
 */
export function observeAnswer(
  node: ObservedNode,
  { status, address }: Answer,
  { askedAt, now }: PollTimes,
): ObservedNode {
  return {
    ...node,
    state: status.state === 'Ready' && !announces(status, address) ? 'Pending' : status.state,
    instance: {
      id: status.instanceId,
      restartCount: restartCountOf(node.pod),
      ...{ status, askedAt, answeredAt: now },
    },
    ...unbroken,
  };
}

/** What a poll tells that comes to an end after others: what was known later stays. */
export const isOutdated = ({ instance }: ObservedNode, askedAt: number, miss?: Miss): boolean =>
  instance !== undefined && askedAt < (miss ? instance.answeredAt : instance.askedAt);

/**
 * A node missed a poll. One miss changes nothing, several make it stale, and more make it dead when its silence has lasted for
 * long enough: a process that stalls for a moment answers late. A port that nobody listens on is no stall: refusals in a row
 * make it dead at once.
 */
export function observeMiss(
  node: ObservedNode,
  { miss, policy, now }: { miss: Miss; policy: LivenessPolicy; now: number },
): ObservedNode {
  const misses = node.misses + 1;
  const refusals = miss === 'Refused' ? node.refusals + 1 : 0;
  const silentSince = node.silentSince ?? now;
  const next = { ...node, misses, refusals, silentSince };
  const { instance } = node;
  if (!instance)
    return { ...next, state: now - silentSince >= policy.startTimeoutMs ? 'Dead' : 'Pending' };
  const isSilent = misses >= policy.deadAfterMisses && silenceOf(node, now) >= policy.deadAfterMs;
  // What was given up stays so until it answers.
  if (node.state === 'Dead' || isSilent || isRefused(next, policy))
    return { ...next, state: 'Dead' };
  return misses >= policy.staleAfterMisses ? { ...next, state: 'Unreachable' } : next;
}

/** How long the last answer is back, in milliseconds; Infinity before the first. */
export const silenceOf = ({ instance }: ObservedNode, now: number): number =>
  instance ? now - instance.answeredAt : Infinity;

const isRefused = ({ refusals }: ObservedNode, { deadAfterRefusals }: LivenessPolicy): boolean =>
  refusals >= deadAfterRefusals;

/**
 * Whether a node that would be given up is spared, since it may be the operator that is cut off: when no other node has
 * answered since this one went silent, none is given up. Of a node that has not answered this operator yet, as after the
 * operator's start, its pod's own probe is the witness. A lone node that had answered has none: its silence must last longer,
 * and a closed port speaks for itself.
 */
export function lacksWitness(
  node: ObservedNode,
  others: readonly ObservedNode[],
  { policy, now }: { policy: LivenessPolicy; now: number },
): boolean {
  const since = node.silentSince ?? now;
  const answered = others.flatMap(({ instance, misses }) => (instance ? { instance, misses } : []));
  const isWitness = ({ instance, misses }: (typeof answered)[number]): boolean =>
    misses === 0 && instance.answeredAt >= since;
  if (answered.some(isWitness)) return false;
  if (!node.instance) return isPodReady(node.pod);
  if (answered.length > 0) return true;
  return !isRefused(node, policy) && silenceOf(node, now) < policy.replaceAfterMs;
}

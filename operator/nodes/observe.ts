import type { NodeStatus } from '../../common/wire/media-node.ts';
import { mediaContainerStatus, type Pod } from '../cluster.ts';
import type { NodeState } from '../placement/types.ts';

/** What is known of the node in one pod. */
export interface ObservedNode {
  pod: Pod;
  url: string | undefined;
  state: NodeState;
  /** The running instance as it last answered; undefined before its first answer and after its end. */
  instance:
    { id: string; restartCount: number; status: NodeStatus; answeredAt: number } | undefined;
  /** Polls missed in a row. */
  misses: number;
  /** Since when the process runs without an answer, in milliseconds since the epoch. */
  silentSince: number | undefined;
}

export interface LivenessPolicy {
  /** Missed polls after which a node gets no new router. */
  staleAfterMisses: number;
  /** Missed polls after which a node is given up and what was on it moves. */
  deadAfterMisses: number;
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

export function observePod(pod: Pod, url: string | undefined, before?: ObservedNode): ObservedNode {
  const known = before?.pod.metadata.uid === pod.metadata.uid ? before : undefined;
  const fresh: ObservedNode = {
    pod,
    url,
    state: 'Pending',
    instance: undefined,
    misses: 0,
    silentSince: undefined,
  };
  if (!known || !mayRun(pod)) return fresh;
  const sameRun = !known.instance || known.instance.restartCount === restartCountOf(pod);
  return sameRun ? { ...known, pod, url } : fresh;
}

/** Whether the node gives its clients the address that it is to give them. */
export const announces = (status: NodeStatus, address: string | undefined): boolean =>
  address === undefined || status.announcedAddress === address;

export interface Answer {
  status: NodeStatus;
  /** The address that it is to announce; undefined when any will do. */
  address?: string | undefined;
}

/**
 * A node answered its poll. Another instance than before means that the process was restarted. One that announces another
 * address than it should is not ready: clients would not reach it.
 */
export function observeAnswer(
  node: ObservedNode,
  { status, address }: Answer,
  now: number,
): ObservedNode {
  return {
    ...node,
    state: status.state === 'Ready' && !announces(status, address) ? 'Pending' : status.state,
    instance: {
      id: status.instanceId,
      restartCount: restartCountOf(node.pod),
      status,
      answeredAt: now,
    },
    misses: 0,
    silentSince: undefined,
  };
}

/** A node missed a poll. One miss changes nothing, several make it stale, many make it dead. */
export function observeSilence(
  node: ObservedNode,
  policy: LivenessPolicy,
  now: number,
): ObservedNode {
  const misses = node.misses + 1;
  const silentSince = node.silentSince ?? now;
  const next = { ...node, misses, silentSince };
  if (!node.instance)
    return { ...next, state: now - silentSince >= policy.startTimeoutMs ? 'Dead' : 'Pending' };
  if (misses >= policy.deadAfterMisses) return { ...next, state: 'Dead' };
  return misses >= policy.staleAfterMisses ? { ...next, state: 'Unreachable' } : next;
}

/**
 * Whether it is more likely the operator that is cut off than the node that is gone: when no node answers. Then none is given
 * up by its silence. Of a node that has not answered this operator yet, as after the operator's start, its pod's own probe is
 * the witness; a lone node that had answered has none.
 */
export function isCutOff(node: ObservedNode, others: readonly ObservedNode[]): boolean {
  const answered = [node, ...others].filter(({ instance }) => instance !== undefined);
  if (answered.some(({ misses }) => misses === 0)) return false;
  return node.instance ? answered.length > 1 : isPodReady(node.pod);
}

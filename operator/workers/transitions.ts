import { findCondition } from '../../common/resources/conditions.ts';
import type { Condition, MediaWorkerStatus } from '../../common/resources/types.ts';
import type { GivenReason } from '../reasons.ts';
import type { PoolEvent } from './reasons.ts';

/** Reasons of a pool that is not ready which nobody needs to be told of. */
const ordinary = ['NodesStarting', 'Deleting'];

interface Change {
  before: Condition | undefined;
  after: Condition;
}

const hasFlipped = ({ before, after }: Change): boolean => before?.status !== after.status;
const isNews = (change: Change): boolean =>
  hasFlipped(change) || change.before?.reason !== change.after.reason;

const warningOf = ({ reason, message }: Condition, action: string): PoolEvent => ({
  ...{ type: 'Warning', action, note: message },
  reason: reason as GivenReason,
});

function describeReady(change: Change): PoolEvent | undefined {
  const { reason, message, status } = change.after;
  if (!isNews(change) || ordinary.includes(reason)) return undefined;
  if (status === 'True')
    return hasFlipped(change)
      ? { type: 'Normal', reason: 'Ready', action: 'Observe', note: message }
      : undefined;
  return warningOf(change.after, 'Observe');
}

function describePods(change: Change): PoolEvent | undefined {
  return change.after.status === 'True' || !isNews(change)
    ? undefined
    : warningOf(change.after, 'CreatePods');
}

function describeRollout(change: Change): PoolEvent | undefined {
  const { before, after } = change;
  if (after.reason === 'RolloutStuck' && isNews(change)) return warningOf(after, 'Rollout');
  // A new pool's first pods are no rollout.
  if (!before || !hasFlipped(change)) return undefined;
  const { message } = after;
  if (after.status === 'False')
    return { type: 'Normal', reason: 'RolloutStarted', action: 'Rollout', note: message };
  if (after.status === 'True' && before.status === 'False')
    return { type: 'Normal', reason: 'RolloutFinished', action: 'Rollout', note: message };
  return undefined;
}

const descriptions: Record<string, (change: Change) => PoolEvent | undefined> = {
  PodsCreated: describePods,
  Updated: describeRollout,
  Ready: describeReady,
};

/** The Events that tell what has become of a pool between two statuses. */
export function describeTransitions(
  before: MediaWorkerStatus | undefined,
  after: MediaWorkerStatus,
): PoolEvent[] {
  const notes = Object.entries(descriptions).flatMap(([type, describe]) => {
    const now = findCondition(after.conditions, type);
    return now
      ? (describe({ before: findCondition(before?.conditions, type), after: now }) ?? [])
      : [];
  });
  // What keeps pods from existing keeps the pool from being ready too: once is enough.
  return notes.filter(({ reason }, i) => notes.findIndex((other) => other.reason === reason) === i);
}

/**
 * Every reason that the operator gives for the state of a pool. docs/troubleshooting.md says of each what it means and what to
 * do; a test holds the two against each other.
 */
import type { Condition } from '../../common/resources/types.ts';
import type { EventNote } from '../cluster.ts';
import type { ConditionTable, EventOf, EventTable, GivenReason } from '../reasons.ts';

/** Why pods that are wanted do not exist. */
const shortages = {
  PortRangeExhausted: 'False',
  QuotaExceeded: 'False',
  Forbidden: 'False',
  NotFound: 'False',
  InvalidPodTemplate: 'False',
  InvalidPod: 'False',
} as const;
export type ShortageReason = keyof typeof shortages;

/** Why a pod does not come up, besides what Kubernetes says by itself. */
const obstacles = {
  ImagePullBackOff: 'False',
  Unschedulable: 'False',
  AddressNotAnnounced: 'False',
} as const;
export type ObstacleReason = keyof typeof obstacles | GivenReason;

export const poolConditions = {
  Ready: {
    AllNodesReady: 'True',
    NodesStarting: 'False',
    NodesUnreachable: 'False',
    Deleting: 'False',
    ...shortages,
    ...obstacles,
  },
  PodsCreated: { PodsExist: 'True', ...shortages },
  Updated: {
    AllNodesUpdated: 'True',
    RollingOut: 'False',
    RolloutStuck: 'False',
    InvalidPodTemplate: 'Unknown',
  },
  ScalingActive: {
    LoadKnown: 'True',
    LoadUnknown: 'False',
    ScalingDisabled: 'False',
    NotLookedYet: 'Unknown',
  },
  ScalingLimited: { WithinBounds: 'False', TooManyReplicas: 'True', TooFewReplicas: 'True' },
} as const satisfies ConditionTable;

type Conditions = typeof poolConditions;
export type PoolConditionType = keyof Conditions;
export type PoolReason<T extends PoolConditionType> =
  keyof Conditions[T] | (T extends 'Ready' ? GivenReason : never);

export const poolStatusOf = <T extends PoolConditionType>(
  type: T,
  reason: PoolReason<T>,
): Condition['status'] =>
  // What Kubernetes says of a pod says that it is not up.
  (poolConditions[type] as ConditionTable[string])[reason as string] ?? 'False';

const warning = ['Warning'] as const;
const normal = ['Normal'] as const;

/** Those of the second part are the reasons of a condition that has become so. */
export const poolEvents = {
  PodsCreated: normal,
  DrainStarted: normal,
  DrainProgress: normal,
  DrainCompleted: normal,
  DrainDeadlineExceeded: warning,
  NodeDead: warning,
  PodFailed: warning,
  PodAbandoned: warning,
  BudgetNotApplied: warning,
  AutoscaledUp: normal,
  AutoscaledDown: normal,
  RolloutStarted: normal,
  RolloutFinished: normal,

  Ready: normal,
  RolloutStuck: warning,
  NodesUnreachable: warning,
  ImagePullBackOff: warning,
  Unschedulable: warning,
  AddressNotAnnounced: warning,
  PortRangeExhausted: warning,
  QuotaExceeded: warning,
  Forbidden: warning,
  NotFound: warning,
  InvalidPodTemplate: warning,
  InvalidPod: warning,
} as const satisfies EventTable;

export type PoolEvent =
  EventOf<typeof poolEvents> | (EventNote & { type: 'Warning'; reason: GivenReason });

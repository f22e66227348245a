/**
 * Every reason that the operator gives for the state of a room. docs/troubleshooting.md says of each what it means and what to
 * do; a test holds the two against each other.
 */
import type { Condition } from '../../common/resources/types.ts';
import type { ConditionTable, EventOf, EventTable } from '../reasons.ts';

export const roomConditions = {
  Ready: {
    RoutersReady: 'True',
    RoutersPending: 'False',
    RoutersFailed: 'False',
    InsufficientCapacity: 'False',
  },
  Placed: { RoutersPlaced: 'True', CannotGrow: 'True', InsufficientCapacity: 'False' },
  Idle: { NoPeers: 'True', PeersPresent: 'False' },
} as const satisfies ConditionTable;

type Conditions = typeof roomConditions;
export type RoomConditionType = keyof Conditions;
export type RoomReason<T extends RoomConditionType> = keyof Conditions[T] & string;

export const roomStatusOf = <T extends RoomConditionType>(
  type: T,
  reason: RoomReason<T>,
): Condition['status'] => (roomConditions[type] as ConditionTable[string])[reason] ?? 'Unknown';

const warning = ['Warning'] as const;
const normal = ['Normal'] as const;

export const roomEvents = {
  RoutersPlaced: normal,
  RoomGrown: normal,
  RoomShrunk: normal,
  RouterDraining: normal,
  RouterClosed: ['Normal', 'Warning'],
  RouterLost: warning,
  RouterFailed: warning,
  InsufficientCapacity: warning,
  CannotGrow: warning,
  RoutersAbandoned: warning,
  IdleTimeout: normal,
  TTLExpired: normal,
} as const satisfies EventTable;

export type RoomEvent = EventOf<typeof roomEvents>;

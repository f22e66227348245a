import { findCondition } from '../../common/resources/conditions.ts';
import type { MediaRoom, MediaRoomStatus, Placement } from '../../common/resources/types.ts';
import type { DrainCause } from '../placement/types.ts';
import type { ConsumerRouter } from './decide-size.ts';
import type { RoomDecision } from './decide.ts';
import type { RoomEvent } from './reasons.ts';
import type { PlacementView } from './view.ts';

/** Events of a room: what was decided, each with the reason that a person would ask for. */

const lossTexts = {
  gone: 'its pod or process is gone',
  restarted: 'another process runs in its pod',
  dead: 'its node has not answered for too long',
} as const;

const drainTexts: Record<DrainCause, string> = {
  NodeDraining: 'its node drains',
  NotSelected: 'the spec no longer selects its pool',
  Surplus: 'the spec wants fewer routers',
};

const nameOf = ({ role, podName }: Placement): string => `${role} on ${podName}`;
const namesOf = (placements: readonly Placement[]): string => placements.map(nameOf).join(', ');

const usage = (routers: readonly ConsumerRouter[]): string =>
  routers.map(({ fullPercent }) => `${Math.round(fullPercent)} %`).join(', ');

/** What a decision has done, once it is written down. */
export function buildDecisionEvents(room: MediaRoom, decision: RoomDecision): RoomEvent[] {
  const known = new Set(room.status?.placements?.map(({ routerId }) => routerId));
  const added = decision.placements.filter(({ routerId }) => !known.has(routerId));
  return [...lostEvents(decision.lost), ...placedEvents(decision, added)];
}

function lostEvents(lost: readonly PlacementView[]): RoomEvent[] {
  if (lost.length === 0) return [];
  const notes = lost.map(
    ({ placement, lost: cause }) =>
      `${nameOf(placement)}: ${cause ? lossTexts[cause] : 'its node did not take it'}`,
  );
  return [{ type: 'Warning', reason: 'RouterLost', action: 'Replace', note: notes.join('; ') }];
}

/** Which routers take no more peers from now on. */
export function buildDrainEvents({ draining, placements, sizing }: RoomDecision): RoomEvent[] {
  if (draining.size === 0) return [];
  const leaving = placements.filter(({ routerId }) => draining.has(routerId));
  if (sizing.decision.change === 'shrink') return [shrunkEvent(sizing, leaving)];
  const notes = leaving.map((placement) => {
    const cause = draining.get(placement.routerId);
    return `${nameOf(placement)} takes no more peers: ${cause ? drainTexts[cause] : ''}`;
  });
  return [{ type: 'Normal', reason: 'RouterDraining', action: 'Drain', note: notes.join('; ') }];
}

function shrunkEvent(
  { decision, routers }: RoomDecision['sizing'],
  leaving: readonly Placement[],
): RoomEvent {
  const gone = new Set(leaving.map(({ routerId }) => routerId));
  const rest = routers.filter(({ routerId }) => !gone.has(routerId));
  return {
    type: 'Normal',
    reason: 'RoomShrunk',
    action: 'Drain',
    note:
      `from ${routers.length} to ${decision.wanted} consumer routers: ${namesOf(leaving)} is empty, ` +
      `the workers of the others are at ${usage(rest)} of their consumers`,
  };
}

function placedEvents(
  { sizing, shortfalls, generation }: RoomDecision,
  added: readonly Placement[],
): RoomEvent[] {
  if (added.length === 0) return [];
  if (sizing.decision.change !== 'grow' || shortfalls.length > 0)
    return [
      {
        type: 'Normal',
        reason: 'RoutersPlaced',
        action: 'Place',
        note: `generation ${generation}: ${namesOf(added)}`,
      },
    ];
  const { decision, routers } = sizing;
  return [
    {
      type: 'Normal',
      reason: 'RoomGrown',
      action: 'Place',
      note:
        `from ${routers.length} to ${decision.wanted} consumer routers, now ${namesOf(added)}: the workers of the ` +
        `others are at ${usage(routers)} of their consumers`,
    },
  ];
}

/** What became of drained routers. */
export function buildClosedEvents(
  closed: readonly Placement[],
  overdue: ReadonlySet<string>,
): RoomEvent[] {
  const late = closed.filter(({ routerId }) => overdue.has(routerId));
  const empty = closed.filter(({ routerId }) => !overdue.has(routerId));
  const event = (type: RoomEvent['type'], note: string): RoomEvent => ({
    ...{ type, note, reason: 'RouterClosed', action: 'CloseRouters' },
  });
  return [
    ...(empty.length > 0 ? [event('Normal', `${namesOf(empty)}: drained, without peers`)] : []),
    ...(late.length > 0
      ? [event('Warning', `${namesOf(late)}: the drain time was over, its peers connect anew`)]
      : []),
  ];
}

const lacks = ['InsufficientCapacity', 'CannotGrow'] as const;

/** What the room lacks, when that was not so before. */
export function buildStatusEvents(
  before: MediaRoomStatus | undefined,
  after: MediaRoomStatus,
  failure: string | undefined,
): RoomEvent[] {
  const placed = findCondition(after.conditions, 'Placed');
  const wasPlaced = findCondition(before?.conditions, 'Placed');
  const events: RoomEvent[] = lacks
    .filter((reason) => placed?.reason === reason && wasPlaced?.reason !== reason)
    .map((reason) => ({
      ...{ type: 'Warning', reason, action: 'Place' },
      note: placed?.message ?? '',
    }));
  if (failure !== undefined && findCondition(before?.conditions, 'Ready')?.message !== failure)
    events.push({ type: 'Warning', reason: 'RouterFailed', action: 'MakeRouters', note: failure });
  return events;
}

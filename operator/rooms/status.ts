import { findCondition, setCondition } from '../../common/resources/conditions.ts';
import type {
  Condition,
  MediaRoom,
  MediaRoomStatus,
  Placement,
} from '../../common/resources/types.ts';
import { isActive } from '../placement/draft.ts';
import type { Shortfall } from '../placement/types.ts';
import { roomStatusOf, type RoomConditionType, type RoomReason } from './reasons.ts';

export interface RoomStatusInput {
  room: MediaRoom;
  placements: readonly Placement[];
  generation: number;
  shortfalls: readonly Shortfall[];
  /** Undefined while a node that has a router of the room is silent. */
  peers: number | undefined;
  /** Why routers are missing that have a place. */
  failure: string | undefined;
  now: Date;
}

type Fact = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

const factOf = <T extends RoomConditionType>(
  type: T,
  reason: RoomReason<T>,
  message: string,
): Fact => ({ type, status: roomStatusOf(type, reason), reason, message });

const serves = (placements: readonly Placement[], side: 'Producer' | 'Consumer'): boolean =>
  placements.some(({ role, state }) => state === 'Ready' && (role === side || role === 'Both'));

const textOf = (shortfalls: readonly Shortfall[]): string =>
  shortfalls.map(({ message }) => message).join('; ');

/** Whether the spec's least number of routers is missing, and not only one by which the room wanted to grow. */
const isShort = ({ spec }: MediaRoom, { side, placed }: Shortfall): boolean =>
  placed < (side === 'Producer' ? spec.producers : spec.consumers).routers;

function placedFact({ shortfalls, placements, room }: RoomStatusInput): Fact {
  const short = shortfalls.filter((shortfall) => isShort(room, shortfall));
  if (short.length > 0) return factOf('Placed', 'InsufficientCapacity', textOf(short));
  if (shortfalls.length > 0) {
    const text = 'the consumer routers are full, and there is no place for one more';
    return factOf('Placed', 'CannotGrow', `${text}. ${textOf(shortfalls)}`);
  }
  const draining = placements.filter(({ state }) => state === 'Draining').length;
  return factOf('Placed', 'RoutersPlaced', draining > 0 ? `${draining} routers are draining` : '');
}

function readyFact({ placements, shortfalls, failure }: RoomStatusInput): Fact {
  const ready = placements.filter(({ state }) => state === 'Ready').length;
  if (serves(placements, 'Producer') && serves(placements, 'Consumer'))
    return factOf(
      'Ready',
      'RoutersReady',
      failure ?? `${ready} of ${placements.length} routers are ready`,
    );
  if (failure !== undefined) return factOf('Ready', 'RoutersFailed', failure);
  if (shortfalls.length > 0) return factOf('Ready', 'InsufficientCapacity', textOf(shortfalls));
  return factOf('Ready', 'RoutersPending', 'its routers are being made');
}

/** What is not known leaves the condition as it was, so that an unreachable node doesn't restart the idle time. */
function idleFact({ peers, room }: RoomStatusInput): Fact | undefined {
  if (peers === undefined) return findCondition(room.status?.conditions, 'Idle');
  return factOf('Idle', peers === 0 ? 'NoPeers' : 'PeersPresent', '');
}

const namesOf = (names: readonly string[]): string[] => [...new Set(names)].sort();

/** The room's status from what was decided and done. */
export function buildRoomStatus(input: RoomStatusInput): MediaRoomStatus {
  const { room, placements, generation, now } = input;
  const observedGeneration = room.metadata.generation;
  const facts = [readyFact(input), placedFact(input), idleFact(input)];
  const conditions = facts.reduce<Condition[]>((list, fact) => {
    if (!fact) return list;
    const { type, status, reason, message } = fact;
    return setCondition(list, { type, status, observedGeneration, reason, message }, now);
  }, room.status?.conditions ?? []);
  const active = placements.filter(isActive);
  return {
    observedGeneration,
    placementGeneration: generation,
    routers: active.filter(({ state }) => state === 'Ready').length,
    nodes: namesOf(active.map(({ podName }) => podName)),
    pools: namesOf(active.map(({ pool }) => pool)),
    placements: [...placements],
    peers: input.peers ?? room.status?.peers ?? 0,
    conditions,
  };
}

import { findCondition, setCondition } from '../../common/resources/conditions.ts';
import type {
  Condition,
  MediaRoom,
  MediaRoomStatus,
  Placement,
} from '../../common/resources/types.ts';
import type { Shortfall } from '../placement/types.ts';

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

type Fact = Pick<Condition, 'status' | 'reason' | 'message'>;

const serves = (placements: readonly Placement[], side: 'Producer' | 'Consumer'): boolean =>
  placements.some(({ role, state }) => state === 'Ready' && (role === side || role === 'Both'));

function placedFact({ shortfalls, placements }: RoomStatusInput): Fact {
  if (shortfalls.length > 0)
    return {
      status: 'False',
      reason: 'InsufficientCapacity',
      message: shortfalls.map(({ message }) => message).join('; '),
    };
  const draining = placements.filter(({ state }) => state === 'Draining').length;
  const message = draining > 0 ? `${draining} routers are draining` : '';
  return { status: 'True', reason: 'RoutersPlaced', message };
}

function readyFact({ placements, shortfalls, failure }: RoomStatusInput): Fact {
  const ready = placements.filter(({ state }) => state === 'Ready').length;
  const message = failure ?? `${ready} of ${placements.length} routers are ready`;
  if (serves(placements, 'Producer') && serves(placements, 'Consumer'))
    return { status: 'True', reason: 'RoutersReady', message };
  return {
    status: 'False',
    reason: shortfalls.length > 0 ? 'InsufficientCapacity' : 'RoutersPending',
    message: failure ?? shortfalls.map((shortfall) => shortfall.message).join('; '),
  };
}

/** What is not known leaves the condition as it was, so that an unreachable node doesn't restart the idle time. */
function idleFact({ peers, room }: RoomStatusInput): Fact | undefined {
  if (peers === undefined) return findCondition(room.status?.conditions, 'Idle');
  return peers === 0
    ? { status: 'True', reason: 'NoPeers', message: '' }
    : { status: 'False', reason: 'PeersPresent', message: '' };
}

/** The room's status from what was decided and done. */
export function buildRoomStatus(input: RoomStatusInput): MediaRoomStatus {
  const { room, placements, generation, now } = input;
  const observedGeneration = room.metadata.generation;
  const idle = idleFact(input);
  const facts: [string, Fact | undefined][] = [
    ['Ready', readyFact(input)],
    ['Placed', placedFact(input)],
    ['Idle', idle],
  ];
  const conditions = facts.reduce<Condition[]>((list, [type, fact]) => {
    if (!fact) return list;
    const { status, reason, message } = fact;
    return setCondition(list, { type, status, observedGeneration, reason, message }, now);
  }, room.status?.conditions ?? []);
  return {
    observedGeneration,
    placementGeneration: generation,
    placements: [...placements],
    peers: input.peers ?? room.status?.peers ?? 0,
    conditions,
  };
}

import type { Change } from '../../common/kubernetes/informer.ts';
import type { MediaRoom } from '../../common/resources/types.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { Direction } from '../../common/wire/peer.ts';
import type { SignalingConfig } from '../config.ts';
import { closeCodes } from '../connection/close-codes.ts';
import type { SignalingMetrics } from '../metrics.ts';
import type { LocalPeer, Registry } from '../peers/registry.ts';
import { hasPlace, isDeleting, type Placements } from '../placement/placements.ts';
import { moveOf, type Problem } from './problem.ts';
import { createRejoins } from './rejoins.ts';
import { directions } from './sides.ts';
import { createSlots } from './slots.ts';

export interface MoverDeps {
  config: Pick<SignalingConfig, 'moves'>;
  metrics: Pick<SignalingMetrics, 'moves' | 'moveDuration'>;
  logger: Logger;
  registry: Registry;
  placements: Pick<Placements, 'room'>;
  /** From 0 to 1, for what is spread out. */
  random?: () => number;
}

/**
 * One side of a peer that has to move. *waiting*: no router takes it yet; *queued*: it has a place, and waits for its
 * turn; *told*: its client was asked; *overlapping*: the client has the new transport, and the old one still.
 */
interface Move {
  key: string;
  peer: LocalPeer;
  direction: Direction;
  problem: Problem;
  stage: 'waiting' | 'queued' | 'told' | 'overlapping';
  begunAt: number;
  /** The transport that its client was asked to replace. */
  transportId: string | undefined;
  timer: NodeJS.Timeout | undefined;
  deadline: NodeJS.Timeout | undefined;
}

type Result = 'moved' | 'expired' | 'abandoned' | 'unneeded';

/**
 * Moves the peers of this replica off routers where they can't stay. It looks at what is, at every change of a room and
 * at every step of a client, so it does not matter what it has missed. Clients that can replace a transport are asked to:
 * off nodes that drain few at a time, off lost ones all at once in a short spread. The others are closed, and join anew.
 */
export function createMover(deps: MoverDeps) {
  const { config, metrics, logger, registry, placements, random = Math.random } = deps;
  const { moves: timing } = config;
  const moves = new Map<string, Move>();
  const rejoins = createRejoins({ ...deps, random });
  const slots = createSlots<Move>(timing.concurrency, (move) => tell(move));

  const keyOf = (peer: LocalPeer, direction: Direction): string =>
    `${direction} ${peer.mediaPeerId}`;

  function finish(move: Move, result: Result): void {
    clearTimeout(move.timer);
    clearTimeout(move.deadline);
    moves.delete(move.key);
    slots.release(move);
    const { reason } = move.problem;
    metrics.moves.inc({ result, reason });
    if (result === 'moved')
      metrics.moveDuration.observe({ reason }, (Date.now() - move.begunAt) / 1000);
    const { mediaPeerId } = move.peer;
    logger.info({ mediaPeerId, side: move.direction, reason, result }, 'a move has ended');
  }

  function expire(move: Move): void {
    if (move.stage === 'overlapping') {
      finish(move, 'moved');
      return;
    }
    finish(move, 'expired');
    move.peer.close(closeCodes.moved, `${move.problem.reason}: not moved in time`);
  }

  /** Until when the side must have moved, which the operator may change. */
  function setDeadline(move: Move): void {
    clearTimeout(move.deadline);
    const { problem, begunAt } = move;
    const at = problem.deadline ?? (problem.lost ? begunAt + timing.lostTimeoutMs : undefined);
    move.deadline =
      at === undefined ? undefined : setTimeout(() => expire(move), Math.max(0, at - Date.now()));
  }

  function begin(peer: LocalPeer, direction: Direction, problem: Problem): Move {
    const move: Move = {
      ...{ key: keyOf(peer, direction), peer, direction, problem, stage: 'waiting' },
      ...{ begunAt: Date.now(), transportId: undefined, timer: undefined, deadline: undefined },
    };
    moves.set(move.key, move);
    setDeadline(move);
    return move;
  }

  /** Its turn is over: it begins again, or was done but for its old transport. */
  function again(move: Move): void {
    slots.release(move);
    if (move.stage === 'overlapping') finish(move, 'moved');
    else {
      move.stage = 'waiting';
      consider(move.peer);
    }
  }

  function tell(move: Move): void {
    const { peer, direction, problem } = move;
    move.stage = 'told';
    move.timer = setTimeout(() => again(move), timing.clientTimeoutMs);
    move.transportId = peer.sides?.transportOf(direction);
    const { reason } = problem;
    logger.info({ mediaPeerId: peer.mediaPeerId, side: direction, reason }, 'asked to move');
    if (move.transportId === undefined) {
      // The client has nothing on this side: only the binding moves.
      peer.sides?.settle(direction).then(
        () => consider(peer),
        (error: unknown) => logger.info({ err: error }, 'a side was not bound anew'),
      );
      return;
    }
    const overlapMs = problem.lost ? 0 : timing.overlapMs;
    const data = { transportId: move.transportId, direction, reason, overlapMs };
    peer.deliver({ method: 'moveTransport', data });
  }

  function proceed(move: Move): void {
    move.stage = 'queued';
    if (!move.problem.lost) slots.request(move);
    else move.timer = setTimeout(() => tell(move), random() * timing.failoverSpreadMs);
  }

  /** The node died while its peers were leaving it, or what was asked for has ended otherwise. */
  function worsened(move: Move, problem: Problem): void {
    const { transportId } = move;
    const isOther =
      transportId !== undefined && move.peer.sides?.transportOf(move.direction) !== transportId;
    const isUrgent = problem.lost && !move.problem.lost;
    move.problem = problem;
    setDeadline(move);
    if (!isUrgent && !isOther) return;
    clearTimeout(move.timer);
    slots.release(move);
    move.stage = 'waiting';
  }

  /** The side is where it should be; its client may still have the old transport. */
  function settled(move: Move): void {
    const { stage, transportId, peer } = move;
    const hasOld = transportId !== undefined && peer.sides?.hasTransport(transportId) === true;
    if (stage === 'waiting' || stage === 'queued') finish(move, 'unneeded');
    else if (hasOld) move.stage = 'overlapping';
    else finish(move, 'moved');
  }

  function considerSide(peer: LocalPeer, direction: Direction, room: MediaRoom): void {
    const picture = peer.sides?.picture(direction);
    const problem = picture && moveOf(picture, room);
    const known = moves.get(keyOf(peer, direction));
    if (!problem) {
      if (known) settled(known);
      return;
    }
    // The side has moved, and has to again.
    if (known?.stage === 'overlapping') finish(known, 'moved');
    else if (known) worsened(known, problem);
    const move = moves.get(keyOf(peer, direction)) ?? begin(peer, direction, problem);
    if (move.stage === 'waiting' && hasPlace(room, direction)) proceed(move);
  }

  /** Looks whether a peer has to move, and how far it is. */
  function consider(peer: LocalPeer): void {
    const room = placements.room(peer.roomName);
    // One that continues its session is looked at when it has been told the truth.
    if (!room || !peer.sides || peer.stage === 'resuming') return;
    if (peer.movable && peer.stage === 'joined')
      for (const direction of directions) considerSide(peer, direction, room);
    else rejoins.consider(peer, room);
  }

  return {
    consider,

    /** What is known of a room has changed; the peers of one that is deleted are closed for good. */
    roomChanged: ({ name, object, previous, deleted }: Change<MediaRoom>): void => {
      const last = object ?? previous;
      // A room that is gone without a word of its deletion may come back.
      const isDeleted = deleted || (last !== undefined && isDeleting(last));
      for (const peer of registry.inRoom(name)) {
        if (isDeleted) peer.close(closeCodes.forGood, 'the room is deleted');
        else if (object) consider(peer);
        else peer.close(closeCodes.moved, 'the room is gone');
      }
    },

    /** The connection has ended. */
    forget(peer: LocalPeer): void {
      rejoins.forget(peer);
      for (const direction of directions) {
        const move = moves.get(keyOf(peer, direction));
        if (move?.peer === peer) finish(move, 'abandoned');
      }
    },
  };
}

export type Mover = ReturnType<typeof createMover>;

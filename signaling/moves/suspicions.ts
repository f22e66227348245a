import type { PeersRepository } from '../../common/db/repositories/peers.ts';
import { isApiError, messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { Direction } from '../../common/wire/peer.ts';
import type { SignalingConfig } from '../config.ts';
import { closeCodes } from '../connection/close-codes.ts';
import type { LocalPeer } from '../peers/registry.ts';
import type { Placements } from '../placement/placements.ts';
import { moveOf } from './problem.ts';

export interface SuspicionDeps {
  config: Pick<SignalingConfig, 'moves'>;
  logger: Logger;
  peers: Pick<PeersRepository, 'ownerEpochOf'>;
  placements: Pick<Placements, 'room'>;
}

/** Answers of a media node that mean that this connection is of no use there. */
export const fatalCodes = ['peer_not_found', 'router_not_found', 'instance_mismatch'] as const;

/** Whether a failure casts doubt on the node that a side is on. */
export const isSuspicious = (error: unknown): boolean =>
  isApiError(error, ...fatalCodes, 'node_unavailable', 'timed_out');

/**
 * What becomes of a peer with a side on a node that does not know it, or does not answer. The operator knows more, and
 * its word moves the peer; where it has none in time the node is asked again, and if it fails again the client joins
 * anew. One failure is no death: media may flow while an API hangs.
 */
export function createSuspicions({ config, logger, peers, placements }: SuspicionDeps) {
  const timers = new Map<string, NodeJS.Timeout>();
  const keyOf = (peer: LocalPeer, direction: Direction): string =>
    `${direction} ${peer.mediaPeerId}`;

  /** Closes the connection if its session has ended, or goes on elsewhere. @returns whether it did */
  async function closeIfOver(peer: LocalPeer): Promise<boolean> {
    const epoch = await peers.ownerEpochOf(peer.mediaPeerId);
    if (epoch === peer.ownerEpoch) return false;
    if (epoch === undefined) peer.close(closeCodes.sessionLost, 'the session has ended');
    else peer.close(closeCodes.forGood, 'the session goes on with another connection');
    return true;
  }

  const isMoving = (peer: LocalPeer, direction: Direction): boolean => {
    const room = placements.room(peer.roomName);
    return (
      room !== undefined &&
      peer.sides !== undefined &&
      moveOf(peer.sides.picture(direction), room) !== undefined
    );
  };

  async function check(peer: LocalPeer, direction: Direction): Promise<void> {
    if (isMoving(peer, direction)) return;
    try {
      await peer.sides?.probe(direction);
    } catch (error) {
      if (!isSuspicious(error) || isMoving(peer, direction)) return;
      logger.warn({ side: direction, reason: messageOf(error) }, 'a side is lost');
      peer.close(closeCodes.moved, `the media node fails: ${messageOf(error)}`);
    }
  }

  return {
    closeIfOver,

    /** A request that concerns this side has failed at the media node. */
    raise(peer: LocalPeer, direction: Direction): void {
      const key = keyOf(peer, direction);
      if (timers.has(key) || isMoving(peer, direction)) return;
      const timer = setTimeout(() => {
        timers.delete(key);
        void check(peer, direction);
      }, config.moves.suspicionMs);
      timers.set(key, timer);
    },

    forget(peer: LocalPeer): void {
      for (const direction of ['producer', 'consumer'] as const) {
        const key = keyOf(peer, direction);
        clearTimeout(timers.get(key));
        timers.delete(key);
      }
    },
  };
}

export type Suspicions = ReturnType<typeof createSuspicions>;

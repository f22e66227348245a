import type { Logger } from '../../common/service/logger.ts';
import { messageOf } from '../../common/errors.ts';
import { closeCodes } from '../connection/close-codes.ts';
import type { LostPeer } from '../fanout/dispatcher.ts';
import { hasJoined, type LocalPeer } from '../peers/registry.ts';
import type { Mover } from './mover.ts';
import type { Suspicions } from './suspicions.ts';

export interface LossDeps {
  logger: Logger;
  mover: Pick<Mover, 'consider'>;
  suspicions: Pick<Suspicions, 'closeIfOver'>;
}

/**
 * What a media node's word of a loss means: a client that can replace the transport is asked to; any other joins anew, and
 * so does one of which more than a transport is lost.
 */
export function createLossHandler({ logger, mover, suspicions }: LossDeps) {
  return (peer: LocalPeer, { reason, transportId, direction }: LostPeer): void => {
    const rejoin = (): void => peer.close(closeCodes.moved, `lost by the media node: ${reason}`);
    if (!peer.movable || !hasJoined(peer)) rejoin();
    else if (direction !== undefined) {
      // Without a transport on it, only the binding is lost, of which the operator tells.
      if (transportId !== undefined) peer.sides?.markLost(direction, transportId);
      mover.consider(peer);
    } else
      suspicions.closeIfOver(peer).then(
        (isOver) => isOver || rejoin(),
        (error: unknown) => logger.warn({ reason: messageOf(error) }, 'a loss was not looked into'),
      );
  };
}

import type { TakenOver } from '../../common/db/repositories/peers.ts';
import { ApiError, isApiError, messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import { closeCodes } from '../connection/close-codes.ts';
import type { Admission } from '../connection/handshake.ts';
import { PeerSides, type SidesStart } from '../moves/sides.ts';
import { bindPeer } from '../peers/bind.ts';
import type { Services } from '../services.ts';
import { hashOfToken } from './resume-token.ts';

/** A connection with its session: which of the session's owners it is, and where the peer's sides are. */
export interface Attachment {
  ownerEpoch: number;
  sides: PeerSides;
}

/** The connection that asks. */
interface Applicant {
  mediaPeerId: string;
  roomName: string;
  peerId: string;
  admission: Admission;
  logger: Logger;
}

const forGood = { code: closeCodes.forGood, reason: 'the session goes on with another connection' };

/** Closes the connection that had the session before, if it is at another replica and does not know yet. */
function closePrevious(services: Services, { id, previous, ownerEpoch }: TakenOver): void {
  const { hastyOthers, membership, logger } = services;
  if (previous.replicaId === membership.id) return;
  hastyOthers
    .closePeer(previous.replicaUrl, id, { ...forGood, beforeEpoch: ownerEpoch })
    .catch((error: unknown) =>
      // It may be dead, or hang; what it does for the session later changes nothing.
      logger.info({ reason: messageOf(error) }, 'the earlier replica of a session was not told'),
    );
}

async function takeOver(
  services: Services,
  { mediaPeerId, roomName, peerId, admission }: Applicant,
  resumeHash: string,
): Promise<TakenOver> {
  const { peers, membership } = services;
  const { remoteAddress, grants } = admission;
  const who = { resumeHash, roomId: roomName, peerId, remoteAddress, grants };
  const taken = await peers
    .takeOver({ ...who, replicaId: membership.id })
    .catch((error: unknown) => {
      // The row that is missing is this replica's own.
      if (isApiError(error, 'room_not_ready')) membership.checkNow();
      throw error;
    });
  if (taken?.id !== mediaPeerId)
    throw new ApiError('peer_not_found', 'there is no such session any more');
  closePrevious(services, taken);
  return taken;
}

/**
 * Writes a new session, or makes this connection the owner of the one that it resumes.
 *
 * @param token by which the session can be resumed; undefined: it can't be
 * @throws {ApiError} as {@link bindPeer}; `peer_not_found` when the session to resume is over
 */
export async function attach(
  services: Services,
  applicant: Applicant,
  token: string | undefined,
): Promise<Attachment> {
  const { mediaPeerId, roomName, peerId, admission, logger } = applicant;
  const attached = (ownerEpoch: number, start: SidesStart): Attachment => {
    const owner = { mediaPeerId, roomName, peerId, ownerEpoch };
    return { ownerEpoch, sides: new PeerSides({ ...services, logger }, owner, start) };
  };
  const { room, remoteAddress, grants, extensions, resume } = admission;
  if (resume) {
    const taken = await resumed(services, () => takeOver(services, applicant, resume.hash));
    return attached(taken.ownerEpoch, taken);
  }
  if (!room) throw new Error('a new session without a room');
  const routers = await bindPeer(services, room, {
    ...{ id: mediaPeerId, peerId, kind: 'WebSocket', remoteAddress, grants },
    ...(token === undefined ? {} : { resumeHash: hashOfToken(token) }),
    extensions: [...extensions],
  });
  return attached(0, { ...routers, transports: [] });
}

async function resumed({ metrics }: Services, work: () => Promise<TakenOver>): Promise<TakenOver> {
  try {
    const taken = await work();
    metrics.resumes.inc({ result: 'resumed' });
    return taken;
  } catch (error) {
    const code = isApiError(error) ? error.code : 'internal';
    metrics.resumes.inc({ result: code === 'peer_not_found' ? 'lost' : code });
    throw error;
  }
}

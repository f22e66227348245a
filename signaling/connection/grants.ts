import { ApiError } from '../../common/errors.ts';
import type { Grants, PeerMethod, PeerRequest } from '../../common/wire/peer.ts';

const needed: Partial<Record<PeerMethod, keyof Grants>> = {
  produce: 'publish',
  produceData: 'data',
  consume: 'subscribe',
};

/** @throws {ApiError} `forbidden` when the peer's token does not allow this method */
export function requireGrant(grants: Grants, method: PeerMethod): void {
  const grant = needed[method];
  if (grant && !grants[grant])
    throw new ApiError('forbidden', `the room token does not grant "${grant}"`);
}

/** A peer that may not subscribe joins as one that can't receive. */
export function withoutReceiving(grants: Grants, join: PeerRequest<'join'>): PeerRequest<'join'> {
  if (grants.subscribe) return join;
  const { displayName, device } = join;
  return { displayName, device };
}

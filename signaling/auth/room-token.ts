import { SignJWT, errors, jwtVerify } from 'jose';
import { z } from 'zod';

import { ApiError } from '../../common/errors.ts';
import { parseOrThrow } from '../../common/validate.ts';
import { grants, type Grants } from '../../common/wire/peer.ts';

/** In `room` or `peer` of a token: every one. For operators' tools; a client's token names its own. */
export const anyName = '*';

const defaultGrants: Grants = { publish: true, subscribe: true, data: true, admin: false };
/** What a connection without a token may do in development. */
export const allGrants: Grants = { publish: true, subscribe: true, data: true, admin: true };

const claims = z.object({
  room: z.string().min(1),
  peer: z.string().min(1),
  grants: grants.partial().default({}),
});

/** What a verified room token allows, and whom. */
export interface RoomClaims {
  room: string;
  peer: string;
  grants: Grants;
}

const keyOf = (secret: string): Uint8Array => new TextEncoder().encode(secret);

export interface RoomTokenOptions {
  secret: string;
  /** The client's room id, or `*`. */
  room: string;
  /** The peer's id, or `*`. */
  peer: string;
  /** From now, in seconds; negative makes an expired one. */
  ttlSeconds: number;
  /** What is left out has its default: publish, subscribe and data allowed, admin not. */
  grants?: Partial<Grants>;
}

/** Signs a room token: a JWT (HS256) with the claims `room`, `peer`, `exp` and `grants`. */
export function signRoomToken(options: RoomTokenOptions): Promise<string> {
  const { secret, room, peer, ttlSeconds } = options;
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ room, peer, grants: { ...defaultGrants, ...options.grants } })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt(now)
    .setExpirationTime(now + ttlSeconds)
    .sign(keyOf(secret));
}

/**
 * Checks a room token's signature, expiry and claims; not yet whom it is for.
 *
 * @throws {ApiError} `invalid_token`
 */
export async function verifyRoomToken(token: string, secret: string): Promise<RoomClaims> {
  try {
    const { payload } = await jwtVerify(token, keyOf(secret), {
      algorithms: ['HS256'],
      requiredClaims: ['exp', 'room', 'peer'],
    });
    const parsed = parseOrThrow(claims, payload, 'room token');
    const given = Object.entries(parsed.grants).filter(([, value]) => value !== undefined);
    return { ...parsed, grants: { ...defaultGrants, ...Object.fromEntries(given) } };
  } catch (error) {
    if (error instanceof errors.JOSEError)
      throw new ApiError('invalid_token', `room token: ${error.message}`, { cause: error });
    if (error instanceof ApiError)
      throw new ApiError('invalid_token', error.message, { cause: error });
    throw error;
  }
}

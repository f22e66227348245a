import { ApiError } from '../../common/errors.ts';
import type { Grants } from '../../common/wire/peer.ts';
import { allGrants, anyName, verifyRoomToken, type RoomClaims } from './room-token.ts';

export interface RoomAuthConfig {
  secret: string;
  development: boolean;
}

/** A token from an `Authorization: Bearer …` header. */
export const bearerOf = (header: string | undefined): string | undefined =>
  /^Bearer (.+)$/i.exec(header ?? '')?.[1];

const everything: RoomClaims = { room: anyName, peer: anyName, grants: allGrants };

/** A token that is given is always checked; none is enough in development alone. */
async function claimsOf(auth: RoomAuthConfig, token: string | undefined): Promise<RoomClaims> {
  if (token) return verifyRoomToken(token, auth.secret);
  if (auth.development) return everything;
  throw new ApiError('missing_token', 'a room token is required');
}

const fits = (claim: string, name: string): boolean => claim === anyName || claim === name;

/**
 * What this peer may do in this room.
 *
 * @throws {ApiError} `missing_token`, or `invalid_token` also for a token of another room or peer
 */
export async function authorizePeer(
  auth: RoomAuthConfig,
  token: string | undefined,
  who: { roomId: string; peerId: string },
): Promise<Grants> {
  const claims = await claimsOf(auth, token);
  if (!fits(claims.room, who.roomId))
    throw new ApiError('invalid_token', 'room token: it is for another room');
  if (!fits(claims.peer, who.peerId))
    throw new ApiError('invalid_token', 'room token: it is for another peer');
  return claims.grants;
}

/**
 * Lets in whoever has a token for this room, whatever it grants.
 *
 * @throws {ApiError} `missing_token`, `invalid_token`
 */
export async function authorizeRoom(
  auth: RoomAuthConfig,
  token: string | undefined,
  roomId: string,
): Promise<void> {
  const claims = await claimsOf(auth, token);
  if (!fits(claims.room, roomId))
    throw new ApiError('invalid_token', 'room token: it is for another room');
}

/**
 * Lets an administrator of the room through; with no room named, of every room.
 *
 * @throws {ApiError} `missing_token`, `invalid_token`, `forbidden`
 */
export async function authorizeAdmin(
  auth: RoomAuthConfig,
  token: string | undefined,
  roomId: string = anyName,
): Promise<void> {
  const claims = await claimsOf(auth, token);
  if (!claims.grants.admin)
    throw new ApiError('forbidden', 'the room token does not grant "admin"');
  if (!fits(claims.room, roomId))
    throw new ApiError(
      'forbidden',
      roomId === anyName
        ? 'this needs a room token for every room ("*")'
        : 'the room token is for another room',
    );
}

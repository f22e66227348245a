import { describe, expect, it } from '@jest/globals';
import { SignJWT, UnsecuredJWT } from 'jose';

import { authorizeAdmin, authorizePeer, authorizeRoom, bearerOf } from './authorize.ts';
import { signRoomToken, verifyRoomToken, type RoomTokenOptions } from './room-token.ts';
import { tokenFromArgs } from './token-cli.ts';

const secret = 'a secret of the tests, of 32 bytes or more';
const auth = { secret, development: false };
const who = { roomId: 'room', peerId: 'ann' };
const token = (options: Partial<RoomTokenOptions> = {}): Promise<string> =>
  signRoomToken({ secret, room: 'room', peer: 'ann', ttlSeconds: 60, ...options });
const raw = (payload: Record<string, unknown>): Promise<string> =>
  new SignJWT(payload)
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('60s')
    .sign(new TextEncoder().encode(secret));
const withoutExpiry = (): Promise<string> =>
  new SignJWT({ room: 'room', peer: 'ann' })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(secret));

describe('a room token', () => {
  it('allows publishing, subscribing and data, unless it says otherwise', async () => {
    expect(await authorizePeer(auth, await token(), who)).toEqual({
      publish: true,
      subscribe: true,
      data: true,
      admin: false,
    });
    const narrow = await token({ grants: { publish: false, admin: true } });
    expect(await authorizePeer(auth, narrow, who)).toEqual({
      publish: false,
      subscribe: true,
      data: true,
      admin: true,
    });
    expect((await verifyRoomToken(await raw({ room: 'r', peer: 'p' }), secret)).grants.data).toBe(
      true,
    );
  });

  it.each([
    ['none', () => Promise.resolve(undefined), 'missing_token'],
    ['an empty one', () => Promise.resolve(''), 'missing_token'],
    ['garbage', () => Promise.resolve('a.b.c'), 'invalid_token'],
    ['one of another key', () => token({ secret: `${secret}!` }), 'invalid_token'],
    ['an expired one', () => token({ ttlSeconds: -10 }), 'invalid_token'],
    ['one of another room', () => token({ room: 'other' }), 'invalid_token'],
    ['one of another peer', () => token({ peer: 'bob' }), 'invalid_token'],
    ['one without an expiry', withoutExpiry, 'invalid_token'],
    ['one without a room', () => raw({ peer: 'ann' }), 'invalid_token'],
    [
      'one with odd grants',
      () => raw({ room: 'room', peer: 'ann', grants: { admin: 'yes' } }),
      'invalid_token',
    ],
    [
      'one without a signature',
      () =>
        Promise.resolve(
          new UnsecuredJWT({ room: 'room', peer: 'ann' }).setExpirationTime('60s').encode(),
        ),
      'invalid_token',
    ],
  ])('is refused: %s', async (_name, make, code) => {
    await expect(authorizePeer(auth, await make(), who)).rejects.toMatchObject({ code });
  });

  it('may be for every room and every peer', async () => {
    await authorizePeer(auth, await token({ room: '*', peer: '*' }), who);
  });

  it('is not needed in development, but checked where it is given', async () => {
    const development = { secret, development: true };
    expect((await authorizePeer(development, undefined, who)).admin).toBe(true);
    const wrong = token({ room: 'other' });
    await expect(authorizePeer(development, await wrong, who)).rejects.toMatchObject({
      code: 'invalid_token',
    });
    const mine = await token();
    expect((await authorizePeer(development, mine, who)).admin).toBe(false);
  });

  it('lets administrators in, each to their own room', async () => {
    const admin = await token({ grants: { admin: true } });
    await authorizeAdmin(auth, admin, 'room');
    await expect(authorizeAdmin(auth, admin, 'other')).rejects.toMatchObject({ code: 'forbidden' });
    await expect(authorizeAdmin(auth, admin)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(authorizeAdmin(auth, await token(), 'room')).rejects.toMatchObject({
      code: 'forbidden',
    });
    await authorizeAdmin(auth, await token({ room: '*', grants: { admin: true } }));
  });

  it('lets any peer of a room look at it', async () => {
    await authorizeRoom(auth, await token(), 'room');
    await expect(authorizeRoom(auth, await token(), 'other')).rejects.toMatchObject({
      code: 'invalid_token',
    });
  });

  it('is taken from a bearer header', () => {
    expect([bearerOf('Bearer abc'), bearerOf('bearer abc'), bearerOf('Basic abc')]).toEqual([
      'abc',
      'abc',
      undefined,
    ]);
  });
});

describe('the token command', () => {
  it('signs what the arguments say', async () => {
    const args = ['--room', 'r', '--peer', 'p', '--admin', '--no-publish', '--ttl', '5'];
    const claims = await verifyRoomToken(
      await tokenFromArgs(args, { ROOM_SECRET: secret }),
      secret,
    );
    expect(claims).toEqual({
      room: 'r',
      peer: 'p',
      grants: { publish: false, subscribe: true, data: true, admin: true },
    });
  });

  it('reads the key that the sample configuration names', async () => {
    const args = ['--room', 'r', '--peer', 'p', '--config', 'config/signaling.yaml'];
    await verifyRoomToken(await tokenFromArgs(args, { ROOM_SECRET: secret }), secret);
  });

  it.each([[[]], [['--room', 'r']], [['--room', 'r', '--peer', 'p', '--ttl', 'x']]])(
    'explains itself for %j',
    async (args) => {
      await expect(tokenFromArgs(args, { ROOM_SECRET: secret })).rejects.toThrow('usage:');
    },
  );

  it('wants a key', async () => {
    await expect(tokenFromArgs(['--room', 'r', '--peer', 'p'], {})).rejects.toThrow('no key');
  });
});

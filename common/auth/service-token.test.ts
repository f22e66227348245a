import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { SignJWT, decodeJwt } from 'jose';

import { messageOf } from '../errors.ts';
import { createServiceTokenSigner, verifyServiceToken } from './service-token.ts';

const secret = 'a secret of at least 32 bytes, for tests';
const keyOf = (text: string) => new TextEncoder().encode(text);
const signer = (options: Partial<Parameters<typeof createServiceTokenSigner>[0]> = {}) =>
  createServiceTokenSigner({ secret, issuer: 'pod-1', ttlSeconds: 60, ...options });
const verify = (token: string) => verifyServiceToken(`Bearer ${token}`, 'media-node', secret);
const handMade = () =>
  new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setAudience('media-node');

// Only the date: signing needs the real timers.
const setTime = (time: number) =>
  jest.useFakeTimers({
    now: time,
    doNotFake: [
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'setTimeout',
      'clearTimeout',
    ],
  });
const start = Date.parse('2026-01-01T00:00:00Z');

beforeEach(() => void setTime(start));
afterEach(() => void jest.useRealTimers());

describe('verifyServiceToken', () => {
  it('accepts a token that another service signed, and names the issuer', async () => {
    expect(await verify(await signer()('media-node'))).toBe('pod-1');
  });

  it.each([undefined, '', 'Bearer', 'Bearer ', 'Basic dXNlcjpwYXNz'])(
    'answers missing_token to the header %p',
    async (header) => {
      await expect(verifyServiceToken(header, 'media-node', secret)).rejects.toMatchObject({
        code: 'missing_token',
      });
    },
  );

  const wrongTokens: [string, () => Promise<string>][] = [
    ['is for another service', () => signer()('signaling')],
    ['has another secret', () => signer({ secret: secret.toUpperCase() })('media-node')],
    ['has no expiry', () => handMade().setIssuer('pod-1').sign(keyOf(secret))],
    ['has no issuer', () => handMade().setExpirationTime('1h').sign(keyOf(secret))],
    [
      'has no audience',
      () =>
        new SignJWT({})
          .setProtectedHeader({ alg: 'HS256' })
          .setIssuer('pod-1')
          .setExpirationTime('1h')
          .sign(keyOf(secret)),
    ],
    [
      'is signed by another algorithm',
      () =>
        new SignJWT({})
          .setProtectedHeader({ alg: 'HS512' })
          .setIssuer('pod-1')
          .setAudience('media-node')
          .setExpirationTime('1h')
          .sign(keyOf(`${secret}${secret}`)),
    ],
    ['is no token at all', () => Promise.resolve('nonsense')],
    [
      'is not signed',
      async () => {
        const [, payload] = (await signer()('media-node')).split('.');
        return `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
      },
    ],
  ];
  it.each(wrongTokens)('answers invalid_token when the token %s', async (_, make) => {
    await expect(verify(await make())).rejects.toMatchObject({ code: 'invalid_token' });
  });

  it('answers invalid_token once the token has expired, and not before', async () => {
    const token = await signer({ ttlSeconds: 60 })('media-node');
    setTime(start + 59_000);
    expect(await verify(token)).toBe('pod-1');
    setTime(start + 60_000);
    await expect(verify(token)).rejects.toMatchObject({ code: 'invalid_token' });
  });

  it('does not repeat the token in the error', async () => {
    const token = await signer()('signaling');
    const message = await verify(token).catch((error: unknown) => messageOf(error));
    expect(message).toMatch(/^service token: /);
    expect(message).not.toContain(token);
  });
});

describe('createServiceTokenSigner', () => {
  it('keeps a token until half of its life is over, then signs a new one', async () => {
    const sign = signer({ ttlSeconds: 60 });
    const first = await sign('media-node');
    setTime(start + 29_999);
    expect(await sign('media-node')).toBe(first);
    setTime(start + 30_000);
    const second = await sign('media-node');
    expect(second).not.toBe(first);
    expect(decodeJwt(second).exp).toBe(start / 1000 + 90);
  });

  it('signs once for callers that ask at the same time', async () => {
    const sign = signer();
    expect(sign('media-node')).toBe(sign('media-node'));
    await sign('media-node');
  });

  it('keeps a token for each service apart', async () => {
    const sign = signer();
    const audiences = ['media-node', 'signaling', 'operator'] as const;
    const tokens = await Promise.all(audiences.map((audience) => sign(audience)));
    expect(tokens.map((token) => decodeJwt(token).aud)).toEqual([...audiences]);
  });
});

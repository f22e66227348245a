import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';

import { describe, expect, it } from '@jest/globals';

import { ApiError } from '../../common/errors.ts';
import { createKeyedQueue } from '../keyed-queue.ts';
import { createAddressLimit, remoteAddressOf } from './address.ts';
import { closeReason } from './close-codes.ts';
import { formatAnswer, formatError, parseFrame } from './frames.ts';
import { mediasoupVersion } from './mediasoup-version.ts';
import { createOriginCheck } from './origin.ts';
import { queueKeyOf } from './request-order.ts';
import { createTokenBucket } from './token-bucket.ts';

describe('parseFrame', () => {
  it.each([
    ['{"request":true,"id":7,"method":"join","data":{"a":1}}', { type: 'request', id: 7 }],
    ['{"request":true,"id":0,"method":"join"}', { type: 'request', data: undefined }],
    ['{"notification":true,"method":"closeProducer","data":{}}', { type: 'notification' }],
    ['{"response":true,"id":7,"ok":true,"data":{}}', { type: 'response', ok: true }],
    ['{"response":true,"id":7,"errorCode":4,"errorReason":"no"}', { ok: false, errorReason: 'no' }],
  ])('reads %s', (text, want) => {
    expect(parseFrame(text)).toMatchObject(want);
  });

  it.each([
    ['not json', 'not JSON'],
    ['', 'not JSON'],
    ['null', 'expected a JSON object'],
    ['[]', 'expected a JSON object'],
    ['"text"', 'expected a JSON object'],
    ['{}', 'expected one of request'],
    ['{"request":"yes"}', 'expected one of request'],
    ['{"request":true,"method":"join"}', 'id: expected an integer'],
    ['{"request":true,"id":"7","method":"join"}', 'id: expected an integer'],
    ['{"request":true,"id":1.5,"method":"join"}', 'id: expected an integer'],
    ['{"request":true,"id":1e400,"method":"join"}', 'id: expected an integer'],
    ['{"notification":true}', 'method: expected a string'],
    ['{"response":true}', 'id: expected an integer'],
  ])('says what is wrong with %s', (text, reason) => {
    expect(parseFrame(text)).toMatchObject({ type: 'malformed', id: undefined });
    expect((parseFrame(text) as { reason: string }).reason).toContain(reason);
  });

  it('keeps the id of a request without a method, so that it can be answered', () => {
    expect(parseFrame('{"request":true,"id":7,"method":9}')).toMatchObject({
      type: 'malformed',
      id: 7,
    });
  });

  it('formats answers and errors as the protocol words them', () => {
    expect(JSON.parse(formatAnswer(1, undefined))).toEqual({
      response: true,
      id: 1,
      ok: true,
      data: {},
    });
    expect(JSON.parse(formatError(2, new ApiError('room_full', 'no place')))).toEqual({
      response: true,
      id: 2,
      ok: false,
      errorCode: 429,
      errorReason: 'room_full: no place',
    });
  });
});

describe('the Origin check', () => {
  const allowed = createOriginCheck(['https://meet.example.com', 'http://localhost:8080']);
  it.each([
    [undefined, true],
    ['https://meet.example.com', true],
    ['https://meet.example.com:9443', true],
    ['https://MEET.example.com', true],
    ['http://localhost:3000', true],
    ['http://meet.example.com', false],
    ['https://localhost:8080', false],
    ['https://meet.example.com.evil.com', false],
    ['https://evil.com/meet.example.com', false],
    ['https://meet.example.com@evil.com', false],
    ['https://sub.meet.example.com', false],
    ['null', false],
    ['file://', false],
    ['garbage', false],
  ])('%s is allowed: %s', (origin, want) => {
    expect(allowed(origin)).toBe(want);
  });
});

describe('the client’s address', () => {
  const of = (forwarded: string | undefined, proxies: number, own = '10.0.0.1'): string =>
    remoteAddressOf(
      {
        headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
        socket: { remoteAddress: own },
      } as unknown as IncomingMessage,
      proxies,
    );
  it.each([
    [of('1.1.1.1', 0), '10.0.0.1'],
    [of('1.1.1.1', 1), '1.1.1.1'],
    [of('6.6.6.6, 1.1.1.1', 1), '1.1.1.1'],
    [of('6.6.6.6, 1.1.1.1, 10.0.0.2', 2), '1.1.1.1'],
    [of('1.1.1.1', 3), '1.1.1.1'],
    [of(undefined, 1), '10.0.0.1'],
    [of(' , ', 1), '10.0.0.1'],
    [of(undefined, 0, '::ffff:1.2.3.4'), '1.2.3.4'],
  ])('is %s, as wanted: %s', (address, want) => {
    expect(address).toBe(want);
  });

  it('counts sockets until they are closed', () => {
    const limit = createAddressLimit(2);
    const sockets = [new EventEmitter(), new EventEmitter(), new EventEmitter()];
    const take = (socket: EventEmitter): boolean => limit.take('a', socket as never);
    expect(sockets.map(take)).toEqual([true, true, false]);
    sockets[0]!.emit('close');
    expect(take(sockets[2]!)).toBe(true);
    expect(limit.take('b', new EventEmitter() as never)).toBe(true);
  });
});

describe('the token bucket', () => {
  it('lets a burst through, and then the rate', () => {
    let now = 0;
    const bucket = createTokenBucket({ perSecond: 10, burst: 3 }, () => now);
    expect([1, 2, 3, 4].map(() => bucket.take())).toEqual([true, true, true, false]);
    now += 100;
    expect([bucket.take(), bucket.take()]).toEqual([true, false]);
    now += 10_000;
    expect([1, 2, 3, 4].map(() => bucket.take())).toEqual([true, true, true, false]);
  });
});

describe('the queue of a peer', () => {
  it('keeps the order of one key, goes on after a failure, and lets other keys pass', async () => {
    const queue = createKeyedQueue();
    const done: string[] = [];
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const first = queue.run('a', async () => {
      await gate;
      done.push('a1');
      throw new Error('as the test asked');
    });
    const second = queue.run('a', () => Promise.resolve(done.push('a2')));
    await queue.run('b', () => Promise.resolve(done.push('b')));
    await queue.run(undefined, () => Promise.resolve(done.push('free')));
    release();
    await expect(first).rejects.toThrow('as the test asked');
    await second;
    expect(done).toEqual(['b', 'free', 'a1', 'a2']);
  });

  it.each([
    ['pauseConsumers', { consumerIds: ['x'] }, 'consumers'],
    ['requestConsumerKeyFrame', { consumerId: 'x' }, 'consumers'],
    ['pauseProducer', { producerId: 'p' }, 'p'],
    ['produce', { transportId: 't' }, 't'],
    ['changeDisplayName', { displayName: 'x' }, 'changeDisplayName'],
    ['getConsumerStats', { consumerId: 'x' }, undefined],
  ] as const)('orders %s of %j by %s', (method, data, key) => {
    expect(queueKeyOf(method, data)).toBe(key);
  });
});

describe('the rest', () => {
  it('tells clients the version of mediasoup that is installed', () => {
    const path = new URL('../../node_modules/mediasoup/package.json', import.meta.url);
    const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
    expect(mediasoupVersion).toBe(version);
  });

  it('cuts a close reason to what a frame can hold, at a character', () => {
    expect(closeReason('short')).toBe('short');
    const cut = closeReason('ü'.repeat(100));
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(123);
    expect(cut).toMatch(/^ü+$/);
  });
});

import { randomUUID } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';

import { ApiError } from '../../common/errors.ts';
import { createLogger, currentRequestId, withRequestId } from '../../common/service/logger.ts';
import type { MessageBatchInput } from '../../common/wire/signaling.ts';
import type { MediaNodeConfig } from '../config.ts';
import { Outbox } from './outbox.ts';

const to = { mediaPeerIds: [randomUUID()] };
const closed = (peerId: string) => ({ method: 'peerClosed' as const, data: { peerId } });
const url = 'http://replica';

function makeOutbox(
  answers: (Error | undefined)[] = [],
  config: Partial<MediaNodeConfig['notifications']> = {},
) {
  const requestIds: (string | undefined)[] = [];
  const posts: MessageBatchInput[] = [];
  let dropped = 0;
  const outbox = new Outbox({
    config: {
      retryMs: 1,
      maxRetryMs: 5_000,
      shutdownShare: 0.2,
      maxAgeMs: 10_000,
      maxBatch: 100,
      replicaCacheMs: 1,
      maxBatchBytes: 100_000,
      maxQueue: 1_000,
      lostMaxAgeMs: 60_000,
      ...config,
    },
    logger: createLogger('test', 'silent'),
    post: (_url, batch) => {
      posts.push(batch);
      requestIds.push(currentRequestId());
      const answer = answers.shift();
      return answer ? Promise.reject(answer) : Promise.resolve();
    },
    onDropped: (count) => {
      dropped += count;
    },
  });
  return { outbox, posts, requestIds, dropped: () => dropped };
}
const peersOf = (batch: MessageBatchInput | undefined) =>
  batch?.messages?.map(({ message }) => (message.data as { peerId: string }).peerId);

describe('Outbox', () => {
  it('sends what gathers as one batch, in order', async () => {
    const { outbox, posts } = makeOutbox();
    for (const name of ['a', 'b', 'c']) outbox.send(url, to, closed(name));
    outbox.reportLost(url, { mediaPeerId: randomUUID(), reason: 'ice_disconnected' });
    await outbox.flush();
    expect(posts).toHaveLength(1);
    expect(peersOf(posts[0])).toEqual(['a', 'b', 'c']);
    expect(posts[0]?.lostPeers).toHaveLength(1);
  });

  it('has a queue for each replica', async () => {
    const { outbox, posts } = makeOutbox();
    outbox.send(url, to, closed('a'));
    outbox.send('http://other', to, closed('b'));
    await outbox.flush();
    expect(posts.map(peersOf).sort()).toEqual([['a'], ['b']]);
  });

  it('repeats a failed batch under its id, before what came later', async () => {
    const away = new ApiError('node_unavailable', 'away');
    const { outbox, posts } = makeOutbox([away, away]);
    outbox.send(url, to, closed('a'));
    await Promise.resolve();
    await Promise.resolve();
    outbox.send(url, to, closed('b'));
    await outbox.flush();
    expect(posts.map(peersOf)).toEqual([['a'], ['a'], ['a'], ['b']]);
    expect(new Set(posts.slice(0, 3).map(({ batchId }) => batchId)).size).toBe(1);
  });

  it('splits what is too much for one request', async () => {
    const { outbox, posts } = makeOutbox([], { maxBatch: 2 });
    for (const name of ['a', 'b', 'c']) outbox.send(url, to, closed(name));
    await outbox.flush();
    expect(posts.map(peersOf)).toEqual([['a', 'b'], ['c']]);
  });

  it('drops what is refused for good, and reports whom it was for as lost', async () => {
    const { outbox, posts, dropped } = makeOutbox([new ApiError('invalid_token', 'no')]);
    outbox.send(url, to, closed('a'));
    outbox.send(url, to, closed('b'));
    await outbox.flush();
    expect(dropped()).toBe(2);
    expect(posts).toHaveLength(2);
    expect(posts[1]?.messages).toEqual([]);
    expect(posts[1]?.lostPeers).toEqual([
      { mediaPeerId: to.mediaPeerIds[0], reason: 'messages_dropped' },
    ]);
  });

  it('drops what is too old, and goes on reporting whom it was for', async () => {
    const failures = Array.from({ length: 6 }, () => new ApiError('node_unavailable', 'away'));
    const { outbox, posts, dropped } = makeOutbox(failures, { maxAgeMs: 5 });
    outbox.send(url, to, closed('a'));
    await outbox.flush();
    expect(dropped()).toBe(1);
    expect(posts.at(-1)?.messages).toEqual([]);
    expect(posts.at(-1)?.lostPeers).toHaveLength(1);
    expect(outbox.depth).toBe(0);
  });

  it('gives up on a replica that never hears who is lost', async () => {
    const failures = Array.from({ length: 1_000 }, () => new ApiError('node_unavailable', 'away'));
    const { outbox, dropped } = makeOutbox(failures, { lostMaxAgeMs: 5 });
    outbox.reportLost(url, { mediaPeerId: randomUUID(), reason: 'ice_disconnected' });
    await outbox.flush();
    expect(dropped()).toBe(1);
  });

  it('splits what is too large for the replica, and drops only the message that is', async () => {
    const tooLarge = new ApiError('payload_too_large', 'no');
    const { outbox, posts, dropped } = makeOutbox([tooLarge, tooLarge]);
    for (const name of ['a', 'b', 'c']) outbox.send(url, to, closed(name));
    await outbox.flush();
    expect(posts.map(peersOf)).toEqual([['a', 'b', 'c'], ['a', 'b'], ['a'], ['b'], ['c']]);
    expect(new Set(posts.map(({ batchId }) => batchId)).size).toBe(5);
    expect(dropped()).toBe(0);
  });

  it('keeps a batch within its bytes', async () => {
    const { outbox, posts } = makeOutbox([], { maxBatchBytes: 1_000 });
    const name = (letter: string) => letter.repeat(400);
    for (const letter of ['a', 'b', 'c']) outbox.send(url, to, closed(name(letter)));
    await outbox.flush();
    expect(posts.map(peersOf)).toEqual([[name('a')], [name('b')], [name('c')]]);
  });

  it('takes no more than its limit, and reports whom the rest was for as lost', async () => {
    const { outbox, posts, dropped } = makeOutbox([], { maxQueue: 2 });
    for (const name of ['a', 'b', 'c', 'd']) outbox.send(url, to, closed(name));
    expect(outbox.depth).toBe(3);
    await outbox.flush();
    expect(dropped()).toBe(2);
    expect(posts.map(peersOf)).toEqual([['a', 'b']]);
    expect(posts[0]?.lostPeers).toHaveLength(1);
  });

  it('posts under the id of the request that the messages come from', async () => {
    const { outbox, requestIds } = makeOutbox([], { maxBatch: 2 });
    withRequestId('one', () => {
      outbox.send(url, to, closed('a'));
      outbox.send(url, to, closed('b'));
    });
    withRequestId('two', () => {
      outbox.send(url, to, closed('c'));
      outbox.send(url, to, closed('d'));
      outbox.send(url, to, closed('e'));
    });
    withRequestId('three', () => outbox.send(url, to, closed('f')));
    await outbox.flush();
    expect(requestIds).toEqual(['one', 'two', undefined]);
  });

  it('keeps only the newest volumes of a router', async () => {
    const { outbox, posts } = makeOutbox();
    for (const volume of [-30, -20])
      outbox.sendVolumes(url, {
        roomId: 'r',
        routerId: 'x',
        peerVolumes: [{ peerId: 'a', volume }],
      });
    await outbox.flush();
    expect(posts[0]?.volumes).toEqual([
      { roomId: 'r', routerId: 'x', peerVolumes: [{ peerId: 'a', volume: -20 }] },
    ]);
  });

  it('gives up at its close', async () => {
    const failures = Array.from({ length: 1_000 }, () => new ApiError('node_unavailable', 'away'));
    const { outbox, dropped } = makeOutbox(failures);
    outbox.send(url, to, closed('a'));
    await outbox.close(10);
    expect(dropped()).toBe(1);
    outbox.send(url, to, closed('b'));
    expect(outbox.depth).toBe(0);
  });
});

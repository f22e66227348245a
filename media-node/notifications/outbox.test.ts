import { randomUUID } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';

import { ApiError } from '../../common/errors.ts';
import { createLogger } from '../../common/service/logger.ts';
import type { MessageBatchInput } from '../../common/wire/signaling.ts';
import { Outbox } from './outbox.ts';

const to = { mediaPeerIds: [randomUUID()] };
const closed = (peerId: string) => ({ method: 'peerClosed' as const, data: { peerId } });
const url = 'http://replica';

function makeOutbox(
  answers: (Error | undefined)[] = [],
  config: Partial<{ maxAgeMs: number; maxBatch: number }> = {},
) {
  const posts: MessageBatchInput[] = [];
  let dropped = 0;
  const outbox = new Outbox({
    config: { retryMs: 1, maxAgeMs: 10_000, maxBatch: 100, replicaCacheMs: 1, ...config },
    logger: createLogger('test', 'silent'),
    post: (_url, batch) => {
      posts.push(batch);
      const answer = answers.shift();
      return answer ? Promise.reject(answer) : Promise.resolve();
    },
    onDropped: (count) => {
      dropped += count;
    },
  });
  return { outbox, posts, dropped: () => dropped };
}
const peersOf = (batch: MessageBatchInput | undefined) =>
  batch?.messages?.map(({ message }) => (message.data as { peerId: string }).peerId);

describe('Outbox', () => {
  it('sends what gathers as one batch, in order', async () => {
    const { outbox, posts } = makeOutbox();
    for (const name of ['a', 'b', 'c']) outbox.send(url, to, closed(name));
    outbox.reportLost(url, randomUUID(), 'ice_disconnected');
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

  it('drops what is refused for good', async () => {
    const { outbox, posts, dropped } = makeOutbox([new ApiError('invalid_request', 'no')]);
    outbox.send(url, to, closed('a'));
    await outbox.flush();
    expect(posts).toHaveLength(1);
    expect(dropped()).toBe(1);
  });

  it('drops what is too old', async () => {
    const failures = Array.from({ length: 1_000 }, () => new ApiError('node_unavailable', 'away'));
    const { outbox, dropped } = makeOutbox(failures, { maxAgeMs: 5 });
    outbox.send(url, to, closed('a'));
    await outbox.flush();
    expect(dropped()).toBe(1);
    expect(outbox.depth).toBe(0);
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

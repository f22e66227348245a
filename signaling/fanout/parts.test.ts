import { describe, expect, it } from '@jest/globals';

import { ApiError } from '../../common/errors.ts';
import { createLogger } from '../../common/service/logger.ts';
import type { PeerMessage } from '../../common/wire/peer.ts';
import { until } from '../fixtures/client.ts';
import { createConsumerFilter } from './consumer-filter.ts';
import { RecentSet } from './recent-set.ts';
import { createResumer } from './resumer.ts';
import { createVolumeMerger } from './volumes.ts';

const logger = createLogger('test', 'silent');

describe('the consumer filter', () => {
  const begin = (consumerId: string) =>
    ({ method: 'newConsumer', data: { consumerId } }) as unknown as PeerMessage;
  const end = (consumerId: string): PeerMessage => ({
    method: 'consumerClosed',
    data: { consumerId },
  });
  const beginData = (dataConsumerId: string) =>
    ({ method: 'newDataConsumer', data: { dataConsumerId } }) as unknown as PeerMessage;
  const endData = (dataConsumerId: string): PeerMessage => ({
    method: 'dataConsumerClosed',
    data: { dataConsumerId },
  });

  it.each([
    ['announces and ends a consumer', [begin('a'), end('a')], [true, true]],
    ['announces one once', [begin('a'), begin('a')], [true, false]],
    ['ends one once', [begin('a'), end('a'), end('a')], [true, true, false]],
    ['drops one that ended before it was announced', [end('a'), begin('a')], [false, false]],
    [
      'does not announce one again after its end',
      [begin('a'), end('a'), begin('a')],
      [true, true, false],
    ],
    [
      'does the same for data',
      [endData('a'), beginData('a'), beginData('b')],
      [false, false, true],
    ],
    ['lets all else pass', [{ method: 'peerClosed', data: { peerId: 'x' } }], [true]],
  ] as [string, PeerMessage[], boolean[]][])('%s', (_name, messages, want) => {
    const filter = createConsumerFilter(100);
    expect(messages.map((message) => filter.admit(message) !== undefined)).toEqual(want);
  });

  it('remembers a bounded number of ended consumers', () => {
    const filter = createConsumerFilter(1);
    filter.admit(end('a'));
    filter.admit(end('b'));
    expect([filter.admit(begin('a')), filter.admit(begin('b'))]).toEqual([begin('a'), undefined]);
  });

  const paused = (consumerId: string): PeerMessage => ({
    method: 'consumerPaused',
    data: { consumerId },
  });
  const resumed = (consumerId: string): PeerMessage => ({
    method: 'consumerResumed',
    data: { consumerId },
  });
  const announced = (messages: PeerMessage[], memory = 100): unknown[] => {
    const filter = createConsumerFilter(memory);
    return messages
      .map((message) => filter.admit(message))
      .flatMap((message) =>
        message?.method === 'newConsumer' ? [message.data.producerPaused] : [],
      );
  };

  it('puts what came before the announcement of a consumer into it', () => {
    expect(announced([paused('a'), begin('a')])).toEqual([true]);
    expect(announced([paused('a'), resumed('a'), begin('a')])).toEqual([false]);
    expect(announced([paused('b'), begin('a')])).toEqual([undefined]);
    expect(announced([paused('a'), paused('b'), begin('a'), begin('b')], 1)).toEqual([
      undefined,
      true,
    ]);
  });

  it('tells of pauses of consumers that the client knows, and of no others', () => {
    const filter = createConsumerFilter(100);
    const messages = [paused('a'), begin('a'), paused('a'), resumed('a'), end('a'), paused('a')];
    expect(messages.map((message) => filter.admit(message)?.method)).toEqual([
      undefined,
      'newConsumer',
      'consumerPaused',
      'consumerResumed',
      'consumerClosed',
      undefined,
    ]);
  });
});

describe('the recent set', () => {
  it('forgets the oldest', () => {
    const set = new RecentSet(2);
    expect(['a', 'a', 'b', 'c'].map((member) => set.add(member))).toEqual([
      true,
      false,
      true,
      true,
    ]);
    expect(['a', 'b', 'c'].map((member) => set.has(member))).toEqual([false, true, true]);
  });
});

describe('the resumer', () => {
  it('makes one call for what was answered in the same tick, and gathers while one is under way', async () => {
    const calls: string[][] = [];
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const resumer = createResumer({
      resume: (ids) => (calls.push(ids) === 1 ? gate : Promise.resolve()),
      retryMs: 5,
      logger,
    });
    for (const id of ['a', 'b', 'c']) resumer.add(id);
    await until(() => calls.length === 1);
    resumer.add('d');
    await new Promise(setImmediate);
    resumer.add('e');
    release();
    await until(() => calls.length === 2);
    expect(calls).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e'],
    ]);
    resumer.close();
  });

  it('leaves alone what the client pauses, before a call and before its repetition', async () => {
    const calls: string[][] = [];
    const resumer = createResumer({
      resume: (ids) => {
        calls.push(ids);
        if (calls.length > 1) return Promise.resolve();
        resumer.drop(['b']);
        return Promise.reject(new ApiError('timed_out', 'as the test asked'));
      },
      retryMs: 5,
      logger,
    });
    for (const id of ['a', 'b', 'c']) resumer.add(id);
    resumer.drop(['a']);
    await until(() => calls.length === 2);
    expect(calls).toEqual([['b', 'c'], ['c']]);
    resumer.add('d');
    resumer.drop(['d']);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    resumer.add('e');
    await until(() => calls.length === 3);
    expect(calls[2]).toEqual(['e']);
    resumer.close();
  });

  it('asks for no more than a call may name', async () => {
    const sizes: number[] = [];
    const resumer = createResumer({
      resume: (ids) => Promise.resolve(sizes.push(ids.length)),
      retryMs: 5,
      logger,
    });
    for (let i = 0; i < 2100; i++) resumer.add(String(i));
    await until(() => sizes.length === 3);
    expect(sizes).toEqual([1000, 1000, 100]);
    resumer.close();
  });

  it('tries again what may pass, and not what can not', async () => {
    const calls: string[][] = [];
    const failures = [new ApiError('timed_out', 'x'), new ApiError('consumer_not_found', 'x')];
    const resumer = createResumer({
      resume: (ids) => {
        calls.push(ids);
        const failure = failures.shift();
        return failure ? Promise.reject(failure) : Promise.resolve();
      },
      retryMs: 5,
      logger,
    });
    resumer.add('a');
    await until(() => calls.length === 2);
    await new Promise(setImmediate);
    resumer.add('b');
    await until(() => calls.length === 3);
    expect(calls).toEqual([['a'], ['a'], ['b']]);
    resumer.close();
    resumer.add('c');
    await new Promise(setImmediate);
    expect(calls).toHaveLength(3);
  });
});

describe('the volumes of a room', () => {
  const speaks = (peerId: string, volume: number) => ({ peerId, volume });
  const setUp = () => {
    let now = 0;
    const merger = createVolumeMerger({ volumeTtlMs: 1000, maxSpeakers: 2 }, () => now);
    const report = (routerId: string, peerVolumes: ReturnType<typeof speaks>[], active?: string) =>
      merger.report({
        roomId: 'r',
        routerId,
        peerVolumes,
        ...(active === undefined ? {} : { activePeerId: active }),
      });
    return { report, pass: (ms: number) => (now += ms), forget: () => merger.forget('r') };
  };

  it('merges the routers, the loudest first, and names one active speaker', () => {
    const { report } = setUp();
    report('one', [speaks('ann', -40)], 'ann');
    expect(report('two', [speaks('bob', -20), speaks('cem', -60)], 'bob')).toEqual([
      { method: 'speakingPeers', data: { peerVolumes: [speaks('bob', -20), speaks('ann', -40)] } },
      { method: 'activeSpeaker', data: speaks('bob', -20) },
    ]);
    // Only the list: the speaker is the same.
    expect(report('one', [], undefined)).toEqual([
      { method: 'speakingPeers', data: { peerVolumes: [speaks('bob', -20), speaks('cem', -60)] } },
    ]);
  });

  it('tells silence once', () => {
    const { report } = setUp();
    expect(report('one', [])).toEqual([]);
    report('one', [speaks('ann', -40)], 'ann');
    expect(report('one', [])).toEqual([
      { method: 'speakingPeers', data: { peerVolumes: [] } },
      { method: 'activeSpeaker', data: {} },
    ]);
    expect(report('one', [])).toEqual([]);
  });

  it('forgets a router that reports no more, and a room that is empty', () => {
    const { report, pass, forget } = setUp();
    report('one', [speaks('ann', -40)], 'ann');
    pass(1001);
    expect(report('two', [speaks('bob', -50)])).toEqual([
      { method: 'speakingPeers', data: { peerVolumes: [speaks('bob', -50)] } },
      { method: 'activeSpeaker', data: {} },
    ]);
    forget();
    expect(report('one', [])).toEqual([]);
  });
});

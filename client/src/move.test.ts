import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { consumerOf, startCall, type Call } from './fixtures/call.ts';
import { fakeTrack } from './fixtures/fake-media.ts';
import { Refusal } from './fixtures/fake-server.ts';
import type { Subscription } from './subscription.ts';
import { defaultTiming } from './timing.ts';

const { move } = defaultTiming;

let call: Call;
beforeEach(async () => {
  call = await startCall({ resumeToken: 'secret' });
});
afterEach(() => call.stop());

const order = (direction: 'producer' | 'consumer', reason: string, change = {}) => {
  const data = { transportId: call.server.transport(direction), direction, reason, ...change };
  call.server.connection.notify('moveTransport', data);
  return data.transportId;
};

async function announce(change: Parameters<typeof consumerOf>[1] = {}) {
  const consumer = consumerOf(call.server, change);
  const answered = call.server.connection.ask('newConsumer', consumer);
  await call.pass(1);
  expect(await answered).toBe(true);
  return consumer;
}

const closed = () =>
  call.server.connection.requestsOf('closeTransport').map(({ transportId }) => transportId);
const fewest = ({ stream }: Subscription) => (stream as unknown as { fewest: number }).fewest;
/** The newest transport's frames and packets. */
const arrive = (count: number) => call.media.arrive(call.media.handlers.at(-1), count);
const handlerOf = (transportId: string) =>
  call.media.handlers[call.server.transports.findIndex(({ id }) => id === transportId)];

describe('what this peer watches moves', () => {
  let old: Awaited<ReturnType<typeof announce>>;
  let subscription: Subscription;
  beforeEach(async () => {
    old = await announce();
    subscription = call.room.subscriptions[0]!;
  });
  /** The same producer, by the new transport. */
  const again = () => announce({ producerId: old.producerId });
  const track = () => subscription.stream.getTracks()[0];

  it('to a transport that takes the place of the old one, beside it', async () => {
    const left = order('consumer', 'NodeDraining');
    await call.pass(1);
    expect(call.server.transports.at(-1)).toMatchObject({ direction: 'consumer', replaces: left });
    expect(closed()).toEqual([]);
  });

  it('when the new picture is there: the same stream has another track, and never none', async () => {
    const left = order('consumer', 'NodeDraining');
    await call.pass(1);
    const before = track();
    const next = await again();
    await call.pass(1000);
    expect(track()).toBe(before);
    arrive(1);
    await call.pass(2 * move.pollMs);
    expect(track()).not.toBe(before);
    expect(fewest(subscription)).toBe(1);
    expect(subscription.state).toMatchObject({ consumerId: next.consumerId, interrupted: false });
    expect(call.told['track-switched']).toEqual([[subscription, 'moved']]);
    await call.pass(2 * move.pollMs);
    expect(closed()).toEqual([left]);
    expect(call.told.moved).toMatchObject([[{ direction: 'consumer', reason: 'NodeDraining' }]]);
  });

  it('at once where nothing is to come', async () => {
    subscription.setPaused(true);
    order('consumer', 'NodeDraining');
    await call.pass(1);
    const { consumerId } = await again();
    expect(subscription.state.consumerId).toBe(consumerId);
    expect(call.server.connection.notificationsOf('pauseConsumer')).toEqual([
      { consumerId: old.consumerId },
      { consumerId },
    ]);
  });

  it('after a while where the old picture stands still and no new one comes', async () => {
    order('consumer', 'NodeLost');
    await call.pass(1);
    const { consumerId } = await again();
    await call.pass(move.videoMs - 2 * move.pollMs);
    expect(subscription.state.consumerId).toBe(old.consumerId);
    await call.pass(3 * move.pollMs);
    expect(subscription.state.consumerId).toBe(consumerId);
  });

  it('later where the old picture still moves', async () => {
    const handler = handlerOf(order('consumer', 'NodeDraining', { overlapMs: 60_000 }));
    await call.pass(1);
    await again();
    for (let frames = 1; frames < 60; frames += 1) {
      call.media.arrive(handler, frames);
      await call.pass(100);
    }
    expect(subscription.state.consumerId).toBe(old.consumerId);
    await call.pass(2 * move.stalledMs);
    expect(subscription.state.consumerId).not.toBe(old.consumerId);
  });

  it('with its voice, which is waited for by its packets', async () => {
    const voice = await announce({ kind: 'audio', type: 'simple' });
    order('consumer', 'NodeDraining');
    await call.pass(1);
    const next = await announce({ kind: 'audio', type: 'simple', producerId: voice.producerId });
    await call.pass(move.audioMs / 2);
    const state = () => call.room.subscriptions[1]!.state;
    expect(state().consumerId).toBe(voice.consumerId);
    arrive(1);
    await call.pass(2 * move.pollMs);
    expect(state().consumerId).toBe(next.consumerId);
  });

  it('once, however often it is told', async () => {
    order('consumer', 'NodeDraining');
    order('consumer', 'NodeDraining');
    await call.pass(1);
    const transportId = call.server.transports[1]!.id;
    call.server.connection.notify('moveTransport', {
      ...{ transportId, direction: 'consumer', reason: 'NodeDraining' },
    });
    await call.pass(1);
    expect(call.server.transports).toHaveLength(3);
  });

  it('from the present transport where the server means one that never came here', async () => {
    const left = call.server.transport('consumer');
    order('consumer', 'NodeDraining', { transportId: 'lost-answer' });
    await call.pass(1);
    expect(call.server.transports.at(-1)).toMatchObject({ replaces: left });
  });

  it('on to a third node when the second dies half-way', async () => {
    const first = order('consumer', 'NodeDraining');
    await call.pass(1);
    await again();
    const second = order('consumer', 'NodeLost');
    await call.pass(1);
    expect(call.server.transports.at(-1)).toMatchObject({ replaces: second });
    const last = await again();
    arrive(1);
    await call.pass(2 * move.pollMs);
    expect(subscription.state.consumerId).toBe(last.consumerId);
    expect(fewest(subscription)).toBe(1);
    await call.pass(move.overlapMs);
    expect(new Set(closed())).toEqual(new Set([first, second]));
    expect(call.server.connections).toHaveLength(1);
  });

  it('when the server can, after it could not at first', async () => {
    call.server.on(
      'createWebRtcTransport',
      () => {
        throw new Refusal(503, 'no node');
      },
      2,
    );
    order('consumer', 'NodeLost');
    await call.pass(5000);
    expect(call.server.transports).toHaveLength(3);
    expect(call.server.connections).toHaveLength(1);
  });

  it('by a rejoin where the server refuses another transport', async () => {
    call.server.on(
      'createWebRtcTransport',
      () => {
        throw new Refusal(403, 'no');
      },
      1,
    );
    order('consumer', 'NodeLost');
    await call.pass(5000);
    expect(call.server.connections).toHaveLength(2);
    expect(call.server.connection.url.searchParams.has('resume')).toBe(false);
    expect(call.room.state.connection).toBe('connected');
    expect(subscription.closed).toBe(false);
  });

  it('again when the new transport does not connect, and by a rejoin after some of these', async () => {
    call.media.connects = false;
    order('consumer', 'NodeLost');
    await call.pass(1);
    for (let failures = 0; failures <= move.tries; failures += 1) {
      expect(call.server.transports).toHaveLength(3 + failures);
      expect(call.server.connections).toHaveLength(1);
      await again();
      await call.pass(move.overlapMs + move.connectMs + 3 * move.pollMs);
    }
    call.media.connects = true;
    await call.pass(defaultTiming.reconnect.minDelayMs);
    expect(call.server.connections).toHaveLength(2);
    expect(call.room.state.connection).toBe('connected');
    expect(subscription.closed).toBe(false);
  });

  it('and ends what does not come along', async () => {
    order('consumer', 'NodeLost');
    await call.pass(1);
    await call.pass(defaultTiming.linger.producerLostMs + move.connectMs);
    expect(subscription.closed).toBe(true);
  });
});

describe('what this peer publishes moves', () => {
  beforeEach(async () => {
    await call.room.publish(fakeTrack('video'));
    await call.pass(1);
  });

  const produced = () => call.server.connection.requestsOf('produce');

  it('with its track, beside the old one until the overlap is over', async () => {
    const publication = call.room.publications[0]!;
    const { producerId } = publication.state;
    const left = order('producer', 'NodeDraining', { overlapMs: 2000 });
    await call.pass(10);
    expect(produced()[1]).toMatchObject({
      ...{ transportId: call.server.transport('producer'), replaces: producerId },
      appData: { source: 'video' },
    });
    expect(publication.state.producerId).not.toBe(producerId);
    await call.pass(1900);
    expect(closed()).toEqual([]);
    await call.pass(200);
    expect(closed()).toEqual([left]);
    expect(call.told.moved).toMatchObject([[{ direction: 'producer', reason: 'NodeDraining' }]]);
    expect(publication.track.readyState).toBe('live');
  });

  it('at once where its node is lost', async () => {
    const left = order('producer', 'NodeLost');
    await call.pass(2 * move.pollMs);
    expect(closed()).toEqual([left]);
  });

  it('paused as it is', async () => {
    call.room.publications[0]!.pause();
    order('producer', 'NodeDraining');
    await call.pass(10);
    expect(produced()[1]).toMatchObject({ paused: true });
  });

  it('without what was closed meanwhile', async () => {
    const publication = call.room.publications[0]!;
    order('producer', 'NodeDraining');
    publication.close();
    await call.pass(10);
    expect(produced()).toHaveLength(1);
    expect(call.server.connection.notificationsOf('closeProducer')).toHaveLength(1);
  });

  it('on to a third node when the second is gone before it takes the track', async () => {
    call.server.on(
      'produce',
      () => {
        throw new Refusal(404, 'the router is gone');
      },
      1,
    );
    order('producer', 'NodeDraining');
    await call.pass(100);
    expect(call.server.transports).toHaveLength(4);
    expect(call.room.publications[0]!.state.producerId).toBeDefined();
    expect(produced()).toHaveLength(3);
    await call.pass(move.overlapMs);
    expect(call.server.connections).toHaveLength(1);
    expect(closed()).toHaveLength(2);
  });

  it('nowhere when the server refuses the track', async () => {
    const publication = call.room.publications[0]!;
    call.server.on('produce', () => {
      throw new Refusal(403, 'no such right');
    });
    order('producer', 'NodeDraining');
    await call.pass(10);
    expect(call.told['publication-ended']).toMatchObject([[publication, 'refused', { code: 403 }]]);
    expect(call.room.publications).toEqual([]);
  });
});

describe('what another peer publishes moves', () => {
  it('when its new picture is there', async () => {
    const old = await announce();
    const [subscription] = call.room.subscriptions;
    const next = await announce({ replaces: old.producerId });
    expect(subscription!.state.consumerId).toBe(old.consumerId);
    // One handler has both: the old picture moved, as the new one does.
    arrive(1);
    await call.pass(2 * move.pollMs);
    expect(subscription!.state).toMatchObject({
      ...{ consumerId: next.consumerId, producerId: next.producerId },
    });
    expect(call.told['track-switched']).toEqual([[subscription, 'replaced']]);
    expect(call.room.subscriptions).toHaveLength(1);
  });

  it('after its node was lost: the last picture stays for what takes its place', async () => {
    const old = await announce();
    const [subscription] = call.room.subscriptions;
    const [track] = subscription!.stream.getTracks();
    call.server.connection.notify('consumerClosed', {
      ...{ consumerId: old.consumerId, reason: 'ProducerLost' },
    });
    await call.pass(5000);
    expect(subscription!.state.interrupted).toBe(true);
    expect(subscription!.stream.getTracks()).toEqual([track]);
    const next = await announce();
    arrive(1);
    await call.pass(2 * move.pollMs);
    expect(subscription!.state).toMatchObject({
      ...{ consumerId: next.consumerId, interrupted: false },
    });
    await call.pass(60_000);
    expect(subscription!.closed).toBe(false);
  });

  it('never, and its picture ends', async () => {
    const { consumerId } = await announce();
    const [subscription] = call.room.subscriptions;
    call.server.connection.notify('consumerClosed', { consumerId, reason: 'ProducerLost' });
    await call.pass(defaultTiming.linger.producerLostMs - 1);
    expect(subscription!.closed).toBe(false);
    await call.pass(1);
    expect(subscription!.closed).toBe(true);
  });

  it('not at all where it was closed: its picture ends at once', async () => {
    const { consumerId } = await announce();
    call.server.connection.notify('consumerClosed', { consumerId });
    expect(call.room.subscriptions).toEqual([]);
  });

  it('apart from a second source of the same peer', async () => {
    await announce();
    await announce();
    await announce({ appData: { source: 'screensharing' } });
    expect(call.room.subscriptions).toHaveLength(3);
  });
});

import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';

import type { ConsumerInfo, PeerResponse } from '../../common/wire/peer.ts';
import { until } from '../../testing/until.ts';
import { ReceivingEnd, SendingEnd } from '../fixtures/media-ends.ts';
import { Platform, type Room, type TestNode, type TestPeer } from '../fixtures/platform.ts';
import { audio, video } from '../fixtures/rtp.ts';

jest.setTimeout(120_000);

type Made = PeerResponse<'createWebRtcTransport'>;

let platform: Platform;
let ends: { close(): void }[] = [];

beforeAll(async () => {
  platform = await Platform.create();
});
afterAll(() => platform.close());
afterEach(async () => {
  for (const end of ends) end.close();
  ends = [];
  await platform.sql('DELETE FROM media_peer');
});

async function sendFrom(peer: TestPeer, made?: Made): Promise<SendingEnd> {
  const transport = made ?? (await peer.call('createWebRtcTransport', { direction: 'producer' }));
  const end = await SendingEnd.connect(peer, transport);
  ends.push(end);
  return end;
}

async function receiveAt(peer: TestPeer, made: Made): Promise<ReceivingEnd> {
  const end = await ReceivingEnd.connect(peer, made);
  ends.push(end);
  return end;
}

/** A joined peer whose receiving transport is connected. */
async function joinWatching(
  room: Room,
): Promise<{ peer: TestPeer; end: ReceivingEnd; made: Made }> {
  const peer = await room.connect();
  const made = await peer.call('createWebRtcTransport', { direction: 'consumer' });
  peer.receivingId = made.transportId;
  await peer.join();
  return { peer, made, end: await receiveAt(peer, made) };
}

async function joinPublishing(
  room: Room,
): Promise<{ peer: TestPeer; end: SendingEnd; made: Made; producerId: string }> {
  const peer = await room.connect();
  const made = await peer.call('createWebRtcTransport', { direction: 'producer' });
  peer.sendingId = made.transportId;
  await peer.join();
  const end = await sendFrom(peer, made);
  return { peer, made, end, producerId: await end.publish() };
}

/** The consumer of a producer that the peer was told of on a transport, resumed as after the client's answer. */
async function watched(
  peer: TestPeer,
  { transportId }: Made,
  producerId: string,
): Promise<ConsumerInfo> {
  const find = (): ConsumerInfo | undefined =>
    peer
      .told('newConsumer')
      .find((info) => info.transportId === transportId && info.producerId === producerId);
  await until('the consumer', () => find() !== undefined);
  const info = find()!;
  await peer.call('resumeConsumers', { consumerIds: [info.consumerId] });
  return info;
}

async function flowing(end: ReceivingEnd, consumer: ConsumerInfo): Promise<void> {
  const before = end.packetsOf(consumer);
  await until('packets', () => end.packetsOf(consumer) > before + 2);
}

/** Nothing is on the node, in its maps or in its mediasoup routers. */
async function expectEmpty(node: TestNode): Promise<void> {
  const { registry, sourcePipes, destinationPipes } = node.ctx;
  await until('the node to be empty', async () => {
    const dumps = [...registry.routers.values()].map(({ router }) => router.dump());
    const left = (await Promise.all(dumps)).flatMap(({ transportIds }) => transportIds);
    return left.length + sourcePipes.all.length + destinationPipes.all.length === 0;
  });
  expect(registry.transports.size).toBe(0);
}

const sessionTables = [
  'media_transport',
  'media_pipe_transport',
  'media_producer',
  'media_data_producer',
  'media_consumer',
  'media_data_consumer',
];
async function expectNoRows(): Promise<void> {
  for (const table of sessionTables)
    await until(`no row in ${table}`, async () => (await platform.count(table)) === 0);
}

describe('a peer that moves', () => {
  let producers: [TestNode, TestNode];
  let consumers: [TestNode, TestNode];

  beforeAll(async () => {
    const node = (name: string, role: 'Producer' | 'Consumer') => platform.node(name, role);
    producers = [await node('producer-0', 'Producer'), await node('producer-1', 'Producer')];
    consumers = [await node('consumer-0', 'Consumer'), await node('consumer-1', 'Consumer')];
  });
  afterAll(async () => {
    for (const node of [...producers, ...consumers]) await platform.stop(node);
  });

  it('watches on two nodes until it closes the old transport', async () => {
    const room = await platform.room(producers[0], consumers[0]);
    const speaker = await joinPublishing(room);
    const { peer: watcher, made: old, end: oldEnd } = await joinWatching(room);
    const before = await watched(watcher, old, speaker.producerId);
    await flowing(oldEnd, before);

    await watcher.rebind('consumer', await platform.router(consumers[1], room.id, 'Consumer'));
    const request = { direction: 'consumer' as const };
    const [made, again] = [
      await watcher.call('createWebRtcTransport', request),
      await watcher.call('createWebRtcTransport', request),
    ];
    expect(again.transportId).toBe(made.transportId);
    const end = await receiveAt(watcher, made);
    const after = await watched(watcher, made, speaker.producerId);
    expect(after.consumerId).not.toBe(before.consumerId);
    await Promise.all([flowing(end, after), flowing(oldEnd, before)]);

    // What is asked of a consumer reaches the node that has it.
    const liveBefore = consumers[0].ctx.registry.consumer(before.consumerId).consumer;
    const liveAfter = consumers[1].ctx.registry.consumer(after.consumerId).consumer;
    const both = { consumerIds: [before.consumerId, after.consumerId] };
    await watcher.call('pauseConsumers', both);
    expect([liveBefore.paused, liveAfter.paused]).toEqual([true, true]);
    await watcher.call('resumeConsumers', both);
    expect([liveBefore.paused, liveAfter.paused]).toEqual([false, false]);
    await watcher.call('setConsumerPriority', { consumerId: before.consumerId, priority: 9 });
    expect(liveBefore.priority).toBe(9);
    await watcher.call('restartIce', { transportId: old.transportId });

    // What is new goes to the new transport alone, and no sweep changes that.
    const { producerId: late } = await speaker.peer.call('produce', {
      transportId: speaker.made.transportId,
      ...video(),
    });
    await watched(watcher, made, late);
    for (const node of [...producers, ...consumers]) await node.sweep.run();
    expect(await platform.count('media_consumer')).toBe(3);
    expect(consumers[0].ctx.registry.consumers.size).toBe(1);

    await watcher.call('closeTransport', { transportId: old.transportId });
    await watcher.call('closeTransport', { transportId: old.transportId });
    await flowing(end, after);
    expect(watcher.told('consumerClosed')).toEqual([]);
    expect(platform.replica.lostPeers).not.toContain(watcher.id);
    expect(await platform.count('media_consumer')).toBe(2);
    await expectEmpty(consumers[0]);

    await speaker.peer.leave();
    await watcher.leave();
    for (const node of [...producers, ...consumers]) await expectEmpty(node);
    await expectNoRows();
  });

  it('stays on its node where only the router is another', async () => {
    const room = await platform.room(producers[0], consumers[0]);
    const speaker = await joinPublishing(room);
    const { peer: watcher, made: old, end: oldEnd } = await joinWatching(room);
    const before = await watched(watcher, old, speaker.producerId);
    await watcher.rebind('consumer', await platform.router(consumers[0], room.id, 'Consumer'));
    const made = await watcher.call('createWebRtcTransport', { direction: 'consumer' });
    const end = await receiveAt(watcher, made);
    const after = await watched(watcher, made, speaker.producerId);
    await Promise.all([flowing(end, after), flowing(oldEnd, before)]);
    await watcher.call('closeTransport', { transportId: old.transportId });
    await flowing(end, after);
    await speaker.peer.leave();
    await watcher.leave();
    await expectNoRows();
  });

  it('publishes on two nodes until it closes the old transport, and its watchers know what takes whose place', async () => {
    const room = await platform.room(producers[0], consumers[0]);
    const { peer: watcher, made: receiving, end } = await joinWatching(room);
    const { peer, made: old, producerId: oldId } = await joinPublishing(room);
    const { dataProducerId } = await peer.call('produceData', {
      transportId: old.transportId,
      label: 'chat',
      sctpStreamParameters: { streamId: 0, ordered: true },
    });
    const before = await watched(watcher, receiving, oldId);
    await flowing(end, before);

    await peer.rebind('producer', await platform.router(producers[1], room.id, 'Producer'));
    const made = await peer.call('createWebRtcTransport', { direction: 'producer' });
    const newEnd = await sendFrom(peer, made);
    const producerId = await newEnd.publish({ replaces: oldId });
    const data = await peer.call('produceData', {
      transportId: made.transportId,
      label: 'chat',
      sctpStreamParameters: { streamId: 0, ordered: true },
      replaces: dataProducerId,
    });
    const after = await watched(watcher, receiving, producerId);
    expect(after.replaces).toBe(oldId);
    await until('the data consumer', () =>
      watcher
        .told('newDataConsumer')
        .some(
          ({ dataProducerId: id, replaces }) =>
            id === data.dataProducerId && replaces === dataProducerId,
        ),
    );
    await Promise.all([flowing(end, after), flowing(end, before)]);

    // What is said of the old one reaches its node.
    await peer.call('pauseProducer', { producerId: oldId });
    expect(producers[0].ctx.registry.producer(oldId).source.producer.paused).toBe(true);
    await peer.call('resumeProducer', { producerId: oldId });
    const muted = await peer.call('mutePeer', { sources: ['audio'] });
    expect(new Set(muted.producerIds)).toEqual(new Set([oldId, producerId]));
    expect(producers[0].ctx.registry.producer(oldId).source.producer.paused).toBe(true);
    await peer.call('resumeProducer', { producerId });

    await peer.call('closeTransport', { transportId: old.transportId });
    await peer.call('closeTransport', { transportId: old.transportId });
    await until('consumerClosed', () => watcher.told('consumerClosed').length === 1);
    expect(watcher.told('consumerClosed')).toEqual([{ consumerId: before.consumerId }]);
    expect(peer.told('producerClosed')).toEqual([]);
    await flowing(end, after);
    await expectEmpty(producers[0]);
    await until(
      'its session to be forgotten',
      () => !producers[0].ctx.sessions.ids.includes(peer.id),
    );
    expect(await platform.count('media_producer')).toBe(1);

    // The row tells it too.
    const [row] = await platform.sql<{ replaces: string }>('SELECT replaces FROM media_producer');
    expect(row?.replaces).toBe(oldId);
    await peer.leave();
    await watcher.leave();
    for (const node of [...producers, ...consumers]) await expectEmpty(node);
    await expectNoRows();
  });

  it('can’t take the place of another peer’s producer', async () => {
    const room = await platform.room(producers[0], consumers[0]);
    const [victim, other] = [await room.join(), await room.join()];
    const producerId = await victim.publish('audio');
    await expect(
      other.call('produce', { transportId: other.sendingId, ...audio(), replaces: producerId }),
    ).rejects.toMatchObject({ code: 'invalid_request', fields: [{ field: 'replaces' }] });
    // One that is gone is nobody's.
    await other.call('produce', {
      transportId: other.sendingId,
      ...audio(),
      replaces: randomUUID(),
    });
    await expect(
      other.call('closeTransport', { transportId: victim.sendingId }),
    ).rejects.toMatchObject({ code: 'transport_not_found' });
    await other.call('closeTransport', { transportId: victim.receivingId });
    expect(consumers[0].ctx.registry.transports.has(victim.receivingId)).toBe(true);
    await victim.leave();
    await other.leave();
    await expectNoRows();
  });

  it('leaves nothing of a move that it did not finish', async () => {
    const room = await platform.room(producers[0], consumers[0]);
    const watcher = await room.join();
    await watcher.rebind('consumer', await platform.router(consumers[1], room.id, 'Consumer'));
    // The client never hears of this one.
    const unused = await watcher.call('createWebRtcTransport', { direction: 'consumer' });
    await watcher.rebind('consumer', room.consumer);
    const { transportId } = await watcher.call('createWebRtcTransport', { direction: 'consumer' });
    expect(transportId).not.toBe(unused.transportId);
    await expectEmpty(consumers[1]);
    expect(platform.replica.lostPeers).not.toContain(watcher.id);
    await watcher.leave();
    await expectNoRows();
  });

  it('hears at another replica, after it has come back, of all that it does not know', async () => {
    const room = await platform.room(producers[0], consumers[0]);
    const watcher = await room.join();
    const speaker = await room.join();
    const [known, unknown] = [await speaker.publish('audio'), await speaker.publish('video')];
    const own = await watcher.publish('audio');
    await until('the consumers', () => watcher.told('newConsumer').length === 2);
    const consumerOf = (producerId: string): string =>
      watcher.told('newConsumer').find((info) => info.producerId === producerId)?.consumerId ?? '';

    const replica = await platform.moveToNewReplica(watcher);
    const request = { consumerIds: [consumerOf(known), randomUUID()], dataConsumerIds: [] };
    const answer = await watcher.call('resumePeer', request);
    expect(answer).toMatchObject({
      peers: [{ peerId: speaker.name.peerId }],
      producerIds: [own],
      dataProducerIds: [],
      dataConsumerIds: [],
      newDataConsumers: [],
      pausedConsumerIds: [],
    });
    expect(new Set(answer.transportIds)).toEqual(new Set([watcher.sendingId, watcher.receivingId]));
    expect(new Set(answer.consumerIds)).toEqual(new Set([consumerOf(known), consumerOf(unknown)]));
    expect(answer.newConsumers).toMatchObject([
      { consumerId: consumerOf(unknown), producerId: unknown, transportId: watcher.receivingId },
    ]);
    expect(await watcher.call('resumePeer', request)).toEqual(answer);

    // From both nodes.
    await speaker.call('pauseProducer', { producerId: known });
    await until('consumerPaused', () => replica.told(watcher.id, 'consumerPaused').length === 1);
    await watcher.call('mutePeer', { sources: [] });
    await until('producerMuted', () => replica.told(watcher.id, 'producerMuted').length === 1);
    const { producerId: late } = await speaker.call('produce', {
      transportId: speaker.sendingId,
      ...audio(),
    });
    await until('newConsumer', () =>
      replica.told(watcher.id, 'newConsumer').some(({ producerId }) => producerId === late),
    );
    expect((await watcher.call('resumePeer', request)).pausedConsumerIds).toEqual([
      consumerOf(known),
    ]);

    consumers[0].proxy.cut();
    const without = await watcher.call('resumePeer', request);
    consumers[0].proxy.heal();
    expect(without).toMatchObject({ producerIds: [own], consumerIds: [], newConsumers: [] });
    await speaker.leave();
    await watcher.leave();
    await expectNoRows();
  });

  it('keeps its other side when a router is removed', async () => {
    const room = await platform.room(producers[0], consumers[0]);
    const { peer: watcher, made: receiving } = await joinWatching(room);
    const idle = await room.connect();
    const { peer, made, producerId } = await joinPublishing(room);
    const consumer = await watched(watcher, receiving, producerId);

    const { routerId } = room.producer;
    await platform.client.deleteRouter(producers[0].url, { roomId: room.id, routerId });
    await until('consumerClosed', () => watcher.told('consumerClosed').length === 1);
    expect(watcher.told('consumerClosed')).toEqual([
      { consumerId: consumer.consumerId, reason: 'ProducerLost' },
    ]);
    const lossesOf = ({ id }: TestPeer) =>
      platform.replica.losses.filter(({ mediaPeerId }) => mediaPeerId === id);
    await until('the loss', () => lossesOf(peer).length > 0 && lossesOf(idle).length > 0);
    const reason = 'router_closed';
    const { transportId } = made;
    expect(lossesOf(peer)).toEqual([
      { mediaPeerId: peer.id, reason, transportId, direction: 'producer' },
    ]);
    expect(lossesOf(idle)).toEqual([{ mediaPeerId: idle.id, reason, direction: 'producer' }]);
    // Its watching side is where its connection is served meanwhile.
    const unbound = await platform.sql(
      'SELECT id FROM media_peer WHERE producer_router_id IS NULL',
    );
    expect(unbound).toHaveLength(3);
    await watcher.rebind('producer', undefined);
    await watcher.call('closeTransport', { transportId: randomUUID() });
    await expect(
      watcher.call('createWebRtcTransport', { direction: 'producer' }),
    ).rejects.toMatchObject({ code: 'router_not_found' });
    await expect(watcher.call('getRouterRtpCapabilities', {})).rejects.toMatchObject({
      code: 'room_not_ready',
    });
    for (const each of [peer, idle, watcher]) await each.leave();
    await expectNoRows();
  });
});

describe('a peer whose connection is lost', () => {
  it('loses that transport alone, and takes its place with another', async () => {
    const producer = await platform.node('deaf', 'Producer', { iceConsentTimeoutSeconds: 10 });
    const consumer = await platform.node('hearing', 'Consumer');
    const room = await platform.room(producer, consumer);
    const { peer: watcher, made: receiving, end } = await joinWatching(room);
    const { peer, made, end: silent, producerId } = await joinPublishing(room);
    const own = await peer.call('createWebRtcTransport', { direction: 'consumer' });
    const before = await watched(watcher, receiving, producerId);
    silent.close();
    await until('the loss', () => platform.replica.lostPeers.includes(peer.id));
    const { transportId } = made;
    expect(platform.replica.losses.filter(({ mediaPeerId }) => mediaPeerId === peer.id)).toEqual([
      { mediaPeerId: peer.id, reason: 'ice_disconnected', transportId, direction: 'producer' },
    ]);
    expect(consumer.ctx.registry.transports.has(own.transportId)).toBe(true);
    expect(peer.told('producerClosed')).toEqual([{ producerId }]);
    await until('consumerClosed', () => watcher.told('consumerClosed').length === 1);
    expect(watcher.told('consumerClosed')).toEqual([
      { consumerId: before.consumerId, reason: 'ProducerLost' },
    ]);
    const again = await sendFrom(peer);
    const next = await again.publish({ replaces: producerId });
    const after = await watched(watcher, receiving, next);
    expect(after.replaces).toBe(producerId);
    await flowing(end, after);
    await peer.leave();
    await watcher.leave();
    for (const node of [producer, consumer]) {
      await expectEmpty(node);
      await platform.stop(node);
    }
    await expectNoRows();
  });
});

describe('a peer whose node is killed', () => {
  it('publishes on when it was the watching side’s, and watches again elsewhere', async () => {
    const producer = await platform.node('watched', 'Producer');
    const spare = await platform.node('spare-watching', 'Consumer');
    const victim = await platform.process('killed-watching', 'Consumer');
    const room = await platform.room(producer, victim);
    const speaker = await joinPublishing(room);
    const { peer: watcher, made: old, end: oldEnd } = await joinWatching(room);
    const { producerId: own } = await watcher.call('produce', {
      transportId: (await watcher.call('createWebRtcTransport', { direction: 'producer' }))
        .transportId,
      ...audio(),
    });
    await flowing(oldEnd, await watched(watcher, old, speaker.producerId));

    await victim.kill();
    await platform.giveUp(victim);
    expect(await platform.count('media_peer')).toBe(2);
    expect(await platform.count('media_consumer')).toBe(0);
    expect(await platform.count('media_producer')).toBe(2);
    await until('the source end to close', () => producer.ctx.sourcePipes.all.length === 0);

    await watcher.rebind('consumer', undefined);
    await expect(
      watcher.call('resumeConsumers', { consumerIds: [randomUUID()] }),
    ).rejects.toMatchObject({ code: 'room_not_ready' });
    await expect(
      watcher.call('createWebRtcTransport', { direction: 'consumer' }),
    ).rejects.toMatchObject({ code: 'router_not_found' });
    expect(
      await watcher.call('resumePeer', { consumerIds: [], dataConsumerIds: [] }),
    ).toMatchObject({
      producerIds: [own],
      consumerIds: [],
    });
    await watcher.call('pauseProducer', { producerId: own });

    await watcher.rebind('consumer', await platform.router(spare, room.id, 'Consumer'));
    const made = await watcher.call('createWebRtcTransport', { direction: 'consumer' });
    await watcher.call('closeTransport', { transportId: old.transportId });
    const end = await receiveAt(watcher, made);
    await flowing(end, await watched(watcher, made, speaker.producerId));
    expect(producer.ctx.registry.producers.has(speaker.producerId)).toBe(true);
    expect(speaker.peer.told('producerClosed')).toEqual([]);
    await speaker.peer.leave();
    await watcher.leave();
    for (const node of [producer, spare]) {
      await expectEmpty(node);
      await platform.stop(node);
    }
    await expectNoRows();
  });

  it('watches on when it was the publishing side’s, and publishes again elsewhere', async () => {
    const consumer = await platform.node('watching', 'Consumer');
    const spare = await platform.node('spare-publishing', 'Producer');
    const victim = await platform.process('killed-publishing', 'Producer');
    const room = await platform.room(victim, consumer);
    const { peer: watcher, made: receiving, end } = await joinWatching(room);
    const { peer, producerId, made: old } = await joinPublishing(room);
    const before = await watched(watcher, receiving, producerId);
    await flowing(end, before);

    await victim.kill();
    await platform.giveUp(victim);
    await until('consumerClosed', () => watcher.told('consumerClosed').length === 1);
    expect(watcher.told('consumerClosed')).toEqual([
      { consumerId: before.consumerId, reason: 'ProducerLost' },
    ]);
    expect(consumer.ctx.destinationPipes.all).toEqual([]);
    expect(consumer.ctx.registry.transports.has(receiving.transportId)).toBe(true);

    const place = await platform.router(spare, room.id, 'Producer');
    for (const each of [watcher, peer]) await each.rebind('producer', place);
    const made = await peer.call('createWebRtcTransport', { direction: 'producer' });
    await peer.call('closeTransport', { transportId: old.transportId });
    const next = await (await sendFrom(peer, made)).publish({ replaces: producerId });
    const after = await watched(watcher, receiving, next);
    expect(after.replaces).toBe(producerId);
    await flowing(end, after);
    await peer.leave();
    await watcher.leave();
    for (const node of [consumer, spare]) {
      await expectEmpty(node);
      await platform.stop(node);
    }
    await expectNoRows();
  });
});

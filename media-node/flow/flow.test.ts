import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { Platform, type TestNode } from '../fixtures/platform.ts';
import { audio } from '../fixtures/rtp.ts';

jest.setTimeout(120_000);

describe('a room whose sides are on different nodes', () => {
  let platform: Platform;
  let producer: TestNode;
  let consumer: TestNode;

  beforeAll(async () => {
    platform = await Platform.create();
    producer = await platform.node('producer-0', 'Producer');
    consumer = await platform.node('consumer-0', 'Consumer');
  });
  afterAll(() => platform.close());
  afterEach(async () => {
    for (const node of platform.nodes)
      for (const roomId of [...node.ctx.registry.routers.values()].map((router) => router.roomId))
        await platform.client.deleteRoom(node.url, roomId);
    await platform.sql('DELETE FROM media_peer');
  });

  it('has a joining peer watch what the others publish already, through one pipe', async () => {
    const room = await platform.room(producer, consumer);
    const first = await room.join();
    const published = [await first.publish('audio'), await first.publish('video')];
    const chat = await first.publishData();

    const second = await room.connect();
    await second.createTransports();
    const { peers } = await second.join();

    expect(peers.map(({ peerId }) => peerId)).toEqual([first.name.peerId]);
    await until('the consumers', () => second.told('newConsumer').length === 2);
    expect(second.told('newConsumer').map(({ producerId }) => producerId)).toEqual(
      expect.arrayContaining(published),
    );
    await until('the data consumer', () => second.told('newDataConsumer').length === 1);
    expect(second.told('newDataConsumer')[0]).toMatchObject({
      dataProducerId: chat,
      label: 'chat',
      transportId: second.receivingId,
      peerId: first.name.peerId,
    });
    await until('newPeer', () => first.told('newPeer').length === 1);
    expect(second.told('newPeer')).toEqual([]);
    expect(consumer.ctx.destinationPipes.all).toHaveLength(1);
    expect(producer.ctx.sourcePipes.all).toHaveLength(1);
    expect(await platform.count('media_consumer')).toBe(2);
    expect(await platform.count('media_peer_consumer')).toBe(2);
    expect(await platform.count('media_peer_data_consumer')).toBe(1);
    expect(await platform.count('media_pipe_transport')).toBe(2);
  });

  it('offers what is published later to every joined peer', async () => {
    const room = await platform.room(producer, consumer);
    const watchers = [await room.join(), await room.join(), await room.join()];
    const publisher = await room.join();
    const producerId = await publisher.publish('video');
    for (const watcher of watchers) {
      await until('its consumer', () => watcher.told('newConsumer').length === 1);
      expect(watcher.told('newConsumer')[0]).toMatchObject({
        producerId,
        kind: 'video',
        type: 'simulcast',
        appData: { source: 'video', peerId: publisher.name.peerId },
      });
    }
    expect(publisher.told('newConsumer')).toEqual([]);
  });

  it('gives each peer one consumer of each producer when all join and publish at once', async () => {
    const room = await platform.room(producer, consumer);
    const peers = await Promise.all(Array.from({ length: 8 }, () => room.connect()));
    await Promise.all(
      peers.map(async (peer) => {
        await peer.createTransports();
        await peer.join();
        await Promise.all([peer.publish('audio'), peer.publishData()]);
      }),
    );
    for (const peer of peers) {
      await until('its consumers', () => peer.told('newConsumer').length >= 7);
      await until('its data consumers', () => peer.told('newDataConsumer').length >= 7);
      const watched = peer.told('newConsumer').map(({ peerId }) => peerId);
      expect(new Set(watched).size).toBe(7);
      expect(watched).toHaveLength(7);
    }
    expect(await platform.count('media_consumer')).toBe(56);
    expect(await platform.count('media_data_consumer')).toBe(56);
    expect(consumer.ctx.registry.consumers.size).toBe(56);
    expect(consumer.ctx.destinationPipes.all).toHaveLength(1);
  });

  it('tells of a peer once: in the answer to the later one, as newPeer to the earlier one', async () => {
    const room = await platform.room(producer, consumer);
    const peers = await Promise.all(Array.from({ length: 6 }, () => room.connect()));
    const answers = await Promise.all(
      peers.map(async (peer) => ({ peer, others: (await peer.join()).peers })),
    );
    for (const { peer, others } of answers) {
      const expected = peers.filter((other) => other !== peer).map(({ name }) => name.peerId);
      await until('all others', () => others.length + peer.told('newPeer').length >= 5);
      const heard = [
        ...others.map(({ peerId }) => peerId),
        ...peer.told('newPeer').map(({ peer: { peerId } }) => peerId),
      ];
      expect(heard.sort()).toEqual(expected.sort());
    }
  });

  it('tells a client of a peer before its first consumer', async () => {
    const room = await platform.room(producer, consumer);
    const first = await room.join();
    const second = await room.join();
    await second.publish('audio');
    await until('the consumer', () => first.told('newConsumer').length === 1);
    const methods = platform.replica.messages
      .filter(({ to }) => 'mediaPeerIds' in to && to.mediaPeerIds.includes(first.id))
      .map(({ message }) => message.method);
    expect(methods.indexOf('newPeer')).toBeGreaterThanOrEqual(0);
    expect(methods.indexOf('newPeer')).toBeLessThan(methods.indexOf('newConsumer'));
  });

  it('answers a repeated join alike and makes nothing twice', async () => {
    const room = await platform.room(producer, consumer);
    const first = await room.join();
    await first.publish('audio');
    const second = await room.connect();
    await second.createTransports();
    const answers = await Promise.all([second.join(), second.join(), second.join()]);
    for (const { peers } of answers)
      expect(peers.map(({ peerId }) => peerId)).toEqual([first.name.peerId]);
    await until('the consumer', () => second.told('newConsumer').length > 0);
    await until('newPeer', () => first.told('newPeer').length > 0);
    expect(await platform.count('media_consumer')).toBe(1);
    expect(second.told('newConsumer')).toHaveLength(1);
    expect(first.told('newPeer')).toHaveLength(1);
  });

  it('produces once when the call is repeated', async () => {
    const room = await platform.room(producer, consumer);
    const peer = await room.join();
    const request = { transportId: peer.sendingId, ...audio() };
    const answers = await Promise.all([1, 2, 3].map(() => peer.call('produce', request)));
    expect(new Set(answers.map(({ producerId }) => producerId)).size).toBe(1);
    expect(await platform.count('media_producer')).toBe(1);
  });

  it('gives one receiving transport, until it is connected', async () => {
    const room = await platform.room(producer, consumer);
    const peer = await room.connect();
    const answers = [
      await peer.call('createWebRtcTransport', { direction: 'consumer' }),
      await peer.call('createWebRtcTransport', { direction: 'consumer' }),
    ];
    expect(answers[0]?.transportId).toBe(answers[1]?.transportId);
    expect(await platform.count('media_transport')).toBe(1);
  });

  it('has a receiving transport that comes after the join watch the room', async () => {
    const room = await platform.room(producer, consumer);
    const first = await room.join();
    await first.publish('audio');
    const second = await room.connect();
    await second.join();
    await second.createTransports();
    await until('the consumer', () => second.told('newConsumer').length === 1);
  });

  it('costs the same number of statements and calls in a small room and in a large one', async () => {
    const statementsOfJoin = async (others: number): Promise<{ sql: number; calls: number }> => {
      const room = await platform.room(producer, consumer);
      for (let n = 0; n < others; n++) {
        const peer = await room.join();
        await peer.publish('audio');
        await peer.publishData();
      }
      // The first one of a room brings the producers through the pipe; what is counted is the next.
      const before = await room.join();
      await until('its consumers', () => before.told('newConsumer').length === others);
      await until('its data consumers', () => before.told('newDataConsumer').length === others);
      const peer = await room.connect();
      await peer.createTransports();
      await peer.call('getRouterRtpCapabilities', {});
      await Promise.all([producer.sweep.close(), consumer.sweep.close()]);
      let sql = 0;
      const count = (): void => {
        sql++;
      };
      const knexes = [producer.knex, consumer.knex];
      for (const knex of knexes) knex.on('query', count);
      producer.proxy.calls = [];
      consumer.proxy.calls = [];
      await peer.join();
      await until('its consumers', () => peer.told('newConsumer').length === others);
      await until('its data consumers', () => peer.told('newDataConsumer').length === others);
      await until('newPeer', () => before.told('newPeer').length === 1);
      for (const knex of knexes) knex.off('query', count);
      const calls = [...producer.proxy.calls, ...consumer.proxy.calls].filter(
        (call) => !call.includes('/demand') && !call.includes('/state'),
      );
      await platform.client.deleteRoom(consumer.url, room.id);
      await platform.client.deleteRoom(producer.url, room.id);
      return { sql, calls: calls.length };
    };
    const small = await statementsOfJoin(2);
    const large = await statementsOfJoin(30);
    expect(large).toEqual(small);
    expect(small.sql).toBeLessThanOrEqual(12);
  });

  it('keeps to the grants', async () => {
    const room = await platform.room(producer, consumer);
    const speaker = await room.join();
    await speaker.publish('audio');
    await speaker.publishData();
    const viewer = await room.join({ grants: { publish: false, data: false } });
    const mute = await room.join({ grants: { subscribe: false } });
    await expect(viewer.publish()).rejects.toMatchObject({ code: 'forbidden' });
    await expect(viewer.publishData()).rejects.toMatchObject({ code: 'forbidden' });
    await until('the viewer’s consumer', () => viewer.told('newConsumer').length === 1);
    await until('the other’s data consumer', () => mute.told('newDataConsumer').length === 1);
    await speaker.publish('video');
    await until('the viewer’s second', () => viewer.told('newConsumer').length === 2);
    expect(viewer.told('newDataConsumer')).toEqual([]);
    expect(mute.told('newConsumer')).toEqual([]);
  });

  it('makes consumers only where the capabilities allow', async () => {
    const room = await platform.room(producer, consumer);
    const speaker = await room.join();
    await speaker.publish('audio');
    await speaker.publish('video');
    const { routerRtpCapabilities } = await speaker.call('getRouterRtpCapabilities', {});
    const codecs = (routerRtpCapabilities['codecs'] as { kind: 'audio' | 'video' }[]).filter(
      ({ kind }) => kind === 'audio',
    );
    const listener = await room.connect();
    await listener.createTransports();
    await listener.call('join', {
      displayName: 'listener',
      device: {},
      rtpCapabilities: { ...routerRtpCapabilities, codecs: codecs as never },
    });
    await until('the consumer', () => listener.told('newConsumer').length === 1);
    expect(listener.told('newConsumer')[0]?.kind).toBe('audio');
  });

  it('does what the client asks of its consumers', async () => {
    const room = await platform.room(producer, consumer);
    const watcher = await room.join();
    const speaker = await room.join();
    await speaker.publish('video');
    await until('the consumer', () => watcher.told('newConsumer').length === 1);
    const { consumerId } = watcher.told('newConsumer')[0]!;
    const live = consumer.ctx.registry.consumer(consumerId).consumer;
    expect(live.paused).toBe(true);
    await watcher.call('resumeConsumers', { consumerIds: [consumerId] });
    expect(live.paused).toBe(false);
    await watcher.call('setConsumerPreferredLayers', {
      consumerId,
      spatialLayer: 1,
      temporalLayer: 0,
    });
    expect(live.preferredLayers).toEqual({ spatialLayer: 1, temporalLayer: 0 });
    await watcher.call('setConsumerPriority', { consumerId, priority: 7 });
    expect(live.priority).toBe(7);
    await watcher.call('requestConsumerKeyFrame', { consumerId });
    await watcher.call('pauseConsumers', { consumerIds: [consumerId] });
    expect(live.paused).toBe(true);
    const { stats } = await watcher.call('getConsumerStats', { consumerId });
    expect(stats.length).toBeGreaterThan(0);
    await expect(
      speaker.call('pauseConsumers', { consumerIds: [consumerId] }),
    ).rejects.toMatchObject({ code: 'consumer_not_found' });
  });

  it('says once more that a consumer is closed when the client asks to resume it', async () => {
    const room = await platform.room(producer, consumer);
    const watcher = await room.join();
    const consumerId = randomUUID();
    await expect(
      watcher.call('resumeConsumers', { consumerIds: [consumerId] }),
    ).rejects.toMatchObject({ code: 'consumer_not_found' });
    await until('consumerClosed', () => watcher.told('consumerClosed').length === 1);
  });

  it('keeps one peer’s objects from another', async () => {
    const room = await platform.room(producer, consumer);
    const owner = await room.join();
    const producerId = await owner.publish('audio');
    const other = await room.join();
    await expect(other.call('closeProducer', { producerId })).rejects.toMatchObject({
      code: 'producer_not_found',
    });
    await expect(
      other.call('produce', { transportId: owner.sendingId, ...audio() }),
    ).rejects.toMatchObject({ code: 'transport_not_found' });
    await expect(
      other.call('restartIce', { transportId: owner.receivingId }),
    ).rejects.toMatchObject({ code: 'transport_not_found' });
    await expect(
      other.call('getTransportStats', { transportId: owner.sendingId }),
    ).rejects.toMatchObject({ code: 'transport_not_found' });
  });

  it('wants a join before it publishes', async () => {
    const room = await platform.room(producer, consumer);
    const peer = await room.connect();
    await peer.createTransports();
    await expect(peer.publish()).rejects.toMatchObject({ code: 'not_joined' });
  });

  it('mutes for an administrator, and says so', async () => {
    const room = await platform.room(producer, consumer);
    const peer = await room.join();
    const microphone = await peer.publish('audio');
    await peer.publish('video');
    const { producerIds } = await peer.call('mutePeer', { sources: ['audio'] });
    expect(producerIds).toEqual([microphone]);
    expect(producer.ctx.registry.producer(microphone).source.producer.paused).toBe(true);
    await until('producerMuted', () => peer.told('producerMuted').length === 1);
  });

  it('tells the room of a new name', async () => {
    const room = await platform.room(producer, consumer);
    const peer = await room.join();
    await peer.call('changeDisplayName', { displayName: 'New' });
    await until('the message', () =>
      platform.replica.messages.some(
        ({ to, message }) =>
          'roomId' in to &&
          to.roomId === room.id &&
          to.exceptMediaPeerId === peer.id &&
          message.method === 'peerDisplayNameChanged' &&
          message.data.displayName === 'New' &&
          message.data.oldDisplayName === peer.name.peerId,
      ),
    );
  });

  it('serves broadcasters over plain transports', async () => {
    const room = await platform.room(producer, consumer);
    const watcher = await room.join();
    const camera = await watcher.publish('video');
    const broadcaster = await room.connect({ kind: 'Broadcaster' });
    const sending = await broadcaster.call('createPlainTransport', {
      direction: 'producer',
      comedia: true,
      rtcpMux: false,
    });
    expect(sending.rtcpPort).toBeGreaterThan(0);
    await broadcaster.call('join', { displayName: 'ffmpeg', device: {} });
    await broadcaster.call('produce', { transportId: sending.transportId, ...audio() });
    await until('the watcher’s consumer', () => watcher.told('newConsumer').length === 1);

    const receiving = await broadcaster.call('createPlainTransport', { direction: 'consumer' });
    const address = { ip: '127.0.0.1', port: 40_000 };
    await broadcaster.call('connectPlainTransport', {
      transportId: receiving.transportId,
      ...address,
    });
    await broadcaster.call('connectPlainTransport', {
      transportId: receiving.transportId,
      ...address,
    });
    const { peerProducersInfos } = await broadcaster.call('getPeerProducersInfos', {});
    expect(peerProducersInfos).toMatchObject([
      { peerId: watcher.name.peerId, producers: [{ producerId: camera, kind: 'video' }] },
    ]);
    const { routerRtpCapabilities } = await watcher.call('getRouterRtpCapabilities', {});
    const request = {
      transportId: receiving.transportId,
      producerId: camera,
      rtpCapabilities: routerRtpCapabilities,
    };
    const consumed = await broadcaster.call('consume', request);
    expect(consumed.producerId).toBe(camera);
    await broadcaster.call('resumeConsumers', { consumerIds: [consumed.consumerId] });
    await expect(
      broadcaster.call('consume', { ...request, producerId: randomUUID() }),
    ).rejects.toMatchObject({ code: 'producer_not_found' });
    expect(broadcaster.told('newConsumer')).toEqual([]);
  });

  it('makes nothing for a peer that leaves while it joins', async () => {
    const room = await platform.room(producer, consumer);
    const speaker = await room.join();
    await speaker.publish('audio');
    for (let n = 0; n < 5; n++) {
      const peer = await room.connect();
      await peer.createTransports();
      // The join may have been answered or refused; what counts is what is left.
      const joining = peer.join().catch(() => undefined);
      await peer.leave();
      await joining;
    }
    await until('nothing but the speaker’s', async () => {
      const transports =
        producer.ctx.registry.transports.size + consumer.ctx.registry.transports.size;
      return (
        transports === 2 &&
        consumer.ctx.registry.consumers.size === 0 &&
        (await platform.count('media_transport')) === 2
      );
    });
  });

  it('refuses a peer that is gone, or that publishes elsewhere', async () => {
    const room = await platform.room(producer, consumer);
    const peer = await room.join();
    await peer.leave();
    await expect(peer.publish()).rejects.toMatchObject({ code: 'peer_not_found' });
    const other = await room.connect();
    const misled = platform.client.forward(consumer.url, other.name, 'join', {
      displayName: '',
      device: {},
    });
    await expect(misled).rejects.toMatchObject({ code: 'router_not_found' });
  });
});

describe('a room on one router', () => {
  it('needs no pipe and no HTTP between nodes', async () => {
    const platform = await Platform.create();
    try {
      const node = await platform.node('both-0', 'Both');
      const room = await platform.room(node, node);
      const first = await room.join();
      const producerId = await first.publish('video');
      await first.publishData();
      const second = await room.join();
      await until('the consumer', () => second.told('newConsumer').length === 1);
      await until('the data consumer', () => second.told('newDataConsumer').length === 1);
      await second.publish('audio');
      await until('the other way', () => first.told('newConsumer').length === 1);
      expect(node.ctx.destinationPipes.all).toEqual([]);
      expect(node.proxy.calls).toEqual([]);
      await first.call('closeProducer', { producerId });
      await until('consumerClosed', () => second.told('consumerClosed').length === 1);
    } finally {
      await platform.close();
    }
  });

  it('and one on two routers of the same worker is piped without HTTP', async () => {
    const platform = await Platform.create();
    try {
      const node = await platform.node('both-0', 'Both');
      const room = await platform.room(node, node);
      room.consumer = await platform.router(node, room.id, 'Consumer');
      const first = await room.join();
      await first.publish('video');
      const second = await room.join();
      await until('the consumer', () => second.told('newConsumer').length === 1);
      expect(node.ctx.destinationPipes.all).toHaveLength(1);
      expect(node.ctx.sourcePipes.all).toHaveLength(1);
      expect(node.proxy.calls).toEqual([]);
    } finally {
      await platform.close();
    }
  });
});

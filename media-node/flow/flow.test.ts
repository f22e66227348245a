import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { Platform, type TestNode } from '../fixtures/platform.ts';

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
});

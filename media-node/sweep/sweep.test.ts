import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { Platform, type TestNode } from '../fixtures/platform.ts';

jest.setTimeout(120_000);

describe('the sweep', () => {
  let platform: Platform;
  let producer: TestNode;
  let consumer: TestNode;

  beforeAll(async () => {
    platform = await Platform.create();
    producer = await platform.node('producer-0', 'Producer');
    consumer = await platform.node('consumer-0', 'Consumer');
  });
  afterAll(() => platform.close());

  it('deletes rows that no live object stands behind', async () => {
    const room = await platform.room(producer, consumer);
    const peer = await room.join();
    await platform.sql(
      `INSERT INTO media_producer (id, transport_id, media_peer_id, router_id, kind, created_at)
       VALUES ($1, $2, $3, $4, 'audio', now() - interval '1 hour')`,
      [randomUUID(), peer.sendingId, peer.id, room.producer.routerId],
    );
    await until('the row to go', async () => (await platform.count('media_producer')) === 0);
    expect(await platform.count('media_transport')).toBe(2);
    await peer.leave();
  });

  it('closes what is left of a peer whose row is gone', async () => {
    const room = await platform.room(producer, consumer);
    const peer = await room.join();
    await peer.publish('audio');
    await platform.sql('DELETE FROM media_peer WHERE id = $1', [peer.id]);
    await until(
      'its objects to be closed',
      () =>
        producer.ctx.registry.transportsOf(peer.id).length === 0 &&
        consumer.ctx.registry.transportsOf(peer.id).length === 0,
    );
    await expect(peer.publish('audio')).rejects.toMatchObject({ code: 'peer_not_found' });
    await until('its replica to be told', () => platform.replica.lostPeers.includes(peer.id));
  });

  it('closes consumers that nobody recorded', async () => {
    const room = await platform.room(producer, consumer);
    const [speaker, watcher] = [await room.join(), await room.join()];
    await speaker.publish('audio');
    await until('the consumer', () => watcher.told('newConsumer').length === 1);
    const { consumerId } = watcher.told('newConsumer')[0]!;
    await platform.sql('DELETE FROM media_consumer');
    // The owner may give it back at once, as a consumer that is missing; it is never both live and unrecorded.
    await until('live and recorded to agree', async () => {
      const recorded = await platform.sql<{ id: string }>('SELECT id FROM media_consumer');
      const live = [...consumer.ctx.registry.consumers.keys()];
      return recorded.length === 1 && live.length === 1 && recorded[0]?.id === live[0];
    });
    expect(consumerId).toBeDefined();
    await speaker.leave();
    await watcher.leave();
  });

  it('makes consumers that are missing', async () => {
    const room = await platform.room(producer, consumer);
    const watcher = await room.join();
    const speaker = await room.join();
    consumer.proxy.inject('refuse', '/destination_pipe_transport', 4);
    await speaker.publish('audio');
    await until('the consumer', () => watcher.told('newConsumer').length === 1);
    expect(await platform.count('media_consumer')).toBe(1);
    await speaker.leave();
    await watcher.leave();
  });

  it('loses what went with the node’s row, tells its peers, and records the rest again', async () => {
    const room = await platform.room(producer, consumer);
    const [speaker, watcher] = [await room.join(), await room.join()];
    const producerId = await speaker.publish('audio');
    await until('the consumer', () => watcher.told('newConsumer').length === 1);
    await platform.sql('DELETE FROM media_worker WHERE instance_id = $1', [producer.instanceId]);
    await until('consumerClosed', () => watcher.told('consumerClosed').length > 0);
    expect(watcher.told('consumerClosed')[0]).toMatchObject({ reason: 'ProducerLost' });
    await until('its replica to be told', () => platform.replica.lostPeers.includes(speaker.id));
    const losses = platform.replica.losses.filter(({ mediaPeerId }) => mediaPeerId === speaker.id);
    expect(losses).toEqual([
      {
        mediaPeerId: speaker.id,
        reason: 'transport_unknown',
        transportId: speaker.sendingId,
        direction: 'producer',
      },
    ]);
    expect(speaker.told('producerClosed')).toEqual([{ producerId }]);
    expect(consumer.ctx.registry.transports.has(speaker.receivingId)).toBe(true);

    await speaker.rebind('producer', room.producer);
    speaker.sendingId = (
      await speaker.call('createWebRtcTransport', { direction: 'producer' })
    ).transportId;
    await speaker.publish('audio');
    await until('the consumer', () => watcher.told('newConsumer').length === 2);
    expect(await platform.count('media_pipe_transport')).toBe(2);
    await speaker.leave();
    await watcher.leave();
  });

  it('closes a producer that has no row, and tells its peer', async () => {
    const room = await platform.room(producer, consumer);
    const speaker = await room.join();
    const producerId = await speaker.publish('audio');
    await platform.sql('DELETE FROM media_producer WHERE id = $1', [producerId]);
    await until('producerClosed', () => speaker.told('producerClosed').length > 0);
    expect(speaker.told('producerClosed')).toEqual([{ producerId }]);
    expect(producer.ctx.registry.producers.has(producerId)).toBe(false);
    await speaker.leave();
  });

  it('registers again when the node’s row was deleted', async () => {
    const room = await platform.room(producer, consumer);
    await platform.sql('DELETE FROM media_worker WHERE instance_id = $1', [producer.instanceId]);
    await until('the rows to be back', async () => {
      const rows = await platform.sql('SELECT id FROM media_router WHERE id = $1', [
        room.producer.routerId,
      ]);
      return rows.length === 1;
    });
  });
});

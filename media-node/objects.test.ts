import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';

import type { PeerRequestInput } from '../common/wire/peer.ts';
import { until } from '../testing/until.ts';
import { Platform, type TestNode } from './fixtures/platform.ts';

type Capabilities = NonNullable<PeerRequestInput<'join'>['rtpCapabilities']>;

jest.setTimeout(120_000);

describe('GET /objects', () => {
  let platform: Platform;
  let producer: TestNode;
  let consumer: TestNode;

  beforeAll(async () => {
    platform = await Platform.create();
    producer = await platform.node('producer-0', 'Producer');
    consumer = await platform.node('consumer-0', 'Consumer');
  });
  afterAll(() => platform.close());

  const objects = (node: TestNode) => platform.client.objects(node.url);

  it('lists what is on both ends, by the ids that the tables have', async () => {
    const room = await platform.room(producer, consumer);
    const [speaker, watcher] = [await room.join(), await room.join()];
    await speaker.publish('audio');
    await until('the consumer', () => watcher.told('newConsumer').length === 1);
    const [consumerRow] = await platform.sql<Record<string, string>>(
      'SELECT id AS "consumerId", producer_id AS "producerId", transport_id AS "transportId" FROM media_consumer',
    );
    const [producing, consuming] = [await objects(producer), await objects(consumer)];

    expect(producing).toMatchObject({
      instanceId: producer.instanceId,
      podName: 'producer-0',
      routers: [{ routerId: room.producer.routerId }],
      producers: [{ producerId: consumerRow!['producerId'], transportId: speaker.sendingId }],
      consumers: [],
    });
    expect(producing.sessions.sort()).toEqual([speaker.id, watcher.id].sort());
    expect(consuming.consumers).toEqual([consumerRow]);
    expect(consuming.transports.map(({ mediaPeerId }) => mediaPeerId).sort()).toEqual(
      [speaker.id, watcher.id].sort(),
    );
    const [source, destination] = [producing.pipes[0]!, consuming.pipes[0]!];
    expect([source.end, destination.end]).toEqual(['source', 'destination']);
    expect(source.remotePipeTransportId).toBe(destination.pipeTransportId);
    expect(destination.remotePipeTransportId).toBe(source.pipeTransportId);
    expect(destination.producerIds).toEqual([consumerRow!['producerId']]);
    expect(source.producerIds).toEqual(destination.producerIds);
    expect(destination.unused).toEqual([]);

    await watcher.leave();
    await until('the piped producer to be unused', async () => {
      const [pipe] = (await objects(consumer)).pipes;
      return pipe?.unused.some(({ id }) => id === consumerRow!['producerId']);
    });
    await speaker.leave();
  });

  it('lists what a peer can not consume, once it was tried', async () => {
    const room = await platform.room(producer, consumer);
    const listener = await room.connect();
    await listener.createTransports();
    const { routerRtpCapabilities } = await listener.call('getRouterRtpCapabilities', {});
    const { codecs = [] } = routerRtpCapabilities as Capabilities;
    await listener.call('join', {
      displayName: 'listener',
      device: { flag: 'test' },
      rtpCapabilities: {
        ...routerRtpCapabilities,
        codecs: codecs.filter(({ kind }) => kind === 'audio'),
      },
    });
    const speaker = await room.join();
    const producerId = await speaker.publish('video');
    const pair = { transportId: listener.receivingId, producerId };
    await until('the refusal', async () =>
      (await objects(producer)).refused.some(
        (refusal) => JSON.stringify(refusal) === JSON.stringify(pair),
      ),
    );
    await speaker.leave();
    await listener.leave();
  });
});

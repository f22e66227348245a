import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { ReceivingEnd, SendingEnd } from '../fixtures/media-ends.ts';
import { Platform, type TestNode } from '../fixtures/platform.ts';
import { audioLevelExtension, sendAudio } from '../fixtures/rtp-sender.ts';

jest.setTimeout(120_000);

describe('media that flows', () => {
  let platform: Platform;
  let producer: TestNode;
  let consumer: TestNode;

  beforeAll(async () => {
    platform = await Platform.create();
    producer = await platform.node('producer-0', 'Producer');
    consumer = await platform.node('consumer-0', 'Consumer');
  });
  afterAll(() => platform.close());

  it('is asked for a key frame until it flows, however many requests are lost', async () => {
    const room = await platform.room(producer, consumer);
    const speaker = await room.connect();
    const sending = await speaker.call('createWebRtcTransport', { direction: 'producer' });
    await speaker.join();
    const source = await SendingEnd.connect(speaker, sending, 4);
    const watcher = await room.connect();
    const receiving = await watcher.call('createWebRtcTransport', { direction: 'consumer' });
    await watcher.join();
    const end = await ReceivingEnd.connect(watcher, receiving);
    try {
      await source.publish({ kind: 'video' });
      await until('the consumer', () => watcher.told('newConsumer').length === 1);
      const info = watcher.told('newConsumer')[0]!;
      const { consumer: live } = consumer.ctx.registry.consumer(info.consumerId);
      // The first key frame has gone by.
      await until('packets at the node', async () =>
        (await live.getStats()).some(
          ({ type, packetCount }) => type === 'inbound-rtp' && packetCount > 10,
        ),
      );
      await watcher.call('resumeConsumers', { consumerIds: [info.consumerId] });
      await until('packets', () => end.packetsOf(info) > 0);
    } finally {
      source.close();
      end.close();
    }
  });

  it('goes through the pipe with its score and its volume', async () => {
    const room = await platform.room(producer, consumer);
    const watcher = await room.join();
    const speaker = await room.connect({ kind: 'Broadcaster' });
    const { transportId, port } = await speaker.call('createPlainTransport', {
      direction: 'producer',
      comedia: true,
    });
    await speaker.call('join', { displayName: 'speaker', device: {} });
    const ssrc = 4_242;
    const { producerId } = await speaker.call('produce', {
      transportId,
      kind: 'audio',
      rtpParameters: {
        codecs: [{ mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 111 }],
        encodings: [{ ssrc }],
        headerExtensions: [audioLevelExtension],
      },
    });
    await until('the consumer', () => watcher.told('newConsumer').length === 1);
    const { consumerId } = watcher.told('newConsumer')[0]!;
    await watcher.call('resumeConsumers', { consumerIds: [consumerId] });

    const sender = sendAudio(port, ssrc);
    try {
      await until('the producer’s score', () =>
        speaker.told('producerScore').some(({ score }) => score[0]?.score === 10),
      );
      const source = consumer.ctx.registry.router(room.consumer.routerId).sources.get(producerId)!;
      await until(
        'the origin’s score at the destination',
        () => source.originScore?.[0]?.score === 10,
      );
      await until('the watcher’s score', () =>
        watcher
          .told('consumerScore')
          .some(({ consumerId: id, score }) => id === consumerId && score['producerScore'] === 10),
      );
      const volumes = () => platform.replica.batches.flatMap((batch) => batch.volumes);
      await until('the volume', () =>
        volumes().some(
          ({ roomId, routerId, peerVolumes }) =>
            roomId === room.id &&
            routerId === room.producer.routerId &&
            peerVolumes[0]?.peerId === speaker.name.peerId &&
            peerVolumes[0].volume === -20,
        ),
      );
      const carried = async (): Promise<number> => {
        const pipe = consumer.ctx.destinationPipes.all[0]!;
        return (await pipe.transport.getStats())[0]?.rtpBytesReceived ?? 0;
      };
      await until('bytes through the pipe', async () => (await carried()) > 0);
    } finally {
      sender.stop();
    }
    const rows = await platform.sql<{ id: string }>(
      'SELECT id FROM media_consumer WHERE producer_id = $1',
      [producerId],
    );
    expect(rows).toEqual([{ id: consumerId }]);
    await until(
      'silence, once',
      () =>
        platform.replica.batches.flatMap((batch) => batch.volumes).at(-1)?.peerVolumes.length === 0,
    );
  });
});

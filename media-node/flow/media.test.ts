import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { until } from '../../testing/until.ts';
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
    expect(await platform.count('media_consumer')).toBe(1);
    await until(
      'silence, once',
      () =>
        platform.replica.batches.flatMap((batch) => batch.volumes).at(-1)?.peerVolumes.length === 0,
    );
  });
});

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { startCall, type Call } from './fixtures/call.ts';
import { fakeTrack } from './fixtures/fake-media.ts';
import { Refusal } from './fixtures/fake-server.ts';

let call: Call;
beforeEach(async () => {
  call = await startCall();
});
afterEach(() => call.stop());

async function publish(kind: 'audio' | 'video' = 'video') {
  const track = fakeTrack(kind);
  const publication = await call.room.publish(track);
  await call.pass(1);
  return { track, publication, producerId: publication.state.producerId! };
}
const told = (method: string) => call.server.connection.notificationsOf(method);

describe('a publication', () => {
  it('has the layers and codec of its options', async () => {
    await call.room.publish(fakeTrack('video'), {
      ...{ source: 'screen-of-another-kind', appData: { slide: 1 } },
      encodings: [{ maxBitrate: 1000 }],
    });
    await call.pass(1);
    const [produced] = call.server.connection.requestsOf('produce');
    expect(produced).toMatchObject({
      appData: { source: 'screen-of-another-kind', slide: 1 },
      rtpParameters: { encodings: [{ maxBitrate: 1000 }] },
    });
  });

  it('is there once for each source', async () => {
    await publish();
    await expect(publish()).rejects.toThrow('video: is published already');
  });

  it('is paused and resumed at the server, and its track with it', async () => {
    const { track, publication, producerId } = await publish('audio');
    publication.pause();
    await call.pass(1);
    expect(track.enabled).toBe(false);
    publication.resume();
    await call.pass(1);
    expect(track.enabled).toBe(true);
    expect([told('pauseProducer'), told('resumeProducer')]).toEqual([
      [{ producerId }],
      [{ producerId }],
    ]);
  });

  it('sends another track by the same producer', async () => {
    const { publication, producerId } = await publish();
    const other = fakeTrack('video');
    publication.replaceTrack(other);
    await call.pass(1);
    expect(publication.state).toMatchObject({ track: other, producerId });
    expect(call.server.connection.requestsOf('produce')).toHaveLength(1);
    expect(() => publication.replaceTrack(fakeTrack('audio'))).toThrow('track: expected video');
  });

  it('ends by itself and leaves the track of the application alone', async () => {
    const { track, publication, producerId } = await publish();
    publication.close();
    await call.pass(1);
    expect(told('closeProducer')).toEqual([{ producerId }]);
    expect(track.readyState).toBe('live');
    expect(call.told['publication-ended']).toEqual([[publication, 'closed', undefined]]);
  });

  it('ends with its track', async () => {
    const { track, publication } = await publish();
    track.dispatchEvent(new Event('ended'));
    expect(call.told['publication-ended']).toEqual([[publication, 'ended', undefined]]);
  });

  it('is paused by an administrator, and its owner told', async () => {
    const { publication, producerId } = await publish('audio');
    call.server.connection.notify('producerMuted', { producerId });
    call.server.connection.notify('producerMuted', { producerId: 'unknown' });
    expect(publication.paused).toBe(true);
    expect(call.told.moderation).toEqual([[{ type: 'muted', publication }]]);
  });

  it('comes again when the server loses it', async () => {
    const { publication, producerId } = await publish();
    call.server.connection.notify('producerClosed', { producerId });
    await call.pass(1);
    expect(call.server.connection.requestsOf('produce')).toHaveLength(2);
    expect(publication.state.producerId).not.toBe(producerId);
    expect(publication.closed).toBe(false);
  });

  it('shows the best of its layers as its score', async () => {
    const { publication, producerId } = await publish();
    const score = [{ score: 10 }, { score: 0 }];
    call.server.connection.notify('producerScore', { producerId, score });
    expect(publication.state.score).toBe(10);
  });

  it('is refused by the server in its words', async () => {
    call.server.on('produce', () => {
      throw new Refusal(403, 'you may only watch');
    });
    const publication = await call.room.publish(fakeTrack('video'));
    await call.pass(1);
    await expect(publication.published).rejects.toThrow('you may only watch');
    expect(call.room.publications).toEqual([]);
  });

  it('comes to the server when that is less busy', async () => {
    call.server.on(
      'produce',
      () => {
        throw new Refusal(503, 'busy');
      },
      2,
    );
    const publication = await call.room.publish(fakeTrack('video'));
    await call.pass(2000);
    await publication.published;
    expect(call.server.connection.requestsOf('produce')).toHaveLength(3);
  });
});

describe('a data channel', () => {
  it('is there once, and keeps what is sent before it is open', async () => {
    const channel = call.room.openDataChannel('chat');
    expect(call.room.openDataChannel('chat')).toBe(channel);
    channel.send('early');
    await call.pass(1);
    expect(call.server.connection.requestsOf('produceData')).toMatchObject([
      { label: 'chat', appData: { channel: 'chat' }, sctpStreamParameters: { ordered: true } },
    ]);
    channel.close();
    expect(() => channel.send('late')).toThrow('the data channel is closed');
  });

  it('is told when the server does not allow it', async () => {
    call.server.on('produceData', () => {
      throw new Refusal(403, 'no data');
    });
    const channel = call.room.openDataChannel('chat');
    await call.pass(1);
    expect(channel.closed).toBe(true);
    expect(call.told.error).toMatchObject([[{ message: 'no data' }]]);
  });
});

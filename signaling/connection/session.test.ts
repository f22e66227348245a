import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { ApiError } from '../../common/errors.ts';
import type { MessageBatchInput } from '../../common/wire/signaling.ts';
import type { PeerMessage } from '../../common/wire/peer.ts';
import { until, type Client } from '../fixtures/client.ts';
import type { FakeMediaNode } from '../fixtures/media-node.ts';
import { routerCapabilities } from '../fixtures/media-node.ts';
import { Platform, type Replica } from '../fixtures/platform.ts';

const id = randomUUID();
const dtlsParameters = { fingerprints: [{ algorithm: 'sha-256', value: 'AA' }] };
const rtpParameters = { codecs: [{ mimeType: 'audio/opus', clockRate: 48000, payloadType: 100 }] };
const consumer = (consumerId: string): PeerMessage => ({
  method: 'newConsumer',
  data: {
    peerId: 'ann',
    transportId: id,
    consumerId,
    producerId: id,
    kind: 'audio',
    rtpParameters: {},
    type: 'simple',
    producerPaused: false,
    consumerScore: {},
    appData: { peerId: 'ann', source: 'audio' },
  },
});
const dataConsumer: PeerMessage = {
  method: 'newDataConsumer',
  data: {
    transportId: id,
    dataConsumerId: randomUUID(),
    dataProducerId: id,
    label: 'chat',
    protocol: '',
    appData: {},
  },
};

describe('a session', () => {
  let platform: Platform;
  let replica: Replica;
  let producer: FakeMediaNode;
  let watcher: FakeMediaNode;
  let rooms = 0;
  let room: string;

  beforeAll(async () => {
    platform = await Platform.create();
    producer = await platform.node('Producer');
    watcher = await platform.node('Consumer');
    replica = await platform.replica({
      websocket: { maxFrameBytes: 20_000, clientTimeoutMs: 500, maxUnanswered: 2 },
      limits: { refusalsBeforeClose: 5, messageBurst: 60, messagesPerSecond: 30 },
      fanout: { resumeRetryMs: 20 },
    });
  });
  beforeEach(async () => {
    room = `room-${++rooms}`;
    await platform.room(room, [producer, watcher]);
    producer.handlers = {};
    producer.calls.length = 0;
  });
  afterAll(() => platform.close());

  const connect = (peerId = 'bob'): Promise<Client> =>
    platform.connect(replica, { roomId: room, peerId });
  const mediaPeerId = async (peerId = 'bob'): Promise<string> => {
    const text = 'SELECT id FROM media_peer WHERE room_id = $1 AND peer_id = $2';
    const [row] = await platform.sql<{ id: string }>(text, [room, peerId]);
    return row!.id;
  };
  const post = (batch: Omit<MessageBatchInput, 'batchId'>, batchId: string = randomUUID()) =>
    platform.others.postMessages(replica.internalUrl, { batchId, ...batch });
  const tell = async (...messages: PeerMessage[]): Promise<void> => {
    const to = { mediaPeerIds: [await mediaPeerId()] };
    await post({ messages: messages.map((message) => ({ to, message })) });
  };
  const tellRoom = (message: PeerMessage): Promise<unknown> =>
    post({ messages: [{ to: { roomId: room }, message }] });

  it('binds a peer, forwards its requests, and takes leave of it', async () => {
    const ann = await platform.joined(replica, room, 'ann');
    const bob = await connect();
    expect(await bob.join('Bob')).toEqual({
      peers: [
        { peerId: 'ann', displayName: 'ann', device: { name: 'test' }, remoteAddress: '127.0.0.1' },
      ],
    });
    const bobsId = await mediaPeerId();
    expect(producer.callsOf('join').map(({ roomId, peerId }) => [roomId, peerId])).toEqual([
      [room, 'ann'],
      [room, 'bob'],
    ]);
    expect(producer.callsOf('join')[1]!.requestId).toMatch(/^[0-9a-f-]{36}$/);
    await bob.close();
    await until(() => producer.deleted.includes(bobsId) && watcher.deleted.includes(bobsId));
    await until(() => ann.notificationsOf('peerClosed').length > 0);
    expect(ann.notificationsOf('peerClosed')).toEqual([{ peerId: 'bob' }]);
    await until(async () => (await platform.peerRows()).length === 1);
    await ann.close();
  });

  it('speaks the current dialect whole', async () => {
    const bob = await connect();
    await until(() => bob.notificationsOf('mediasoupVersion').length > 0);
    expect(bob.notificationsOf('mediasoupVersion')[0]).toHaveProperty('version');
    expect(await bob.request('getRtcStatsUrl')).toEqual({});
    expect(await bob.request('getRouterRtpCapabilities')).toEqual({
      routerRtpCapabilities: routerCapabilities,
    });
    const transport = await bob.request('createWebRtcTransport', {
      forceTcp: false,
      appData: { direction: 'producer' },
    });
    expect(transport).toMatchObject({ transportId: expect.any(String), sctpParameters: {} });
    const { transportId } = transport;
    expect(await bob.join()).toEqual({ peers: [] });
    const answers: [string, unknown, unknown][] = [
      ['connectWebRtcTransport', { transportId, dtlsParameters }, {}],
      ['restartIce', { transportId }, { iceParameters: { usernameFragment: 'v' } }],
      [
        'produce',
        { transportId, kind: 'audio', rtpParameters, appData: { source: 'audio' } },
        { producerId: expect.any(String) },
      ],
      [
        'produceData',
        {
          transportId,
          sctpStreamParameters: { streamId: 1 },
          label: 'chat',
          protocol: '',
          appData: {},
        },
        { dataProducerId: expect.any(String) },
      ],
      ['getTransportStats', { transportId }, { stats: [{ type: 'test' }] }],
      ['getProducerStats', { producerId: id }, { stats: [{ type: 'test' }] }],
      ['getConsumerStats', { consumerId: id }, { stats: [{ type: 'test' }] }],
      ['getDataProducerStats', { dataProducerId: id }, { stats: [{ type: 'test' }] }],
      ['getDataConsumerStats', { dataConsumerId: id }, { stats: [{ type: 'test' }] }],
    ];
    for (const [method, data, want] of answers)
      expect(await bob.request(method, data)).toEqual(want);
    const told: [string, Record<string, unknown>][] = [
      ['pauseProducer', { producerId: id }],
      ['resumeProducer', { producerId: id }],
      ['closeProducer', { producerId: id }],
      ['pauseConsumer', { consumerId: id }],
      ['resumeConsumer', { consumerId: id }],
      ['requestConsumerKeyFrame', { consumerId: id }],
      ['setConsumerPreferredLayers', { consumerId: id, spatialLayer: 1 }],
      ['setConsumerPriority', { consumerId: id, priority: 3 }],
      ['changeDisplayName', { displayName: 'Bobby' }],
    ];
    producer.calls.length = 0;
    for (const [method, data] of told) bob.notify(method, data);
    await until(() => producer.calls.length === told.length);
    expect(producer.calls.map(({ method }) => method).sort()).toEqual(
      told.map(([method]) => method.replace(/^(pause|resume)Consumer$/, '$1Consumers')).sort(),
    );
    // What is about consumers keeps its order.
    expect(
      producer.calls.map(({ method }) => method).filter((name) => name.includes('Consumer')),
    ).toEqual([
      'pauseConsumers',
      'resumeConsumers',
      'requestConsumerKeyFrame',
      'setConsumerPreferredLayers',
      'setConsumerPriority',
    ]);
    await tell(consumer(id), dataConsumer, {
      method: 'activeSpeaker',
      data: { peerId: 'x', volume: -3 },
    });
    await until(() => bob.notificationsOf('activeSpeaker').length > 0);
    expect(bob.requestsOf('newConsumer')).toEqual([consumer(id).data]);
    expect(bob.requestsOf('newDataConsumer')).toEqual([dataConsumer.data]);
    expect(bob.notificationsOf('activeSpeaker')).toEqual([{ peerId: 'x' }]);
    await until(() => producer.callsOf('resumeConsumers').length === 2);
    await bob.close();
  });

  it('speaks the older dialect whole', async () => {
    const ann = await platform.joined(replica, room, 'ann');
    const bob = await connect();
    expect(await bob.request('getRouterRtpCapabilities')).toMatchObject(routerCapabilities);
    const transport = await bob.request('createWebRtcTransport', {
      forceTcp: false,
      producing: true,
      consuming: false,
      sctpCapabilities: { numStreams: { OS: 1024, MIS: 1024 } },
    });
    expect(transport).toMatchObject({ id: expect.any(String), iceCandidates: [] });
    expect(transport).not.toHaveProperty('transportId');
    const transportId = transport['id'];
    expect(await bob.request('getRouterRtpCapabilities')).toEqual(routerCapabilities);
    expect(
      await bob.request('join', {
        displayName: 'Bob',
        device: {},
        rtpCapabilities: {},
        sctpCapabilities: {},
      }),
    ).toEqual({ peers: [{ id: 'ann', displayName: 'ann', device: { name: 'test' } }] });
    const answers: [string, unknown, unknown][] = [
      ['connectWebRtcTransport', { transportId, dtlsParameters }, {}],
      ['restartIce', { transportId }, { usernameFragment: 'v' }],
      ['produce', { transportId, kind: 'audio', rtpParameters }, { id: expect.any(String) }],
      ['produceData', { transportId, label: 'chat' }, { id: expect.any(String) }],
      ['getTransportStats', { transportId }, [{ type: 'test' }]],
      ['getProducerStats', { producerId: id }, [{ type: 'test' }]],
      ['getConsumerStats', { consumerId: id }, [{ type: 'test' }]],
      ['getDataProducerStats', { dataProducerId: id }, [{ type: 'test' }]],
      ['getDataConsumerStats', { dataConsumerId: id }, [{ type: 'test' }]],
      ['pauseProducer', { producerId: id }, {}],
      ['resumeProducer', { producerId: id }, {}],
      ['closeProducer', { producerId: id }, {}],
      ['pauseConsumer', { consumerId: id }, {}],
      ['resumeConsumer', { consumerId: id }, {}],
      ['pauseConsumers', { consumerIds: [id] }, {}],
      ['resumeConsumers', { consumerIds: [id] }, {}],
      ['requestConsumerKeyFrame', { consumerId: id }, {}],
      ['setConsumerPreferredLayers', { consumerId: id, spatialLayer: 1, temporalLayer: 0 }, {}],
      ['setConsumerPriority', { consumerId: id, priority: 3 }, {}],
      ['changeDisplayName', { displayName: 'Bobby' }, {}],
    ];
    for (const [method, data, want] of answers)
      expect(await bob.request(method, data)).toEqual(want);
    const peer = { peerId: 'cem', displayName: 'Cem', device: {}, remoteAddress: '::1' };
    await tell(
      consumer(id),
      { method: 'newPeer', data: { peer } },
      { method: 'speakingPeers', data: { peerVolumes: [] } },
      { method: 'activeSpeaker', data: {} },
    );
    await until(() => bob.notificationsOf('activeSpeaker').length > 0);
    expect(bob.requestsOf('newConsumer')[0]).toMatchObject({ id, producerId: id });
    expect(bob.requestsOf('newConsumer')[0]).not.toHaveProperty('consumerId');
    expect(bob.notificationsOf('newPeer')).toEqual([{ id: 'cem', displayName: 'Cem', device: {} }]);
    expect(bob.notificationsOf('speakingPeers')).toEqual([]);
    expect(bob.notificationsOf('activeSpeaker')).toEqual([{ peerId: null }]);
    await Promise.all([ann.close(), bob.close()]);
  });

  it.each([
    ['fly', {}, 500, 'unsupported_method: unknown method "fly"'],
    ['mutePeer', {}, 500, 'unsupported_method'],
    ['applyNetworkThrottle', {}, 422, 'unsupported_method: applyNetworkThrottle'],
    ['stopNetworkThrottle', {}, 422, 'unsupported_method: stopNetworkThrottle'],
    ['createWebRtcTransport', {}, 400, 'invalid_request: createWebRtcTransport: appData.direction'],
    ['closeProducer', { producerId: 7 }, 400, 'invalid_request: closeProducer: producerId'],
    ['closeProducer', undefined, 400, 'invalid_request: closeProducer: producerId'],
    ['join', { displayName: 'x' }, 400, 'invalid_request: join: device'],
    ['setConsumerPriority', { consumerId: id, priority: 999 }, 400, 'priority'],
  ])('answers a wrong request %s %j with %s', async (method, data, errorCode, reason) => {
    const bob = await connect();
    const error = await bob.request(method, data).catch((refused: unknown) => refused);
    expect(error).toMatchObject({ code: errorCode, reason: expect.stringContaining(reason) });
    await bob.close();
  });

  it('passes the errors of the media node on by their codes', async () => {
    producer.handlers.produce = () => {
      throw new ApiError('not_joined', 'join first');
    };
    const bob = await connect();
    const request = bob.request('produce', { transportId: id, kind: 'audio', rtpParameters });
    await expect(request).rejects.toMatchObject({ code: 409, reason: 'not_joined: join first' });
    await bob.close();
  });

  it('lets requests wait that come before the peer is bound', async () => {
    const lock = 'SELECT pg_advisory_lock(hashtextextended($1, 0)), pg_sleep(0.3)';
    const holding = platform.sql(lock, [room]);
    await sleep(100);
    const bob = await connect();
    const answers = await Promise.all([
      bob.request('getRtcStatsUrl'),
      bob.request('getRouterRtpCapabilities'),
      bob.join(),
    ]);
    expect(answers[2]).toEqual({ peers: [] });
    await holding;
    await bob.close();
  });

  it('holds messages back until the answer to join is out, in order', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    producer.handlers.join = async () => {
      await gate;
      return { peers: [{ peerId: 'ann', displayName: '', device: {} }] };
    };
    const bob = await connect();
    const joined = bob.join();
    await until(() => producer.callsOf('join').length > 0);
    const peer = (peerId: string) => ({ peerId, displayName: '', device: {} });
    await tell(consumer(id));
    // Named in the answer already.
    await tellRoom({ method: 'newPeer', data: { peer: peer('ann') } });
    await tellRoom({ method: 'newPeer', data: { peer: peer('cem') } });
    await tellRoom({ method: 'peerClosed', data: { peerId: 'ann' } });
    await tellRoom({ method: 'newPeer', data: { peer: peer('ann') } });
    release();
    await joined;
    await until(() => bob.notificationsOf('newPeer').length === 2);
    expect(bob.log.slice(bob.log.indexOf('answer join'))).toEqual([
      'answer join',
      'request newConsumer',
      'notification newPeer',
      'notification peerClosed',
      'notification newPeer',
    ]);
    await bob.close();
  });

  it('tells a peer that has not asked to join nothing of the room', async () => {
    const bob = await connect();
    await bob.request('getRouterRtpCapabilities');
    await tellRoom({ method: 'peerClosed', data: { peerId: 'ann' } });
    await bob.join();
    await bob.request('getRtcStatsUrl');
    expect(bob.notificationsOf('peerClosed')).toEqual([]);
    await bob.close();
  });

  it('refuses a second join, and allows one after a failure', async () => {
    producer.handlers.join = () => {
      throw new ApiError('cannot_consume', 'as the test asked');
    };
    const bob = await connect();
    await expect(bob.join()).rejects.toMatchObject({ code: 409 });
    delete producer.handlers.join;
    await bob.join();
    await expect(bob.join()).rejects.toMatchObject({
      code: 409,
      reason: expect.stringContaining('already_joined'),
    });
    await bob.close();
  });

  it('ends a connection whose join may have happened although nobody knows', async () => {
    const ann = await platform.joined(replica, room, 'ann');
    producer.handlers.join = () => {
      throw new ApiError('timed_out', 'no answer in time');
    };
    const bob = await connect();
    await expect(bob.join()).rejects.toMatchObject({ code: 504 });
    await until(() => bob.closed);
    expect(bob.closeCode).toBe(4001);
    await until(() => ann.notificationsOf('peerClosed').length > 0);
    expect(ann.notificationsOf('peerClosed')).toEqual([{ peerId: 'bob' }]);
    await ann.close();
  });

  it('drops the late arrival of a connection that has ended', async () => {
    const ann = await platform.joined(replica, room, 'ann');
    const bob = await connect();
    await bob.join();
    const bobsId = await mediaPeerId();
    const [endedElsewhere, alive] = [randomUUID(), randomUUID()];
    const arrives = (peerId: string, aboutMediaPeerId: string) => ({
      to: { roomId: room },
      message: {
        method: 'newPeer' as const,
        data: { peer: { peerId, displayName: '', device: {} } },
      },
      aboutMediaPeerId,
    });
    await bob.close();
    await until(() => ann.notificationsOf('peerClosed').length > 0);
    const cemEnds = { method: 'peerClosed' as const, data: { peerId: 'cem' } };
    await post({
      messages: [
        { to: { roomId: room }, message: cemEnds, aboutMediaPeerId: endedElsewhere },
        arrives('bob', bobsId),
        arrives('cem', endedElsewhere),
        arrives('dan', alive),
      ],
    });
    await until(() => ann.notificationsOf('newPeer').length > 0);
    // The fake node announces nobody by itself.
    expect(ann.notificationsOf('newPeer')).toMatchObject([{ peer: { peerId: 'dan' } }]);
    await ann.close();
  });

  it('keeps paused what the client pauses right behind its answer', async () => {
    const bob = await connect();
    await bob.join();
    bob.answer = undefined;
    bob.socket.on('message', (text: Buffer) => {
      const frame = JSON.parse(text.toString()) as { request?: boolean; id: number };
      if (frame.request !== true) return;
      bob.socket.send(JSON.stringify({ response: true, id: frame.id, ok: true, data: {} }));
      bob.notify('pauseConsumer', { consumerId: id });
    });
    let failed = false;
    producer.handlers.resumeConsumers = () => {
      if (failed) return {};
      failed = true;
      throw new ApiError('cannot_consume', 'as the test asked');
    };
    await tell(consumer(id));
    await until(() => producer.callsOf('pauseConsumers').length > 0);
    await sleep(100);
    // If it was resumed at all, then before it was paused.
    expect(producer.calls.at(-1)?.method).toBe('pauseConsumers');
    await bob.close();
  });

  it('resumes consumers that the client has answered for, and no others', async () => {
    const bob = await connect();
    await bob.join();
    const ids = Array.from({ length: 6 }, () => randomUUID());
    await tell(...ids.map(consumer), { method: 'peerClosed', data: { peerId: 'end' } });
    await until(() => bob.notificationsOf('peerClosed').length > 0);
    const resumed = () =>
      producer.callsOf('resumeConsumers').flatMap(({ data }) => data['consumerIds']);
    await until(() => resumed().length === 6);
    expect(resumed()).toEqual(ids);
    bob.answer = 'error';
    await tell(consumer(randomUUID()));
    bob.answer = undefined;
    await tell(consumer(randomUUID()));
    await until(() => bob.requestsOf('newConsumer').length === 8);
    await sleep(700);
    expect(resumed()).toHaveLength(6);
    await bob.close();
  });

  it('resumes again what the media node could not', async () => {
    let failures = 3;
    producer.handlers.resumeConsumers = () => {
      if (failures-- > 0) throw new ApiError('timed_out', 'as the test asked');
      return {};
    };
    const bob = await connect();
    await bob.join();
    await tell(consumer(id));
    await until(() => failures < 0);
    await bob.close();
  });

  it('announces a consumer once, and none that is closed already', async () => {
    const bob = await connect();
    await bob.join();
    const [early, twice] = [randomUUID(), randomUUID()];
    await tell({ method: 'consumerClosed', data: { consumerId: early } });
    await tell(consumer(early), consumer(twice), consumer(twice));
    await tell({ method: 'consumerClosed', data: { consumerId: twice } });
    await until(() => bob.notificationsOf('consumerClosed').length > 0);
    expect(bob.requestsOf('newConsumer').map(({ consumerId }) => consumerId)).toEqual([twice]);
    expect(bob.notificationsOf('consumerClosed')).toEqual([{ consumerId: twice }]);
    await bob.close();
  });

  it('does nothing twice for a repeated batch', async () => {
    const bob = await connect();
    await bob.join();
    const batchId = randomUUID();
    const message: PeerMessage = { method: 'peerClosed', data: { peerId: 'x' } };
    for (let i = 0; i < 3; i++)
      await post({ messages: [{ to: { roomId: room }, message }] }, batchId);
    await bob.request('getRtcStatsUrl');
    expect(bob.notificationsOf('peerClosed')).toHaveLength(1);
    await bob.close();
  });

  it('keeps the order of a client that answers slowly', async () => {
    const bob = await connect();
    await bob.join();
    bob.answer = undefined;
    const ids = Array.from({ length: 3 }, () => randomUUID());
    await tell(...ids.map(consumer), { method: 'consumerPaused', data: { consumerId: ids[2]! } });
    await until(() => bob.notificationsOf('consumerPaused').length > 0);
    // Two may be unanswered at a time; the third went out when the first two timed out, and the rest after it.
    expect(bob.log.slice(-4)).toEqual([
      'request newConsumer',
      'request newConsumer',
      'request newConsumer',
      'notification consumerPaused',
    ]);
    await bob.close();
  });

  it('merges the volumes of the producer routers', async () => {
    const bob = await connect();
    await bob.join();
    const volumes = (routerId: string, peerId: string, volume: number) => ({
      roomId: room,
      routerId,
      peerVolumes: [{ peerId, volume }],
      activePeerId: peerId,
    });
    await post({ volumes: [volumes('one', 'ann', -50)] });
    await post({ volumes: [volumes('two', 'cem', -20)] });
    await until(() => bob.notificationsOf('speakingPeers').length === 2);
    expect(bob.notificationsOf('speakingPeers')[1]).toEqual({
      peerVolumes: [
        { peerId: 'cem', volume: -20 },
        { peerId: 'ann', volume: -50 },
      ],
    });
    expect(bob.notificationsOf('activeSpeaker')).toEqual([{ peerId: 'ann' }, { peerId: 'cem' }]);
    await bob.close();
  });

  it('closes peers that a media node lost, so that they come back', async () => {
    const bob = await connect();
    await bob.join();
    await post({ lostPeers: [{ mediaPeerId: await mediaPeerId(), reason: 'DTLS failed' }] });
    await until(() => bob.closed);
    expect([bob.closeCode, bob.closeReason]).toEqual([4001, 'lost by the media node: DTLS failed']);
    await until(async () => (await platform.peerRows()).length === 0);
  });

  it.each(['peer_not_found', 'router_not_found', 'instance_mismatch'] as const)(
    'closes a peer whose producer service says %s',
    async (code) => {
      producer.handlers.getTransportStats = () => {
        throw new ApiError(code, 'as the test asked');
      };
      const bob = await connect();
      await expect(bob.request('getTransportStats', { transportId: id })).rejects.toThrow();
      await until(() => bob.closed);
      expect(bob.closeCode).toBe(4001);
    },
  );

  it.each([
    ['is gone', () => []],
    ['is on another node', () => [{ instanceId: randomUUID() }, {}]],
    ['was placed anew', () => [{}, { generation: 2 }]],
  ] as [string, () => Record<string, unknown>[]][])(
    'closes a peer whose router %s',
    async (_name, change) => {
      const placements = await platform.room(room, [producer, watcher]);
      const bob = await connect();
      await bob.join();
      const changed = change().map((part, i) => ({ ...placements[i]!, ...part }));
      platform.putRoom(room, placements, { maxPeers: 7 });
      platform.putRoom(room, changed);
      await until(() => bob.closed);
      expect(bob.closeCode).toBe(4001);
    },
  );

  it('closes the peers of a deleted room for good', async () => {
    const bob = await connect();
    await bob.join();
    platform.kube.delete('mediarooms', room);
    await until(() => bob.closed);
    expect([bob.closeCode, bob.closeReason]).toEqual([4000, 'the room is deleted']);
  });

  it('enforces the grants of the token', async () => {
    const bob = await platform.connect(replica, {
      roomId: room,
      peerId: 'bob',
      token: await platform.token({
        room,
        peer: 'bob',
        grants: { publish: false, subscribe: false, data: false },
      }),
    });
    await bob.join();
    expect(producer.callsOf('join')[0]!.data).not.toHaveProperty('rtpCapabilities');
    await expect(
      bob.request('produce', { transportId: id, kind: 'audio', rtpParameters }),
    ).rejects.toMatchObject({ code: 403, reason: expect.stringContaining('publish') });
    await expect(bob.request('produceData', { transportId: id })).rejects.toMatchObject({
      code: 403,
      reason: expect.stringContaining('"data"'),
    });
    const text = 'SELECT grants FROM media_peer WHERE room_id = $1';
    expect(await platform.sql(text, [room])).toEqual([
      { grants: { publish: false, subscribe: false, data: false, admin: false } },
    ]);
    await bob.close();
  });

  describe('malformed and excessive input', () => {
    it('ignores what is no message, and closes a client that sends nothing else', async () => {
      const bob = await connect();
      const wrong = ['not json', '[]', '{}', '{"request":true}', '{"notification":true}'];
      for (const text of wrong) bob.socket.send(text);
      await bob.join();
      for (let i = 0; i < 6; i++) bob.socket.send('not json');
      await until(() => bob.closed);
      expect(bob.closeCode).toBe(1008);
    });

    it('answers a request without a method', async () => {
      const bob = await connect();
      const frames: unknown[] = [];
      bob.socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString())));
      bob.socket.send('{"request":true,"id":77}');
      await until(() => frames.some((frame) => (frame as { id?: number }).id === 77));
      expect(frames.at(-1)).toMatchObject({ errorCode: 400 });
      await bob.close();
    });

    it('ignores answers that it did not ask for, and notifications that do not exist', async () => {
      const bob = await connect();
      bob.socket.send('{"response":true,"id":99,"ok":true}');
      bob.notify('fly', {});
      bob.notify('closeProducer', { producerId: 'x' });
      await bob.join();
      const metrics = await (await fetch(`${replica.internalUrl}/metrics`)).text();
      expect(metrics).toMatch(/unknown_notifications_total 1/);
      await bob.close();
    });

    it('closes on binary and on too large frames', async () => {
      const bob = await connect();
      bob.socket.send(Buffer.from([1, 2, 3]));
      await until(() => bob.closed);
      expect(bob.closeCode).toBe(1003);
      const cem = await connect('cem');
      cem.socket.send(
        JSON.stringify({ notification: true, method: 'x', data: 'x'.repeat(30_000) }),
      );
      await until(() => cem.closed);
      expect(cem.closeCode).toBe(1009);
    });

    it('closes a flood of answers that nobody asked for', async () => {
      const bob = await connect();
      await bob.join();
      for (let i = 0; i < 200; i++) bob.socket.send(`{"response":true,"id":${1000 + i},"ok":true}`);
      await until(() => bob.closed);
      expect(bob.closeCode).toBe(1008);
    });

    it('refuses messages beyond the rate, and closes a flood', async () => {
      const bob = await connect();
      const requests = Array.from({ length: 200 }, () => bob.request('getRtcStatsUrl'));
      const results = await Promise.allSettled(requests);
      const refused = results.find(
        (result) => result.status === 'rejected' && (result.reason as { code?: number }).code,
      );
      expect(refused).toMatchObject({ reason: { code: 429 } });
      await until(() => bob.closed);
      expect(bob.closeCode).toBe(1008);
    });
  });
});

describe('the limits of a session', () => {
  it('closes a connection without a join, and one that is silent', async () => {
    const platform = await Platform.create();
    const node = await platform.node('Both');
    await platform.room('room', [node]);
    const replica = await platform.replica({
      websocket: { joinTimeoutMs: 1500, pingIntervalMs: 200 },
    });
    const idle = await platform.connect(replica, { roomId: 'room', peerId: 'idle' });
    const joined = await platform.joined(replica, 'room', 'joined');
    const deaf = await platform.joined(replica, 'room', 'deaf');
    deaf.socket.pause();
    await until(() => idle.closed);
    expect(idle.closeCode).toBe(4002);
    await until(async () => (await platform.peerRows()).length === 1);
    expect((await platform.peerRows())[0]!.peer_id).toBe('joined');
    expect(joined.notificationsOf('peerClosed')).toEqual([{ peerId: 'deaf' }]);
    await platform.close();
  });

  it('bounds the requests that wait, and what waits for a client', async () => {
    const platform = await Platform.create();
    const node = await platform.node('Both');
    await platform.room('room', [node]);
    const replica = await platform.replica({
      limits: { pendingRequests: 2 },
      websocket: { maxQueued: 5, maxUnanswered: 1 },
    });
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    node.handlers.getTransportStats = () => gate.then(() => ({ stats: [] }));
    const bob = await platform.joined(replica, 'room', 'bob');
    const requests = [1, 2, 3].map(() => bob.request('getTransportStats', { transportId: id }));
    await expect(requests[2]).rejects.toMatchObject({
      code: 429,
      reason: expect.stringContaining('wait for their answers'),
    });
    release();
    await Promise.all(requests.slice(0, 2));
    bob.answer = undefined;
    const [row] = await platform.peerRows();
    const to = { mediaPeerIds: [row!.id] };
    const messages = Array.from({ length: 8 }, () => ({ to, message: consumer(randomUUID()) }));
    await platform.others.postMessages(replica.internalUrl, { batchId: randomUUID(), messages });
    await until(() => bob.closed);
    expect(bob.closeCode).toBe(1013);
    await platform.close();
  });
});

import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { createServiceTokenSigner } from '../../common/auth/service-token.ts';
import { consoleResponse } from '../../common/wire/console.ts';
import { until } from '../fixtures/client.ts';
import { http, type HttpAnswer, type HttpCall } from '../fixtures/http.ts';
import { routerCapabilities, type FakeMediaNode } from '../fixtures/media-node.ts';
import { Platform, type Replica } from '../fixtures/platform.ts';
import { serviceSecret } from '../fixtures/secrets.ts';

const id = randomUUID();
const rtpParameters = { codecs: [{ mimeType: 'audio/opus', clockRate: 48000, payloadType: 100 }] };

describe('the HTTP API', () => {
  let platform: Platform;
  let one: Replica;
  let two: Replica;
  let producer: FakeMediaNode;
  let watcher: FakeMediaNode;
  let room: string;
  let rooms = 0;
  let admin: string;
  let everywhere: string;

  beforeAll(async () => {
    platform = await Platform.create();
    producer = await platform.node('Producer');
    watcher = await platform.node('Consumer');
    const change = { roomAuth: { development: false }, limits: { broadcasterBodyBytes: 4000 } };
    one = await platform.replica(change);
    two = await platform.replica(change);
    everywhere = await platform.token({ room: '*', peer: '*', grants: { admin: true } });
  });
  beforeEach(async () => {
    room = `room-${++rooms}`;
    producer.calls.length = 0;
    producer.handlers = {};
    await platform.room(room, [producer, watcher]);
    admin = await platform.token({ room, peer: 'admin', grants: { admin: true } });
    await until(async () => (await ask(`GET /api/rooms/${room}`, { token: admin })).status === 200);
    await until(
      async () => (await ask(`GET /api/rooms/${room}`, { token: admin }, two)).status === 200,
    );
  });
  afterAll(() => platform.close());

  const ask = (call: string, options: HttpCall = {}, replica = one): Promise<HttpAnswer> =>
    http(`http://127.0.0.1:${replica.publicPort}`, call, options);
  const joined = async (replica: Replica, peerId: string) => {
    const token = await platform.token({ room, peer: peerId });
    const client = await platform.connect(replica, { roomId: room, peerId, token });
    await client.join(peerId);
    return client;
  };

  describe('of rooms', () => {
    it('makes, shows, lists and deletes a room', async () => {
      const token = await platform.token({
        room: 'My Room',
        peer: 'admin',
        grants: { admin: true },
      });
      const made = await ask('POST /api/rooms', {
        token,
        body: { roomId: 'My Room', spec: { maxPeers: 5 } },
      });
      expect(made.status).toBe(201);
      expect(made.body).toMatchObject({ roomId: 'My Room', maxPeers: 5, ready: false });
      const name = String(made.body['name']);
      expect(name).toMatch(/^r-[0-9a-f]{32}$/);
      await until(async () => (await ask(`GET /api/rooms/${name}`, { token })).status === 200);
      const again = await ask('POST /api/rooms', { token, body: { roomId: 'My Room' } });
      expect([again.status, again.code]).toEqual([409, 'conflict']);
      const list = await ask('GET /api/rooms', { token: everywhere });
      expect(list.body['rooms']).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ name }),
          expect.objectContaining({ name: room }),
        ]),
      );
      expect((await ask(`DELETE /api/rooms/${name}`, { token })).status).toBe(200);
      await until(
        async () => (await ask(`GET /api/rooms/${name}`, { token: everywhere })).status === 404,
      );
      expect((await ask(`DELETE /api/rooms/${name}`, { token: everywhere })).code).toBe(
        'room_not_found',
      );
    });

    it.each([
      ['nothing', () => Promise.resolve(undefined), 401, 'missing_token'],
      ['an ordinary token', () => platform.token({ room, peer: 'ann' }), 403, 'forbidden'],
      [
        'an administrator of another room',
        () => platform.token({ room: 'other', peer: 'a', grants: { admin: true } }),
        403,
        'forbidden',
      ],
      ['garbage', () => Promise.resolve('garbage'), 401, 'invalid_token'],
    ])('refuses %s on every route', async (_name, make, status, code) => {
      const token = await make();
      for (const call of [
        `GET /api/rooms/${room}`,
        'GET /api/rooms',
        `DELETE /api/rooms/${room}`,
        `GET /api/rooms/${room}/peers`,
        `DELETE /api/rooms/${room}/peers/ann`,
        'GET /api/console',
      ]) {
        const answer = await ask(call, { token });
        expect([call, answer.status, answer.code]).toEqual([call, status, code]);
      }
      for (const call of ['POST /api/rooms', `POST /api/rooms/${room}/peers/ann/mute`]) {
        const body = call.endsWith('mute') ? {} : { roomId: room };
        const answer = await ask(call, { token, body });
        expect([call, answer.status, answer.code]).toEqual([call, status, code]);
      }
    });

    it.each([
      ['POST /api/rooms', {}, 400, 'roomId'],
      ['POST /api/rooms', { roomId: '*' }, 400, 'roomId'],
      ['POST /api/rooms', { roomId: 'x', colour: 1 }, 400, 'colour'],
      ['POST /api/rooms', { roomId: 'x'.repeat(5000) }, 413, 'too large'],
      ['PUT /api/rooms', {}, 405, 'PUT'],
      ['GET /api/nothing', undefined, 404, 'no such route'],
    ])('answers a wrong %s with what is wrong', async (call, body, status, text) => {
      const answer = await ask(call, { token: everywhere, body });
      expect(answer.status).toBe(status);
      expect(JSON.stringify(answer.body)).toContain(text);
    });

    it('lists the peers of a room', async () => {
      const ann = await joined(one, 'ann');
      const { body } = await ask(`GET /api/rooms/${room}/peers`, { token: admin }, two);
      expect(body).toEqual({
        peers: [
          {
            peerId: 'ann',
            kind: 'WebSocket',
            displayName: 'ann',
            device: { name: 'test' },
            remoteAddress: '127.0.0.1',
            joinedAt: expect.any(String),
          },
        ],
      });
      await ann.close();
    });

    it.each([
      ['its own replica', () => one],
      ['another replica', () => two],
    ])('removes a peer for good by way of %s', async (_name, where) => {
      const [ann, bob] = await Promise.all([joined(one, 'ann'), joined(two, 'bob')]);
      const call = `DELETE /api/rooms/${room}/peers/ann`;
      expect((await ask(call, { token: admin }, where())).status).toBe(200);
      await until(() => ann.closed);
      expect([ann.closeCode, ann.closeReason]).toEqual([4000, 'removed by an administrator']);
      await until(() => bob.notificationsOf('peerClosed').length > 0);
      expect(bob.notificationsOf('peerClosed')).toEqual([{ peerId: 'ann' }]);
      await until(
        async () => (await ask(call, { token: admin }, where())).code === 'peer_not_found',
      );
      await bob.close();
    });

    it('removes a peer whose replica does not answer', async () => {
      const deadId = randomUUID();
      await platform.sql(
        `INSERT INTO signaling_replica (id, url, last_seen_at)
         VALUES ($1, 'http://127.0.0.1:1', now() + interval '1 hour')`,
        [deadId],
      );
      await platform.sql(
        `INSERT INTO media_peer (id, room_id, peer_id, kind, replica_id, producer_router_id, consumer_router_id,
           remote_address, grants, joined_at)
         VALUES ($1, $2, 'ghost', 'WebSocket', $3, $4, $5, '', '{}', now())`,
        [randomUUID(), room, deadId, `${room}-0`, `${room}-1`],
      );
      const bob = await joined(two, 'bob');
      await ask(`DELETE /api/rooms/${room}/peers/ghost`, { token: admin });
      await until(() => bob.notificationsOf('peerClosed').length > 0);
      await platform.sql('DELETE FROM signaling_replica WHERE id = $1', [deadId]);
      await bob.close();
    });

    it('mutes a peer at its producer service', async () => {
      const ann = await joined(one, 'ann');
      const call = `POST /api/rooms/${room}/peers/ann/mute`;
      const answer = await ask(call, { token: admin, body: { sources: ['audio'] } }, two);
      expect(answer).toMatchObject({ status: 200, body: { producerIds: [expect.any(String)] } });
      expect(producer.callsOf('mutePeer')).toMatchObject([
        { roomId: room, peerId: 'ann', data: { sources: ['audio'] } },
      ]);
      expect((await ask(call, { token: admin })).status).toBe(200);
      await ann.close();
    });
  });

  describe('of the console', () => {
    it('shows nodes, pools, rooms and replicas, and takes one picture for many', async () => {
      platform.kube.put('mediaworkers', {
        apiVersion: 'kube-sfu.dev/v1alpha1',
        kind: 'MediaWorker',
        metadata: { name: 'pool' },
        spec: { role: 'Both', replicas: 3, rooms: { createOnJoin: false } },
        status: {
          readyReplicas: 2,
          nodes: [
            { podName: 'a', url: producer.url, state: 'Ready' },
            { podName: 'b', url: 'http://127.0.0.1:1', state: 'Unreachable' },
            { podName: 'c', state: 'Pending' },
          ],
        },
      });
      const ann = await joined(one, 'ann');
      let picture: ReturnType<typeof consoleResponse.parse> | undefined;
      await until(async () => {
        const answers = await Promise.all(
          [1, 2, 3].map(() => ask('GET /api/console', { token: everywhere })),
        );
        expect(new Set(answers.map(({ body }) => body['time'])).size).toBeLessThanOrEqual(2);
        picture = consoleResponse.parse(answers.at(-1)!.body);
        return picture.nodes.length === 1 && picture.rooms.some(({ peers }) => peers === 1);
      });
      expect(picture).toMatchObject({
        nodes: [{ instanceId: producer.instanceId, url: producer.url }],
        pools: [{ name: 'pool', role: 'Both', replicas: 3, readyReplicas: 2 }],
      });
      expect(picture!.rooms.find(({ name }) => name === room)).toMatchObject({
        ready: true,
        peers: 1,
        placements: [{ routerId: `${room}-0` }, { routerId: `${room}-1` }],
      });
      expect(picture!.replicas.map(({ url }) => url).sort()).toEqual(
        [one.internalUrl, two.internalUrl].sort(),
      );
      await ann.close();
    });
  });

  describe('for browsers', () => {
    it('allows the pages of the configured sites, and no others', async () => {
      const preflight = (origin: string) =>
        ask('OPTIONS /api/console', {
          headers: { origin, 'access-control-request-method': 'GET' },
        });
      const ours = await preflight('http://localhost:8080');
      expect(ours.headers.get('access-control-allow-origin')).toBe('http://localhost:8080');
      expect(ours.headers.get('access-control-allow-headers')).toContain('authorization');
      const foreign = await preflight('https://evil.com');
      expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
      const refused = await ask('GET /api/console', {
        headers: { origin: 'http://localhost:8080' },
      });
      expect(refused.status).toBe(401);
      expect(refused.headers.get('access-control-allow-origin')).toBe('http://localhost:8080');
    });

    it('shows its health on the public address, and nothing else of the probes', async () => {
      expect((await ask('GET /healthz')).status).toBe(200);
      for (const path of ['/readyz', '/metrics', '/internal/messages'])
        expect((await ask(`GET ${path}`)).status).toBe(404);
    });
  });

  describe('for broadcasters', () => {
    const base = () => `/rooms/${room}/broadcasters`;

    it('lets one send and receive, at whatever replica it asks', async () => {
      const token = await platform.token({ room, peer: 'ffmpeg' });
      const ann = await joined(two, 'ann');
      const consumerId = randomUUID();
      producer.handlers.consume = ({ data }) => ({
        peerId: 'ann',
        transportId: data['transportId'],
        consumerId,
        producerId: data['producerId'],
        kind: 'audio',
        rtpParameters,
        type: 'simple',
        producerPaused: false,
        consumerScore: {},
        appData: {},
      });
      const steps: [string, unknown, unknown][] = [
        [`GET /rooms/${room}`, undefined, { routerRtpCapabilities: routerCapabilities }],
        [
          `POST ${base()}`,
          { peerId: 'ffmpeg', displayName: 'Film', device: { name: 'ffmpeg' } },
          { peerId: 'ffmpeg' },
        ],
        [
          `POST ${base()}/ffmpeg/transports`,
          { direction: 'producer', comedia: true, rtcpMux: false },
          { transportId: expect.any(String), ip: '127.0.0.1', port: 40000, rtcpPort: 40001 },
        ],
        [`POST ${base()}/ffmpeg/transports/${id}/connect`, { ip: '127.0.0.1', port: 5004 }, {}],
        [
          `POST ${base()}/ffmpeg/join`,
          { rtpCapabilities: {} },
          { peers: [expect.objectContaining({ peerId: 'ann' })] },
        ],
        [
          `POST ${base()}/ffmpeg/producers`,
          { transportId: id, kind: 'audio', rtpParameters, appData: { source: 'audio' } },
          { producerId: expect.any(String) },
        ],
        [`GET ${base()}/ffmpeg/peerProducersInfos`, undefined, { peerProducersInfos: [] }],
        [
          `POST ${base()}/ffmpeg/consumers`,
          { transportId: id, producerId: id },
          { consumerId, producerId: id, kind: 'audio', type: 'simple', rtpParameters },
        ],
        [`POST ${base()}/ffmpeg/consumers/${consumerId}/resume`, undefined, {}],
        [`DELETE ${base()}/ffmpeg`, undefined, {}],
      ];
      for (const [index, [call, body, want]] of steps.entries()) {
        const answer = await ask(call, { token, body }, index % 2 === 0 ? one : two);
        expect([call, answer.status, answer.body]).toEqual([call, 200, want]);
      }
      expect(producer.callsOf('join').at(-1)).toMatchObject({
        peerId: 'ffmpeg',
        data: { displayName: 'Film', device: { name: 'ffmpeg' } },
      });
      expect(producer.callsOf('resumeConsumers').at(-1)).toMatchObject({
        data: { consumerIds: [consumerId] },
      });
      await until(() => ann.notificationsOf('peerClosed').length > 0);
      expect(ann.notificationsOf('peerClosed')).toEqual([{ peerId: 'ffmpeg' }]);
      expect((await ask(`DELETE ${base()}/ffmpeg`, { token })).code).toBe('peer_not_found');
      await ann.close();
    });

    it('takes the place of an earlier one of the same name', async () => {
      const token = await platform.token({ room, peer: 'ffmpeg' });
      const make = () => ask(`POST ${base()}`, { token, body: { peerId: 'ffmpeg' } });
      await make();
      const [first] = await platform.peerRows();
      expect((await make()).status).toBe(200);
      await until(() => producer.deleted.includes(first!.id));
      expect((await platform.peerRows()).length).toBe(1);
      await ask(`DELETE ${base()}/ffmpeg`, { token });
    });

    it('refuses what the token does not allow, and what is wrong', async () => {
      const token = await platform.token({ room, peer: 'ffmpeg', grants: { publish: false } });
      const create = `POST ${base()}`;
      const cases: [string, HttpCall, number, string][] = [
        [`GET /rooms/${room}`, {}, 401, 'missing_token'],
        [`GET /rooms/other`, { token }, 401, 'invalid_token'],
        [create, { body: { peerId: 'ffmpeg' } }, 401, 'missing_token'],
        [create, { token, body: { peerId: 'other' } }, 401, 'invalid_token'],
        [create, { token, body: {} }, 400, 'invalid_request'],
        [`POST ${base()}/ffmpeg/join`, { token }, 404, 'peer_not_found'],
      ];
      for (const [call, options, status, code] of cases) {
        const answer = await ask(call, options);
        expect([call, answer.status, answer.code]).toEqual([call, status, code]);
      }
      await ask(create, { token, body: { peerId: 'ffmpeg' } });
      const body = { transportId: id, kind: 'audio', rtpParameters };
      const produce = await ask(`POST ${base()}/ffmpeg/producers`, { token, body });
      expect([produce.status, produce.code]).toEqual([403, 'forbidden']);
      const direction = await ask(`POST ${base()}/ffmpeg/transports`, { token, body: {} });
      expect(JSON.stringify(direction.body)).toContain('direction');
      const wrongId = await ask(`POST ${base()}/ffmpeg/consumers/nonsense/resume`, { token });
      expect([wrongId.status, wrongId.code]).toEqual([400, 'invalid_request']);
      await ask(`DELETE ${base()}/ffmpeg`, { token });
    });

    it('does not serve a peer that has a WebSocket', async () => {
      const ann = await joined(one, 'ann');
      const token = await platform.token({ room, peer: 'ann' });
      expect((await ask(`POST ${base()}/ann/join`, { token })).code).toBe('peer_not_found');
      await ann.close();
    });
  });

  describe('between services', () => {
    const signFor = (audience: 'signaling' | 'media-node', secret = serviceSecret) =>
      createServiceTokenSigner({ secret, issuer: 'test', ttlSeconds: 60 })(audience);
    const post = (options: HttpCall) => http(one.internalUrl, 'POST /internal/messages', options);

    it('wants a service token of the right audience and key', async () => {
      const body = { batchId: randomUUID() };
      expect((await post({ body })).code).toBe('missing_token');
      expect((await post({ body, token: await signFor('media-node') })).code).toBe('invalid_token');
      const foreign = await signFor('signaling', 'x'.repeat(40));
      expect((await post({ body, token: foreign })).code).toBe('invalid_token');
      expect((await post({ body, token: everywhere })).code).toBe('invalid_token');
      expect((await post({ body, token: await signFor('signaling') })).status).toBe(200);
    });

    it('checks what it is sent', async () => {
      const token = await signFor('signaling');
      const message = { method: 'fly', data: {} };
      const body = { batchId: randomUUID(), messages: [{ to: { roomId: room }, message }] };
      const answer = await post({ token, body });
      expect([answer.status, JSON.stringify(answer.body)]).toEqual([
        400,
        expect.stringContaining('messages[0].message'),
      ]);
      const close = `POST /internal/peers/${randomUUID()}/close`;
      expect((await http(one.internalUrl, close, { token, body: { code: 1 } })).status).toBe(400);
      const request = { token, body: { code: 4000, reason: 'test' } };
      expect((await http(one.internalUrl, close, request)).status).toBe(200);
    });

    it('shows probes and metrics', async () => {
      for (const path of ['/healthz', '/readyz'])
        expect((await http(one.internalUrl, `GET ${path}`)).status).toBe(200);
      const { body } = await http(one.internalUrl, 'GET /metrics');
      for (const name of [
        'kube_sfu_signaling_websocket_connections',
        'kube_sfu_signaling_request_duration_seconds_bucket',
        'kube_sfu_signaling_forward_duration_seconds_bucket',
        'kube_sfu_signaling_join_duration_seconds_count',
        'kube_sfu_signaling_messages_total',
        'kube_sfu_signaling_peers',
        'kube_sfu_db_pool_connections',
        'kube_sfu_http_request_duration_seconds_bucket',
      ])
        expect(body['text']).toContain(name);
    });
  });
});

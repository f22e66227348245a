import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { createServiceTokenSigner } from '../common/auth/service-token.ts';
import { instanceIdHeader } from '../common/http/client.ts';
import { nodeStatus } from '../common/wire/media-node.ts';
import type { RtpCapabilities } from '../common/wire/rtp.ts';
import { until } from '../testing/until.ts';
import { serviceSecret } from './fixtures/config.ts';
import { audio } from './fixtures/rtp.ts';
import { Platform, type TestNode } from './fixtures/platform.ts';
import { TcpProxy } from '../testing/tcp-proxy.ts';
import { createConsumer } from './mediasoup/consumers.ts';
import { produce } from './mediasoup/producers.ts';
import { contract, peerEndpoints } from './routes/contract.ts';

jest.setTimeout(120_000);

describe('a media node', () => {
  let platform: Platform;
  let node: TestNode;

  beforeAll(async () => {
    platform = await Platform.create();
    node = await platform.node('node-0', 'Both', { workers: 2 });
  });
  afterAll(() => platform.close());
  afterEach(async () => {
    for (const roomId of [...node.ctx.registry.routers.values()].map((router) => router.roomId))
      await platform.client.deleteRoom(node.url, roomId);
    await platform.sql('DELETE FROM media_peer');
  });

  const signer = (secret: string, ttlSeconds = 60) =>
    createServiceTokenSigner({ secret, issuer: 'test', ttlSeconds });
  const request = async (
    method: string,
    path: string,
    {
      token,
      body,
      headers = {},
    }: { token?: string; body?: unknown; headers?: Record<string, string> } = {},
  ) => {
    const response = await fetch(new URL(path, node.url), {
      method,
      headers: {
        ...headers,
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  };
  const codeOf = ({ text }: { text: string }): string =>
    (JSON.parse(text) as { error: { code: string } }).error.code;

  const endpoints = [
    ...Object.values(contract).map(({ method, path }) => ({ method, path })),
    ...peerEndpoints.map(({ method, path }) => ({ method, path })),
  ].map(({ method, path }) => ({ method, path: path.replaceAll(/:\w+Id/g, randomUUID()) }));

  it.each(endpoints)('refuses $method $path without a token', async ({ method, path }) => {
    const answer = await request(method, path, method === 'GET' ? {} : { body: {} });
    expect(answer.status).toBe(401);
    expect(codeOf(answer)).toBe('missing_token');
  });

  it('refuses tokens of another key, for another service, and expired ones', async () => {
    for (const token of [
      await signer('another secret of at least 32 bytes')('media-node'),
      await signer(serviceSecret)('signaling'),
      await signer(serviceSecret, -10)('media-node'),
      'nonsense',
    ]) {
      const answer = await request('GET', '/status', { token });
      expect(answer.status).toBe(401);
      expect(codeOf(answer)).toBe('invalid_token');
    }
  });

  it.each(['/healthz', '/readyz', '/metrics', '/openapi.json'])(
    'answers %s to anybody',
    async (path) => {
      expect((await request('GET', path)).status).toBe(200);
    },
  );

  const badInputs: [what: string, method: string, path: string, body: unknown, field: string][] = [
    [
      'a router without an instance',
      'PUT',
      '/rooms/a/routers/b',
      { role: 'Both', generation: 1 },
      'instanceId',
    ],
    [
      'an unknown role',
      'PUT',
      '/rooms/a/routers/b',
      { instanceId: randomUUID(), role: 'None', generation: 1 },
      'role',
    ],
    ['a path without a UUID', 'POST', '/transports/abc/restart_ice', {}, 'transportId'],
    [
      'producers that are no ids',
      'POST',
      `/consumer_transports/${randomUUID()}/consume`,
      { producerIds: ['a'] },
      'producerIds[0]',
    ],
    ['a pipe without a source', 'POST', '/router/a/destination_pipe_transport', {}, 'source'],
    [
      'a port that is none',
      'POST',
      '/router/a/source_pipe_transport',
      {
        destination: { routerId: 'b', node: { instanceId: randomUUID(), url: 'http://127.0.0.1' } },
        endpoint: { pipeTransportId: randomUUID(), ip: '127.0.0.1', port: 70_000 },
      },
      'endpoint.port',
    ],
    [
      'a codec of no kind',
      'POST',
      `/transports/${randomUUID()}/produce`,
      { kind: 'smell', rtpParameters: { codecs: [] } },
      'kind',
    ],
    ['a peer that is not named', 'POST', '/rooms/a/peers/b/join', { data: {} }, 'mediaPeerId'],
    [
      'a join without a name',
      'POST',
      '/rooms/a/peers/b/join',
      { mediaPeerId: randomUUID(), data: { device: {} } },
      'data.displayName',
    ],
    [
      'a priority out of range',
      'POST',
      `/consumers/${randomUUID()}/priority`,
      { priority: 0 },
      'priority',
    ],
    [
      'a direction that is none',
      'POST',
      '/rooms/a/peers/b/createWebRtcTransport',
      { mediaPeerId: randomUUID(), data: { direction: 'up' } },
      'data.direction',
    ],
  ];
  it.each(badInputs)('names the field of %s', async (...[, method, path, body, field]) => {
    const answer = await request(method, path, {
      token: await signer(serviceSecret)('media-node'),
      body,
    });
    expect(answer.status).toBe(400);
    const { error } = JSON.parse(answer.text) as {
      error: { code: string; fields: { field: string }[] };
    };
    expect(error.code).toBe('invalid_request');
    expect(error.fields.map((issue) => issue.field)).toContain(field);
  });

  it('refuses bytes that are no JSON, and too many of them', async () => {
    const token = await signer(serviceSecret)('media-node');
    const malformed = await request('POST', '/consumers/pause', { token, body: '{"a":' });
    expect(codeOf(malformed)).toBe('invalid_request');
    const large = { consumerIds: [], padding: 'x'.repeat(5_000_000) };
    const tooLarge = await request('POST', '/consumers/pause', { token, body: large });
    expect(codeOf(tooLarge)).toBe('payload_too_large');
  });

  it('says what is not there', async () => {
    const token = await signer(serviceSecret)('media-node');
    const id = randomUUID();
    const expected: [path: string, code: string, body: unknown][] = [
      [`/transports/${id}/restart_ice`, 'transport_not_found', {}],
      [`/producers/${id}/pause`, 'producer_not_found', {}],
      [`/consumers/${id}/resume`, 'consumer_not_found', {}],
      [`/data_consumers/${id}/stats`, 'consumer_not_found', {}],
      [`/consumer_transports/${id}/consume`, 'transport_not_found', { producerIds: [] }],
      [`/pipe_transport/${id}/consume`, 'transport_not_found', { producerIds: [] }],
      ['/router/none/consumers', 'router_not_found', { receivers: [] }],
      ['/no/such/route', 'not_found', {}],
    ];
    for (const [path, code, body] of expected)
      expect(codeOf(await request('POST', path, { token, body }))).toBe(code);
  });

  it('forgives closing what is gone', async () => {
    const token = await signer(serviceSecret)('media-node');
    const id = randomUUID();
    for (const path of [
      'transports',
      'producers',
      'consumers',
      'data_producers',
      'data_consumers',
      'peers',
    ])
      expect((await request('DELETE', `/${path}/${id}`, { token })).status).toBe(200);
  });

  it('refuses a call that is meant for an earlier run', async () => {
    const token = await signer(serviceSecret)('media-node');
    const answer = await request('GET', '/status', {
      token,
      headers: { [instanceIdHeader]: randomUUID() },
    });
    expect(codeOf(answer)).toBe('instance_mismatch');
  });

  it('makes a router once, however often it is asked to', async () => {
    const name = { roomId: 'once', routerId: 'once-0' };
    const body = { instanceId: node.instanceId, role: 'Both' as const, generation: 2 };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => platform.client.putRouter(node.url, name, body)),
    );
    expect(new Set(answers.map(({ workerIndex }) => workerIndex)).size).toBe(1);
    expect(await platform.count('media_router')).toBe(1);
    await platform.client.putRouter(node.url, name, { ...body, generation: 3 });
    expect(node.ctx.registry.router('once-0').generation).toBe(3);
    for (const [wrong, code] of [
      [{ ...body, generation: 1 }, 'conflict'],
      [{ ...body, instanceId: randomUUID() }, 'instance_mismatch'],
    ] as const)
      await expect(platform.client.putRouter(node.url, name, wrong)).rejects.toMatchObject({
        code,
      });
    const elsewhere = platform.client.putRouter(node.url, { ...name, roomId: 'other' }, body);
    await expect(elsewhere).rejects.toMatchObject({ code: 'conflict' });
    await platform.client.deleteRouter(node.url, name);
    await platform.client.deleteRouter(node.url, name);
    expect(await platform.count('media_router')).toBe(0);
    expect(await platform.count('media_room')).toBe(0);
  });

  it('spreads routers over its workers', async () => {
    for (const routerId of ['spread-0', 'spread-1'])
      await platform.client.putRouter(
        node.url,
        { roomId: 'spread', routerId },
        { instanceId: node.instanceId, role: 'Both', generation: 1 },
      );
    const indexes = ['spread-0', 'spread-1'].map((id) => node.ctx.registry.router(id).workerIndex);
    expect(indexes.sort()).toEqual([0, 1]);
  });

  it('tells its status by the schema', async () => {
    const room = await platform.room(node, node);
    const peer = await room.join();
    await peer.publish('audio');
    const status = nodeStatus.parse(await platform.client.status(node.url));
    expect(status).toMatchObject({
      podName: 'node-0',
      state: 'Ready',
      load: { peers: 1, producers: 1 },
      routers: [{ roomId: room.id, peers: 1, transports: 2, producers: 1 }],
    });
    expect(status.workers.map(({ pid }) => pid).every((pid) => pid > 0)).toBe(true);
  });

  it('lets a client in over ICE candidates on the worker’s one port', async () => {
    const room = await platform.room(node, node);
    const peer = await room.connect();
    const answer = await peer.call('createWebRtcTransport', { direction: 'producer' });
    const ports = new Set(answer.iceCandidates.map((candidate) => candidate['port']));
    const { workerIndex } = node.ctx.registry.router(room.producer.routerId);
    expect([...ports]).toEqual([node.ctx.workers.slots[workerIndex]?.port]);
    const tcp = await peer.call('createWebRtcTransport', { direction: 'producer', forceTcp: true });
    expect(tcp.iceCandidates.every((candidate) => candidate['protocol'] === 'tcp')).toBe(true);
    const restarted = await peer.call('restartIce', { transportId: answer.transportId });
    expect(restarted.iceParameters['usernameFragment']).not.toBe(
      answer.iceParameters['usernameFragment'],
    );
  });

  it('connects a transport once, and refuses other parameters', async () => {
    const room = await platform.room(node, node);
    const peer = await room.connect();
    const { transportId, dtlsParameters } = await peer.call('createWebRtcTransport', {
      direction: 'consumer',
    });
    const fingerprints = dtlsParameters['fingerprints'] as never;
    const connect = (role: 'client' | 'server') =>
      peer.call('connectWebRtcTransport', { transportId, dtlsParameters: { role, fingerprints } });
    await Promise.all([connect('client'), connect('client')]);
    await connect('client');
    await expect(connect('server')).rejects.toMatchObject({ code: 'already_connected' });
  });

  it('gives a sending transport again that is not used yet', async () => {
    const room = await platform.room(node, node);
    const peer = await room.join();
    const create = async () =>
      (await peer.call('createWebRtcTransport', { direction: 'producer' })).transportId;
    expect(await Promise.all([create(), create()])).toEqual([peer.sendingId, peer.sendingId]);
    await peer.publish('audio');
    const [one, other] = await Promise.all([create(), create()]);
    expect(one).toBe(other);
    expect(one).not.toBe(peer.sendingId);
    expect(node.ctx.registry.transportsOf(peer.id)).toHaveLength(3);
  });

  it('tells a peer of a producer that ended without its doing', async () => {
    const room = await platform.room(node, node);
    const peer = await room.join();
    const producerId = await peer.publish('audio');
    node.ctx.registry.transport(peer.sendingId).transport.close();
    await until('producerClosed', () => peer.told('producerClosed').length === 1);
    expect(peer.told('producerClosed')).toEqual([{ producerId }]);
  });

  it('keeps nothing that was made on a transport that closed meanwhile', async () => {
    const room = await platform.room(node, node);
    const [speaker, watcher] = [await room.join(), await room.join()];
    const { ctx } = node;
    const { sources } = ctx.registry.router(room.producer.routerId);
    const producerId = await speaker.publish('audio');
    await until('the consumer', () => watcher.told('newConsumer').length === 1);
    const source = sources.get(producerId)!;

    const late = await room.join();
    const receiving = ctx.registry.transport(late.receivingId);
    await until('its consumer', () => source.users === 2);
    const capabilities = receiving.router.router.rtpCapabilities as RtpCapabilities;
    (await receiving.consuming.get(source))?.consumer.close();
    const consuming = createConsumer(ctx, receiving, producerId, capabilities);
    receiving.transport.close();
    expect(await consuming).toBeUndefined();
    expect([source.users, source.consumers.size]).toEqual([1, 1]);

    const sending = ctx.registry.transport(late.sendingId);
    const producing = produce(ctx, sending, { ...audio(), paused: false, appData: {} });
    sending.transport.close();
    await expect(producing).rejects.toMatchObject({ code: 'transport_not_found' });
    expect(sources.size).toBe(1);
    expect(ctx.registry.producers.size).toBe(1);
  });

  it('says why mediasoup refuses what a client publishes', async () => {
    const room = await platform.room(node, node);
    const peer = await room.join();
    const refused = peer.call('produce', {
      transportId: peer.sendingId,
      kind: 'audio',
      rtpParameters: {
        codecs: [{ mimeType: 'audio/none', clockRate: 8000, payloadType: 100 }],
        encodings: [{ ssrc: 1 }],
      },
    });
    await expect(refused).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(refused).rejects.toThrow('rtpParameters');
    expect(await platform.count('media_producer')).toBe(0);
  });

  it('bounds a peer’s transports', async () => {
    const room = await platform.room(node, node);
    const peer = await room.connect();
    const { transportsPerPeer } = node.ctx.config.rtc;
    for (let n = 0; n < transportsPerPeer; n++)
      await peer.call('createPlainTransport', { direction: 'producer' });
    await expect(
      peer.call('createPlainTransport', { direction: 'producer' }),
    ).rejects.toMatchObject({ code: 'too_many_transports' });
  });

  it('loses one worker’s rooms alone, says so, and replaces the worker', async () => {
    const [doomed, safe] = [await platform.room(node, node), await platform.room(node, node)];
    const [victim, survivor] = [await doomed.join(), await safe.join()];
    await victim.publish('audio');
    const producerId = await survivor.publish('audio');
    const { workerIndex } = node.ctx.registry.router(doomed.producer.routerId);
    expect(node.ctx.registry.router(safe.producer.routerId).workerIndex).not.toBe(workerIndex);
    const pid = node.ctx.workers.slots[workerIndex]?.worker?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    await until('the victim’s loss', () => platform.replica.lostPeers.includes(victim.id));
    await until('no row of the router', async () => (await platform.count('media_router')) === 1);
    await until('a new worker', () => node.ctx.workers.alive === 2);
    expect(node.ctx.workers.slots[workerIndex]?.worker?.pid).not.toBe(pid);
    expect(platform.replica.lostPeers).not.toContain(survivor.id);
    expect(node.ctx.registry.producers.has(producerId)).toBe(true);
    expect(node.ctx.registry.transports.size).toBe(2);
    const again = await platform.room(node, node);
    const peer = await again.join();
    await peer.publish('audio');
  });

  it('reports a closed router’s peers as lost, with a transport or without', async () => {
    const room = await platform.room(node, node);
    const [joined, connected] = [await room.join(), await room.connect()];
    await platform.client.deleteRoom(node.url, room.id);
    await until('both', () =>
      [joined, connected].every(({ id }) => platform.replica.lostPeers.includes(id)),
    );
  });

  it('has its metrics named, helped and bounded', async () => {
    const room = await platform.room(node, node);
    const [speaker, watcher] = [await room.join(), await room.join()];
    await speaker.publish('audio');
    await until('the consumer', () => watcher.told('newConsumer').length === 1);
    const { text } = await request('GET', '/metrics');
    expect(text).toContain('kube_sfu_media_node_consumers{kind="audio"} 1');
    expect(text).toContain('kube_sfu_media_node_rooms 1');
    expect(text).toMatch(/kube_sfu_media_node_join_duration_seconds_count{step="answer"} \d+/);
    expect(text).not.toContain(room.id);
    expect(text).not.toContain(speaker.name.peerId);
    for (const metric of node.ctx.metrics.registry.getMetricsAsArray())
      expect(metric.help.length).toBeGreaterThan(5);
  });

  it('describes every endpoint in its OpenAPI document', async () => {
    const { text } = await request('GET', '/openapi.json');
    const document = JSON.parse(text) as { paths: Record<string, Record<string, unknown>> };
    for (const { method, path } of [...Object.values(contract), ...peerEndpoints]) {
      const described = document.paths[path.replaceAll(/:(\w+)/g, '{$1}')];
      expect(described?.[method.toLowerCase()]).toBeDefined();
    }
  });
});

describe('a media node that drains', () => {
  it('takes nothing new and keeps what it has', async () => {
    const platform = await Platform.create();
    try {
      const node = await platform.node('draining', 'Both');
      const room = await platform.room(node, node);
      const peer = await room.join();
      const late = await room.connect();
      expect(await platform.client.drain(node.url)).toEqual({ state: 'Draining', peers: 1 });
      await platform.client.drain(node.url);
      expect((await platform.client.status(node.url)).state).toBe('Draining');
      await expect(platform.room(node, node)).rejects.toMatchObject({ code: 'node_draining' });
      await expect(late.createTransports()).rejects.toMatchObject({ code: 'node_draining' });
      await peer.publish('audio');
    } finally {
      await platform.close();
    }
  });
});

describe('a media node that starts and stops', () => {
  it('takes the place of its pod’s earlier run, and leaves nothing but peers that are bound to no router', async () => {
    const platform = await Platform.create();
    try {
      await platform.sql(
        `INSERT INTO media_worker (instance_id, pod_name, pool, role, api_url, worker_count, version)
         VALUES ($1, 'pod', 'pool', 'Both', 'http://127.0.0.1:1', 1, '0')`,
        [randomUUID()],
      );
      const node = await platform.node('pod', 'Both');
      const rows = await platform.sql<{ instance_id: string }>(
        'SELECT instance_id FROM media_worker',
      );
      expect(rows).toEqual([{ instance_id: node.instanceId }]);
      const room = await platform.room(node, node);
      const peer = await room.join();
      await platform.stop(node);
      expect(platform.replica.lostPeers).toContain(peer.id);
      for (const table of ['media_worker', 'media_router', 'media_transport'])
        expect(await platform.count(table)).toBe(0);
      expect(
        await platform.sql('SELECT producer_router_id, consumer_router_id FROM media_peer'),
      ).toEqual([{ producer_router_id: null, consumer_router_id: null }]);
    } finally {
      await platform.close();
    }
  });
});

describe('a media node whose store is away', () => {
  it('is alive and ready, names the store in what fails, and works again by itself', async () => {
    const platform = await Platform.create();
    const { hostname, port } = new URL(platform.database.url);
    const proxy = new TcpProxy({ host: hostname, port: Number(port) });
    try {
      const url = new URL(platform.database.url);
      url.hostname = '127.0.0.1';
      url.port = String(await proxy.start());
      const node = await platform.node('cut-off', 'Both', {
        part: { database: { url: url.href, acquireTimeoutMs: 1_000 } },
      });
      const room = await platform.room(node, node);
      const [speaker, watcher] = [await room.join(), await room.join()];
      const producerId = await speaker.publish('audio');
      await until('the consumer', () => watcher.told('newConsumer').length === 1);
      const { consumerId } = watcher.told('newConsumer')[0]!;
      const connecting = await room.connect();

      proxy.cut();
      for (const path of ['/healthz', '/readyz'])
        expect((await fetch(new URL(path, node.url))).status).toBe(200);
      await expect(speaker.publish('video')).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(connecting.join()).rejects.toMatchObject({ code: 'store_unavailable' });
      await watcher.call('resumeConsumers', { consumerIds: [consumerId] });
      await speaker.call('pauseProducer', { producerId });
      await until('consumerPaused', () => watcher.told('consumerPaused').length === 1);
      expect(node.ctx.registry.producers.size).toBe(1);

      proxy.heal();
      await until('the store is back', async () => {
        await speaker.publish('video');
        return true;
      });
      await until('the second consumer', () => watcher.told('newConsumer').length === 2);
    } finally {
      await platform.close();
      await proxy.close();
    }
  });
});

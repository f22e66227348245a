import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generate } from 'selfsigned';
import { WebSocket } from 'ws';

import { refusalOf, until, type ConnectOptions } from '../fixtures/client.ts';
import { Platform, type Replica } from '../fixtures/platform.ts';
import type { FakeMediaNode } from '../fixtures/media-node.ts';

const code = (body: string): string => (JSON.parse(body) as { error: { code: string } }).error.code;

describe('a connection', () => {
  let platform: Platform;
  let open: Replica;
  let closed: Replica;
  let node: FakeMediaNode;
  beforeAll(async () => {
    platform = await Platform.create();
    node = await platform.node('Both');
    await platform.room('room', [node]);
    open = await platform.replica();
    closed = await platform.replica({
      roomAuth: { development: false },
      public: { urls: ['https://meet.example.com', 'http://localhost:8080'] },
      limits: { connectionsPerAddress: 3 },
    });
  });
  afterAll(() => platform.close());

  const who = { roomId: 'room', peerId: 'ann' };
  const refusals: [string, Partial<ConnectOptions>, number, string][] = [
    ['without roomId', { roomId: undefined as never }, 400, 'invalid_request'],
    ['without peerId', { peerId: undefined as never }, 400, 'invalid_request'],
    ['with an empty roomId', { roomId: '' }, 400, 'invalid_request'],
    ['with a very long peerId', { peerId: 'x'.repeat(129) }, 400, 'invalid_request'],
    ['to every room', { roomId: '*' }, 400, 'invalid_request'],
    ['without a subprotocol', { protocols: [] }, 403, 'subprotocol_required'],
    ['with another subprotocol', { protocols: ['chat'] }, 403, 'subprotocol_required'],
    ['from a foreign page', { headers: { origin: 'https://evil.com' } }, 403, 'origin_not_allowed'],
    ['to another path', { path: '/other' }, 404, 'not_found'],
    ['to an unknown room', { roomId: 'nowhere' }, 404, 'room_not_found'],
    ['with a garbage token', { token: 'garbage' }, 401, 'invalid_token'],
  ];

  it.each(refusals)('is refused %s', async (_name, change, status, wantCode) => {
    const options = { port: open.publicPort, ...who, ...change };
    const refusal = await refusalOf(options);
    expect([refusal.status, code(refusal.body)]).toEqual([status, wantCode]);
  });

  it('is told which id is missing', async () => {
    expect((await refusalOf({ port: open.publicPort, roomId: 'room' })).body).toContain('peerId');
    expect((await refusalOf({ port: open.publicPort, peerId: 'ann' })).body).toContain('roomId');
  });

  it('picks protoo among several subprotocols', async () => {
    const client = await platform.connect(open, { ...who, protocols: ['chat', 'protoo'] });
    expect(client.socket.protocol).toBe('protoo');
    await client.close();
  });

  it.each(['http://localhost:3000', 'https://meet.example.com:9443', undefined])(
    'is accepted from a page of ours: %s',
    async (origin) => {
      const token = await platform.token({ room: 'room', peer: 'ann' });
      const headers = origin === undefined ? {} : { origin };
      const client = await platform.connect(closed, { ...who, token, headers });
      await client.close();
    },
  );

  it.each([
    ['none', () => Promise.resolve(undefined), 'missing_token'],
    [
      'an expired one',
      () => platform.token({ room: 'room', peer: 'ann', ttlSeconds: -5 }),
      'invalid_token',
    ],
    ['one of another peer', () => platform.token({ room: 'room', peer: 'bob' }), 'invalid_token'],
    ['one of another room', () => platform.token({ room: 'other', peer: 'ann' }), 'invalid_token'],
    [
      'one of another key',
      () => platform.token({ room: 'room', peer: 'ann', secret: 'x'.repeat(32) }),
      'invalid_token',
    ],
  ])('needs a token: %s is refused', async (_name, make, wantCode) => {
    const token = await make();
    const options = { port: closed.publicPort, ...who, ...(token ? { token } : {}) };
    const refusal = await refusalOf(options);
    expect([refusal.status, code(refusal.body)]).toEqual([401, wantCode]);
  });

  it('is one of a limited number from its address', async () => {
    const connectAs = async (peerId: string) =>
      platform.connect(closed, {
        roomId: 'room',
        peerId,
        token: await platform.token({ room: 'room', peer: peerId }),
      });
    await until(async () => (await platform.peerRows()).length === 0);
    const clients = await Promise.all(['a', 'b', 'c'].map(connectAs));
    const refusal = await refusalOf({ port: closed.publicPort, roomId: 'room', peerId: 'd' });
    expect([refusal.status, code(refusal.body)]).toEqual([429, 'too_many_connections']);
    await clients[0]!.close();
    await until(async () => (await platform.peerRows()).length === 2);
    await (await connectAs('d')).close();
    await Promise.all(clients.map((client) => client.close()));
  });

  it('is refused by a full room, but for the peer that is in it', async () => {
    await platform.room('small', [node], { maxPeers: 2 });
    await platform.connect(open, { roomId: 'small', peerId: 'ann' });
    const bob = await platform.connect(open, { roomId: 'small', peerId: 'bob' });
    await until(async () => (await platform.peerRows()).length >= 2);
    const refusal = await refusalOf({ port: open.publicPort, roomId: 'small', peerId: 'cem' });
    expect([refusal.status, code(refusal.body)]).toEqual([429, 'room_full']);
    const again = await platform.connect(open, { roomId: 'small', peerId: 'bob' });
    await again.join();
    expect(bob.closeCode).toBe(4000);
  });

  it('holds the limit of a room however many come at once', async () => {
    await platform.room('rush', [node], { maxPeers: 3 });
    const tries = Array.from({ length: 12 }, (_, i) =>
      platform.connect(open, { roomId: 'rush', peerId: `p${i}` }).catch(() => undefined),
    );
    const clients = (await Promise.all(tries)).filter((client) => client !== undefined);
    const joins = await Promise.allSettled(clients.map((client) => client.join()));
    expect(joins.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    const turnedAway = clients.filter((_, i) => joins[i]!.status === 'rejected');
    await until(() => turnedAway.every(({ closed: over }) => over));
    for (const client of turnedAway)
      expect([client.closeCode, client.closeReason?.split(':')[0]]).toEqual([4003, 'room_full']);
  });

  it('may break off in the middle of its handshake', async () => {
    const socket = connect(open.publicPort, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET /?roomId=room&peerId=gone HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n');
    socket.write('Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n');
    socket.write('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n');
    socket.write('Sec-WebSocket-Protocol: protoo\r\n\r\n');
    socket.destroy();
    const client = await platform.joined(open, 'room', 'after');
    await client.close();
    await until(async () => !(await platform.peerRows()).some(({ peer_id }) => peer_id === 'gone'));
  });
});

describe('startSignaling', () => {
  it('fails when a port is taken', async () => {
    const platform = await Platform.create();
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(platform.replica({ internal: { port } })).rejects.toThrow('EADDRINUSE');
    await expect(platform.replica({ public: { port } })).rejects.toThrow('EADDRINUSE');
    other.close();
    await platform.close();
  });
});

describe('with TLS', () => {
  it('serves WSS and HTTPS on the one port', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'kube-sfu-tls-'));
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }]);
    const [certFile, keyFile] = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name));
    await Promise.all([writeFile(certFile!, cert), writeFile(keyFile!, key)]);
    const platform = await Platform.create();
    await platform.room('room', [await platform.node('Both')]);
    const replica = await platform.replica({ public: { tls: { certFile, keyFile } } });
    const address = `127.0.0.1:${replica.publicPort}`;
    const health = request(`https://${address}/healthz`, { rejectUnauthorized: false }).end();
    const [response] = (await once(health, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();
    const url = `wss://${address}/?roomId=room&peerId=ann`;
    const socket = new WebSocket(url, 'protoo', { rejectUnauthorized: false });
    const [greeting] = (await once(socket, 'message')) as [Buffer];
    expect(greeting.toString()).toContain('mediasoupVersion');
    socket.terminate();
    await platform.close();
    await rm(folder, { recursive: true });
  });
});

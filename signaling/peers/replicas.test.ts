import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { refusalOf, until } from '../fixtures/client.ts';
import { http } from '../fixtures/http.ts';
import type { FakeMediaNode } from '../fixtures/media-node.ts';
import { Platform, type ConfigPart, type Replica } from '../fixtures/platform.ts';
import { TcpProxy } from '../../testing/tcp-proxy.ts';

const quick = { heartbeatMs: 200, deadAfterMs: 2000, reapIntervalMs: 200 };

/** Stands where a replica's internal API is, and counts what it is told. */
async function listener(): Promise<{ url: string; bodies: unknown[]; server: Server }> {
  const bodies: unknown[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      bodies.push(JSON.parse(text));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies, server };
}

describe('several replicas', () => {
  let platform: Platform;
  let one: Replica;
  let two: Replica;
  let producer: FakeMediaNode;
  let watcher: FakeMediaNode;
  let room: string;
  let rooms = 0;

  beforeAll(async () => {
    platform = await Platform.create();
    producer = await platform.node('Producer');
    watcher = await platform.node('Consumer');
    one = await platform.replica({ replicas: quick });
    two = await platform.replica({ replicas: quick });
  });
  beforeEach(async () => {
    room = `room-${++rooms}`;
    await platform.room(room, [producer, watcher]);
  });
  afterAll(() => platform.close());

  const idOf = async (peerId: string): Promise<string | undefined> => {
    const text = 'SELECT id FROM media_peer WHERE room_id = $1 AND peer_id = $2';
    return (await platform.sql<{ id: string }>(text, [room, peerId]))[0]?.id;
  };
  /** Writes a peer of a replica that is none of ours. */
  const insertPeer = async (
    replicaId: string,
    peerId: string,
    joined: boolean,
    kind = 'WebSocket',
  ): Promise<string> => {
    const id = randomUUID();
    await platform.sql(
      `INSERT INTO media_peer (id, room_id, peer_id, kind, replica_id, producer_router_id, consumer_router_id,
         remote_address, grants, joined_at)
       VALUES ($1, $2, $3, $8, $4, $5, $6, '', '{}', $7)`,
      [id, room, peerId, replicaId, `${room}-0`, `${room}-1`, joined ? new Date() : null, kind],
    );
    return id;
  };
  const closed = (ann: { notificationsOf: (method: string) => unknown[] }): Promise<void> =>
    until(() => ann.notificationsOf('peerClosed').length > 0);

  it('tell each other who left', async () => {
    const ann = await platform.joined(one, room, 'ann');
    const bob = await platform.joined(two, room, 'bob');
    await bob.close();
    await closed(ann);
    expect(ann.notificationsOf('peerClosed')).toEqual([{ peerId: 'bob' }]);
    await ann.close();
  });

  it('say nothing of a peer that never joined', async () => {
    const ann = await platform.joined(one, room, 'ann');
    const bob = await platform.connect(two, { roomId: room, peerId: 'bob' });
    await bob.request('getRouterRtpCapabilities');
    await bob.close();
    await until(async () => !(await idOf('bob')));
    const cem = await platform.joined(two, room, 'cem');
    await cem.close();
    await closed(ann);
    expect(ann.notificationsOf('peerClosed')).toEqual([{ peerId: 'cem' }]);
    await ann.close();
  });

  it.each([
    ['the same replica', () => one],
    ['another replica', () => two],
  ])('close the older connection of a peer that comes again at %s', async (_name, where) => {
    const cem = await platform.joined(two, room, 'cem');
    const ann = await platform.joined(one, room, 'ann');
    const oldId = await idOf('ann');
    const again = await platform.joined(where(), room, 'ann');
    await until(() => ann.closed);
    expect([ann.closeCode, ann.closeReason]).toEqual([4000, 'the peer has connected again']);
    const newId = await idOf('ann');
    expect(newId).not.toBe(oldId);
    await until(() => producer.deleted.includes(oldId!) && watcher.deleted.includes(oldId!));
    expect(cem.notificationsOf('peerClosed')).toEqual([{ peerId: 'ann' }]);
    // The leave of the older connection, which comes last, takes nothing of the newer one away.
    await again.request('getTransportStats', { transportId: randomUUID() });
    expect(await idOf('ann')).toBe(newId);
    await Promise.all([again.close(), cem.close()]);
    await until(async () => (await platform.peerRows()).length === 0);
    expect(cem.notificationsOf('peerClosed').length).toBeLessThanOrEqual(2);
  });

  it('get one request each for a message to a whole room', async () => {
    const third = await listener();
    const thirdId = randomUUID();
    await platform.sql(
      'INSERT INTO signaling_replica (id, url, last_seen_at) VALUES ($1, $2, $3)',
      [thirdId, third.url, new Date(Date.now() + 60_000)],
    );
    for (const peerId of ['x', 'y', 'z']) await insertPeer(thirdId, peerId, false);
    const others = await Promise.all(
      ['a', 'b', 'c'].map((peerId) => platform.joined(two, room, peerId)),
    );
    const ann = await platform.joined(one, room, 'ann');
    const annsId = await idOf('ann');
    await ann.close();
    await Promise.all(others.map(closed));
    await until(() => third.bodies.length > 0);
    expect(third.bodies).toEqual([
      {
        batchId: expect.any(String),
        messages: [
          {
            to: { roomId: room },
            message: { method: 'peerClosed', data: { peerId: 'ann' } },
            aboutMediaPeerId: annsId,
          },
        ],
      },
    ]);
    await platform.sql('DELETE FROM media_peer WHERE replica_id = $1', [thirdId]);
    await platform.sql('DELETE FROM signaling_replica WHERE id = $1', [thirdId]);
    third.server.close();
    await Promise.all(others.map((client) => client.close()));
  });

  it('take leave of the peers of one that died, once', async () => {
    const deadId = randomUUID();
    await platform.sql(
      `INSERT INTO signaling_replica (id, url, last_seen_at)
       VALUES ($1, 'http://127.0.0.1:1', now() + interval '1 hour')`,
      [deadId],
    );
    const ids = await Promise.all(
      ['x', 'y', 'z'].map((peerId) => insertPeer(deadId, peerId, true)),
    );
    const ann = await platform.joined(one, room, 'ann');
    const bob = await platform.joined(two, room, 'bob');
    const died = `UPDATE signaling_replica SET last_seen_at = now() - interval '1 hour' WHERE id = $1`;
    await platform.sql(died, [deadId]);
    await until(async () => {
      const found = await platform.sql('SELECT 1 FROM signaling_replica WHERE id = $1', [deadId]);
      return found.length === 0;
    });
    await Promise.all(
      [ann, bob].map((client) => until(() => client.notificationsOf('peerClosed').length >= 3)),
    );
    for (const client of [ann, bob])
      expect(
        client
          .notificationsOf('peerClosed')
          .map(({ peerId }) => peerId)
          .sort(),
      ).toEqual(['x', 'y', 'z']);
    for (const id of ids) {
      expect(producer.deleted.filter((deleted) => deleted === id)).toHaveLength(1);
      expect(watcher.deleted.filter((deleted) => deleted === id)).toHaveLength(1);
    }
    expect((await platform.peerRows()).map(({ peer_id }) => peer_id)).toEqual(['ann', 'bob']);
    await Promise.all([ann.close(), bob.close()]);
  });

  it('start over when they were taken for dead', async () => {
    const replica = await platform.replica({ replicas: quick });
    const ann = await platform.joined(replica, room, 'ann');
    const own = 'SELECT id FROM signaling_replica WHERE url = $1';
    const url = [replica.internalUrl];
    await platform.sql(`DELETE FROM media_peer WHERE replica_id IN (${own})`, url);
    await platform.sql('DELETE FROM signaling_replica WHERE url = $1', url);
    await until(() => ann.closed);
    expect(ann.closeCode).toBe(1012);
    const registered = () =>
      platform.sql('SELECT 1 FROM signaling_replica WHERE url = $1', [replica.internalUrl]);
    await until(async () => (await registered()).length === 1);
    const again = await platform.joined(replica, room, 'ann');
    await again.close();
    await replica.close();
    expect(await registered()).toEqual([]);
  });

  it('send their clients elsewhere when they stop, and leave nothing behind', async () => {
    const replica = await platform.replica();
    const ann = await platform.joined(one, room, 'ann');
    const bob = await platform.joined(replica, room, 'bob');
    await Promise.all([replica.close(), replica.close()]);
    await until(() => bob.closed);
    expect(bob.closeCode).toBe(1012);
    await closed(ann);
    expect(await idOf('bob')).toBeUndefined();
    await ann.close();
  });

  it('hand their broadcasters over when they stop', async () => {
    const replica = await platform.replica();
    const ann = await platform.joined(one, room, 'ann');
    const [{ id: replicaId }] = (await platform.sql<{ id: string }>(
      'SELECT id FROM signaling_replica WHERE url = $1',
      [replica.internalUrl],
    )) as [{ id: string }];
    const camera = await insertPeer(replicaId, 'camera', true, 'Broadcaster');
    await replica.close();
    expect(await idOf('camera')).toBe(camera);
    expect(ann.notificationsOf('peerClosed')).toEqual([]);
    await ann.close();
    await platform.sql('DELETE FROM media_peer WHERE id = $1', [camera]);
  });

  it('take leave of a peer whose media nodes are dead or slow', async () => {
    const ann = await platform.joined(one, room, 'ann');
    const bob = await platform.joined(two, room, 'bob');
    await watcher.stop();
    producer.onDelete = () => new Promise((resolve) => setTimeout(resolve, 300));
    await bob.close();
    await closed(ann);
    await until(async () => !(await idOf('bob')));
    producer.onDelete = () => Promise.resolve();
    await watcher.start();
    await ann.close();
  });

  it('take leave of a peer whose row is gone already', async () => {
    const ann = await platform.joined(one, room, 'ann');
    const bob = await platform.joined(two, room, 'bob');
    await platform.sql(`DELETE FROM media_peer WHERE room_id = $1 AND peer_id = 'bob'`, [room]);
    await bob.close();
    await closed(ann);
    await ann.close();
  });
});

describe('a single replica', () => {
  it('takes leave of its broadcasters when it stops', async () => {
    const platform = await Platform.create();
    const node = await platform.node('Both');
    await platform.room('room', [node]);
    const replica = await platform.replica();
    const token = await platform.token({ room: 'room', peer: 'camera' });
    const made = await http(
      `http://127.0.0.1:${replica.publicPort}`,
      'POST /rooms/room/broadcasters',
      {
        token,
        body: { peerId: 'camera', displayName: 'Camera', device: { name: 'test' } },
      },
    );
    expect(made.status).toBeLessThan(300);
    const [camera] = await platform.peerRows();
    await replica.close();
    expect(node.deleted).toContain(camera!.id);
    await platform.close();
  });
});

describe('while Postgres is away', () => {
  let platform: Platform;
  let proxy: TcpProxy;
  let replica: Replica;
  let node: FakeMediaNode;
  let change: ConfigPart;

  beforeAll(async () => {
    platform = await Platform.create();
    const direct = new URL(platform.database.url);
    proxy = new TcpProxy({ host: direct.hostname, port: Number(direct.port) });
    const url = new URL(direct);
    url.hostname = '127.0.0.1';
    url.port = String(await proxy.start());
    node = await platform.node('Both');
    await platform.room('room', [node]);
    change = {
      replicas: quick,
      leave: { retryMinMs: 50 },
      database: { url: url.href, acquireTimeoutMs: 500 },
    };
    replica = await platform.replica(change);
  });
  afterAll(async () => {
    await platform.close();
    await proxy.close();
  });

  it('refuses connections with its name, keeps those that are, and goes on after', async () => {
    const ann = await platform.joined(replica, 'room', 'ann');
    const bob = await platform.joined(replica, 'room', 'bob');
    proxy.cut();
    await expect(platform.connect(replica, { roomId: 'room', peerId: 'cem' })).rejects.toThrow(
      '503',
    );
    expect(await ann.request('getTransportStats', { transportId: randomUUID() })).toEqual({
      stats: [{ type: 'test' }],
    });
    const refusal = await refusalOf({ port: replica.publicPort, roomId: 'room', peerId: 'cem' });
    // The statement and the address are for the log alone.
    expect(JSON.parse(refusal.body)).toEqual({
      error: { code: 'store_unavailable', message: 'the tables are not available now' },
    });
    const ready = await fetch(`${replica.internalUrl}/readyz`);
    expect(ready.status).toBe(200);
    // Who is here hears of the leave at once; the row goes when it can.
    await bob.close();
    await until(() => ann.notificationsOf('peerClosed').length > 0);
    await until(() => node.deleted.length > 0);
    expect((await platform.peerRows()).map(({ peer_id }) => peer_id)).toEqual(['ann', 'bob']);
    proxy.heal();
    await until(async () => (await platform.peerRows()).length === 1);
    const cem = await platform.joined(replica, 'room', 'cem');
    expect(ann.closed).toBe(false);
    await Promise.all([ann.close(), cem.close()]);
    await until(async () => (await platform.peerRows()).length === 0);
  });

  it('takes nobody for dead, although all look silent after', async () => {
    const other = await platform.replica(change);
    const ann = await platform.joined(replica, 'room', 'ann');
    const bob = await platform.joined(other, 'room', 'bob');
    const ids = async () =>
      (await platform.sql<{ id: string }>('SELECT id FROM signaling_replica ORDER BY id')).map(
        ({ id }) => id,
      );
    const before = await ids();
    proxy.cut();
    const heartbeats = async (wanted: string): Promise<void> => {
      for (const { internalUrl } of [replica, other])
        await until(async () =>
          (await (await fetch(`${internalUrl}/metrics`)).text()).includes(
            `replica_registered ${wanted}`,
          ),
        );
    };
    await heartbeats('0');
    await platform.sql(`UPDATE signaling_replica SET last_seen_at = now() - interval '1 hour'`);
    proxy.heal();
    await heartbeats('1');
    // Long enough that both look for dead ones again.
    await sleep(2 * quick.deadAfterMs);
    expect(await ids()).toEqual(before);
    expect([ann.closed, bob.closed]).toEqual([false, false]);
    await Promise.all([ann.close(), bob.close()]);
    await until(async () => (await platform.peerRows()).length === 0);
    await other.close();
  });

  it('starts, and serves when it is back', async () => {
    proxy.cut();
    const url = new URL(platform.database.url);
    url.hostname = '127.0.0.1';
    const late = new TcpProxy({
      host: new URL(platform.database.url).hostname,
      port: Number(url.port),
    });
    url.port = String(await late.start());
    late.cut();
    const starting = await platform.replica({
      replicas: quick,
      database: { url: url.href, acquireTimeoutMs: 300 },
    });
    const ready = async () => (await fetch(`${starting.internalUrl}/readyz`)).status;
    // Whoever asks is told what is away; the probe does not depend on it.
    await until(async () => (await ready()) === 200);
    const early = await refusalOf({ port: starting.publicPort, roomId: 'room', peerId: 'ann' });
    expect([early.status, early.body]).toEqual([503, expect.stringContaining('store_unavailable')]);
    late.heal();
    proxy.heal();
    await until(async () => {
      const sql = 'SELECT 1 FROM signaling_replica WHERE url = $1';
      return (await platform.sql(sql, [starting.internalUrl])).length === 1;
    });
    const ann = await platform.joined(starting, 'room', 'ann');
    await ann.close();
    await starting.close();
    await late.close();
  });
});

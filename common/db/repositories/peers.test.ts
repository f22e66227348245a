import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';

import { createTestDatabase, type TestDatabase } from '../../../testing/database.ts';
import { createKnex } from '../knex.ts';
import { createPeersRepository, type NewPeer, type RouterPair } from './peers.ts';
import { createReplicasRepository } from './replicas.ts';

const grants = { publish: true, subscribe: true, data: true, admin: false };
const instanceId = randomUUID();
const replicaId = randomUUID();
const routers: RouterPair = { producerRouterId: 'p1', consumerRouterId: 'c1' };
const choose = (): RouterPair => routers;

describe('the tables of peers and replicas', () => {
  let database: TestDatabase;
  let knex: Knex;
  let peers: ReturnType<typeof createPeersRepository>;
  let replicas: ReturnType<typeof createReplicasRepository>;

  beforeAll(async () => {
    database = await createTestDatabase();
    knex = createKnex({
      url: database.url,
      poolMax: 8,
      acquireTimeoutMs: 5000,
      statementTimeoutMs: 5000,
    });
    peers = createPeersRepository(knex);
    replicas = createReplicasRepository(knex);
    await replicas.register({ id: replicaId, url: 'http://one' });
    await knex('media_worker').insert({
      instance_id: instanceId,
      pod_name: 'pod',
      pool: 'pool',
      role: 'Both',
      api_url: 'http://node',
      worker_count: 1,
      version: 'test',
    });
    for (const room of ['room', 'other']) await knex('media_room').insert({ id: room });
    for (const id of ['p1', 'p2', 'c1', 'c2'])
      await knex('media_router').insert({
        id,
        room_id: 'room',
        instance_id: instanceId,
        worker_index: 0,
        role: 'Both',
        generation: 1,
        rtp_capabilities: { codecs: [] },
      });
  });
  afterEach(() => knex('media_peer').delete());
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });

  const makePeer = (peerId: string, change: Partial<NewPeer> = {}): NewPeer => ({
    id: randomUUID(),
    roomId: 'room',
    peerId,
    kind: 'WebSocket',
    replicaId,
    remoteAddress: '::1',
    grants,
    ...change,
  });
  const bind = (peer: NewPeer, maxPeers = 10) => peers.bind({ peer, maxPeers, choose });

  it('write a peer with its routers, and find it', async () => {
    const peer = makePeer('ann', { displayName: 'Ann', device: { name: 'test' } });
    expect(await bind(peer)).toBeUndefined();
    expect(await peers.find('room', 'ann')).toEqual({
      ...peer,
      ...routers,
      replicaUrl: 'http://one',
      joinedAt: null,
    });
    expect(await peers.find('other', 'ann')).toBeUndefined();
    expect(await peers.listByRoom('room')).toHaveLength(1);
    expect(await peers.listByReplica(replicaId)).toHaveLength(1);
    expect(await peers.listByReplica(randomUUID())).toEqual([]);
  });

  it('replace an earlier connection of the same peer, which does not count', async () => {
    const old = makePeer('ann');
    await bind(old, 1);
    const replaced = await bind(makePeer('ann'), 1);
    expect(replaced).toEqual({
      ...old,
      ...routers,
      displayName: '',
      device: expect.anything(),
      replicaUrl: 'http://one',
      joinedAt: null,
    });
    expect(await peers.listByRoom('room')).toHaveLength(1);
  });

  it('take a replica that registers twice', async () => {
    const id = randomUUID();
    await replicas.register({ id, url: 'http://two' });
    await knex('signaling_replica')
      .where({ id })
      .update({ last_seen_at: new Date(0) });
    await replicas.register({ id, url: 'http://three' });
    expect(await replicas.listWithLoad()).toContainEqual({ id, url: 'http://three', peers: 0 });
    expect(await replicas.reapOne(1_000_000, () => Promise.resolve())).toBe(false);
    await replicas.remove(id);
  });

  it('let several rooms have a peer of the same name', async () => {
    await bind(makePeer('ann'));
    expect(await bind(makePeer('ann', { roomId: 'other' }))).toBeUndefined();
    expect(await peers.countByRoom()).toEqual(
      expect.arrayContaining([
        { roomId: 'room', peers: 1 },
        { roomId: 'other', peers: 1 },
      ]),
    );
  });

  it('hold the limit however many bind at once', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => bind(makePeer(`p${i}`), 7)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(7);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'room_full' });
  });

  it('keep the balance however many bind at once', async () => {
    const bindLeast = (i: number) =>
      peers.bind({
        peer: makePeer(`p${i}`),
        maxPeers: 100,
        choose: (counts) => {
          const load = (id: string): number =>
            counts.reduce((sum, c) => sum + (c.consumerRouterId === id ? c.peers : 0), 0);
          return {
            producerRouterId: 'p1',
            consumerRouterId: load('c1') <= load('c2') ? 'c1' : 'c2',
          };
        },
      });
    await Promise.all(Array.from({ length: 20 }, (_, i) => bindLeast(i)));
    const rows = await peers.listByRoom('room');
    expect(rows.filter(({ consumerRouterId }) => consumerRouterId === 'c1')).toHaveLength(10);
  });

  it('write nothing, and keep what was, when no router can be chosen', async () => {
    const old = makePeer('ann');
    await bind(old);
    const fail = (): RouterPair => {
      throw new Error('as the test asked');
    };
    const failing = peers.bind({ peer: makePeer('ann'), maxPeers: 10, choose: fail });
    await expect(failing).rejects.toThrow('as the test asked');
    expect((await peers.find('room', 'ann'))?.id).toBe(old.id);
  });

  it.each([
    ['a router', { choose: () => ({ ...routers, consumerRouterId: 'gone' }) }],
    ['the replica', { peer: makePeer('ann', { replicaId: randomUUID() }) }],
    ['the room', { peer: makePeer('ann', { roomId: 'gone' }) }],
  ])('say that the room is not ready without a row of %s', async (_name, change) => {
    const binding = peers.bind({ peer: makePeer('ann'), maxPeers: 10, choose, ...change });
    await expect(binding).rejects.toMatchObject({ code: 'room_not_ready' });
  });

  it('bind with the same number of statements whatever the number of peers', async () => {
    const statements: string[] = [];
    knex.on('query', ({ sql }: { sql: string }) => statements.push(sql));
    const countFor = async (peerId: string): Promise<number> => {
      statements.length = 0;
      await bind(makePeer(peerId), 100);
      return statements.length;
    };
    const first = await countFor('first');
    for (let i = 0; i < 20; i++) await bind(makePeer(`p${i}`), 100);
    expect(await countFor('last')).toBe(first);
    expect(first).toBeLessThanOrEqual(6);
    knex.removeAllListeners('query');
  });

  it('tell whether a row was there to delete', async () => {
    const peer = makePeer('ann');
    await bind(peer);
    expect([await peers.remove(peer.id), await peers.remove(peer.id)]).toEqual([true, false]);
  });

  it('count the others, and name the replicas of a room', async () => {
    const second = randomUUID();
    await replicas.register({ id: second, url: 'http://two' });
    await bind(makePeer('ann'));
    await bind(makePeer('bob'));
    await bind(makePeer('cem', { replicaId: second }));
    expect(await peers.countOthers('room', 'ann')).toBe(2);
    expect(await peers.countOthers('room', 'zoe')).toBe(3);
    const urls = (await peers.replicasOfRoom('room')).map(({ url }) => url);
    expect(urls.sort()).toEqual(['http://one', 'http://two']);
    expect(await peers.replicasOfRoom('other')).toEqual([]);
    const loads = await replicas.listWithLoad();
    expect(loads.map(({ url, peers: count }) => [url, count]).sort()).toEqual([
      ['http://one', 2],
      ['http://two', 1],
    ]);
    await replicas.remove(second);
    expect(await peers.listByRoom('room')).toHaveLength(2);
  });

  it('know the capabilities of a router', async () => {
    expect(await peers.routerRtpCapabilities('p1')).toEqual({ codecs: [] });
    expect(await peers.routerRtpCapabilities('gone')).toBeUndefined();
  });

  it('have a dead replica reaped by one at a time, and again after a failure', async () => {
    const dead = randomUUID();
    await replicas.register({ id: dead, url: 'http://dead' });
    await knex('signaling_replica')
      .where({ id: dead })
      .update({ last_seen_at: knex.raw(`now() - interval '1 minute'`) });
    const failing = replicas.reapOne(30_000, () => Promise.reject(new Error('as the test asked')));
    await expect(failing).rejects.toThrow('as the test asked');
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let started: () => void = () => undefined;
    const running = new Promise<void>((resolve) => (started = resolve));
    const reaping = replicas.reapOne(30_000, async ({ id }) => {
      expect(id).toBe(dead);
      started();
      await gate;
    });
    await running;
    const nobody = () => Promise.reject(new Error('called'));
    expect(await replicas.reapOne(30_000, nobody)).toBe(false);
    release();
    expect(await reaping).toBe(true);
    expect(await replicas.heartbeat(dead)).toBe(false);
    expect(await replicas.heartbeat(replicaId)).toBe(true);
  });
});

import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
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
      extensions: [],
      detachedAt: null,
      ownerEpoch: 0,
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
      extensions: [],
      detachedAt: null,
      ownerEpoch: 0,
      nodeUrls: [],
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
    await replicas.retire(id);
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
    const ends = [await peers.remove(peer.id), await peers.remove(peer.id)];
    expect(ends.map(({ result }) => result)).toEqual(['removed', 'gone']);
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
    expect(await replicas.retire(second)).toBe(false);
    expect(await peers.listByRoom('room')).toHaveLength(3);
    await peers.remove((await peers.find('room', 'cem'))!.id);
    expect(await replicas.retire(second)).toBe(true);
  });

  it('know the capabilities of a router', async () => {
    expect(await peers.routerRtpCapabilities('p1')).toEqual({ codecs: [] });
    expect(await peers.routerRtpCapabilities('gone')).toBeUndefined();
  });

  describe('sessions that outlive their sockets', () => {
    const other = randomUUID();
    const resumeHash = 'hash of ann';
    const key = { resumeHash, roomId: 'room', peerId: 'ann' };
    const asking = { ...key, remoteAddress: '::2', grants: { ...grants, admin: true } };
    let ann: NewPeer;

    beforeAll(() => replicas.register({ id: other, url: 'http://other' }));
    afterAll(async () => {
      await knex('media_peer').delete();
      await replicas.retire(other);
    });

    beforeEach(async () => {
      ann = makePeer('ann', { resumeHash, extensions: ['move', 'resume'] });
      await bind(ann);
      await knex('media_peer').where({ id: ann.id }).update({ joined_at: knex.fn.now() });
    });
    const ownerOf = async () => (await peers.find('room', 'ann'))!;

    it('go over to whoever shows the secret, with all it has to know', async () => {
      await knex('media_transport').insert({
        id: ann.id,
        media_peer_id: ann.id,
        router_id: 'c1',
        instance_id: instanceId,
        kind: 'webrtc',
        direction: 'consumer',
      });
      await peers.detach({ id: ann.id, ownerEpoch: 0 });
      expect((await ownerOf()).detachedAt).toBeInstanceOf(Date);
      const at = (routerId: string) => ({
        routerId,
        instanceId,
        generation: 1,
        url: 'http://node',
      });
      expect(await peers.findResumable(key)).toBe(ann.id);
      expect(await peers.takeOver({ ...asking, replicaId: other })).toEqual({
        id: ann.id,
        ownerEpoch: 1,
        previous: { replicaId, replicaUrl: 'http://one' },
        producer: at('p1'),
        consumer: at('c1'),
        transports: [{ id: ann.id, direction: 'consumer', router: at('c1') }],
      });
      expect(await ownerOf()).toMatchObject({
        replicaId: other,
        ownerEpoch: 1,
        detachedAt: null,
        remoteAddress: '::2',
        grants: { admin: true },
        extensions: ['move', 'resume'],
      });
    });

    it.each([
      ['another secret', { resumeHash: 'wrong' }],
      ['another peer', { peerId: 'bob' }],
      ['another room', { roomId: 'other' }],
    ])('stay with %s', async (_name, change) => {
      expect(await peers.findResumable({ ...key, ...change })).toBeUndefined();
      const taking = peers.takeOver({ ...asking, ...change, replicaId: other });
      expect(await taking).toBeUndefined();
      expect(await ownerOf()).toMatchObject({ replicaId, ownerEpoch: 0 });
    });

    it('stay while their peer has not joined', async () => {
      await knex('media_peer').where({ id: ann.id }).update({ joined_at: null });
      expect(await peers.findResumable(key)).toBeUndefined();
      expect(await peers.takeOver({ ...asking, replicaId: other })).toBeUndefined();
    });

    it('have one owner in the end, however many ask at once', async () => {
      const taken = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          peers.takeOver({ ...asking, replicaId: i % 2 === 0 ? replicaId : other }),
        ),
      );
      const epochs = taken.map((each) => each!.ownerEpoch).sort((a, b) => a - b);
      expect(epochs).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      const last = taken.findIndex((each) => each!.ownerEpoch === 8);
      const owner = last % 2 === 0 ? replicaId : other;
      expect(await ownerOf()).toMatchObject({ ownerEpoch: 8, replicaId: owner });
    });

    it('let nobody who had them before detach, bind or remove them', async () => {
      await peers.takeOver({ ...asking, replicaId: other });
      const before = { id: ann.id, ownerEpoch: 0 };
      expect(await peers.detach(before)).toBe(false);
      const rebind = { roomId: 'room', choose: () => ({ consumerRouterId: 'c2' }) };
      expect(await peers.rebind({ ...before, ...rebind })).toBe(false);
      expect(await peers.remove(ann.id, 0)).toMatchObject({ result: 'other' });
      expect(await ownerOf()).toMatchObject({
        detachedAt: null,
        consumerRouterId: 'c1',
        ownerEpoch: 1,
      });
      expect(await peers.ownerEpochOf(ann.id)).toBe(1);
      expect(await peers.rebind({ ...before, ownerEpoch: 1, ...rebind })).toBe(true);
      expect(await ownerOf()).toMatchObject({ producerRouterId: 'p1', consumerRouterId: 'c2' });
      expect(await peers.remove(ann.id, 1)).toMatchObject({ result: 'removed' });
    });

    it('name the nodes of all transports when they go', async () => {
      const row = { media_peer_id: ann.id, instance_id: instanceId, kind: 'webrtc' };
      for (const [router_id, direction] of [
        ['p1', 'producer'],
        ['p2', 'producer'],
      ])
        await knex('media_transport').insert({ id: randomUUID(), ...row, router_id, direction });
      expect(await peers.remove(ann.id)).toEqual({ result: 'removed', nodeUrls: ['http://node'] });
    });

    it('are handed to another replica as ones without a socket; others stay', async () => {
      const camera = makePeer('camera', { kind: 'Broadcaster' });
      const bob = makePeer('bob');
      const cem = makePeer('cem', { resumeHash: 'hash of one that has not joined' });
      for (const peer of [camera, bob, cem]) await bind(peer);
      expect(await peers.heirOf(replicaId, 10_000)).toBe(other);
      expect(await peers.handOver(replicaId, other)).toBe(2);
      expect(await ownerOf()).toMatchObject({ replicaId: other, ownerEpoch: 1 });
      expect((await ownerOf()).detachedAt).toBeInstanceOf(Date);
      const replicaOf = async (peerId: string) => (await peers.find('room', peerId))!.replicaId;
      expect(await replicaOf('camera')).toBe(other);
      expect([await replicaOf('bob'), await replicaOf('cem')]).toEqual([replicaId, replicaId]);
      expect(await peers.countDetached(other)).toBe(1);
      expect(await peers.countDetached(replicaId)).toBe(0);
    });

    it('expire, counted from when they lost their socket first', async () => {
      await peers.detach({ id: ann.id, ownerEpoch: 0 });
      expect(await peers.listExpired(60_000, 10)).toEqual([]);
      await knex('media_peer')
        .where({ id: ann.id })
        .update({ detached_at: knex.raw(`now() - interval '2 minutes'`) });
      await peers.detach({ id: ann.id, ownerEpoch: 0 });
      await peers.handOver(replicaId, other);
      expect(await peers.listExpired(60_000, 10)).toMatchObject([{ id: ann.id, ownerEpoch: 1 }]);
    });

    it('live on when the node of a side is gone, unlike the side', async () => {
      const gone = randomUUID();
      const worker = {
        pod_name: 'x',
        pool: 'pool',
        role: 'Both',
        api_url: 'http://x',
        version: '',
      };
      await knex('media_worker').insert({ instance_id: gone, worker_count: 1, ...worker });
      await knex('media_router').insert({
        ...{ id: 'x1', room_id: 'room', instance_id: gone, worker_index: 0, role: 'Both' },
        ...{ generation: 1, rtp_capabilities: {} },
      });
      const camera = makePeer('camera', { kind: 'Broadcaster' });
      const onGone = () => ({ producerRouterId: 'p1', consumerRouterId: 'x1' });
      await peers.bind({ peer: camera, maxPeers: 10, choose: onGone });
      await peers.rebind({ id: ann.id, ownerEpoch: 0, roomId: 'room', choose: onGone });
      await knex('media_worker').where({ instance_id: gone }).delete();
      const taken = await peers.takeOver({ ...asking, replicaId: other });
      expect(taken).toMatchObject({ producer: { routerId: 'p1' }, consumer: undefined });
      expect(await peers.listStranded(10)).toMatchObject([{ peerId: 'camera' }]);
    });
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

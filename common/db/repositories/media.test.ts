import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';

import { createTestDatabase, type TestDatabase } from '../../../testing/database.ts';
import { databaseConfig } from '../../service/config.ts';
import { createKnex, isForeignKeyViolation } from '../knex.ts';
import { createMediaRepository, type MediaRepository } from './media.ts';
import { createPeersRepository } from './peers.ts';

const grants = { publish: true, subscribe: true, data: true, admin: false };
const rtpCapabilities = { codecs: [] };

describe('the media repository', () => {
  let database: TestDatabase;
  let knex: Knex;
  let repository: MediaRepository;
  const instanceId = randomUUID();
  const replicaId = randomUUID();

  beforeAll(async () => {
    database = await createTestDatabase();
    knex = createKnex(databaseConfig.parse({ url: database.url }));
    repository = createMediaRepository(knex);
  });
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });
  beforeEach(async () => {
    for (const table of ['media_room', 'media_worker', 'signaling_replica'])
      await knex(table).delete();
    await repository.registerWorker({
      instanceId,
      url: 'http://127.0.0.1:1',
      podName: 'pod',
      pool: 'pool',
      role: 'Both',
      workerCount: 1,
      version: '0',
    });
    await knex('signaling_replica').insert({ id: replicaId, url: 'http://127.0.0.1:2' });
    await saveRouter('router', 'room');
  });

  const saveRouter = (id: string, roomId: string, generation = 1) =>
    repository.saveRouter({
      id,
      roomId,
      instanceId,
      workerIndex: 0,
      role: 'Both',
      generation,
      rtpCapabilities,
    });
  const addPeer = async (peerId: string, columns: Record<string, unknown> = {}) => {
    const id = randomUUID();
    await knex('media_peer').insert({
      id,
      room_id: 'room',
      peer_id: peerId,
      kind: 'WebSocket',
      replica_id: replicaId,
      producer_router_id: 'router',
      consumer_router_id: 'router',
      remote_address: '192.0.2.1',
      grants: JSON.stringify(grants),
      ...columns,
    });
    return id;
  };
  const addTransport = async (mediaPeerId: string, direction: 'producer' | 'consumer') => {
    const id = randomUUID();
    await repository.insertTransport({
      id,
      mediaPeerId,
      routerId: 'router',
      instanceId,
      kind: 'webrtc',
      direction,
    });
    return id;
  };
  const addProducer = async (mediaPeerId: string) => {
    const id = randomUUID();
    await repository.insertProducer({
      id,
      transportId: await addTransport(mediaPeerId, 'producer'),
      mediaPeerId,
      routerId: 'router',
      kind: 'audio',
      appData: { source: 'audio' },
      replaces: null,
    });
    return id;
  };
  const join = (mediaPeerId: string) =>
    repository.joinPeer(
      { mediaPeerId, roomId: 'room' },
      { displayName: 'name', device: {}, rtpCapabilities },
    );

  it('finds a peer with both its routers and its replica', async () => {
    const mediaPeerId = await addPeer('a');
    expect(await repository.findPeer(mediaPeerId)).toMatchObject({
      mediaPeerId,
      peerId: 'a',
      joined: false,
      grants,
      replicaUrl: 'http://127.0.0.1:2',
      producerRouter: { routerId: 'router', node: { instanceId, url: 'http://127.0.0.1:1' } },
      consumerRouter: { routerId: 'router' },
    });
    expect(await repository.findPeer(randomUUID())).toBeUndefined();
  });

  it('orders the joins of a room, so that of two peers one sees the other', async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, (_, n) => addPeer(`peer-${n}`)));
    const seen = await Promise.all(ids.map(join));
    const numbers = seen.map((others) => others?.length ?? -1).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 12 }, (_, n) => n));
  });

  it('joins nobody whose row is gone', async () => {
    expect(await join(randomUUID())).toBeUndefined();
  });

  it('gives a new consumer to exactly one of many that record it', async () => {
    const [speaker, watcher] = [await addPeer('a'), await addPeer('b')];
    const entry = {
      consumerId: randomUUID(),
      producerId: await addProducer(speaker),
      transportId: await addTransport(watcher, 'consumer'),
    };
    const results = await Promise.all(
      Array.from({ length: 10 }, () => repository.insertConsumers('media', [entry])),
    );
    expect(results.reduce((sum, { size }) => sum + size, 0)).toBe(1);
    expect(await knex('media_consumer')).toHaveLength(1);
    expect(await knex('media_peer_consumer')).toMatchObject([
      {
        consumer_id: entry.consumerId,
        producer_peer_id: speaker,
        consumer_peer_id: watcher,
      },
    ]);
  });

  it('records a consumer in the place of a dead one', async () => {
    const [speaker, watcher] = [await addPeer('a'), await addPeer('b')];
    const pair = {
      producerId: await addProducer(speaker),
      transportId: await addTransport(watcher, 'consumer'),
    };
    await repository.insertConsumers('media', [{ consumerId: randomUUID(), ...pair }]);
    const consumerId = randomUUID();
    expect([...(await repository.insertConsumers('media', [{ consumerId, ...pair }]))]).toEqual([
      consumerId,
    ]);
    expect(await knex('media_consumer').pluck('id')).toEqual([consumerId]);
  });

  it('leaves out consumers whose producer or transport is gone', async () => {
    const [speaker, watcher] = [await addPeer('a'), await addPeer('b')];
    const producerId = await addProducer(speaker);
    const transportId = await addTransport(watcher, 'consumer');
    const entries = [
      { consumerId: randomUUID(), producerId: randomUUID(), transportId },
      { consumerId: randomUUID(), producerId, transportId: randomUUID() },
      { consumerId: randomUUID(), producerId, transportId },
    ];
    expect([...(await repository.insertConsumers('media', entries))]).toEqual([
      entries[2]?.consumerId,
    ]);
  });

  it('records consumers while their peers leave, without a deadlock', async () => {
    const watchers = await Promise.all(Array.from({ length: 10 }, (_, n) => addPeer(`w${n}`)));
    const speakers = await Promise.all(Array.from({ length: 10 }, (_, n) => addPeer(`s${n}`)));
    const producers = await Promise.all(speakers.map(addProducer));
    const transports = await Promise.all(watchers.map((id) => addTransport(id, 'consumer')));
    const inserts = transports.map((transportId) =>
      repository.insertConsumers(
        'media',
        producers.map((producerId) => ({ consumerId: randomUUID(), producerId, transportId })),
      ),
    );
    const leaving = [...watchers.slice(5), ...speakers.slice(5)];
    // As a leave goes: the nodes delete the transports, then the signaling service the peer.
    const leave = async (id: string): Promise<void> => {
      const own = await knex('media_transport').where('media_peer_id', id).pluck('id');
      await repository.deleteRows('media_transport', own as string[]);
      await knex('media_peer').delete().where({ id });
    };
    await Promise.all([...inserts, ...leaving.map(leave)]);
    expect(await knex('media_consumer')).toHaveLength(25);
    expect(await knex('media_peer_consumer')).toHaveLength(25);
  });

  it('forgets a whole room that leaves at once, without a deadlock', async () => {
    const ids = await Promise.all(Array.from({ length: 40 }, (_, n) => addPeer(`p${n}`)));
    const producers = await Promise.all(ids.map(addProducer));
    const transports = await Promise.all(ids.map((id) => addTransport(id, 'consumer')));
    for (const [watcher, transportId] of transports.entries())
      await repository.insertConsumers(
        'media',
        producers
          .filter((_, speaker) => speaker !== watcher)
          .map((producerId) => ({ consumerId: randomUUID(), producerId, transportId })),
      );
    expect(await knex('media_consumer')).toHaveLength(40 * 39);
    const peers = createPeersRepository(knex);
    // As a leave goes: the signaling service deletes the peer, and the nodes what they close.
    const removed = ids.map((id) => peers.remove(id));
    const forgotten = transports.map((id) => repository.deleteRows('media_transport', [id]));
    await Promise.all(forgotten);
    const wantEach = ids.map((): unknown => expect.objectContaining({ result: 'removed' }));
    expect(await Promise.all(removed)).toEqual(wantEach);
    expect(await knex('media_consumer')).toEqual([]);
    expect(await knex('media_peer_consumer')).toEqual([]);
  });

  it('knows the pairs that nobody recorded', async () => {
    const [speaker, watcher] = [await addPeer('a'), await addPeer('b')];
    const [recorded, missing] = [await addProducer(speaker), await addProducer(speaker)];
    const transportId = await addTransport(watcher, 'consumer');
    await repository.insertConsumers('media', [
      { consumerId: randomUUID(), producerId: recorded, transportId },
    ]);
    expect(await repository.unrecorded([transportId], [recorded, missing], [])).toEqual([
      { transportId, producerIds: [missing], dataProducerIds: [] },
    ]);
  });

  it('finds receivers that miss a producer, and only joined ones that may watch', async () => {
    const speaker = await addPeer('speaker');
    const producerId = await addProducer(speaker);
    const watcher = await addPeer('watcher');
    const transportId = await addTransport(watcher, 'consumer');
    const deaf = await addPeer('deaf', { grants: JSON.stringify({ ...grants, subscribe: false }) });
    await addTransport(deaf, 'consumer');
    await addTransport(await addPeer('late'), 'consumer');
    await join(watcher);
    await join(deaf);
    const expected = [{ producerId, transportId }];
    expect(await repository.missingConsumers(instanceId, 0)).toEqual(expected);
    expect(await repository.missingConsumers(instanceId, 60_000)).toEqual([]);
    expect(await repository.missingConsumers(randomUUID(), 0)).toEqual([]);
    await repository.insertConsumers('media', [
      { consumerId: randomUUID(), producerId, transportId },
    ]);
    expect(await repository.missingConsumers(instanceId, 0)).toEqual([]);
  });

  it('gives each joined peer’s newest receiving transport', async () => {
    const [speaker, watcher] = [await addPeer('speaker'), await addPeer('watcher')];
    await addTransport(watcher, 'consumer');
    const newest = await addTransport(watcher, 'consumer');
    expect(await repository.receiversOfRoom('room', speaker)).toEqual([]);
    await join(watcher);
    expect(await repository.receiversOfRoom('room', speaker)).toMatchObject([
      {
        transportId: newest,
        mediaPeerId: watcher,
        rtpCapabilities,
        router: { routerId: 'router' },
      },
    ]);
    expect(await repository.receiversOfRoom('room', watcher)).toEqual([]);
  });

  it('gives what the others in the room publish, with the node that has it', async () => {
    const [speaker, watcher] = [await addPeer('speaker'), await addPeer('watcher')];
    const producerId = await addProducer(speaker);
    await addProducer(watcher);
    const dataProducerId = randomUUID();
    await repository.insertDataProducer({
      id: dataProducerId,
      transportId: await addTransport(speaker, 'producer'),
      mediaPeerId: speaker,
      routerId: 'router',
      label: 'chat',
      protocol: '',
      appData: { channel: 'chat' },
      replaces: null,
    });
    const common = {
      mediaPeerId: speaker,
      peerId: 'speaker',
      owner: { instanceId, url: 'http://127.0.0.1:1' },
    };
    expect(await repository.producersOfRoom('room', watcher)).toEqual([
      { ...common, producerId, kind: 'audio', appData: { source: 'audio' } },
    ]);
    expect(await repository.dataProducersOfRoom('room', watcher)).toEqual([
      { ...common, producerId: dataProducerId, appData: { channel: 'chat' } },
    ]);
    expect(await repository.producersOfRoom('another', watcher)).toEqual([]);
  });

  it('leaves a peer that loses its router unbound on that side, in its room', async () => {
    await saveRouter('other', 'room');
    const mediaPeerId = await addPeer('a', { producer_router_id: 'other' });
    const bound = { mediaPeerId, replicaUrl: 'http://127.0.0.1:2' };
    const wantProducer = { ...bound, routerId: 'other', direction: 'producer' };
    const wantConsumer = { ...bound, routerId: 'router', direction: 'consumer' };
    expect(await repository.peersOfRouters(['other', 'router'])).toEqual([
      wantProducer,
      wantConsumer,
    ]);
    expect(await repository.peersOfRouters(['router'])).toEqual([wantConsumer]);

    await repository.deleteRouters(instanceId, ['other']);
    const half = await repository.findPeer(mediaPeerId);
    expect(half).toMatchObject({ mediaPeerId, consumerRouter: { routerId: 'router' } });
    expect(half).not.toHaveProperty('producerRouter');
    await repository.deleteRouters(instanceId, ['router']);
    const neither = await repository.findPeer(mediaPeerId);
    expect(neither).toMatchObject({ mediaPeerId });
    expect(neither).not.toHaveProperty('consumerRouter');
    expect(await repository.existingPeers([mediaPeerId, randomUUID()])).toEqual(
      new Map([[mediaPeerId, { producer: null, consumer: null }]]),
    );
    expect(await knex('media_room').pluck('id')).toEqual(['room']);
  });

  it('knows where a peer’s transports and consumers are, and which transport is the newest', async () => {
    const [speaker, watcher] = [await addPeer('speaker'), await addPeer('watcher')];
    const producerId = await addProducer(speaker);
    const node = { instanceId, url: 'http://127.0.0.1:1' };
    const [older, newer] = [
      await addTransport(watcher, 'consumer'),
      await addTransport(watcher, 'consumer'),
    ];
    const direction = 'consumer';
    expect(await repository.transportsOfPeer(watcher)).toEqual([
      { transportId: older, direction, node },
      { transportId: newer, direction, node },
    ]);
    expect(await repository.supersededOf([older, newer])).toEqual([older]);
    const consumerId = randomUUID();
    await repository.insertConsumers('media', [{ consumerId, producerId, transportId: older }]);
    expect(await repository.nodesOfConsumers([consumerId, randomUUID()])).toEqual(
      new Map([[consumerId, node]]),
    );
    expect(await repository.peersOfProducers([producerId, randomUUID()])).toEqual(
      new Map([[producerId, speaker]]),
    );
    expect(await repository.producersOfPeer(speaker)).toMatchObject([{ producerId, owner: node }]);
    expect(
      await repository.recordedOf(
        new Map([
          ['media_router', ['router', 'gone']],
          ['media_producer', [producerId, randomUUID()]],
        ]),
      ),
    ).toEqual(new Set(['router', producerId]));
    await repository.renewTransport(older);
    expect(await repository.supersededOf([older, newer])).toEqual([newer]);
  });

  it('removes a room with its last router', async () => {
    await saveRouter('other', 'room');
    await repository.deleteRouters(instanceId, ['router']);
    expect(await knex('media_room').pluck('id')).toEqual(['room']);
    await repository.deleteRouters(randomUUID(), ['other']);
    expect(await knex('media_router').pluck('id')).toEqual(['other']);
    await repository.deleteRouters(instanceId, ['other']);
    expect(await knex('media_room')).toEqual([]);
  });

  it('takes the place of a pod’s earlier runs, with all that hung off them but the peers', async () => {
    await addPeer('a');
    const next = randomUUID();
    const row = { url: 'http://127.0.0.1:3', podName: 'pod', pool: 'pool', workerCount: 1 };
    await repository.registerWorker({ ...row, instanceId: next, role: 'Both', version: '0' });
    expect(await knex('media_worker').pluck('instance_id')).toEqual([next]);
    expect(await knex('media_router')).toEqual([]);
    const unbound = { producer_router_id: null, consumer_router_id: null };
    expect(await knex('media_peer')).toMatchObject([unbound]);
    expect(await repository.registeredOf([instanceId, next])).toEqual(new Set([next]));
  });

  it('says when what a row refers to is gone', async () => {
    const failure = await addTransport(randomUUID(), 'consumer').catch((error: unknown) => error);
    expect(isForeignKeyViolation(failure)).toBe(true);
  });

  it('lists an instance’s rows by table, the young ones left out', async () => {
    const producerId = await addProducer(await addPeer('a'));
    const rows = await repository.rowsOfInstance(instanceId, 0);
    expect(rows.get('media_producer')).toEqual([producerId]);
    expect(rows.get('media_router')).toEqual(['router']);
    expect(rows.get('media_transport')).toHaveLength(1);
    const old = await repository.rowsOfInstance(instanceId, 60_000);
    expect([...old.values()].flat()).toEqual([]);
  });

  it('names the store when it is away', async () => {
    const away = createKnex(
      databaseConfig.parse({ url: 'postgres://127.0.0.1:1/none', acquireTimeoutMs: 500 }),
    );
    try {
      await expect(createMediaRepository(away).findPeer(randomUUID())).rejects.toMatchObject({
        code: 'store_unavailable',
      });
    } finally {
      await away.destroy();
    }
  });
});

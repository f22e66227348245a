import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';

import { createKnex } from '../../common/db/knex.ts';
import { databaseConfig } from '../../common/service/config.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { deleteRoomRows } from './collect.ts';
import { readTables } from './tables.ts';

describe('the session tables as the audit reads them', () => {
  let database: TestDatabase;
  let knex: Knex;
  const replicaId = randomUUID();
  const instanceId = randomUUID();
  const [watcher, broadcaster, newcomer] = [randomUUID(), randomUUID(), randomUUID()];
  const [transportId, producerId, consumerId] = [randomUUID(), randomUUID(), randomUUID()];
  const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000);

  beforeAll(async () => {
    database = await createTestDatabase();
    knex = createKnex(databaseConfig.parse({ url: database.url }));
    await knex('signaling_replica').insert({
      id: replicaId,
      url: 'http://s',
      last_seen_at: ago(5),
    });
    await knex('media_worker').insert({
      ...{ instance_id: instanceId, pod_name: 'both-0', pool: 'both', role: 'Both' },
      ...{ api_url: 'http://n', worker_count: 1, version: '0' },
    });
    await knex('media_room').insert([{ id: 'standup' }, { id: 'left over' }]);
    await knex('media_router').insert({
      ...{ id: 'standup-b0', room_id: 'standup', instance_id: instanceId, worker_index: 0 },
      ...{ role: 'Both', generation: 1, rtp_capabilities: '{}' },
    });
    const peer = {
      ...{ room_id: 'standup', kind: 'WebSocket', replica_id: replicaId, remote_address: '::1' },
      ...{ producer_router_id: 'standup-b0', consumer_router_id: 'standup-b0' },
      grants: JSON.stringify({ publish: true, subscribe: true, data: false, admin: false }),
    };
    await knex('media_peer').insert([
      { ...peer, id: watcher, peer_id: 'ada', joined_at: ago(60), rtp_capabilities: '{}' },
      {
        ...{ ...peer, id: broadcaster, peer_id: 'ffmpeg', kind: 'Broadcaster' },
        ...{ joined_at: ago(60), rtp_capabilities: '{}', detached_at: ago(30) },
      },
      { ...peer, id: newcomer, peer_id: 'bert', consumer_router_id: null },
    ]);
    const mine = { media_peer_id: watcher, router_id: 'standup-b0', created_at: ago(50) };
    await knex('media_transport').insert({
      ...{ ...mine, id: transportId, instance_id: instanceId },
      ...{ kind: 'webrtc', direction: 'consumer' },
    });
    await knex('media_producer').insert({
      ...{ ...mine, id: producerId, transport_id: transportId, kind: 'audio' },
    });
    await knex('media_consumer').insert({
      ...{ id: consumerId, producer_id: producerId, transport_id: transportId },
      media_peer_id: watcher,
    });
    await knex('media_pipe_transport').insert({
      ...{ id: randomUUID(), router_id: 'standup-b0', remote_router_id: 'standup-b0' },
      ...{ instance_id: instanceId, pipe_end: 'source' },
    });
  });
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });

  it('have ages by the database’s clock, and who watches what', async () => {
    const tables = await readTables(knex);
    const around = (seconds: number): unknown => ({
      asymmetricMatch: (ms: unknown) => Math.abs(Number(ms) - seconds * 1000) < 5_000,
    });
    expect(tables).toMatchObject({
      workers: [{ instanceId, podName: 'both-0' }],
      replicas: [{ id: replicaId, url: 'http://s', silentMs: around(5) }],
      routers: [{ id: 'standup-b0', roomId: 'standup', instanceId }],
      transports: [
        {
          id: transportId,
          mediaPeerId: watcher,
          instanceId,
          direction: 'consumer',
          ageMs: around(50),
        },
      ],
      pipes: [{ routerId: 'standup-b0', remoteRouterId: 'standup-b0', instanceId }],
      producers: [
        {
          id: producerId,
          transportId,
          mediaPeerId: watcher,
          routerId: 'standup-b0',
          ageMs: around(50),
        },
      ],
      dataProducers: [],
      consumers: [{ id: consumerId, producerId, transportId }],
      dataConsumers: [],
    });
    const byName = Object.fromEntries(tables.peers.map((peer) => [peer.peerId, peer]));
    expect(byName).toMatchObject({
      ada: {
        ...{ id: watcher, roomId: 'standup', replicaId, producerRouterId: 'standup-b0' },
        ...{ joinedForMs: around(60), detachedForMs: null, watches: { media: true, data: false } },
      },
      ffmpeg: { detachedForMs: around(30), watches: { media: false, data: false } },
      bert: { joinedForMs: null, consumerRouterId: null, watches: { media: false, data: false } },
    });
  });

  it('lose rows of rooms that nothing is of, and no others', async () => {
    expect(await deleteRoomRows(knex, ['standup', 'left over', 'unknown'])).toBe(1);
    const rows = await knex('media_room').select<{ id: string }[]>('id');
    expect(rows).toEqual([{ id: 'standup' }]);
    // A room that waits for a router still has its peers.
    await knex('media_router').delete();
    expect(await deleteRoomRows(knex, ['standup'])).toBe(0);
    await knex('media_peer').delete();
    expect(await deleteRoomRows(knex, ['standup'])).toBe(1);
  });
});

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { describe, expect, it } from '@jest/globals';

import { createKnex } from '../../common/db/knex.ts';
import { createPeersRepository } from '../../common/db/repositories/peers.ts';
import { createReplicasRepository } from '../../common/db/repositories/replicas.ts';
import { ApiError } from '../../common/errors.ts';
import type { MediaRoom } from '../../common/resources/types.ts';
import { createLogger } from '../../common/service/logger.ts';
import { until } from '../fixtures/client.ts';
import { Platform } from '../fixtures/platform.ts';
import { createKeyedQueue } from '../keyed-queue.ts';
import { bindPeer, type BindDeps } from './bind.ts';
import type { Departure } from './leave.ts';
import { createRegistry } from './registry.ts';

describe('bindPeer', () => {
  it('takes back a row whose writing was answered by a lost connection', async () => {
    const platform = await Platform.create();
    await platform.room('room', [await platform.node('Both')]);
    const room = platform.kube.get('mediarooms', 'room') as MediaRoom;
    const config = { poolMax: 2, acquireTimeoutMs: 2000, statementTimeoutMs: 2000 };
    const knex = createKnex({ url: platform.database.url, ...config });
    const replicaId = randomUUID();
    await createReplicasRepository(knex).register({ id: replicaId, url: 'http://127.0.0.1:1' });
    const peers = createPeersRepository(knex);
    const left: Departure[] = [];
    const deps = {
      config: { websocket: { joinTimeoutMs: 10_000 } },
      bindings: createKeyedQueue(),
      logger: createLogger('test', 'silent'),
      peers: {
        ...peers,
        bind: async (request: Parameters<typeof peers.bind>[0]) => {
          await peers.bind(request);
          throw new ApiError('store_unavailable', 'the answer was lost');
        },
      },
      registry: createRegistry(),
      membership: { id: replicaId },
      leaver: {
        leave: async (departure: Departure) => {
          left.push(departure);
          await peers.remove(departure.mediaPeerId);
        },
      },
    } as unknown as BindDeps;
    const peer = {
      id: randomUUID(),
      peerId: 'ann',
      kind: 'WebSocket' as const,
      remoteAddress: '::1',
      grants: { publish: true, subscribe: true, data: true, admin: false },
    };
    await expect(bindPeer(deps, room, peer)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(left).toMatchObject([{ mediaPeerId: peer.id, joined: false }]);
    await until(async () => (await platform.peerRows()).length === 0);
    await knex.destroy();
    await platform.close();
  });

  it('holds no connections of the pool while peers wait for their turn in a room', async () => {
    const platform = await Platform.create();
    const node = await platform.node('Both');
    for (const name of ['room', 'other']) await platform.room(name, [node]);
    const replica = await platform.replica({ database: { poolMax: 3, acquireTimeoutMs: 300 } });
    const lock = 'SELECT pg_advisory_lock(hashtextextended($1, 0)), pg_sleep(1.5)';
    const holding = platform.sql(lock, ['room']);
    const clients = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        platform.connect(replica, { roomId: 'room', peerId: `p${i}` }),
      ),
    );
    const joins = Promise.all(clients.map((client) => client.join()));
    const elsewhere = await platform.joined(replica, 'other', 'ann');
    await Promise.all([joins, holding]);
    expect(elsewhere.closed).toBe(false);
    expect(await platform.peerRows()).toHaveLength(13);
    await platform.close();
  });

  it('does not wait for the replica of an older connection, which may be dead', async () => {
    const platform = await Platform.create();
    await platform.room('room', [await platform.node('Both')]);
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const replicaId = randomUUID();
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    await platform.sql('INSERT INTO signaling_replica (id, url) VALUES ($1, $2)', [replicaId, url]);
    for (const peerId of ['ann', 'bob'])
      await platform.sql(
        `INSERT INTO media_peer (id, room_id, peer_id, kind, replica_id, producer_router_id, consumer_router_id,
           remote_address, grants, joined_at)
         VALUES ($1, 'room', $2, 'WebSocket', $3, 'room-0', 'room-0', '', '{}', now())`,
        [randomUUID(), peerId, replicaId],
      );
    const replica = await platform.replica({
      websocket: { joinTimeoutMs: 4000 },
      httpClient: { timeoutMs: 5000, retries: 1 },
      leave: { nodeTimeoutMs: 200 },
    });
    const ann = await platform.joined(replica, 'room', 'ann');
    expect(ann.closed).toBe(false);
    silent.closeAllConnections();
    silent.close();
    await platform.close();
  });
});

import { randomUUID } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';

import { createKnex } from '../../common/db/knex.ts';
import { createPeersRepository } from '../../common/db/repositories/peers.ts';
import { createReplicasRepository } from '../../common/db/repositories/replicas.ts';
import { ApiError } from '../../common/errors.ts';
import type { MediaRoom } from '../../common/resources/types.ts';
import { createLogger } from '../../common/service/logger.ts';
import { until } from '../fixtures/client.ts';
import { Platform } from '../fixtures/platform.ts';
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
});

import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';

import { createKnex } from '../../common/db/knex.ts';
import { databaseConfig } from '../../common/service/config.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { createPostgresRegistry } from './postgres.ts';

let database: TestDatabase;
let knex: Knex;

beforeAll(async () => {
  database = await createTestDatabase();
  knex = createKnex(databaseConfig.parse({ url: database.url, poolMax: 2 }));
});
afterAll(async () => {
  await knex.destroy();
  await database.drop();
});

const addInstance = async (podName: string): Promise<string> => {
  const instanceId = randomUUID();
  await knex('media_worker').insert({
    ...{ instance_id: instanceId, pod_name: podName, pool: 'c', role: 'Consumer' },
    ...{ api_url: 'http://127.0.0.1', worker_count: 1, version: '0', started_at: new Date() },
  });
  await knex('media_room').insert({ id: podName, created_at: new Date() });
  await knex('media_router').insert({
    ...{ id: `router-${podName}`, room_id: podName, instance_id: instanceId, worker_index: 0 },
    ...{ role: 'Consumer', generation: 1, rtp_capabilities: '{}' },
  });
  return instanceId;
};

describe('the registry of instances', () => {
  it('lists instances, and removes some with all that hangs off them', async () => {
    const registry = createPostgresRegistry(knex);
    const [a, b] = [await addInstance('c-0'), await addInstance('c-1')];
    const listed = await registry.listInstances();
    expect(listed.map(({ instanceId, podName }) => [instanceId, podName]).sort()).toEqual(
      [
        [a, 'c-0'],
        [b, 'c-1'],
      ].sort(),
    );
    await registry.removeInstances([a, randomUUID()]);
    expect((await registry.listInstances()).map(({ instanceId }) => instanceId)).toEqual([b]);
    expect(await knex('media_router').pluck('id')).toEqual(['router-c-1']);
    await registry.removeInstances([a]);
  });

  it('says that the store is away when it is', async () => {
    const away = createKnex(
      databaseConfig.parse({ url: 'postgres://127.0.0.1:1/none', acquireTimeoutMs: 2000 }),
    );
    const registry = createPostgresRegistry(away);
    await expect(registry.removeInstances(['x'])).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    await away.destroy();
  });
});

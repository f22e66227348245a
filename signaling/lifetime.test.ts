/** What a replica does before its tables are there, and after it was told to end; and the page that it serves. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { migrate, rollbackAll } from '../common/db/migrate.ts';
import type { Placement } from '../common/resources/types.ts';
import { buildPage } from '../demo/page-build.ts';
import { refusalOf, until } from './fixtures/client.ts';
import { http } from './fixtures/http.ts';
import { Platform, type Replica } from './fixtures/platform.ts';

let platform: Platform;
const readiness = async ({ internalUrl }: Replica) => {
  const response = await fetch(`${internalUrl}/readyz`);
  const { waitingFor } = (await response.json()) as { waitingFor: string[] };
  return [response.status, waitingFor];
};

beforeEach(async () => {
  platform = await Platform.create();
});
afterEach(() => platform.close());

/** Of a room that nobody can have entered yet. */
const placement: Placement = {
  ...{ routerId: 'room-0', role: 'Both', generation: 1, state: 'Ready' },
  ...{ pool: 'pool', podName: 'pod', instanceId: 'instance', url: 'http://127.0.0.1:1' },
};

describe('a replica whose tables are not there yet', () => {
  it('is ready, refuses peers with a reason, and works once they are made', async () => {
    await rollbackAll(platform.database.url);
    const replica = await platform.replica({ replicas: { heartbeatMs: 50, deadAfterMs: 5_000 } });
    await until(async () => (await readiness(replica))[0] === 200);
    platform.putRoom('room', [placement]);
    await until(async () => {
      const where = { port: replica.publicPort, roomId: 'room', peerId: 'ann' };
      return (await refusalOf(where)).body.includes('store_unavailable');
    });
    await migrate(platform.database.url);
    const node = await platform.node('Both');
    await platform.room('other', [node]);
    await until(async () => (await platform.sql('SELECT id FROM signaling_replica')).length === 1);
    const ann = await platform.joined(replica, 'other', 'ann');
    await ann.close();
  });
});

describe('a replica that was told to end', () => {
  it('serves on for the delay without being ready, and then closes', async () => {
    const replica = await platform.replica({ shutdownDelayMs: 1_500 });
    const node = await platform.node('Both');
    await platform.room('room', [node]);
    await until(async () => (await readiness(replica))[0] === 200);
    const ann = await platform.joined(replica, 'room', 'ann');
    const closing = replica.close();
    expect(await readiness(replica)).toEqual([503, ['end']]);
    const bob = await platform.joined(replica, 'room', 'bob');
    expect(ann.closed).toBe(false);
    await closing;
    await until(() => ann.closed && bob.closed);
    expect([ann.closeCode, bob.closeCode]).toEqual([1012, 1012]);
  });
});

describe('the page', () => {
  let replica: Replica;
  const get = (path: string) => http(`http://127.0.0.1:${replica.publicPort}`, `GET ${path}`);

  beforeAll(async () => {
    await buildPage(() => undefined);
  }, 60_000);

  it('is served at its own origin where it is asked for, besides the APIs', async () => {
    replica = await platform.replica({ public: { page: true } });
    const page = await get('/?room=r');
    expect([page.status, page.headers.get('content-type')]).toEqual([
      200,
      'text/html;charset=utf-8',
    ]);
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
    expect((await get('/config.json')).body).toEqual({});
    expect((await get('/api/rooms')).body).toEqual({ rooms: [] });
    expect((await get('/healthz')).body).toEqual({ status: 'ok' });
    for (const path of ['/nothing', '/%2e%2e/package.json', '/readyz'])
      expect(await get(path)).toMatchObject({ status: 404, code: 'not_found' });
    const post = await http(`http://127.0.0.1:${replica.publicPort}`, 'POST /');
    expect(post.code).toBe('not_found');
  });

  it('is not served elsewhere', async () => {
    replica = await platform.replica();
    for (const path of ['/', '/config.json'])
      expect(await get(path)).toMatchObject({ status: 404, code: 'not_found' });
  });
});

import { createServer } from 'node:net';

import { describe, expect, it, jest } from '@jest/globals';

import { databaseConfig } from '../../common/service/config.ts';
import { createTestDatabase } from '../../testing/database.ts';
import { secret } from '../../testing/quick-config.ts';
import { operatorConfig } from '../config.ts';
import { examineApart, type ChildInput } from './examine-apart.ts';

/** Each look starts a process, which takes seconds on a busy machine. */
jest.setTimeout(60_000);

const inputOf = (url: string, audit: { timeoutMs?: number } = {}): ChildInput => ({
  config: operatorConfig.parse({ serviceAuth: { secret }, kubernetes: {}, audit }),
  database: databaseConfig.parse({ url }),
  resources: {
    rooms: [
      {
        ...{ namespace: 'media', name: 'standup' },
        placements: [{ routerId: 'r', podName: 'c-0', instanceId: 'i', state: 'Ready' }],
      },
    ],
    pools: [],
    pods: [],
  },
});
const never = new AbortController().signal;

/** A server that takes connections and says nothing. */
async function silentServer(): Promise<{ url: string; close: () => void }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return { url: `postgres://127.0.0.1:${port}/x`, close: () => server.close() };
}

describe('a look in a process of its own', () => {
  it('compares what it is given with the tables', async () => {
    const database = await createTestDatabase();
    const { findings, unreachable, compared } = await examineApart(inputOf(database.url), never);
    expect(unreachable).toEqual([]);
    expect(compared).toMatchObject({ rooms: 1, rows: 0 });
    expect(findings).toMatchObject([{ kind: 'PlacementWithoutRouter', ids: { routerId: 'r' } }]);
    await database.drop();
  });

  it('tells which store is away', async () => {
    const { findings, unreachable } = await examineApart(
      inputOf('postgres://127.0.0.1:1/none'),
      never,
    );
    expect(findings).toBeUndefined();
    expect(unreachable).toMatchObject([{ place: 'Postgres' }]);
  });

  it('is given up when it takes too long, and when the operator ends', async () => {
    const server = await silentServer();
    const late = examineApart(inputOf(server.url, { timeoutMs: 100 }), never);
    await expect(late).rejects.toThrow('audit.timeoutMs');
    const stop = new AbortController();
    const ended = examineApart(inputOf(server.url), stop.signal);
    stop.abort();
    await expect(ended).rejects.toThrow();
    server.close();
  });
});

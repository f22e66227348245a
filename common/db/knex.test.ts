import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';

import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { withClient } from '../../testing/sql.ts';
import { until } from '../../testing/until.ts';
import { ApiError } from '../errors.ts';
import { databaseConfig } from '../service/config.ts';
import { createKnex, isDeadlock, isForeignKeyViolation, query, toStoreError } from './knex.ts';

const thrownBy = async (work: PromiseLike<unknown>): Promise<unknown> => {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('did not fail');
};

describe('toStoreError', () => {
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

  /** A pool of its own for what breaks it. */
  async function withKnex<T>(
    config: Record<string, unknown>,
    work: (own: Knex) => Promise<T>,
  ): Promise<T> {
    const own = createKnex(databaseConfig.parse({ url: database.url, ...config }));
    try {
      return await work(own);
    } finally {
      await own.destroy();
    }
  }

  function expectUnavailable(error: unknown): void {
    const mapped = toStoreError(error);
    expect(mapped).toBeInstanceOf(ApiError);
    expect(mapped).toMatchObject({ code: 'store_unavailable', cause: error });
    expect((mapped as ApiError).message).toMatch(/^Postgres is not available: ./);
  }

  it.each(['127.0.0.1', 'localhost'])(
    'names the store when nobody listens on a port of %s',
    async (host) => {
      const port = await freePort();
      const url = `postgres://user:secret@${host}:${port}/none`;
      const error = await withKnex({ url }, (own) => thrownBy(own.raw('SELECT 1')));
      expectUnavailable(error);
      expect((toStoreError(error) as ApiError).message).not.toContain('secret');
    },
  );

  it('names the store when no connection becomes free in time', async () => {
    await withKnex({ poolMax: 1, acquireTimeoutMs: 100 }, async (own) => {
      const holder = await own.transaction();
      expectUnavailable(await thrownBy(own.raw('SELECT 1')));
      await holder.rollback();
    });
  });

  it('names the store when a statement takes too long', async () => {
    await withKnex({ statementTimeoutMs: 100 }, async (own) => {
      expectUnavailable(await thrownBy(own.raw('SELECT pg_sleep(60)')));
    });
  });

  it('names the store when the connection is cut under a statement', async () => {
    await withKnex({}, async (own) => {
      const cut = thrownBy(own.raw('SELECT pg_terminate_backend(pg_backend_pid())'));
      expectUnavailable(await cut);
    });
  });

  it('names the store when the connection was cut between two statements', async () => {
    await withKnex({}, async (own) => {
      const cut = own.transaction(async (transaction) => {
        const { rows } = await transaction.raw<{ rows: { pid: number }[] }>(
          'SELECT pg_backend_pid() AS pid',
        );
        await withClient(database.url, (client) =>
          client.query('SELECT pg_terminate_backend($1, 10000)', [rows[0]?.pid]),
        );
        await transaction('media_room').insert({ id: 'room' });
      });
      expectUnavailable(await thrownBy(cut));
    });
  });

  it('names the store while no migration has made its tables', async () => {
    expectUnavailable(await thrownBy(knex.raw('SELECT * FROM nothing')));
  });

  it('works again by itself after connections were cut', async () => {
    await withKnex({ poolMax: 1 }, async (own) => {
      await thrownBy(own.raw('SELECT pg_terminate_backend(pg_backend_pid())'));
      // The pool may hand out the dead connection once more before it hears of the end.
      const rooms = await until('an answer', () => own('media_room').select(), { intervalMs: 20 });
      expect(rooms).toEqual([]);
    });
  });

  it.each([
    ['a column that does not exist', 'SELECT nothing FROM media_room', '42703'],
    ['a row that is there already', 'unique', '23505'],
  ])('leaves an error of %s as it is', async (_, statement, code) => {
    const twice = { id: randomUUID(), url: 'http://127.0.0.1:1' };
    const error = await thrownBy(
      statement === 'unique'
        ? knex('signaling_replica').insert([twice, twice])
        : knex.raw(statement),
    );
    expect(toStoreError(error)).toBe(error);
    expect(error).toMatchObject({ code });
  });

  it('keeps the values of a statement out of the message', async () => {
    const { message } = (await thrownBy(knex('nothing').where({ key: 'private' }))) as Error;
    expect(message).toContain('select * from "nothing"');
    expect(message).not.toContain('private');
  });

  it('leaves a refused password as it is: waiting does not help', async () => {
    const url = new URL(database.url);
    url.username = 'nobody_of_this_name';
    const error = await withKnex({ url: url.href }, (own) => thrownBy(own.raw('SELECT 1')));
    expect(toStoreError(error)).toBe(error);
  });

  it.each([undefined, null, 'text', new Error('other'), { code: 8 }])(
    'leaves %p as it is',
    (value) => {
      expect(toStoreError(value)).toBe(value);
    },
  );

  it('is applied to what a query throws', async () => {
    const url = `postgres://127.0.0.1:${await freePort()}/none`;
    await withKnex({ url }, async (own) => {
      await expect(query(() => own.raw('SELECT 1'))).rejects.toMatchObject({
        code: 'store_unavailable',
      });
    });
    expect(await query(() => knex('media_room').select())).toEqual([]);
  });

  it('is told apart from a row whose parent is gone', async () => {
    const orphan = {
      id: 'router',
      room_id: 'gone',
      instance_id: randomUUID(),
      worker_index: 0,
      role: 'Both',
      generation: 1,
      rtp_capabilities: {},
    };
    const error = await thrownBy(knex('media_router').insert(orphan));
    expect(isForeignKeyViolation(error)).toBe(true);
    expect(isForeignKeyViolation(new Error('other'))).toBe(false);
    expect(toStoreError(error)).toBe(error);
  });

  it('names the store for the one of two that waited for each other', async () => {
    await knex('media_room').insert([{ id: 'a' }, { id: 'b' }]);
    const [first, second] = [await knex.transaction(), await knex.transaction()];
    const touch = (transaction: Knex.Transaction, id: string) =>
      transaction('media_room').where({ id }).update({ created_at: knex.fn.now() });
    const touchAndEnd = async (transaction: Knex.Transaction, id: string) => {
      try {
        await touch(transaction, id);
      } finally {
        await transaction.rollback();
      }
    };
    await touch(first, 'a');
    await touch(second, 'b');
    const outcomes = await Promise.allSettled([touchAndEnd(first, 'b'), touchAndEnd(second, 'a')]);
    const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(failed).toHaveLength(1);
    expect(isDeadlock(failed[0]?.reason)).toBe(true);
    expectUnavailable(failed[0]?.reason);
  });
});

/** A port that was free a moment ago, so that a connection to it is refused. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

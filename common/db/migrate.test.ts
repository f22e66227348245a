import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';

import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { databaseUrl, withClient } from '../../testing/sql.ts';
import { TcpProxy } from '../../testing/tcp-proxy.ts';
import { until } from '../../testing/until.ts';
import { databaseConfig } from '../service/config.ts';
import { createKnex } from './knex.ts';
import { migrate, rollbackAll } from './migrate.ts';

const files = (await readdir(new URL('../../migrations', import.meta.url))).sort();

/** Runs `work` with a database that nothing was ever done to. */
async function withEmptyDatabase(work: (url: string) => Promise<void>): Promise<void> {
  const any = await createTestDatabase();
  const name = `kube_sfu_empty_${randomBytes(4).toString('hex')}`;
  try {
    await withClient(any.url, (client) => client.query(`CREATE DATABASE ${name}`));
    await work(databaseUrl(any.url, name));
  } finally {
    await withClient(any.url, (client) =>
      client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
    );
    await any.drop();
  }
}

const strings = (url: string, sql: string): Promise<string[]> =>
  withClient(url, async (client) => {
    const { rows } = await client.query<{ text: string }>(sql);
    return rows.map(({ text }) => text);
  });
/** Tables, but for those in which Knex keeps what it did. */
const tables = (url: string): Promise<string[]> =>
  strings(
    url,
    `SELECT tablename AS text FROM pg_tables
      WHERE schemaname = 'public' AND tablename NOT LIKE 'kube\\_sfu\\_migrations%' ORDER BY 1`,
  );
const schema = (url: string): Promise<string[]> =>
  strings(
    url,
    `SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) AS text
       FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1`,
  );

describe('the migrations', () => {
  it('go up, are taken back without a rest, and go up again to the same', async () => {
    await withEmptyDatabase(async (url) => {
      expect(await migrate(url)).toEqual({ applied: files, newer: [] });
      const made = await schema(url);
      expect(await tables(url)).toContain('media_peer');
      expect(await migrate(url)).toEqual({ applied: [], newer: [] });
      expect(await rollbackAll(url)).toEqual([...files].reverse());
      expect(await tables(url)).toEqual([]);
      expect(await rollbackAll(url)).toEqual([]);
      expect((await migrate(url)).applied).toEqual(files);
      expect(await schema(url)).toEqual(made);
    });
  });

  it('are applied once when several try at once', async () => {
    await withEmptyDatabase(async (url) => {
      const all = await Promise.all([migrate(url), migrate(url), migrate(url)]);
      expect(all.flatMap(({ applied }) => applied)).toEqual(files);
      expect(await tables(url)).toContain('media_peer');
    });
  });
});

/** A folder of migrations by name, each with the statement that it runs. */
async function withMigrations(
  statements: Record<string, string>,
  work: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'kube-sfu-migrations-'));
  try {
    for (const [name, sql] of Object.entries(statements))
      await writeFile(
        path.join(directory, name),
        `export const up = (knex) => knex.raw(${JSON.stringify(sql)});
         export const down = () => undefined;
         export const config = { transaction: ${!sql.startsWith('/* alone */')} };`,
      );
    await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('migrate', () => {
  const first = { '0001_a.ts': 'CREATE TABLE a ()' };
  const both = { ...first, '0002_b.ts': 'CREATE TABLE b ()' };

  it('leaves the tables of a later version as they are', async () => {
    await withEmptyDatabase(async (url) => {
      await withMigrations(both, async (directory) => {
        await migrate(url, { directory });
      });
      await withMigrations(first, async (directory) => {
        expect(await migrate(url, { directory })).toEqual({ applied: [], newer: ['0002_b.ts'] });
      });
      expect(await tables(url)).toEqual(['a', 'b']);
    });
  });

  it('refuses tables that have some of its migrations and some of another version', async () => {
    await withEmptyDatabase(async (url) => {
      await withMigrations(both, async (directory) => {
        await migrate(url, { directory });
      });
      const other = { ...first, '0002_c.ts': 'CREATE TABLE c ()' };
      await withMigrations(other, async (directory) => {
        await expect(migrate(url, { directory })).rejects.toThrow(/0002_b\.ts.*lacks 0002_c\.ts/);
      });
      expect(await tables(url)).toEqual(['a', 'b']);
    });
  });

  it.each([
    ['in one transaction', ''],
    ['each by itself', '/* alone */ '],
  ])(
    'goes on where another one was killed in the middle, %s',
    async (_, alone) => {
      const slow = { ...first, '0002_b.ts': `${alone}SELECT pg_sleep(600)` };
      await withEmptyDatabase((url) =>
        withMigrations(slow, async (directory) => {
          const killed = await startMigration(url, directory);
          const waiting = migrate(url, { directory: await finished(directory) });
          await untilWaiting(url);
          killed.kill('SIGKILL');
          await once(killed, 'exit');
          expect((await waiting).applied).toEqual(alone ? ['0002_b.ts'] : Object.keys(both));
          expect(await tables(url)).toEqual(['a', 'b']);
        }),
      );
    },
    60_000,
  );

  it('says so when another one takes too long', async () => {
    const slow = { '0001_a.ts': 'SELECT pg_sleep(600)' };
    await withEmptyDatabase((url) =>
      withMigrations(slow, async (directory) => {
        const other = await startMigration(url, directory);
        await expect(migrate(url, { directory, lockTimeoutMs: 100 })).rejects.toMatchObject({
          code: 'store_unavailable',
          message: 'another migration has not ended within 100 ms',
        });
        other.kill('SIGKILL');
        await once(other, 'exit');
      }),
    );
  });

  it('waits for Postgres, and says what it waits for', async () => {
    await withEmptyDatabase(async (url) => {
      const proxy = new TcpProxy({ host: '127.0.0.1', port: Number(new URL(url).port) });
      const through = new URL(url);
      through.hostname = '127.0.0.1';
      through.port = String(await proxy.start());
      proxy.cut();
      const reasons: string[] = [];
      const onWait = (reason: string): void => {
        reasons.push(reason);
        proxy.heal();
      };
      expect((await migrate(through.href, { onWait, retryMs: 20 })).applied).toEqual(files);
      expect(reasons).toEqual([expect.stringMatching(/Connection terminated|ECONNRESET/)]);
      await proxy.close();
    });
  });

  it('waits for a database that somebody else makes', async () => {
    await withEmptyDatabase(async (url) => {
      const name = `kube_sfu_late_${randomBytes(4).toString('hex')}`;
      const made: Promise<unknown>[] = [];
      const onWait = (): void =>
        void made.push(withClient(url, (client) => client.query(`CREATE DATABASE ${name}`)));
      try {
        const { applied } = await migrate(databaseUrl(url, name), { onWait, retryMs: 20 });
        expect([applied, made.length]).toEqual([files, 1]);
      } finally {
        await Promise.all(made);
        await withClient(url, (client) =>
          client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
        );
      }
    });
  });

  it('gives up on Postgres when the time is over', async () => {
    const nobody = 'postgres://u:p@127.0.0.1:1/kube_sfu';
    await expect(migrate(nobody, { connectTimeoutMs: 100, retryMs: 20 })).rejects.toThrow(
      /^no connection to Postgres within 100 ms: .*ECONNREFUSED/,
    );
  });

  /** Another process that migrates, once it sleeps in a migration. */
  async function startMigration(url: string, directory: string): Promise<ChildProcess> {
    const module = JSON.stringify(new URL('./migrate.ts', import.meta.url).href);
    const script = `const { migrate } = await import(${module});
      await migrate(${JSON.stringify(url)}, { directory: ${JSON.stringify(directory)} });`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    await until('the other to be at work', async () =>
      (await activity(url)).some((query) => query.includes('pg_sleep')),
    );
    return child;
  }

  const activity = (url: string): Promise<string[]> =>
    strings(
      url,
      `SELECT query AS text FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'`,
    );
  const untilWaiting = (url: string) =>
    until('this one to wait', async () =>
      (await activity(url)).some((query) => query.includes('pg_advisory_lock')),
    );

  /** A copy of the folder in which nothing sleeps. */
  async function finished(directory: string): Promise<string> {
    const copy = path.join(directory, 'finished');
    await mkdir(copy);
    for (const [name, sql] of Object.entries(both))
      await writeFile(
        path.join(copy, name),
        `export const up = (knex) => knex.raw(${JSON.stringify(sql)}); export const down = () => undefined;`,
      );
    return copy;
  }
});

describe('the schema', () => {
  let database: TestDatabase;
  let knex: Knex;

  beforeAll(async () => {
    database = await createTestDatabase();
    knex = createKnex(databaseConfig.parse({ url: database.url, poolMax: 1 }));
  });
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });

  it('has an index that starts with each foreign key, since a cascade looks rows up by it', async () => {
    const missing = await strings(
      database.url,
      `SELECT fk.conrelid::regclass || '.' || a.attname AS text
         FROM pg_constraint fk
         JOIN pg_attribute a ON a.attrelid = fk.conrelid AND a.attnum = fk.conkey[1]
        WHERE fk.contype = 'f' AND NOT EXISTS (
          SELECT 1 FROM pg_index i
           WHERE i.indrelid = fk.conrelid AND i.indkey[0] = fk.conkey[1] AND i.indpred IS NULL)
        ORDER BY 1`,
    );
    expect(missing).toEqual([]);
  });

  it('has foreign keys that cascade, but for those by which a peer outlives what it hangs off', async () => {
    const others = await strings(
      database.url,
      `SELECT conname || ' ' || confdeltype::text AS text FROM pg_constraint
        WHERE contype = 'f' AND confdeltype <> 'c' ORDER BY 1`,
    );
    expect(others).toEqual([
      'media_peer_consumer_router_id_foreign n',
      'media_peer_producer_router_id_foreign n',
      // Its sessions are handed on before a replica's row goes.
      'media_peer_replica_id_foreign a',
    ]);
  });

  describe('with a room on two nodes', () => {
    const [node, otherNode] = [randomUUID(), randomUUID()];
    const [peer, otherPeer] = [randomUUID(), randomUUID()];
    const replica = randomUUID();

    beforeEach(async () => {
      for (const table of ['media_room', 'media_worker', 'signaling_replica'])
        await knex(table).delete();
      await knex('signaling_replica').insert({ id: replica, url: 'http://127.0.0.1:1' });
      await knex('media_room').insert({ id: 'room' });
      for (const id of [node, otherNode]) await addNode(id);
      await addPeer(peer, node);
      await addPeer(otherPeer, otherNode);
      await addPipe(node, otherNode, 'source');
      await addPipe(otherNode, node, 'destination');
      const [mine, theirs] = [await addMedia(peer, node), await addMedia(otherPeer, otherNode)];
      await watch(otherPeer, theirs, peer, mine);
      await watch(peer, mine, otherPeer, theirs);
    });

    it('fills every table, so that nothing is forgotten here', async () => {
      expect(await counts()).toEqual(
        Object.fromEntries(
          (await sessionTables()).map((table) => [
            table,
            ['media_room', 'signaling_replica'].includes(table) ? 1 : 2,
          ]),
        ),
      );
    });

    it('loses all that was on a node with it but its peers, and keeps what the other holds alone', async () => {
      await knex('media_worker').where({ instance_id: node }).delete();
      const bindings = { producer_router_id: null, consumer_router_id: null };
      expect(await knex('media_peer').where({ id: peer }).first()).toMatchObject(bindings);
      expect(await counts()).toEqual({
        signaling_replica: 1,
        media_room: 1,
        media_worker: 1,
        media_router: 1,
        media_peer: 2,
        media_transport: 1,
        media_producer: 1,
        media_data_producer: 1,
        media_pipe_transport: 0,
        media_consumer: 0,
        media_data_consumer: 0,
        media_peer_consumer: 0,
        media_peer_data_consumer: 0,
      });
    });

    it('loses all that was a peer’s with it, and keeps the nodes’ routers and pipes', async () => {
      await knex('media_peer').where({ id: peer }).delete();
      expect(await counts()).toEqual({
        signaling_replica: 1,
        media_room: 1,
        media_worker: 2,
        media_router: 2,
        media_pipe_transport: 2,
        media_peer: 1,
        media_transport: 1,
        media_producer: 1,
        media_data_producer: 1,
        media_consumer: 0,
        media_data_consumer: 0,
        media_peer_consumer: 0,
        media_peer_data_consumer: 0,
      });
    });

    it('loses everything below with the room, and keeps the nodes', async () => {
      await knex('media_room').delete();
      const left = Object.entries(await counts()).filter(([, count]) => count > 0);
      expect(Object.fromEntries(left)).toEqual({ signaling_replica: 1, media_worker: 2 });
    });
  });

  /** Those of the sessions, without what is told of them. */
  const sessionTables = async (): Promise<string[]> =>
    (await tables(database.url)).filter((table) => !table.startsWith('webhook_'));

  async function counts(): Promise<Record<string, number>> {
    const entries: [string, number][] = [];
    for (const table of await sessionTables()) {
      const [row] = await knex(table).count<{ count: string }[]>({ count: '*' });
      entries.push([table, Number(row?.count)]);
    }
    return Object.fromEntries(entries);
  }

  /** A node and the room's router on it, which has the node's id too. */
  async function addNode(id: string): Promise<void> {
    await knex('media_worker').insert({
      instance_id: id,
      pod_name: 'pod',
      pool: 'pool',
      role: 'Both',
      api_url: 'http://127.0.0.1:1',
      worker_count: 1,
      version: '0',
    });
    await knex('media_router').insert({
      id,
      room_id: 'room',
      instance_id: id,
      worker_index: 0,
      role: 'Both',
      generation: 1,
      rtp_capabilities: {},
    });
  }

  async function addPeer(id: string, router: string): Promise<void> {
    const [replica] = await knex('signaling_replica').select<{ id: string }[]>('id');
    await knex('media_peer').insert({
      id,
      room_id: 'room',
      peer_id: id,
      kind: 'WebSocket',
      replica_id: replica?.id,
      producer_router_id: router,
      consumer_router_id: router,
      remote_address: '127.0.0.1',
      grants: {},
    });
  }

  const addPipe = (router: string, remote: string, end: string) =>
    knex('media_pipe_transport').insert({
      id: randomUUID(),
      router_id: router,
      instance_id: router,
      remote_router_id: remote,
      pipe_end: end,
    });

  /** A transport with a producer of each kind, all of one id, which is returned. */
  async function addMedia(peer: string, router: string): Promise<string> {
    const id = randomUUID();
    await knex('media_transport').insert({
      id,
      media_peer_id: peer,
      router_id: router,
      instance_id: router,
      kind: 'webrtc',
      direction: 'producer',
    });
    const producer = { id, transport_id: id, media_peer_id: peer, router_id: router };
    await knex('media_producer').insert({ ...producer, kind: 'audio' });
    await knex('media_data_producer').insert({ ...producer, label: '', protocol: '' });
    return id;
  }

  async function watch(
    peer: string,
    transport: string,
    producerPeer: string,
    producer: string,
  ): Promise<void> {
    for (const kind of ['', 'data_']) {
      const id = randomUUID();
      await knex(`media_${kind}consumer`).insert({
        id,
        producer_id: producer,
        transport_id: transport,
        media_peer_id: peer,
      });
      await knex(`media_peer_${kind}consumer`).insert({
        consumer_id: id,
        producer_peer_id: producerPeer,
        consumer_peer_id: peer,
      });
    }
  }
});

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { withClient } from '../../testing/sql.ts';
import { startEmbeddedPostgres } from './embedded.ts';
import type { EmbeddedPostgres, EmbeddedPostgresOptions } from './embedded.ts';

let dataDir: string;
const running: EmbeddedPostgres[] = [];

async function start(options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, ...options });
  running.push(server);
  return server;
}

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-embedded-test-'));
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
  await rm(dataDir, { recursive: true, force: true });
});

describe('startEmbeddedPostgres', () => {
  it('starts a UTF-8 server whose sorting does not depend on the machine', async () => {
    const { url } = await start();
    const { rows } = await withClient(url, (client) =>
      client.query(
        `SELECT pg_encoding_to_char(encoding) AS encoding, datlocale, current_setting('TimeZone') AS zone
           FROM pg_database WHERE datname = current_database()`,
      ),
    );
    expect(rows).toEqual([{ encoding: 'UTF8', datlocale: 'C.UTF-8', zone: 'UTC' }]);
  });

  it('finds the data of an earlier run again', async () => {
    const first = await start();
    await withClient(first.url, (client) => client.query('CREATE TABLE kept AS SELECT 7 AS n'));
    await first.stop();
    const second = await start();
    const { rows } = await withClient(second.url, (client) => client.query('SELECT n FROM kept'));
    expect(rows).toEqual([{ n: 7 }]);
  });

  it('stops while a client is connected, and may be stopped twice', async () => {
    const server = await start();
    const client = new pg.Client({ connectionString: server.url });
    client.on('error', () => undefined);
    await client.connect();
    await server.stop();
    await server.stop();
    await expect(withClient(server.url, () => Promise.resolve())).rejects.toThrow('ECONNREFUSED');
  });

  it('tells why it does not start when the port is taken', async () => {
    const { url } = await start();
    const taken = Number(new URL(url).port);
    const other = `${dataDir}-other`;
    try {
      await expect(start({ dataDir: other, port: taken })).rejects.toThrow(
        /did not start.*could not bind/s,
      );
    } finally {
      await rm(other, { recursive: true, force: true });
    }
  });

  it('does not outlive a caller that is killed', async () => {
    await killedCaller({ dataDir });
    // Postgres refuses a folder that another server uses; the new one waits while the old one shuts down.
    await start();
  });

  it('removes a temporary folder, also when the caller is killed', async () => {
    const server = await start({ temporary: true });
    await server.stop();
    expect(existsSync(dataDir)).toBe(false);
    await killedCaller({ dataDir, temporary: true });
    while (existsSync(dataDir)) await delay(50);
  });
});

/** Starts a server from another process, which is killed when the server runs. */
async function killedCaller(options: EmbeddedPostgresOptions): Promise<void> {
  const module = path.join(import.meta.dirname, 'embedded.ts');
  const script = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(module)});
    await startEmbeddedPostgres(${JSON.stringify(options)});
    console.log('started');`;
  const caller = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(caller.stdout, 'data');
  expect(existsSync(path.join(options.dataDir, 'postmaster.pid'))).toBe(true);
  caller.kill('SIGKILL');
}

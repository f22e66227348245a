import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { databaseUrl, withClient } from './sql.ts';

/** How long connections that a test closed may take to disappear at the server, in milliseconds. */
const CLOSE_TIMEOUT = 3000;
const POLL_INTERVAL = 50;

/** A database of a test's own. */
export interface TestDatabase {
  /** Its connection URL. */
  url: string;
  /**
   * Removes the database. Call it after all that uses the database is closed.
   *
   * @throws Error when connections are still open: the test, or what it tests, leaks them.
   */
  drop: () => Promise<void>;
}

/**
 * Makes an empty database with all migrations applied, by cloning the run's template (some 50 ms). One for each test file
 * (`beforeAll`), or for each test where they would disturb each other.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = fromGlobalSetup('KUBE_SFU_TEST_SERVER');
  const template = fromGlobalSetup('KUBE_SFU_TEST_TEMPLATE');
  const name = `${template}_${randomBytes(4).toString('hex')}`;
  await withClient(server, (client) =>
    client.query(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY FILE_COPY`),
  );
  return { url: databaseUrl(server, name), drop: () => dropDatabase(server, name) };
}

function fromGlobalSetup(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: test databases exist in Jest alone`);
  return value;
}

async function dropDatabase(server: string, name: string): Promise<void> {
  await withClient(server, async (client) => {
    const open = await openConnections(client, name);
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    if (open.length > 0) {
      throw new Error(`connections left open to the test's database:\n${open.join('\n')}`);
    }
  });
}

/** Waits for the database to have no connections, and describes those that stay. */
async function openConnections(client: pg.Client, database: string): Promise<string[]> {
  const deadline = Date.now() + CLOSE_TIMEOUT;
  for (;;) {
    const { rows } = await client.query<{ application: string; state: string; query: string }>(
      `SELECT application_name AS application, state, left(query, 200) AS query
         FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`,
      [database],
    );
    if (rows.length === 0 || Date.now() > deadline) {
      return rows.map((row) => `${row.application} ${row.state}, last: ${row.query}`);
    }
    await delay(POLL_INTERVAL);
  }
}

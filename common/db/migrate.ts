import { fileURLToPath } from 'node:url';

import knexModule, { type Knex } from 'knex';

const migrationsConfig: Knex.MigratorConfig = {
  directory: fileURLToPath(new URL('../../migrations', import.meta.url)),
  loadExtensions: ['.ts'],
  tableName: 'kube_sfu_migrations',
};

/** An advisory lock of Postgres, any number that nobody else takes; it ends with the connection. */
const lockKey = 5_334_237;

/**
 * One connection, and the lock on it: Knex' own lock comes too late for the tables in which it keeps its records, which
 * several that start at once on a new database would each make.
 */
async function withMigrator<T>(url: string, work: (knex: Knex) => Promise<T>): Promise<T> {
  const knex = knexModule.knex({
    client: 'pg',
    connection: url,
    pool: { min: 0, max: 1 },
    migrations: migrationsConfig,
  });
  try {
    await knex.raw('SELECT pg_advisory_lock(?)', [lockKey]);
    return await work(knex);
  } finally {
    await knex.destroy();
  }
}

/** Brings the schema up to date. Several may try at once. Returns the names that this call applied. */
export const migrate = (url: string): Promise<string[]> =>
  withMigrator(url, async (knex) => ((await knex.migrate.latest()) as [number, string[]])[1]);

/** Takes every migration back, the newest first. */
export const rollbackAll = (url: string): Promise<string[]> =>
  withMigrator(
    url,
    async (knex) => ((await knex.migrate.rollback(undefined, true)) as [number, string[]])[1],
  );

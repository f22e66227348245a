import { fileURLToPath } from 'node:url';

import knexModule, { type Knex } from 'knex';

const migrationsConfig: Knex.MigratorConfig = {
  directory: fileURLToPath(new URL('../../migrations', import.meta.url)),
  loadExtensions: ['.ts'],
  tableName: 'kube_sfu_migrations',
};

async function withMigrator<T>(url: string, work: (knex: Knex) => Promise<T>): Promise<T> {
  const knex = knexModule.knex({
    client: 'pg',
    connection: url,
    pool: { min: 0, max: 1 },
    migrations: migrationsConfig,
  });
  try {
    return await work(knex);
  } finally {
    await knex.destroy();
  }
}

/** Brings the schema up to date; Knex' own lock makes it safe for several to try at once. Returns the names applied. */
export const migrate = (url: string): Promise<string[]> =>
  withMigrator(url, async (knex) => ((await knex.migrate.latest()) as [number, string[]])[1]);

/** Takes every migration back, the newest first. */
export const rollbackAll = (url: string): Promise<string[]> =>
  withMigrator(
    url,
    async (knex) => ((await knex.migrate.rollback(undefined, true)) as [number, string[]])[1],
  );

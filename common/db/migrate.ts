import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import knexModule, { type Knex } from 'knex';

import { ApiError, isApiError, messageOf } from '../errors.ts';
import { silent, toStoreError } from './knex.ts';

const migrationsDirectory = fileURLToPath(new URL('../../migrations', import.meta.url));

/** An advisory lock of Postgres, any number that nobody else takes; it ends with the connection. */
const lockKey = 5_334_237;

/**
 * Postgres ends a connection whose client is gone, and with it the lock: also while a statement runs, and where the
 * client's machine was switched off. Within some half a minute; servers that lack a setting go without it.
 */
const settingsOfSession: Readonly<Record<string, string>> = {
  client_connection_check_interval: '5s',
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
};

/** Not there yet, where somebody else makes the database and its owner: no such database, no such role or password. */
const notMadeYet = /^(3D000|28000|28P01)$/;
/** Another session held the lock for too long. */
const lockNotAvailable = '55P03';

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

export interface MigrateOptions {
  /** How long Postgres may take to be there, in milliseconds. */
  connectTimeoutMs: number;
  /** Pause between two attempts to connect, in milliseconds. */
  retryMs: number;
  /** How long another migration may take, in milliseconds. */
  lockTimeoutMs: number;
  /** Told why there is no connection yet, once for each reason. */
  onWait: (reason: string) => void;
  /** Folder of the migrations. */
  directory: string;
}

const defaults: MigrateOptions = {
  connectTimeoutMs: 10_000,
  retryMs: 200,
  lockTimeoutMs: 60_000,
  onWait: () => undefined,
  directory: migrationsDirectory,
};

/** What was found and done. */
export interface Migrated {
  /** Names of the migrations that this call applied. */
  applied: string[];
  /** Names of those in the database that this version does not know: a later one was here. Nothing is applied then. */
  newer: string[];
}

const isWorthWaiting = (error: unknown): boolean => {
  if (notMadeYet.test(String(codeOf(error)))) return true;
  const known = toStoreError(error);
  return isApiError(known) && known.code === 'store_unavailable';
};

/** @throws {ApiError} `store_unavailable` when the time is over; other errors at once */
async function waitForPostgres(knex: Knex, options: MigrateOptions): Promise<void> {
  const deadline = Date.now() + options.connectTimeoutMs;
  let said = '';
  for (;;) {
    try {
      await knex.raw('SELECT 1');
      return;
    } catch (error) {
      if (!isWorthWaiting(error)) throw error;
      const reason = messageOf(error).replace(/^SELECT 1 - /i, '');
      if (Date.now() + options.retryMs >= deadline)
        throw new ApiError(
          'store_unavailable',
          `no connection to Postgres within ${options.connectTimeoutMs} ms: ${reason}`,
          { cause: error },
        );
      if (reason !== said) options.onWait(reason);
      said = reason;
    }
    await sleep(options.retryMs);
  }
}

async function takeLock(knex: Knex, timeoutMs: number): Promise<void> {
  for (const [name, value] of Object.entries(settingsOfSession))
    await knex.raw('SELECT set_config(name, ?, false) FROM pg_settings WHERE name = ?', [
      value,
      name,
    ]);
  try {
    await knex.raw("SELECT set_config('lock_timeout', ?, false)", [`${timeoutMs}ms`]);
    await knex.raw('SELECT pg_advisory_lock(?)', [lockKey]);
    await knex.raw('RESET lock_timeout');
  } catch (error) {
    if (codeOf(error) !== lockNotAvailable) throw error;
    throw new ApiError(
      'store_unavailable',
      `another migration has not ended within ${timeoutMs} ms`,
      { cause: error },
    );
  }
}

/**
 * One connection, and the lock on it: Knex' own lock comes too late for the tables in which it keeps its records, which
 * several that start at once on a new database would each make, and stays when its holder is killed.
 */
async function withMigrator<T>(
  url: string,
  options: MigrateOptions,
  work: (knex: Knex) => Promise<T>,
): Promise<T> {
  const knex = knexModule.knex({
    client: 'pg',
    connection: { connectionString: url, application_name: 'kube-sfu migrations' },
    pool: { min: 0, max: 1 },
    acquireConnectionTimeout: options.connectTimeoutMs,
    log: silent,
    migrations: {
      directory: options.directory,
      loadExtensions: ['.ts'],
      tableName: 'kube_sfu_migrations',
    },
  });
  try {
    await waitForPostgres(knex, options);
    await takeLock(knex, options.lockTimeoutMs);
    // Whoever holds ours is alone, so a lock of Knex that is still there was left by one that was killed.
    await knex.migrate.forceFreeMigrationsLock();
    return await work(knex);
  } finally {
    await knex.destroy();
  }
}

/**
 * Brings the schema up to date, each migration wholly or not at all. Several may try at once, and one that is killed
 * leaves nothing behind. A schema of a later version is left as it is.
 *
 * @throws {ApiError} `store_unavailable` where Postgres or another migration takes too long; `conflict` where the schema
 *   has migrations that this version does not know and lacks some that it does
 */
export function migrate(url: string, options: Partial<MigrateOptions> = {}): Promise<Migrated> {
  const all = { ...defaults, ...options };
  return withMigrator(url, all, async (knex) => {
    const { newer, pending } = await compare(knex, all.directory);
    if (newer.length === 0) {
      const [, applied] = (await knex.migrate.latest()) as [number, string[]];
      return { applied, newer };
    }
    if (pending.length > 0)
      throw new ApiError(
        'conflict',
        `the schema is of another line of versions: it has ${newer.join(', ')}, which this version does not know, and lacks ${pending.join(', ')}`,
      );
    return { applied: [], newer };
  });
}

async function compare(
  knex: Knex,
  directory: string,
): Promise<{ newer: string[]; pending: string[] }> {
  const [completed, pending] = (await knex.migrate.list({
    disableMigrationsListValidation: true,
  })) as [{ name: string }[], { file: string }[]];
  const known = new Set(await readdir(directory));
  return {
    newer: completed.map(({ name }) => name).filter((name) => !known.has(name)),
    pending: pending.map(({ file }) => file),
  };
}

/** Takes every migration back, the newest first. */
export const rollbackAll = (url: string): Promise<string[]> =>
  withMigrator(
    url,
    defaults,
    async (knex) => ((await knex.migrate.rollback(undefined, true)) as [number, string[]])[1],
  );

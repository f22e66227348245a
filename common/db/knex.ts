import knexModule, { type Knex } from 'knex';

import { ApiError, messageOf } from '../errors.ts';
import type { DatabaseConfig } from '../service/config.ts';

const ignore = (): void => undefined;
/** Knex prints what it also throws; whoever asked logs it. */
export const silent = { warn: ignore, error: ignore, deprecate: ignore, debug: ignore };

/** A connection pool. Nothing is connected until the first query. */
export function createKnex(config: DatabaseConfig): Knex {
  return knexModule.knex({
    client: 'pg',
    connection: {
      connectionString: config.url,
      statement_timeout: config.statementTimeoutMs,
      application_name: 'kube-sfu',
    },
    pool: { min: 0, max: config.poolMax },
    acquireConnectionTimeout: config.acquireTimeoutMs,
    log: silent,
    // Errors reach logs and callers: they show the statement without the values in it.
    compileSqlOnError: false,
  });
}

/**
 * Postgres' SQLSTATE classes that mean "not now": connection exceptions, insufficient resources, operator intervention
 * (a shutdown, a cancelled statement), and transaction rollback (deadlock, serialization); and the state of tables that
 * no migration has made yet.
 */
const retryableStates = /^(08|53|57|40|42P01$)/;
const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const foreignKeyViolation = '23503';
const deadlockDetected = '40P01';

const codeOf = (error: unknown): string => {
  const code = (error as { code?: unknown; nativeError?: { code?: unknown } } | null)?.code;
  if (typeof code === 'string') return code;
  const native = (error as { nativeError?: { code?: unknown } } | null)?.nativeError?.code;
  return typeof native === 'string' ? native : '';
};

/** What pg says of a dead connection, for which it has no code. Knex puts the statement in front. */
const lostConnection =
  /(^| - )(Connection terminated( unexpectedly)?|Client (has encountered a connection error|was closed) and is not queryable)$/;

const isLostConnection = (error: unknown): boolean =>
  error instanceof Error &&
  (error.name === 'KnexTimeoutError' || lostConnection.test(error.message));

/** True when a row could not be written because what it refers to is gone (its peer left, its router closed). */
export const isForeignKeyViolation = (error: unknown): boolean =>
  codeOf(error) === foreignKeyViolation;

/** True when Postgres undid a statement since it waited in a circle with another: it may be run again at once. */
export const isDeadlock = (error: unknown): boolean => codeOf(error) === deadlockDetected;

const deadlockAttempts = 5;

/** Runs a transaction again that Postgres ended for the sake of another one. */
export async function againOnDeadlock<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= deadlockAttempts || !isDeadlock(error)) throw error;
    }
  }
}

/** Names the store in its failures, so that whoever asked knows what to wait for. Other errors pass unchanged. */
export function toStoreError(error: unknown): unknown {
  const code = codeOf(error);
  if (retryableStates.test(code) || networkCodes.has(code) || isLostConnection(error))
    return new ApiError('store_unavailable', `Postgres is not available: ${messageOf(error)}`, {
      cause: error,
    });
  return error;
}

/** Runs a query, or several, with {@link toStoreError} applied to what they throw. */
export async function query<T>(work: () => PromiseLike<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStoreError(error);
  }
}

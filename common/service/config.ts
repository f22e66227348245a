import { readFileSync } from 'node:fs';

import { parse as parseYaml } from 'yaml';
import { z } from 'zod';

import { ApiError } from '../errors.ts';
import { parseOrThrow } from '../validate.ts';

/**
 * A value that is one variable alone may be a number or a flag, so that a port can come from the environment. Anything
 * longer is text: a secret of digits must not become a number.
 */
const typed = (text: string): unknown => {
  if (/^-?\d{1,10}$/.test(text)) return Number(text);
  return text === 'true' || text === 'false' ? text === 'true' : text;
};

/** Replaces `${NAME}` in every string of a parsed document by that environment variable. */
function substitute(value: unknown, env: NodeJS.ProcessEnv, path: string): unknown {
  if (typeof value === 'string') {
    const whole = /^\$\{(\w+)\}$/.exec(value);
    const lookUp = (name: string): string => {
      const found = env[name];
      if (found === undefined)
        throw new ApiError(
          'invalid_request',
          `config: ${path}: environment variable ${name} is not set`,
        );
      return found;
    };
    if (whole?.[1]) return typed(lookUp(whole[1]));
    return value.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => lookUp(name));
  }
  if (Array.isArray(value)) return value.map((item, i) => substitute(item, env, `${path}[${i}]`));
  if (value && typeof value === 'object')
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        substitute(item, env, path ? `${path}.${key}` : key),
      ]),
    );
  return value;
}

/**
 * Reads a service's configuration. Schemas are strict objects, so that a misspelt key fails at start instead of being
 * ignored.
 *
 * @throws {ApiError} `invalid_request`, naming every wrong key
 */
export function parseConfig<T extends z.ZodType>(
  schema: T,
  text: string,
  env = process.env,
): z.output<T> {
  return parseOrThrow(schema, substitute(parseYaml(text) ?? {}, env, ''), 'config');
}

/**
 * Reads a service's configuration from a file.
 *
 * @throws {ApiError} `invalid_request` as {@link parseConfig}; an error that names the file where it can't be read
 */
export const readConfig = <T extends z.ZodType>(schema: T, file: string): z.output<T> =>
  parseConfig(schema, readFileSync(file, 'utf8'));

const ms = (fallback: number, what: string) =>
  z.int().positive().default(fallback).describe(`${what}, in milliseconds`);

/** Keys that every service has. */
export const commonConfig = {
  log: z
    .strictObject({
      level: z
        .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('least severity that is logged'),
    })
    .prefault({}),
  serviceAuth: z.strictObject({
    secret: z.string().min(32).describe('key that signs internal calls; the same in all services'),
    ttlSeconds: z.int().min(10).default(60).describe('life of an internal token, in seconds'),
  }),
  shutdownTimeoutMs: ms(10_000, 'how long a service may take to end after SIGTERM'),
  healthcheckTimeoutMs: ms(
    2_000,
    'how long the command healthcheck waits for an answer of the service',
  ),
};

/** Keys of the services that use Postgres. */
export const databaseConfig = z.strictObject({
  url: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'expected postgres://…')
    .describe('Postgres connection URL'),
  poolMax: z.int().min(1).default(10).describe('most connections this process opens'),
  acquireTimeoutMs: ms(5_000, 'how long a query waits for a free connection'),
  statementTimeoutMs: ms(10_000, 'how long one statement may run'),
});
export type DatabaseConfig = z.infer<typeof databaseConfig>;

/** Keys of the client that calls other services. */
export const httpClientConfig = z
  .strictObject({
    timeoutMs: ms(5_000, 'how long one attempt may take'),
    retries: z
      .int()
      .min(0)
      .default(2)
      .describe('further attempts after a retryable failure of a repeatable call'),
    retryBackoffMs: ms(100, 'pause before the first further attempt; doubles each time'),
  })
  .prefault({});
export type HttpClientConfig = z.infer<typeof httpClientConfig>;

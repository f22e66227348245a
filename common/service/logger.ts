import { AsyncLocalStorage } from 'node:async_hooks';

import { pino, type Logger } from 'pino';

import { currentTraceId } from './trace.ts';

export type { Logger } from 'pino';

interface RequestContext {
  requestId: string;
}

const context = new AsyncLocalStorage<RequestContext | undefined>();

/** Runs `work` so that everything logged and every internal call made in it carries this request id; or none. */
export const withRequestId = <T>(requestId: string | undefined, work: () => T): T =>
  context.run(requestId === undefined ? undefined : { requestId }, work);

export const currentRequestId = (): string | undefined => context.getStore()?.requestId;

/** The header that carries the request id from service to service. */
export const requestIdHeader = 'x-request-id';

const secrets = [
  'token',
  'authorization',
  '*.token',
  '*.authorization',
  'headers.authorization',
  '*.keyBase64',
  '*.password',
  'secret',
  '*.secret',
  'url.password',
  '*.connectionString',
  'database.url',
  '*.database.url',
];

/** Structured logs, one JSON object a line on standard output; secrets are redacted. */
export function createLogger(
  service: string,
  level: string,
  bindings: Record<string, unknown> = {},
): Logger {
  return pino({
    level,
    base: { service, ...bindings },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secrets, censor: '[redacted]' },
    mixin: () => {
      const requestId = currentRequestId();
      const traceId = currentTraceId();
      return { ...(requestId ? { requestId } : {}), ...(traceId ? { traceId } : {}) };
    },
  });
}

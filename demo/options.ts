import { z } from 'zod';

import { parseOrThrow } from '../common/validate.ts';

const port = (fallback: number) => z.coerce.number().int().min(1).max(65535).default(fallback);
const flag = z
  .enum(['', '0', '1'])
  .default('0')
  .transform((value) => value === '1');

/** What `make demo` takes from the environment. */
const demoEnvironment = z.object({
  DEMO_PAGE_PORT: port(8080),
  DEMO_SIGNALING_PORT: port(4443),
  DEMO_CONSUMERS: z.coerce.number().int().min(1).max(16).default(2),
  DEMO_REPLICAS: z.coerce.number().int().min(1).max(8).default(1),
  // Below the range from which systems take the ports of outgoing connections.
  DEMO_RTC_PORT: port(20_000),
  TLS: flag,
  DATABASE_URL: z.string().optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
});

export interface DemoOptions {
  pagePort: number;
  /** Port of the first signaling replica; the others follow. */
  signalingPort: number;
  /** First of the media nodes' ports for clients. */
  rtcPort: number;
  consumers: number;
  replicas: number;
  tls: boolean;
  /** Undefined: the embedded Postgres. */
  databaseUrl: string | undefined;
  logLevel: string;
}

/** @throws ApiError naming each variable with a wrong value */
export function demoOptions(env: NodeJS.ProcessEnv): DemoOptions {
  const parsed = parseOrThrow(demoEnvironment, env, 'environment');
  return {
    pagePort: parsed.DEMO_PAGE_PORT,
    signalingPort: parsed.DEMO_SIGNALING_PORT,
    rtcPort: parsed.DEMO_RTC_PORT,
    consumers: parsed.DEMO_CONSUMERS,
    replicas: parsed.DEMO_REPLICAS,
    tls: parsed.TLS,
    databaseUrl: parsed.DATABASE_URL === '' ? undefined : parsed.DATABASE_URL,
    logLevel: parsed.LOG_LEVEL,
  };
}

import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { z } from 'zod';

import { parseConfig } from '../common/service/config.ts';
import { signalingConfig } from './config.ts';

const sample = readFileSync(new URL('../config/signaling.yaml', import.meta.url), 'utf8');
const env = {
  SERVICE_SECRET: 's'.repeat(32),
  ROOM_SECRET: 'r'.repeat(32),
  DATABASE_URL: 'postgres://localhost/db',
};

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  description?: string;
}

const keysOf = (
  { properties = {} }: JsonSchema,
  path = '',
): { path: string; described: boolean }[] =>
  Object.entries(properties).flatMap(([key, child]) => [
    ...(child.properties ? keysOf(child, `${path}${key}.`) : []),
    ...(child.properties ? [] : [{ path: `${path}${key}`, described: !!child.description }]),
  ]);

describe('the configuration', () => {
  const keys = keysOf(z.toJSONSchema(signalingConfig, { io: 'input' }) as JsonSchema);
  const load = (change: Record<string, unknown>) =>
    parseConfig(signalingConfig, stringify({ ...(parse(sample) as object), ...change }), env);

  it('has a sample with every key, and its defaults', () => {
    for (const { path } of keys)
      expect(sample).toMatch(new RegExp(`\\b${path.split('.').at(-1)!}: `));
    const minimal = {
      serviceAuth: { secret: env.SERVICE_SECRET },
      public: { urls: ['https://meet.example.com'] },
      database: { url: env.DATABASE_URL },
      roomAuth: { secret: env.ROOM_SECRET },
    };
    expect(parseConfig(signalingConfig, sample, env)).toEqual(
      parseConfig(signalingConfig, stringify(minimal), env),
    );
  });

  it('describes every key', () => {
    expect(keys.filter(({ described }) => !described)).toEqual([]);
  });

  it.each([
    [{ colour: 'red' }, 'colour'],
    [{ limits: { burst: 1 } }, 'burst'],
    [{ roomAuth: { secret: 'short' } }, 'roomAuth.secret'],
    [{ public: { urls: [] } }, 'public.urls'],
    [{ public: { urls: ['ftp://x'] } }, 'public.urls[0]'],
    [{ replicas: { heartbeatMs: 5000, deadAfterMs: 9000 } }, 'replicas.deadAfterMs'],
    [{ database: { url: env.DATABASE_URL, poolMax: 1 } }, 'database.poolMax'],
    [{ kubernetes: { watchTimeoutMs: 0 } }, 'kubernetes.watchTimeoutMs'],
    [{ rooms: { onJoin: { consumerRouters: 33 } } }, 'rooms.onJoin.consumerRouters'],
  ])('refuses %j, naming the key', (change, key) => {
    expect(() => load(change)).toThrow(key);
  });
});

import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import type { ApiError } from '../errors.ts';
import { commonConfig, databaseConfig, httpClientConfig, parseConfig } from './config.ts';

const schema = z.strictObject({
  port: z.int().default(80),
  name: z.string().optional(),
  flag: z.boolean().optional(),
  nested: z.strictObject({ list: z.array(z.strictObject({ key: z.string() })) }).optional(),
});

function refusal(text: string): ApiError {
  try {
    parseConfig(schema, text, {});
  } catch (error) {
    return error as ApiError;
  }
  throw new Error('was accepted');
}

describe('parseConfig', () => {
  it('takes an empty file for one that sets nothing', () => {
    expect(parseConfig(schema, '# nothing\n', {})).toEqual({ port: 80 });
  });

  it('fails on a key that the service does not know, and names it', () => {
    expect(() => parseConfig(schema, 'prot: 1', {})).toThrow(/^config: .*"prot"/);
  });

  it('names the place of an unknown key further down', () => {
    const text = 'nested: { list: [{ key: a }, { key: b, kee: c }] }';
    expect(() => parseConfig(schema, text, {})).toThrow(/nested\.list\[1\]: .*"kee"/);
  });

  it('names every wrong key', () => {
    const text = 'port: no\nflag: 3\nnested: { list: [{ key: 1 }] }\nextra: 1';
    const error = refusal(text);
    expect(error.code).toBe('invalid_request');
    expect(error.fields?.map(({ field }) => field)).toEqual([
      'port',
      'flag',
      'nested.list[0].key',
      '',
    ]);
    expect(error.message).toContain('"extra"');
  });
});

describe('${NAME} in a configuration', () => {
  const parse = (text: string, env: NodeJS.ProcessEnv) => parseConfig(schema, text, env);

  it('is replaced inside a longer text, as often as it occurs', () => {
    expect(parse('name: "${A}-${B}-${A}"', { A: 'x', B: '7' }).name).toBe('x-7-x');
  });

  it('is replaced in lists and further down', () => {
    const text = 'nested: { list: [{ key: one }, { key: "${A}" }] }';
    expect(parse(text, { A: 'two' }).nested?.list).toEqual([{ key: 'one' }, { key: 'two' }]);
  });

  it.each([
    ['a number', 'port', '8080', 8080],
    ['a negative number', 'port', '-1', -1],
    ['a flag', 'flag', 'true', true],
    ['the other flag', 'flag', 'false', false],
    ['text', 'name', 'pod-1', 'pod-1'],
    ['text, when it is empty', 'name', '', ''],
    ['text, when its digits are many', 'name', '01234567890123456789', '01234567890123456789'],
    ['text, when digits are only a part of it', 'name', '8080/tcp', '8080/tcp'],
  ])('alone becomes %s', (_, key, value, want) => {
    expect(parse(`${key}: \${VALUE}`, { VALUE: value })).toMatchObject({ [key]: want });
  });

  it('does not become a number within a longer text', () => {
    expect(parse('name: "${A}${A}"', { A: '1' }).name).toBe('11');
  });

  it('fails when the variable is missing, and names the key and the variable', () => {
    const text = 'nested: { list: [{ key: one }, { key: "x${GONE}" }] }';
    expect(() => parse(text, {})).toThrow(
      'config: nested.list[1].key: environment variable GONE is not set',
    );
  });

  it('is not looked for in what a variable holds', () => {
    expect(parse('name: "${A}"', { A: '${B}' }).name).toBe('${B}');
    expect(parse('name: "-${A}"', { A: '${B}' }).name).toBe('-${B}');
  });
});

describe('the keys that services share', () => {
  const secret = 's'.repeat(32);

  it('have defaults but for the secret', () => {
    const common = z.strictObject(commonConfig);
    expect(common.parse({ serviceAuth: { secret } })).toEqual({
      log: { level: 'info' },
      serviceAuth: { secret, ttlSeconds: 60 },
      shutdownTimeoutMs: 10_000,
      healthcheckTimeoutMs: 2_000,
    });
    expect(() => parseConfig(common, '', {})).toThrow('serviceAuth');
  });

  it('refuse a secret that is too short for its purpose', () => {
    const text = `serviceAuth: { secret: ${'s'.repeat(31)} }`;
    expect(() => parseConfig(z.strictObject(commonConfig), text, {})).toThrow('serviceAuth.secret');
  });

  it('refuse a database URL of another kind, and say what is expected', () => {
    expect(() => parseConfig(databaseConfig, 'url: mysql://h/d', {})).toThrow(
      'url: expected postgres://…',
    );
    expect(databaseConfig.parse({ url: 'postgresql://h/d' }).poolMax).toBe(10);
  });

  it('allow a client that never tries again, but not one that never waits', () => {
    expect(httpClientConfig.parse({ retries: 0 }).retries).toBe(0);
    expect(() => parseConfig(httpClientConfig, 'timeoutMs: 0', {})).toThrow('timeoutMs');
  });
});

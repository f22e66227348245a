import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

import { parseConfig } from '../common/service/config.ts';
import { testConfig } from './fixtures/config.ts';
import { mediaNodeConfig } from './config.ts';

const sample = readFileSync(new URL('../config/media-node.yaml', import.meta.url), 'utf8');
const env = {
  SERVICE_SECRET: 'a secret of at least 32 characters',
  POD_NAME: 'pool-0',
  POD_IP: '10.0.0.7',
  ANNOUNCED_ADDRESS: '203.0.113.7',
  POOL: 'pool',
  ROLE: 'Both',
  API_PORT: '7000',
  RTC_PORT_START: '40000',
  RTC_WORKERS: '2',
  DATABASE_URL: 'postgres://localhost/kube_sfu',
};

describe('the media node’s configuration', () => {
  it('is shown in a sample that works and gives the defaults', () => {
    const config = parseConfig(mediaNodeConfig, sample, env);
    const defaults = testConfig({
      podName: 'x',
      role: 'Both',
      databaseUrl: env.DATABASE_URL,
      portStart: 1,
      part: { pipes: {}, sweep: {}, notifications: {}, httpClient: {} },
    });
    for (const section of [
      'pipes',
      'sweep',
      'peers',
      'rows',
      'registration',
      'notifications',
      'httpClient',
      'audioLevels',
      'mediaCodecs',
    ] as const)
      expect(config[section]).toEqual(defaults[section]);
    expect(config.rtc).toMatchObject({ portStart: 40_000, workers: 2 });
  });

  it('has every key in the sample', () => {
    const keysOf = (value: unknown): string[] =>
      value && typeof value === 'object' && !Array.isArray(value) ? Object.keys(value) : [];
    const document = parse(sample) as Record<string, unknown>;
    const config = parseConfig(mediaNodeConfig, sample, env);
    for (const [section, value] of Object.entries(config))
      expect(keysOf(document[section]).sort()).toEqual(keysOf(value).sort());
  });

  it.each([
    ['rtc.portStrat', { rtc: { portStart: 1, workers: 1, portStrat: 2 } }],
    ['rtc.workers', { rtc: { portStart: 1, workers: 0 } }],
    ['rtc.pipe.portMax', { rtc: { portStart: 1, workers: 1, pipe: { portMin: 9, portMax: 8 } } }],
    ['sweep.intervalMs', { sweep: { intervalMs: 'often' } }],
  ])('names %s when it is wrong', (field, part) => {
    const wrong = () =>
      testConfig({ podName: 'x', role: 'Both', databaseUrl: 'postgres://x', portStart: 1, part });
    expect(wrong).toThrow(field.split('.').at(-1) ?? '');
  });

  it('listens on loopback unless told otherwise', () => {
    const config = testConfig({
      podName: 'x',
      role: 'Both',
      databaseUrl: 'postgres://x',
      portStart: 1,
    });
    expect(config.listen.host).toBe('127.0.0.1');
    expect(config.rtc.listenIp).toBe('127.0.0.1');
  });
});

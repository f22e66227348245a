/** The samples are what a real API server and the services take. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import type { z } from 'zod';

import { rollbackAll } from '../common/db/migrate.ts';
import { apiVersion } from '../common/resources/types.ts';
import { validateResource } from '../common/resources/validate.ts';
import { parseConfig } from '../common/service/config.ts';
import { mediaNodeConfig } from '../media-node/config.ts';
import { operatorConfig } from '../operator/config.ts';
import { signalingConfig } from '../signaling/config.ts';
import { createTestDatabase } from '../testing/database.ts';
import { startControlPlane, type ControlPlane } from '../testing/kubernetes/control-plane.ts';
import { secret } from '../testing/quick-config.ts';

const root = path.resolve(import.meta.dirname, '..');
const folder = path.join(root, 'docs/samples');

interface Sample {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  data?: Record<string, string>;
  [field: string]: unknown;
}

const readSamples = (file: string): Sample[] =>
  parseAllDocuments(readFileSync(path.join(folder, file), 'utf8')).map(
    (document) => document.toJS() as Sample,
  );

/** All but those that are not for the API server. */
const manifests = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.yaml') && file !== 'alerts.yaml')
  .sort();

const oursIn = (file: string): Sample[] =>
  readSamples(file).filter((sample) => sample.apiVersion === apiVersion);

let controlPlane: ControlPlane;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  await controlPlane.createNamespace('kube-sfu-system');
}, 120_000);
afterAll(() => controlPlane.stop());

describe('a manifest', () => {
  it.each(manifests)('of %s is taken by the API server', async (file) => {
    const create = ['create', '--dry-run=server', '--validate=strict', '-o', 'name'];
    const taken = await controlPlane.kubectl([...create, '-f', path.join(folder, file)]);
    expect(taken.trim().split('\n')).toHaveLength(readSamples(file).length);
  });

  const withOurs = manifests.filter((file) => oursIn(file).length > 0);
  it.each(withOurs)('of %s is taken by our own validation', (file) => {
    for (const sample of oursIn(file))
      expect(validateResource(sample).metadata.name).toBe(sample.metadata.name);
  });
});

describe('a configuration in a sample', () => {
  const env = {
    ...{ SERVICE_SECRET: secret, ROOM_SECRET: secret, DATABASE_URL: 'postgres://db/kube_sfu' },
    ...{ POD_NAME: 'media-0', POD_IP: '10.0.0.7', POOL: 'media', ROLE: 'Both', API_PORT: '7000' },
    ...{ RTC_PORT_START: '20000', RTC_WORKERS: '1', ANNOUNCED_ADDRESS: '203.0.113.10' },
  };
  const schemas: [string, z.ZodType][] = [
    ['operator.yaml', operatorConfig],
    ['media-node.yaml', mediaNodeConfig],
    ['signaling.yaml', signalingConfig],
  ];

  it.each(schemas)('%s is taken by its service', (file, schema) => {
    const data = readSamples(`install/${file}`).find(({ kind }) => kind === 'ConfigMap')?.data;
    expect(Object.keys(data ?? {})).toEqual([file]);
    expect(() => parseConfig(schema, data?.[file] ?? '', env)).not.toThrow();
  });

  it('is refused with the values that are to be replaced', () => {
    const data = readSamples('install/operator.yaml')[0]?.data?.['operator.yaml'] ?? '';
    const unchanged = { ...env, SERVICE_SECRET: 'REPLACE' };
    expect(() => parseConfig(operatorConfig, data, unchanged)).toThrow(/serviceAuth\.secret/);
  });
});

interface Job {
  spec: {
    template: { spec: { containers: [{ command: [string, ...string[]]; args: string[] }] } };
  };
}

describe('the Job of the migrations', () => {
  it('makes the session tables, and changes nothing when it is repeated', async () => {
    const job = readSamples('install/migrate.yaml')[0] as unknown as Job;
    const { command, args } = job.spec.template.spec.containers[0];
    const database = await createTestDatabase();
    const etc = await mkdtemp(path.join(tmpdir(), 'kube-sfu-job-'));
    const mounted = [...command.slice(1), ...args].map((arg) => arg.replace('/etc/kube-sfu', etc));
    const data = readSamples('install/operator.yaml')[0]?.data ?? {};
    await writeFile(path.join(etc, 'operator.yaml'), data['operator.yaml'] ?? '');
    const run = async (): Promise<string> => {
      const given = { SERVICE_SECRET: secret, POD_IP: '10.0.0.7', DATABASE_URL: database.url };
      const env = { ...process.env, NODE_OPTIONS: '', ...given };
      const { stdout } = await promisify(execFile)(process.execPath, mounted, { cwd: root, env });
      return stdout.trim();
    };
    try {
      await rollbackAll(database.url);
      expect(await run()).toContain('applied 0001_sessions.ts');
      expect(await run()).toBe('the tables are up to date');
    } finally {
      await rm(etc, { recursive: true });
      await database.drop();
    }
  });
});

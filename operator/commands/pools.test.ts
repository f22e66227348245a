import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';

import type { MediaWorker } from '../../common/resources/types.ts';
import { startControlPlane, type ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { quickConfig } from '../../testing/quick-config.ts';
import { operatorConfig } from '../config.ts';
import { runPools } from './pools.ts';

const selector = 'example.com/release=demo';
const namespace = 'media';
const base = `/apis/kube-sfu.dev/v1alpha1/namespaces/${namespace}/mediaworkers`;

let controlPlane: ControlPlane;
let printed: string;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  await controlPlane.createNamespace(namespace);
}, 120_000);
afterAll(() => controlPlane.stop());

beforeEach(() => {
  printed = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(() => {
  jest.restoreAllMocks();
});

const labels = { 'example.com/release': 'demo' };

const poolOf = (name: string, spec: object, own: object = labels): object => ({
  apiVersion: 'kube-sfu.dev/v1alpha1',
  kind: 'MediaWorker',
  metadata: { name, labels: own },
  spec,
});

async function apply(pools: object[], options: { selector?: string } = { selector }) {
  const file = path.join(controlPlane.dir, 'pools.yaml');
  await writeFile(file, pools.map((pool) => `---\n${JSON.stringify(pool)}\n`).join(''));
  const config = operatorConfig.parse({
    ...quickConfig,
    kubernetes: { kubeconfig: controlPlane.kubeconfig(), namespace },
  });
  await runPools(config, { file, ...options });
}

const stored = async (): Promise<MediaWorker[]> =>
  (await controlPlane.client.list<MediaWorker>(base)).items;
const names = async (): Promise<string[]> =>
  (await stored()).map(({ metadata }) => metadata.name).sort();

describe('the command pools', () => {
  it('applies pools, changes what is changed, and deletes what is gone from the file', async () => {
    await apply([poolOf('one', { role: 'Both' }), poolOf('two', { role: 'Both', replicas: 2 })]);
    expect(await names()).toEqual(['one', 'two']);
    await apply([poolOf('two', { role: 'Both', replicas: 3 })]);
    expect(await names()).toEqual(['two']);
    expect((await stored())[0]?.spec.replicas).toBe(3);
    expect(printed).toContain('deleting mediaworkers/one\n');
    await apply([]);
    expect(await names()).toEqual([]);
  });

  it('leaves pools alone that have other labels', async () => {
    await controlPlane.client.call({
      method: 'POST',
      path: base,
      body: poolOf('mine', { role: 'Both' }, {}),
    });
    await apply([]);
    expect(await names()).toEqual(['mine']);
  });

  it('leaves the size to whoever sets it where the file says none', async () => {
    await apply([poolOf('sized', { role: 'Both' })]);
    await controlPlane.kubectl(['-n', namespace, 'scale', 'mw/sized', '--replicas=4']);
    await apply([poolOf('sized', { role: 'Both' })]);
    expect((await stored()).find(({ metadata }) => metadata.name === 'sized')?.spec.replicas).toBe(
      4,
    );
  });

  it('names the field that the API server refuses', async () => {
    await expect(apply([poolOf('bad', { role: 'Nobody' })])).rejects.toThrow('spec.role');
    await expect(apply([poolOf('bad', { role: 'Both', size: 3 })])).rejects.toThrow('size');
  });

  it('refuses a file with other kinds, or with pools that it would not find again', async () => {
    await expect(apply([{ ...poolOf('x', {}), kind: 'MediaRoom' }])).rejects.toThrow(
      'expected MediaWorkers',
    );
    await expect(apply([poolOf('x', { role: 'Both' }, {})])).rejects.toThrow(
      'x: expected the label example.com/release=demo',
    );
  });

  it.each(['', 'a', '=b', 'a=b=c'])('refuses the selector "%s"', async (wrong) => {
    await expect(apply([], { selector: wrong })).rejects.toThrow('--selector: expected NAME=VALUE');
  });

  it('never deletes without a selector', async () => {
    await expect(apply([], {})).rejects.toThrow('--selector: expected the labels');
  });
});

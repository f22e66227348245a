/** The samples are what a real API server and our own validation take. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';

import { apiVersion } from '../common/resources/types.ts';
import { validateResource } from '../common/resources/validate.ts';
import { template } from '../testing/helm.ts';
import { startControlPlane, type ControlPlane } from '../testing/kubernetes/control-plane.ts';

const root = path.resolve(import.meta.dirname, '..');
const folder = path.join(root, 'docs/samples');

interface Sample {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  [field: string]: unknown;
}

const readSamples = (file: string): Sample[] =>
  parseAllDocuments(readFileSync(path.join(folder, file), 'utf8')).map(
    (document) => document.toJS() as Sample,
  );

const samples = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.yaml'))
  .sort();
/** For the chart. */
const values = samples.filter((file) => /(^|[-/])values\.yaml$/.test(file));
/** For the API server. */
const manifests = samples.filter(
  (file) => !values.includes(file) && !readSamples(file)[0]?.apiVersion.startsWith('kind.'),
);

const oursIn = (file: string): Sample[] =>
  readSamples(file).filter((sample) => sample.apiVersion === apiVersion);

let controlPlane: ControlPlane;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  await controlPlane.createNamespace('kube-sfu-media');
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

describe('values for the chart', () => {
  it.each(values)('of %s are taken by it', async (file) => {
    const objects = await template({
      home: controlPlane.dir,
      kubeconfig: controlPlane.kubeconfig(),
      files: [path.join(folder, file)],
    });
    expect(objects.some(({ kind }) => kind === 'Deployment')).toBe(true);
  });
});

interface KindCluster {
  nodes: [{ extraPortMappings: { hostPort: number; protocol: string }[] }];
}
interface Pool {
  spec: { network: { portRange: { start: number; end: number } } };
}

describe('the cluster of the quick start', () => {
  it('opens every port of its pools', () => {
    const [kind] = readSamples('quick-start/kind.yaml') as unknown as [KindCluster];
    const opened = kind.nodes[0].extraPortMappings.map(
      ({ hostPort, protocol }) => `${hostPort} ${protocol}`,
    );
    const pools = readSamples('quick-start/pools.yaml') as unknown as Pool[];
    expect(pools).toHaveLength(2);
    for (const { start, end } of pools.map(({ spec }) => spec.network.portRange))
      for (let port = start; port <= end; port++)
        expect(opened).toEqual(expect.arrayContaining([`${port} UDP`, `${port} TCP`]));
  });
});

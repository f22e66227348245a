import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { parse } from 'yaml';

import type { KubernetesClient } from '../../common/kubernetes/client.ts';
import { until } from '../until.ts';

interface Crd {
  metadata: { name: string };
  spec: { group: string; names: { plural: string }; versions: { name: string }[] };
  status?: { conditions?: { type: string; status: string; message?: string }[] };
}

const crdDir = path.resolve(import.meta.dirname, '../../crds');
const collection = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** The definitions of `crds/`. */
async function readCrds(): Promise<Crd[]> {
  const files = (await readdir(crdDir)).filter((name) => name.endsWith('.yaml'));
  return Promise.all(
    files.map(async (name) => parse(await readFile(path.join(crdDir, name), 'utf8')) as Crd),
  );
}

async function isServed(client: KubernetesClient, { metadata, spec }: Crd): Promise<boolean> {
  const { status } = await client.call<Crd>({
    method: 'GET',
    path: `${collection}/${metadata.name}`,
  });
  const established = status?.conditions?.find(({ type }) => type === 'Established');
  if (established?.status !== 'True') return false;
  for (const { name } of spec.versions)
    await client.list(`/apis/${spec.group}/${name}/${spec.names.plural}`);
  return true;
}

/** Adds the definitions of `crds/` and waits until the API server serves them. */
export async function installCrds(client: KubernetesClient): Promise<void> {
  const crds = await readCrds();
  await Promise.all(crds.map((body) => client.call({ method: 'POST', path: collection, body })));
  for (const crd of crds)
    await until(`${crd.metadata.name} to be served`, () => isServed(client, crd), {
      intervalMs: 50,
    });
}

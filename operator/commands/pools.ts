import { readFile } from 'node:fs/promises';

import { parseAllDocuments } from 'yaml';

import { ApiError, messageOf } from '../../common/errors.ts';
import { KubernetesClient } from '../../common/kubernetes/client.ts';
import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { apiVersion, type KubernetesObject } from '../../common/resources/types.ts';
import type { OperatorConfig } from '../config.ts';

type Options = Readonly<Partial<Record<'file' | 'selector', string>>>;

interface Pool extends Pick<KubernetesObject, 'apiVersion' | 'kind'> {
  metadata: { name: string; labels?: Record<string, string> };
}

/** Whose the applied fields are; the operator's own manager is another one. */
const fieldManager = 'kube-sfu-pools';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const invalid = (message: string): ApiError => new ApiError('invalid_request', message);

/** @throws {ApiError} `invalid_request` */
function required(options: Options, name: keyof Options, what: string): string {
  const value = options[name];
  if (value === undefined) throw invalid(`--${name}: expected ${what}`);
  return value;
}

/** Labels of `a=b,c=d`. */
function labelsOf(selector: string): [string, string][] {
  return selector.split(',').map((part) => {
    const [name = '', value = '', ...more] = part.split('=');
    if (!name || !value || more.length > 0)
      throw invalid(`--selector: expected NAME=VALUE,…, not "${selector}"`);
    return [name, value];
  });
}

/** The pools of a file, each with all the labels by which it is found again. */
async function readPools(file: string, labels: [string, string][]): Promise<Pool[]> {
  const documents = parseAllDocuments(await readFile(file, 'utf8'));
  const pools: Pool[] = [];
  for (const document of documents) {
    const [problem] = document.errors;
    if (problem) throw invalid(`${file}: ${messageOf(problem)}`);
    const pool = document.toJS() as Pool | null;
    if (pool === null) continue;
    if (pool.apiVersion !== apiVersion || pool.kind !== 'MediaWorker')
      throw invalid(`${file}: expected MediaWorkers of ${apiVersion} alone`);
    const missing = labels.find(([name, value]) => pool.metadata.labels?.[name] !== value);
    if (missing)
      throw invalid(`${file}: ${pool.metadata.name}: expected the label ${missing.join('=')}`);
    pools.push(pool);
  }
  return pools;
}

/**
 * Applies the pools of a file to the namespace that the operator looks after, and deletes those that the selector finds but
 * the file does not have. May be repeated.
 *
 * @throws {ApiError} `invalid_request`, also where the API server refuses a pool; what else the Kubernetes API refuses
 */
export async function runPools(config: OperatorConfig, options: Options): Promise<void> {
  const file = required(options, 'file', 'a YAML file of MediaWorkers');
  const selector = required(options, 'selector', 'the labels of all pools that come from the file');
  const namespace = config.kubernetes?.namespace;
  if (!config.kubernetes || namespace === undefined)
    throw invalid('config: kubernetes.namespace: expected the namespace of the pools');
  const pools = await readPools(file, labelsOf(selector));
  const type = resourceTypes.mediaworkers;
  const client = new KubernetesClient({ config: config.kubernetes });
  try {
    for (const { metadata, ...body } of pools) {
      await client.call({
        method: 'PATCH',
        path: objectPath(type, { namespace, name: metadata.name }),
        query: { fieldManager, force: true, fieldValidation: 'Strict' },
        patch: 'apply',
        body: { ...body, metadata: { ...metadata, namespace } },
      });
      say(`applied mediaworkers/${metadata.name}`);
    }
    const names = new Set(pools.map(({ metadata }) => metadata.name));
    const found = await client.list<KubernetesObject>(collectionPath(type, namespace), {
      labelSelector: selector,
    });
    for (const { metadata } of found.items) {
      if (names.has(metadata.name) || metadata.deletionTimestamp) continue;
      const path = objectPath(type, { namespace, name: metadata.name });
      await client.call({ method: 'DELETE', path });
      say(`deleting mediaworkers/${metadata.name}`);
    }
  } finally {
    await client.close();
  }
}

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { messageOf } from '../../../common/errors.ts';
import type { Cluster, Pod } from './cluster.ts';
import { outputDir } from './report.ts';

/** Most lines of one pod's log. */
const logLines = 3000;
const controlPlane = 'kube-system';

/** The folder for what is found when a test fails. */
export const folderOf = (test: string): string =>
  path.join(outputDir, test.replaceAll(/[^a-z0-9]+/gi, '-').slice(0, 80));

/**
 * Writes what a person wants to see when a test failed into a folder: objects, Events, and the logs of all pods that are
 * not the control plane's.
 */
export async function dumpCluster(cluster: Cluster, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const keep = async (file: string, args: string[]): Promise<void> => {
    const text = await cluster.kubectl(args, { timeoutMs: 20_000 }).catch(messageOf);
    await writeFile(path.join(folder, file), text);
  };
  const everywhere = ['--all-namespaces', '--output=wide'];
  const pools = 'mediaworkers,mediarooms,poddisruptionbudgets';
  await keep('objects.txt', ['get', 'pods,deployments,jobs,nodes', ...everywhere]);
  await keep('events.txt', [
    'get',
    'events',
    '--sort-by=.metadata.creationTimestamp',
    ...everywhere,
  ]);
  await keep('media.yaml', ['get', pools, '--all-namespaces', '--output=yaml']);
  await keep('pods.txt', ['describe', 'pods', '--all-namespaces']);
  for (const { metadata } of await cluster.list<Pod>('pods')) {
    const { name, namespace = '' } = metadata;
    if (namespace === controlPlane) continue;
    const logs = [
      'logs',
      name,
      `--namespace=${namespace}`,
      '--all-containers',
      `--tail=${logLines}`,
    ];
    await keep(`${namespace}-${name}.log`, logs);
    await keep(`${namespace}-${name}.previous.log`, [...logs, '--previous']);
  }
}

import { readFile } from 'node:fs/promises';

import { runMain } from '../common/service/lifecycle.ts';
import { listMediaWorkers } from './resources-client.ts';
import { stateFile, type DemoState } from './state.ts';

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function readState(): Promise<DemoState> {
  const text = await readFile(stateFile, 'utf8').catch(() => '');
  const state = text ? (JSON.parse(text) as DemoState) : undefined;
  if (!state || !isAlive(state.pid))
    throw new Error('the demo is not running: start it with "make demo"');
  return state;
}

/** Prints the running demo's processes, their roles and where their metrics are, as JSON. */
async function main(): Promise<void> {
  const state = await readState();
  const pools = await listMediaWorkers(state.kubeconfig);
  const pidOf = (name: string): number | undefined =>
    state.children.find((child) => child.name === name)?.pid;
  const processes = [
    { name: 'demo', role: 'supervisor', pid: state.pid, url: state.pageUrl },
    {
      name: 'operator',
      role: 'operator',
      pid: pidOf('operator'),
      url: state.operatorUrl,
      metrics: `${state.operatorUrl}/metrics`,
    },
    ...state.replicas.map(({ name, publicUrl, internalUrl }) => ({
      name,
      role: 'signaling',
      pid: pidOf(name),
      url: publicUrl,
      metrics: `${internalUrl}/metrics`,
    })),
    ...pools.flatMap(({ metadata, spec, status }) =>
      (status?.nodes ?? []).map((node) => ({
        name: node.podName,
        role: `media-node/${spec.role}`,
        pool: metadata.name,
        state: node.state,
        url: node.url,
        ...(node.url ? { metrics: `${node.url}/metrics` } : {}),
      })),
    ),
  ];
  console.log(
    JSON.stringify({ page: state.pageUrl, kubeconfig: state.kubeconfig, processes }, null, 2),
  );
}

runMain(main);

import { readFile } from 'node:fs/promises';

import { runMain } from '../common/service/lifecycle.ts';
import { nodeClientOf } from './node-client.ts';
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

/** The media nodes of all pools, each with its workers; one that does not answer has no process id. */
async function mediaNodes(state: DemoState) {
  const client = nodeClientOf(state.serviceSecret, 'demo-status');
  const pools = await listMediaWorkers(state.kubeconfig);
  const nodes = pools.flatMap(({ metadata, spec, status }) =>
    (status?.nodes ?? []).map((node) => ({ ...node, pool: metadata.name, role: spec.role })),
  );
  return Promise.all(
    nodes.map(async ({ podName, role, pool, state: nodeState, url }) => {
      const status = url ? await client.status(url).catch(() => undefined) : undefined;
      return {
        name: podName,
        role: `media-node/${role}`,
        pool,
        state: nodeState,
        pid: status?.pid,
        url,
        metrics: url && `${url}/metrics`,
        workers: status?.workers.map(({ pid, port }) => ({ pid, port })),
      };
    }),
  );
}

/** Prints the running demo's processes, their roles and where their metrics are, as JSON. */
async function main(): Promise<void> {
  const state = await readState();
  const pidOf = (name: string): number | undefined =>
    state.children.find((child) => child.name === name)?.pid;
  const processes = [
    { name: 'demo', role: 'supervisor', pid: state.pid, url: state.pageUrl },
    ...(state.postgresPid ? [{ name: 'postgres', role: 'database', pid: state.postgresPid }] : []),
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
    ...(await mediaNodes(state)),
  ];
  console.log(
    JSON.stringify({ page: state.pageUrl, kubeconfig: state.kubeconfig, processes }, null, 2),
  );
}

runMain(main);

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';

import type { MediaRoom, MediaWorker } from '../common/resources/types.ts';
import { isConditionTrue } from '../common/resources/conditions.ts';
import { until } from '../testing/until.ts';

const root = path.resolve(import.meta.dirname, '..');
const slow = { timeoutMs: 30_000, intervalMs: 50 };
const secret = 'a secret of the tests, long enough';

let dir: string;
let operator: ChildProcess | undefined;
let output = '';

const resources = `
apiVersion: kube-sfu.dev/v1alpha1
kind: MediaWorker
metadata: {name: p}
spec: {role: Producer}
---
apiVersion: kube-sfu.dev/v1alpha1
kind: MediaWorker
metadata: {name: c}
spec: {role: Consumer, replicas: 2}
---
apiVersion: kube-sfu.dev/v1alpha1
kind: MediaRoom
metadata: {name: room}
spec: {consumers: {routers: 2}}
`;

async function startOperator(change: Record<string, unknown> = {}): Promise<void> {
  const config = {
    serviceAuth: { secret },
    listen: { port: 0 },
    nodes: { intervalMs: 200 },
    pods: { terminationGracePeriodSeconds: 2 },
    local: {
      resources: { dir },
      api: { kubeconfig: path.join(dir, 'kubeconfig') },
      pods: {
        command: ['node', path.join(root, 'testing/fake-node-process.ts')],
        apiPorts: { start: 16_000, end: 16_099 },
        logDir: path.join(dir, 'logs'),
        readinessIntervalMs: 100,
      },
    },
    ...change,
  };
  await writeFile(path.join(dir, 'operator.conf'), stringify(config));
  output = '';
  operator = spawn(
    process.execPath,
    [path.join(root, 'operator/main.ts'), '--config', path.join(dir, 'operator.conf')],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, SERVICE_SECRET: secret } },
  );
  for (const stream of [operator.stdout, operator.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
}

async function read<T>(route: string): Promise<T> {
  const { clusters, users } = parse(await readFile(path.join(dir, 'kubeconfig'), 'utf8')) as {
    clusters: [{ cluster: { server: string } }];
    users: [{ user: { token: string } }];
  };
  const response = await fetch(
    `${clusters[0].cluster.server}/apis/kube-sfu.dev/v1alpha1/namespaces/default/${route}`,
    { headers: { authorization: `Bearer ${users[0].user.token}` } },
  );
  return (await response.json()) as T;
}
const readRoom = () => read<MediaRoom>('mediarooms/room');
const untilReady = () =>
  until(
    'the room to be ready',
    async () => {
      const { status } = await readRoom();
      return isConditionTrue(status?.conditions, 'Ready') && status?.placements?.length === 3;
    },
    slow,
  );

/** Pids of the nodes, as they say themselves. */
async function nodePids(): Promise<number[]> {
  const pools = await read<{ items: MediaWorker[] }>('mediaworkers');
  const urls = pools.items.flatMap(
    ({ status }) => status?.nodes?.map(({ url }) => url ?? '') ?? [],
  );
  return Promise.all(urls.map(async (url) => Number(await (await fetch(`${url}/pid`)).text())));
}
const isRunning = async (pid: number): Promise<boolean> =>
  !/^State:\s+Z/m.test(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State: Z'));
const untilEnded = (pids: number[]) =>
  until(
    'the nodes to end',
    async () => (await Promise.all(pids.map(isRunning))).every((running) => !running),
    slow,
  );

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-operator-'));
});
afterEach(async () => {
  if (operator?.exitCode === null && operator.signalCode === null) {
    operator.kill('SIGKILL');
    await once(operator, 'exit');
  }
  await rm(dir, { recursive: true });
});

describe('node operator/main.ts', () => {
  it('makes a room of YAML files ready, heals it when a node is killed, and ends with all its nodes', async () => {
    await writeFile(path.join(dir, 'resources.yaml'), resources);
    await startOperator();
    await untilReady();
    const before = await nodePids();
    expect(new Set(before).size).toBe(3);
    const generation = (await readRoom()).status?.placementGeneration ?? 0;
    process.kill(before[0]!, 'SIGKILL');
    await until(
      'the router to be placed anew',
      async () => ((await readRoom()).status?.placementGeneration ?? 0) > generation,
      slow,
    );
    await untilReady();
    const pids = await until(
      'all nodes to answer',
      async () => {
        const now = await nodePids();
        return now.includes(before[0]!) ? undefined : now;
      },
      slow,
    );
    operator?.kill('SIGTERM');
    const [code] = (await once(operator!, 'exit')) as [number];
    expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' });
    await untilEnded(pids);
  });

  it('ends a node that hangs', async () => {
    await writeFile(path.join(dir, 'resources.yaml'), resources);
    await startOperator();
    await untilReady();
    const pids = await nodePids();
    process.kill(pids[0]!, 'SIGSTOP');
    operator?.kill('SIGTERM');
    const [code] = (await once(operator!, 'exit')) as [number];
    expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' });
    await untilEnded(pids);
  });

  it('leaves no node behind when it is killed', async () => {
    await writeFile(path.join(dir, 'resources.yaml'), resources);
    await startOperator();
    await untilReady();
    const pids = await nodePids();
    operator?.kill('SIGKILL');
    await untilEnded(pids);
  });

  it('ends with a readable line when it can not start', async () => {
    await startOperator({ nodez: 1 });
    const [code] = (await once(operator!, 'close')) as [number];
    expect(code).toBe(1);
    expect(output).toMatch(/^config: .*nodez/);
  });
});

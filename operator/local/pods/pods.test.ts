import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import { until } from '../../../testing/until.ts';
import { podUrl, type Pod, type PodClient, type PodManifest } from '../../cluster.ts';
import { systemClock } from '../../runtime/clock.ts';
import { localConfig } from '../config.ts';
import { Revisions } from '../store.ts';
import { LocalPods } from './pods.ts';

/** A node that answers /readyz and /env, has a child of its own, and does as the path says. */
const script = `
import { createServer } from 'node:http';
import { spawn } from 'node:child_process';
const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
console.log(JSON.stringify({ hello: process.env.POD_NAME, child: child.pid }));
process.on('SIGTERM', () => { if (!process.env.STUBBORN) process.exit(0); });
process.on('disconnect', () => process.exit(0));
createServer((request, response) => {
  if (request.url === '/crash') process.exit(3);
  response.end(JSON.stringify({ env: process.env, pid: process.pid, child: child.pid }));
}).listen(Number(process.env.API_PORT), process.env.POD_IP);
`;

let dir: string;
let pods: LocalPods;
let client: PodClient;
let restarts: number;
/** Held by somebody else, and the first of the ports that pods may get. */
let holder: Server;
let firstPort: number;

const soon = { timeoutMs: 15_000, intervalMs: 20 };

async function makePods(change: Record<string, unknown> = {}): Promise<void> {
  const file = path.join(dir, 'node.mjs');
  await writeFile(file, script);
  restarts = 0;
  const { pods: config } = localConfig.parse({
    resources: { dir },
    api: { kubeconfig: path.join(dir, 'kubeconfig') },
    pods: {
      command: ['node', file],
      announcedAddress: '192.0.2.1',
      apiPorts: { start: firstPort, end: firstPort + 19 },
      logDir: path.join(dir, 'logs'),
      readinessIntervalMs: 50,
      restartBackoff: { initialMs: 50, maxMs: 200, resetAfterMs: 60_000 },
      ...change,
    },
  });
  pods = new LocalPods({
    config,
    revisions: new Revisions(),
    clock: systemClock,
    logger: pino({ level: 'silent' }),
    onRestart: () => restarts++,
  });
  client = pods.client();
}

const makeManifest = (name: string, env: Record<string, string> = {}): PodManifest => ({
  metadata: { name, namespace: 'default', labels: {}, annotations: {}, ownerReferences: [] },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'media-node',
        env: [
          { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          { name: 'ANNOUNCED_ADDRESS', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
          ...Object.entries(env).map(([key, value]) => ({ name: key, value })),
        ],
        ports: [{ name: 'api', containerPort: 0, protocol: 'TCP' }],
      },
    ],
  },
});
const find = (name: string): Pod | undefined => client.get({ namespace: 'default', name });
const isReady = (name: string): boolean =>
  find(name)?.status.conditions?.some(({ status }) => status === 'True') ?? false;
const untilReady = (name: string) => until(`${name} to be ready`, () => isReady(name), soon);
const ask = async (name: string, route = '/') => {
  const response = await fetch(`${podUrl(find(name)!) ?? ''}${route}`);
  return (await response.json()) as { env: Record<string, string>; pid: number; child: number };
};
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
/** A zombie still has a pid: it counts as ended once nobody runs it. */
const isRunning = async (pid: number): Promise<boolean> =>
  isAlive(pid) &&
  !/^State:\s+Z/m.test(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State: Z'));
const untilEnded = (pid: number) =>
  until(`process ${pid} to end`, async () => !(await isRunning(pid)), soon);

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-pods-'));
  holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  firstPort = (holder.address() as AddressInfo).port;
});
afterEach(async () => {
  await pods.close();
  holder.close();
  await rm(dir, { recursive: true });
});

describe('a local pod', () => {
  it('runs as a process with its environment, a free port of its own and a log file', async () => {
    await makePods();
    await client.create(makeManifest('a', { ROLE: 'Both' }));
    await client.create(makeManifest('b'));
    await Promise.all([untilReady('a'), untilReady('b')]);
    const { env } = await ask('a');
    expect(env).toMatchObject({
      ...{ POD_NAME: 'a', POD_IP: '127.0.0.1', ANNOUNCED_ADDRESS: '192.0.2.1', ROLE: 'Both' },
    });
    const ports = [env['API_PORT'], (await ask('b')).env['API_PORT']].map(Number);
    expect(new Set([firstPort, ...ports]).size).toBe(3);
    expect(Math.max(...ports)).toBeLessThanOrEqual(firstPort + 19);
    expect(await readFile(path.join(dir, 'logs', 'a.log'), 'utf8')).toContain('"hello":"a"');
    expect(find('a')?.status).toMatchObject({ phase: 'Running', podIP: '127.0.0.1' });
  });

  it('is started again when it ends, and says so in its status', async () => {
    await makePods();
    await client.create(makeManifest('a'));
    await untilReady('a');
    const before = await ask('a');
    await ask('a', '/crash').catch(() => undefined);
    await until(
      'the restart',
      () => find('a')?.status.containerStatuses?.[0]?.restartCount === 1,
      soon,
    );
    await untilReady('a');
    const after = await ask('a');
    expect(after.pid).not.toBe(before.pid);
    expect(after.env['API_PORT']).toBe(before.env['API_PORT']);
    expect(restarts).toBe(1);
    await untilEnded(before.child);
  });

  it('is started again and again with a pause when it can not run', async () => {
    await makePods({ command: ['node', path.join('/nowhere', 'missing.mjs')] });
    await client.create(makeManifest('a'));
    await until('three restarts', () => restarts >= 3, soon);
    expect(isReady('a')).toBe(false);
  });

  it('is tried again when there is no such program', async () => {
    await makePods({ command: ['/nowhere/program'] });
    await client.create(makeManifest('a'));
    await until('two restarts', () => restarts >= 2, soon);
  });

  it('ends with its children when it is deleted, and its name and port are free then', async () => {
    await makePods();
    await client.create(makeManifest('a'));
    await untilReady('a');
    const { pid, child, env } = await ask('a');
    await client.delete(find('a')!);
    expect(find('a')?.metadata.deletionTimestamp).toBeDefined();
    await until('the pod to go', () => !find('a'), soon);
    await untilEnded(pid);
    await untilEnded(child);
    expect(restarts).toBe(0);
    await client.create(makeManifest('a'));
    await untilReady('a');
    expect((await ask('a')).env['API_PORT']).toBe(env['API_PORT']);
  });

  it('is killed when it does not end within its grace period', async () => {
    await makePods();
    await client.create(makeManifest('a', { STUBBORN: '1' }));
    await untilReady('a');
    const { pid, child } = await ask('a');
    await client.delete(find('a')!);
    await client.delete(find('a') ?? ({ metadata: {} } as Pod));
    await until('the pod to go', () => !find('a'), soon);
    await untilEnded(pid);
    await untilEnded(child);
  });

  it('can be deleted while it is being made', async () => {
    await makePods();
    const creating = client.create(makeManifest('a'));
    await client.delete(find('a')!);
    await expect(creating).rejects.toThrow('deleted while it was made');
    expect(find('a')).toBeUndefined();
  });

  it('can not be made twice, nor without a free port', async () => {
    await makePods();
    await client.create(makeManifest('a'));
    await expect(client.create(makeManifest('a'))).rejects.toThrow('already exists');
    await pods.close();
    await makePods({ apiPorts: { start: firstPort, end: firstPort } });
    await expect(client.create(makeManifest('b'))).rejects.toThrow('no free port');
    expect(find('b')).toBeUndefined();
  });

  it('goes with its owner', async () => {
    await makePods();
    const manifest = makeManifest('a');
    manifest.metadata.ownerReferences = [{ apiVersion: 'v', kind: 'k', name: 'n', uid: 'owner' }];
    await client.create(manifest);
    await client.create(makeManifest('b'));
    pods.collectOwnedBy('owner');
    await until('the pod to go', () => !find('a'), soon);
    expect(find('b')).toBeDefined();
  });
});

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';

import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { apiVersion, type MediaWorker } from '../../common/resources/types.ts';
import { auditPolicyFor, readAudit } from '../../testing/kubernetes/audit.ts';
import { startControlPlane, type ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { quickConfig } from '../../testing/quick-config.ts';
import { until } from '../../testing/until.ts';
import type { LeaseRecord } from '../runtime/lease.ts';

const main = path.resolve(import.meta.dirname, '../main.ts');
const soon = { timeoutMs: 30_000, intervalMs: 50 };
const shortLease = { leaseDurationMs: 4000, renewDeadlineMs: 3000, retryPeriodMs: 500 };
/** Who takes over before the next attempt was told of the release. */
const longLease = { leaseDurationMs: 300_000, renewDeadlineMs: 200_000, retryPeriodMs: 12_000 };
/** Two processes start in most of the tests, on a machine that does other work. */
const testTimeoutMs = 120_000;

const users = ['operator-a', 'operator-b'] as const;
/** May have the Lease, and see nothing. */
const blind = 'operator-blind';
type User = (typeof users)[number] | typeof blind;

let controlPlane: ControlPlane;
let namespace: string;
let namespaces = 0;
const running = new Map<User, { process: ChildProcess; output: string }>();

beforeAll(async () => {
  controlPlane = await startControlPlane({
    users: { ...Object.fromEntries(users.map((user) => [user, ['system:masters']])), [blind]: [] },
    auditPolicy: auditPolicyFor(...users),
  });
}, 90_000);

afterAll(() => controlPlane.stop());

beforeEach(async () => {
  namespace = `election-${++namespaces}`;
  await controlPlane.createNamespace(namespace);
});

afterEach(async () => {
  for (const user of running.keys()) await end(user, 'SIGKILL');
});

/** Starts one of the two operators, as a process of its own and a user of its own. */
async function start(user: User, lease: object): Promise<void> {
  const config = {
    ...quickConfig,
    log: { level: 'debug' },
    listen: { port: 0 },
    kubernetes: {
      kubeconfig: controlPlane.kubeconfig(user),
      namespace,
      fieldManager: user,
      leaderElection: { ...lease, namespace, identity: user },
    },
  };
  const file = path.join(controlPlane.dir, `${user}.yaml`);
  await writeFile(file, stringify(config));
  const child = spawn(process.execPath, [main, '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const entry = { process: child, output: '' };
  running.set(user, entry);
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (entry.output += chunk.toString()));
  await until(`${user} to start`, () => entry.output.includes('operator started'), soon);
}

/** Sends a signal and waits for the end. @returns how it ended */
async function end(user: User, signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
  const child = running.get(user)?.process;
  if (!child) throw new Error(`${user} does not run`);
  const hasEnded = child.exitCode !== null || child.signalCode !== null;
  const exit = hasEnded ? undefined : once(child, 'exit');
  child.kill(signal);
  await exit;
  running.delete(user);
  return child.exitCode ?? child.signalCode;
}

async function lease(): Promise<LeaseRecord> {
  const ref = { namespace, name: 'kube-sfu-operator' };
  const { spec } = await controlPlane.client.call<{ spec: LeaseRecord }>({
    method: 'GET',
    path: objectPath(resourceTypes.leases, ref),
  });
  return spec;
}

const holder = async (): Promise<string | undefined> => (await lease()).holderIdentity;

const poolPath = (name: string): string =>
  objectPath(resourceTypes.mediaworkers, { namespace, name });

async function applyPool(name: string): Promise<void> {
  await controlPlane.client.call({
    method: 'PATCH',
    patch: 'apply',
    path: poolPath(name),
    query: { fieldManager: 'a-user' },
    body: { apiVersion, kind: 'MediaWorker', metadata: { name }, spec: { role: 'Both' } },
  });
}

interface Managed {
  metadata: { managedFields: { manager: string }[] };
}

/** Which of the operators wrote to the pool. */
async function writersOf(name: string): Promise<string[]> {
  const pool = await controlPlane.client.call<MediaWorker & Managed>({
    method: 'GET',
    path: poolPath(name),
  });
  const managers = pool.metadata.managedFields.map(({ manager }) => manager);
  return users.filter((user) => managers.includes(user));
}

const untilWritten = (name: string): Promise<string[]> =>
  until(
    `an operator to write to ${name}`,
    async () => {
      const writers = await writersOf(name);
      return writers.length > 0 ? writers : undefined;
    },
    soon,
  );

describe('two operators', () => {
  it(
    'keep what whoever brought the Lease has written into its metadata',
    async () => {
      const labels = { 'app.kubernetes.io/managed-by': 'Helm' };
      await controlPlane.client.call({
        method: 'POST',
        path: collectionPath(resourceTypes.leases, namespace),
        body: {
          ...{ apiVersion: resourceTypes.leases.apiVersion, kind: 'Lease' },
          metadata: { namespace, name: 'kube-sfu-operator', labels },
        },
      });
      await start('operator-a', shortLease);
      const renewTime = async (): Promise<string | undefined> => (await lease()).renewTime;
      const taken = await until('the Lease to be taken', renewTime, soon);
      await until('it to be renewed', async () => (await renewTime()) !== taken, soon);
      const { metadata } = await controlPlane.client.call<{ metadata: { labels?: object } }>({
        method: 'GET',
        path: objectPath(resourceTypes.leases, { namespace, name: 'kube-sfu-operator' }),
      });
      expect(metadata.labels).toEqual(labels);
    },
    testTimeoutMs,
  );

  it(
    'agree on one that acts; when it is killed, the other acts within the lease time',
    async () => {
      await start('operator-a', shortLease);
      await until('the lease', async () => (await holder()) === 'operator-a', soon);
      await start('operator-b', shortLease);
      await applyPool('first');
      expect(await untilWritten('first')).toEqual(['operator-a']);

      await end('operator-a', 'SIGKILL');
      const killedAt = performance.now();
      await applyPool('second');
      expect(await untilWritten('second')).toEqual(['operator-b']);
      const tookMs = performance.now() - killedAt;
      const { leaseDurationMs, retryPeriodMs } = shortLease;
      // The standby saw the last renewal at the latest one retry after it, and looks again after one more, with jitter.
      const busyMs = 5000;
      expect(tookMs).toBeLessThan(leaseDurationMs + 2 * 2.2 * retryPeriodMs + busyMs);
      expect(await lease()).toMatchObject({ holderIdentity: 'operator-b', leaseTransitions: 1 });
      expect(await writersOf('first')).toContain('operator-a');
    },
    testTimeoutMs,
  );

  it(
    'hand over at once when the one that acts ends in order',
    async () => {
      await start('operator-a', longLease);
      await until('the lease', async () => (await holder()) === 'operator-a', soon);
      await start('operator-b', longLease);
      await applyPool('first');
      await untilWritten('first');
      // What belongs to one reconcile can be found together.
      const hasTrace = () =>
        /"traceId":"[0-9a-f]{32}".*"msg":"reconciled"/.test(
          running.get('operator-a')?.output ?? '',
        );
      await until('a line of a reconcile', hasTrace, soon);
      expect(await end('operator-a', 'SIGTERM')).toBe(0);
      const releasedAt = performance.now();
      await applyPool('second');
      expect(await untilWritten('second')).toEqual(['operator-b']);
      expect(performance.now() - releasedAt).toBeLessThan(longLease.retryPeriodMs);
      expect(await end('operator-b', 'SIGTERM')).toBe(0);
      expect(await lease()).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    },
    testTimeoutMs,
  );

  it(
    'leave the lead to the one that sees its objects',
    async () => {
      const kubectl = (...args: string[]) => controlPlane.kubectl(args, { namespace });
      await kubectl(
        'create',
        'role',
        'leases',
        '--verb=*',
        '--resource=leases.coordination.k8s.io',
      );
      await kubectl('create', 'rolebinding', 'leases', '--role=leases', `--user=${blind}`);
      await start(blind, shortLease);
      const output = (): string => running.get(blind)?.output ?? '';
      await until('it to be refused', () => output().includes('is forbidden'), soon);
      await start('operator-a', shortLease);
      await applyPool('first');
      expect(await untilWritten('first')).toEqual(['operator-a']);
      expect(await lease()).toMatchObject({ holderIdentity: 'operator-a', leaseTransitions: 0 });
    },
    testTimeoutMs,
  );

  it(
    'leave the Lease alone when a standby ends',
    async () => {
      await start('operator-a', longLease);
      await until('the lease', async () => (await holder()) === 'operator-a', soon);
      await start('operator-b', longLease);
      expect(await end('operator-b', 'SIGTERM')).toBe(0);
      expect(await holder()).toBe('operator-a');
    },
    testTimeoutMs,
  );

  it(
    'never both write: one that was stopped past its lease writes nothing more, and ends',
    async () => {
      await start('operator-a', shortLease);
      await until('the lease', async () => (await holder()) === 'operator-a', soon);
      await start('operator-b', shortLease);
      const stopped = running.get('operator-a')!;
      // Stopped in the middle of its work.
      const pools = Array.from({ length: 30 }, (_, i) => `pool-${i}`);
      const applying = Promise.all(pools.map((name) => applyPool(name)));
      await untilWritten('pool-0');
      stopped.process.kill('SIGSTOP');
      await applying;
      await until('the other to act', async () => (await holder()) === 'operator-b', soon);
      await applyPool('late');
      expect(await untilWritten('late')).toEqual(['operator-b']);
      for (const name of pools) expect(await untilWritten(name)).not.toEqual([]);

      const resumedAt = new Date();
      const exit = once(stopped.process, 'exit');
      stopped.process.kill('SIGCONT');
      const [code] = (await exit) as [number | null];
      expect(code).toBe(1);
      expect(stopped.output).toContain('lease lost');
      // The audit log is written behind.
      await applyPool('mark');
      await untilWritten('mark');
      await until('the audit log', async () =>
        (await readAudit(controlPlane)).some(
          ({ user, objectRef }) => user.username === 'operator-b' && objectRef?.name === 'mark',
        ),
      );
      const late = (await readAudit(controlPlane)).filter(
        ({ user, verb, requestReceivedTimestamp }) =>
          user.username === 'operator-a' &&
          !['get', 'list', 'watch'].includes(verb) &&
          new Date(requestReceivedTimestamp) >= resumedAt,
      );
      expect(late).toEqual([]);
      expect(await writersOf('late')).toEqual(['operator-b']);
      expect(await holder()).toBe('operator-b');
    },
    testTimeoutMs,
  );
});

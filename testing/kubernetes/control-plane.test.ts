import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { until } from '../until.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';

const pool = (name: string): string =>
  JSON.stringify({
    apiVersion: 'kube-sfu.dev/v1alpha1',
    kind: 'MediaWorker',
    metadata: { name },
    spec: { role: 'Both', replicas: 1 },
  });

const runs = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('the control plane', () => {
  let plane: ControlPlane;

  beforeAll(async () => {
    plane = await startControlPlane({
      users: { reader: ['readers'] },
      auditPolicy: {
        apiVersion: 'audit.k8s.io/v1',
        kind: 'Policy',
        rules: [{ level: 'Metadata' }],
      },
    });
  }, 90_000);

  afterAll(() => plane.stop());

  it('serves our kinds, to kubectl and to the client', async () => {
    await plane.createNamespace('serves');
    await plane.kubectl(['apply', '-f', '-'], { input: pool('media'), namespace: 'serves' });
    const { items } = await plane.client.list<{ metadata: { name: string } }>(
      '/apis/kube-sfu.dev/v1alpha1/namespaces/serves/mediaworkers',
    );
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['media']);
  });

  it('refuses a user what RBAC does not grant', async () => {
    await expect(plane.kubectl(['get', 'pods'], { user: 'reader' })).rejects.toThrow(
      /"reader" cannot list resource "pods"/,
    );
    await expect(plane.clientOf('reader').list('/api/v1/pods')).rejects.toMatchObject({
      statusCode: 403,
    });
  });

  it('writes what the audit policy asks for', async () => {
    await plane.kubectl(['get', 'nodes']);
    await until('the audit log to name the call', async () =>
      (await readFile(plane.auditLog, 'utf8')).includes('"resource":"nodes"'),
    );
  });

  it('keeps its objects and its address over a restart', async () => {
    await plane.createNamespace('restart');
    const { url } = plane;
    await plane.restart();
    expect(plane.url).toBe(url);
    expect(await plane.kubectl(['get', 'namespace', 'restart'])).toContain('Active');
  });

  it('answers nothing while it is paused, and goes on after', async () => {
    plane.pause();
    let answered = false;
    const call = plane.client.list('/api/v1/nodes').then(() => (answered = true));
    await sleep(300);
    expect(answered).toBe(false);
    plane.resume();
    await call;
  });
});

describe('a control plane that fails to start', () => {
  it('shows what the API server said', async () => {
    await expect(startControlPlane({ serverArgs: ['--no-such-argument'] })).rejects.toThrow(
      /kube-apiserver ended \(exit code 1\).*\n.*unknown flag: --no-such-argument/s,
    );
  });
});

describe('a control plane whose process is killed', () => {
  it('ends with it and leaves no files', async () => {
    const script = `
      const { startControlPlane } = await import(${JSON.stringify(path.join(import.meta.dirname, 'control-plane.ts'))});
      const { pids, dir } = await startControlPlane({ crds: false });
      process.stdout.write(JSON.stringify({ pids, dir }));`;
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    const { pids, dir } = JSON.parse(String(chunk)) as {
      pids: { etcd: number; server: number };
      dir: string;
    };
    expect([runs(pids.etcd), runs(pids.server), existsSync(dir)]).toEqual([true, true, true]);
    child.kill('SIGKILL');
    await until('everything to end', () =>
      [runs(pids.etcd), runs(pids.server), existsSync(dir)].every((left) => !left),
    );
  }, 90_000);
});

import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { startControlPlane, type ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { until } from '../../testing/until.ts';
import { KubernetesClient, type KubernetesClientDeps } from './client.ts';
import type { WatchEvent } from './informer.ts';

interface ConfigMap {
  metadata: { name: string; resourceVersion: string; uid: string };
  data?: Record<string, string>;
}

const base = '/api/v1/namespaces/default/configmaps';
const config = {
  requestTimeoutMs: 20_000,
  watchTimeoutMs: 20_000,
  watchStallMs: 5_000,
  listPageSize: 3,
};

let controlPlane: ControlPlane;
/** Passes bytes on and counts connections; what is said stays between the two ends. */
let wire: Server;
let connections: number;
let open: number;
let kubeconfig: string;
let client: KubernetesClient;

function makeClient(deps: Partial<KubernetesClientDeps> = {}): KubernetesClient {
  return new KubernetesClient({ config: { ...config, kubeconfig }, ...deps });
}

beforeAll(async () => {
  controlPlane = await startControlPlane({ crds: false });
  const target = Number(new URL(controlPlane.url).port);
  wire = createServer((socket) => {
    connections++;
    open++;
    const far = connect(target, '127.0.0.1');
    socket.pipe(far).pipe(socket);
    socket.on('error', () => far.destroy());
    far.on('error', () => socket.destroy());
    socket.on('close', () => {
      open--;
      far.destroy();
    });
  });
  await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve));
  const { port } = wire.address() as AddressInfo;
  const text = await readFile(controlPlane.kubeconfig(), 'utf8');
  kubeconfig = path.join(controlPlane.dir, 'through-the-wire');
  await writeFile(kubeconfig, text.replaceAll(controlPlane.url, `https://127.0.0.1:${port}`));
}, 90_000);

afterAll(async () => {
  wire.close();
  await controlPlane.stop();
});

beforeEach(() => {
  connections = 0;
  open = 0;
  client = makeClient();
});

afterEach(async () => {
  await client.close();
  const { items } = await controlPlane.client.list<ConfigMap>(base, { labelSelector: 'test=yes' });
  for (const { metadata } of items)
    await controlPlane.client.call({ method: 'DELETE', path: `${base}/${metadata.name}` });
});

const create = (name: string, by = client): Promise<ConfigMap> =>
  by.call<ConfigMap>({
    method: 'POST',
    path: base,
    body: { metadata: { name, labels: { test: 'yes' } }, data: { a: '1' } },
  });

describe('KubernetesClient', () => {
  it('uses its connections again: their number follows that of calls at a time, not that of calls', async () => {
    for (let i = 0; i < 20; i++) await client.call({ method: 'GET', path: base });
    // The second may begin before the first is given back.
    expect(connections).toBeLessThanOrEqual(2);
    for (let i = 0; i < 25; i++)
      await Promise.all(
        Array.from({ length: 4 }, () => client.call({ method: 'GET', path: base })),
      );
    expect(connections).toBeLessThanOrEqual(12);
  });

  it('lists page by page', async () => {
    for (let i = 0; i < 7; i++) await create(`page-${i}`);
    const { items, resourceVersion } = await client.list<ConfigMap>(base, {
      labelSelector: 'test=yes',
    });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(
      Array.from({ length: 7 }, (_, i) => `page-${i}`),
    );
    expect(Number(resourceVersion)).toBeGreaterThan(0);
  });

  it('patches by merge and by apply, and refuses an old version', async () => {
    const made = await create('patched');
    const itsPath = `${base}/patched`;
    const { resourceVersion } = made.metadata;
    const merged = await client.call<ConfigMap>({
      method: 'PATCH',
      patch: 'merge',
      path: itsPath,
      body: { metadata: { resourceVersion }, data: { a: null, b: '2' } },
    });
    expect(merged.data).toEqual({ b: '2' });
    const again = client.call({
      method: 'PATCH',
      patch: 'merge',
      path: itsPath,
      body: { metadata: { resourceVersion }, data: { c: '3' } },
    });
    await expect(again).rejects.toMatchObject({
      code: 'conflict',
      statusCode: 409,
      reason: 'Conflict',
    });
    const applied = await client.call<ConfigMap>({
      method: 'PATCH',
      patch: 'apply',
      path: itsPath,
      query: { fieldManager: 'tests', force: true },
      body: { apiVersion: 'v1', kind: 'ConfigMap', data: { d: '4' } },
    });
    expect(applied.data).toEqual({ b: '2', d: '4' });
  });

  it('tells of a refusal by its code, reason and fields', async () => {
    await expect(create('no_name')).rejects.toMatchObject({
      code: 'invalid_request',
      reason: 'Invalid',
      fields: [{ field: 'metadata.name' }],
    });
    await expect(client.call({ method: 'GET', path: `${base}/none` })).rejects.toMatchObject({
      code: 'not_found',
      reason: 'NotFound',
    });
  });

  it('follows a collection, until it is told to stop', async () => {
    const { resourceVersion } = await client.list<ConfigMap>(base);
    const end = new AbortController();
    const seen: string[] = [];
    const onEvent = ({ type, object }: WatchEvent<ConfigMap>): void => {
      if (type === 'ADDED') seen.push(object.metadata.name);
      if (seen.length === 2) end.abort();
    };
    const watch = client.watch<ConfigMap>(base, { resourceVersion }, onEvent, end.signal);
    await create('one');
    await create('two');
    await expect(watch).rejects.toThrow('watch /api/v1');
    expect(seen).toEqual(['one', 'two']);
  });

  it('says which API server is away, and which does not answer', async () => {
    const stopped = makeClient({ config: { ...config, kubeconfig, requestTimeoutMs: 300 } });
    controlPlane.pause();
    try {
      await expect(stopped.call({ method: 'GET', path: base })).rejects.toMatchObject({
        code: 'timed_out',
      });
    } finally {
      controlPlane.resume();
      await stopped.close();
    }
    const away = path.join(controlPlane.dir, 'away');
    const text = await readFile(kubeconfig, 'utf8');
    await writeFile(away, text.replaceAll(/https:\/\/127\.0\.0\.1:\d+/g, 'https://127.0.0.1:1'));
    const none = makeClient({ config: { ...config, kubeconfig: away } });
    await expect(none.call({ method: 'GET', path: base })).rejects.toMatchObject({
      code: 'kubernetes_unavailable',
    });
    await none.close();
  });

  it('goes on by a kubeconfig that was away or broken for a while', async () => {
    const file = path.join(controlPlane.dir, 'changing');
    const text = await readFile(kubeconfig, 'utf8');
    await writeFile(file, text.replaceAll(/https:\/\/127\.0\.0\.1:\d+/g, 'https://127.0.0.1:1'));
    const changing = makeClient({ config: { ...config, kubeconfig: file } });
    const call = () => changing.call({ method: 'GET', path: base });
    const unavailable = { code: 'kubernetes_unavailable' };
    await expect(call()).rejects.toMatchObject(unavailable);
    await rm(file);
    await expect(call()).rejects.toMatchObject(unavailable);
    await writeFile(file, 'clusters: [');
    await expect(call()).rejects.toMatchObject(unavailable);
    await writeFile(file, text);
    await call();
    await changing.close();
  });

  it('observes each request', async () => {
    const observed: string[] = [];
    const watched = makeClient({
      observe: ({ method, code, host, seconds }) => {
        expect(host).toMatch(/^127\.0\.0\.1:\d+$/);
        expect(seconds).toBeGreaterThan(0);
        observed.push(`${method} ${code}`);
      },
    });
    await create('seen', watched);
    await watched.call({ method: 'GET', path: `${base}/none` }).catch(() => undefined);
    await watched.close();
    expect(observed).toEqual(['POST 201', 'GET 404']);
  });

  describe('with a fence', () => {
    it('reads, but does not write, while it is closed', async () => {
      let closed = false;
      const fenced = makeClient({
        fence: () => {
          if (closed) throw new Error('closed');
        },
      });
      await create('before', fenced);
      closed = true;
      await expect(create('after', fenced)).rejects.toThrow('closed');
      const { items } = await fenced.list<ConfigMap>(base, { labelSelector: 'test=yes' });
      expect(items.map(({ metadata }) => metadata.name)).toEqual(['before']);
      await fenced.close();
    });

    it('writes nothing when it is closed while the connection is being made', async () => {
      let asked = 0;
      const fenced = makeClient({
        // Open when the call begins, closed when the connection is there.
        fence: () => {
          asked++;
          if (asked > 1) throw new Error('closed meanwhile');
        },
      });
      await expect(create('late', fenced)).rejects.toThrow('closed meanwhile');
      expect(asked).toBe(2);
      const { items } = await client.list<ConfigMap>(base, { labelSelector: 'test=yes' });
      expect(items).toEqual([]);
      await fenced.close();
    });
  });

  it('leaves no connection open when it is closed', async () => {
    await client.call({ method: 'GET', path: base });
    expect(open).toBe(1);
    await client.close();
    await until('the connection to end', () => open === 0, { intervalMs: 5 });
  });
});

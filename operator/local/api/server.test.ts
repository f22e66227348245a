import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  CustomObjectsApi,
  KubeConfig,
  makeInformer,
  type Informer,
  type KubernetesObject,
} from '@kubernetes/client-node';
import { pino } from 'pino';
import { parse } from 'yaml';

import type { MediaRoom } from '../../../common/resources/types.ts';
import { until } from '../../../testing/until.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createLocalObjects, type LocalObjects } from '../cluster.ts';
import { localConfig } from '../config.ts';
import { startResourceApi, type ResourceApi } from './server.ts';

let dir: string;
let objects: LocalObjects;
let api: ResourceApi;
let kubeconfig: string;

const soon = { timeoutMs: 10_000, intervalMs: 20 };
const base = '/apis/kube-sfu.dev/v1alpha1';
const roomsPath = `${base}/namespaces/default/mediarooms`;
const poolsPath = `${base}/namespaces/default/mediaworkers`;

const makeRoom = (name: string, spec: object = {}, metadata: object = {}): object => ({
  apiVersion: 'kube-sfu.dev/v1alpha1',
  kind: 'MediaRoom',
  metadata: { name, ...metadata },
  spec,
});
const makePool = (name: string, spec: object = {}): object => ({
  ...makeRoom(name, { role: 'Both', ...spec }),
  kind: 'MediaWorker',
});

interface Answer {
  code: number;
  body: Record<string, unknown> & {
    metadata: Record<string, unknown>;
    spec: Record<string, unknown>;
    status: Record<string, unknown>;
    items: MediaRoom[];
    details: { causes: { field: string }[] };
    reason: string;
    message: string;
  };
}

async function call(
  method: string,
  route: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${api.url}${route}`, {
    method,
    headers: {
      authorization: `Bearer ${api.token}`,
      'content-type': 'application/json',
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { code: response.status, body: (await response.json()) as Answer['body'] };
}
const mergeType = { 'content-type': 'application/merge-patch+json' };

async function startApi(config: object = {}): Promise<void> {
  const { api: parsed } = localConfig.parse({
    resources: { dir },
    api: { kubeconfig, ...config },
    pods: { command: ['true'] },
  });
  const options = { objects, clock: systemClock, logger: pino({ level: 'silent' }) };
  api = await startResourceApi({ config: parsed, namespace: 'default', ...options });
}

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-api-'));
  kubeconfig = path.join(dir, 'sub', 'kubeconfig');
  objects = createLocalObjects(20);
  await startApi();
});
afterEach(async () => {
  await api.close();
  await rm(dir, { recursive: true });
});

describe('the kubeconfig', () => {
  it("can be read by its owner only, and names the API's loopback address", async () => {
    expect((await stat(kubeconfig)).mode & 0o777).toBe(0o600);
    const config = parse(await readFile(kubeconfig, 'utf8')) as {
      clusters: { cluster: { server: string } }[];
      users: { user: { token: string } }[];
    };
    expect(config.clusters[0]?.cluster.server).toBe(api.url);
    expect(config.users[0]?.user.token).toBe(api.token);
    expect(api.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(Buffer.from(api.token, 'base64url')).toHaveLength(32);
  });
});

describe('the API without a good token', () => {
  it.each(['', 'Bearer wrong', `Bearer ${'x'.repeat(43)}`, `Bearer ${'é'.repeat(43)}`])(
    'answers 401 to %j',
    async (authorization) => {
      const { code, body } = await call('GET', roomsPath, undefined, {
        authorization: encodeURI(authorization),
      });
      expect(code).toBe(401);
      expect(body).toMatchObject({ kind: 'Status', status: 'Failure', reason: 'Unauthorized' });
    },
  );
});

describe('discovery', () => {
  it('names the group, its version and its resources', async () => {
    expect((await call('GET', '/api')).body['versions']).toEqual(['v1']);
    expect((await call('GET', '/apis')).body['groups']).toEqual([
      expect.objectContaining({ name: 'kube-sfu.dev' }),
    ]);
    const { body } = await call('GET', base);
    const resources = body['resources'] as { name: string; shortNames?: string[] }[];
    expect(resources.map(({ name }) => name).sort()).toEqual([
      ...['mediarooms', 'mediarooms/status'],
      ...['mediaworkers', 'mediaworkers/scale', 'mediaworkers/status'],
    ]);
    expect(resources.find(({ name }) => name === 'mediarooms')?.shortNames).toEqual(['mr']);
    expect((await call('GET', '/version')).code).toBe(200);
  });

  it.each([
    `${base}/pods`,
    `${base}/namespaces/default/mediarooms/a/log`,
    `${base}/mediarooms/a`,
    '/api/v1/pods',
    '/openapi/v2',
  ])('answers 404 to %s', async (route) => {
    const { code, body } = await call('GET', route);
    expect(code).toBe(404);
    expect(body.reason).toBe('NotFound');
  });
});

describe('an object', () => {
  it('is created with its defaults, read, replaced, patched and deleted', async () => {
    const created = await call('POST', roomsPath, makeRoom('a', { maxPeers: 3 }));
    expect(created.code).toBe(201);
    expect(created.body.spec['maxPeers']).toBe(3);
    expect(created.body.metadata).toMatchObject({ namespace: 'default', generation: 1 });
    expect((await call('GET', `${roomsPath}/a`)).body).toEqual(created.body);

    const replaced = await call('PUT', `${roomsPath}/a`, makeRoom('a', { maxPeers: 4 }));
    expect(replaced.body.spec['maxPeers']).toBe(4);
    const patched = await call('PATCH', `${roomsPath}/a`, { spec: { maxPeers: 5 } }, mergeType);
    expect(patched.body.spec['maxPeers']).toBe(5);
    const operations = [{ op: 'replace', path: '/spec/maxPeers', value: 6 }];
    const jsonType = { 'content-type': 'application/json-patch+json' };
    expect(
      (await call('PATCH', `${roomsPath}/a`, operations, jsonType)).body.spec['maxPeers'],
    ).toBe(6);

    const deleted = await call('DELETE', `${roomsPath}/a`);
    expect(deleted).toMatchObject({ code: 200, body: { kind: 'Status', status: 'Success' } });
    expect((await call('GET', `${roomsPath}/a`)).code).toBe(404);
    expect((await call('DELETE', `${roomsPath}/a`)).code).toBe(404);
  });

  it('gets a name from generateName', async () => {
    const room = { ...makeRoom('x'), metadata: { generateName: 'room-' } };
    expect((await call('POST', roomsPath, room)).body.metadata['name']).toMatch(
      /^room-[0-9a-f]{5}$/,
    );
  });

  it('stays while it has finalizers', async () => {
    await call('POST', roomsPath, makeRoom('a', {}, { finalizers: ['a.b/c'] }));
    const { body } = await call('DELETE', `${roomsPath}/a`);
    expect(body.metadata['deletionTimestamp']).toBeDefined();
    const patch = { metadata: { finalizers: null } };
    expect((await call('PATCH', `${roomsPath}/a`, patch, mergeType)).code).toBe(200);
    expect((await call('GET', `${roomsPath}/a`)).code).toBe(404);
  });

  it('has its status changed by its own path alone', async () => {
    await call('POST', roomsPath, { ...makeRoom('a'), status: { peers: 9 } });
    expect((await call('GET', `${roomsPath}/a`)).body.status).toBeUndefined();
    const patch = { spec: { maxPeers: 1 }, status: { peers: 2 } };
    const { body } = await call('PATCH', `${roomsPath}/a/status`, patch, mergeType);
    expect(body).toMatchObject({ spec: { maxPeers: 200 }, status: { peers: 2 } });
    const whole = { ...body, status: { peers: 3 } };
    expect((await call('PUT', `${roomsPath}/a/status`, whole)).body.status).toEqual({ peers: 3 });
    await call('PATCH', `${roomsPath}/a`, { status: { peers: 7 } }, mergeType);
    expect((await call('GET', `${roomsPath}/a/status`)).body.status).toEqual({ peers: 3 });
  });

  it('is scaled through its scale, where it has one', async () => {
    await call('POST', poolsPath, makePool('p', { replicas: 2 }));
    const scale = await call('GET', `${poolsPath}/p/scale`);
    expect(scale.body).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 2 },
      status: { replicas: 0 },
    });
    await call('PUT', `${poolsPath}/p/scale`, { ...scale.body, spec: { replicas: 5 } });
    expect(objects.mediaworkers.list()[0]?.spec.replicas).toBe(5);
    await call('PATCH', `${poolsPath}/p/scale`, { spec: { replicas: 1 } }, mergeType);
    expect(objects.mediaworkers.list()[0]?.spec.replicas).toBe(1);
    expect(
      (await call('PUT', `${poolsPath}/p/scale`, { ...scale.body, spec: { replicas: 7 } })).code,
    ).toBe(409);
    expect((await call('GET', `${roomsPath}/a/scale`)).code).toBe(404);
  });

  it('is made or merged by a server-side apply', async () => {
    const type = { 'content-type': 'application/apply-patch+yaml' };
    const text = 'apiVersion: kube-sfu.dev/v1alpha1\nkind: MediaRoom\nspec: {maxPeers: 2}\n';
    expect((await call('PATCH', `${roomsPath}/a?fieldManager=me`, text, type)).code).toBe(201);
    const { body } = await call('PATCH', `${roomsPath}/a`, text.replace('2', '8'), type);
    expect(body.spec['maxPeers']).toBe(8);
  });

  interface Refusal {
    name: string;
    method: string;
    route: string;
    body?: unknown;
    headers?: Record<string, string>;
    code: number;
    reason: string;
  }
  const refusals: Refusal[] = [
    {
      name: 'a name that is taken',
      method: 'POST',
      route: roomsPath,
      body: makeRoom('taken'),
      code: 409,
      reason: 'AlreadyExists',
    },
    {
      name: 'a version that is old',
      method: 'PUT',
      route: `${roomsPath}/taken`,
      body: makeRoom('taken', {}, { resourceVersion: '1' }),
      code: 409,
      reason: 'Conflict',
    },
    {
      name: 'a deletion of another object',
      method: 'DELETE',
      route: `${roomsPath}/taken`,
      body: { preconditions: { uid: 'x' } },
      code: 409,
      reason: 'Conflict',
    },
    {
      name: 'an unknown field',
      method: 'POST',
      route: roomsPath,
      body: makeRoom('a', { peers: 1 }),
      code: 400,
      reason: 'BadRequest',
    },
    {
      name: 'a wrong value',
      method: 'POST',
      route: roomsPath,
      body: makeRoom('a', { maxPeers: 0 }),
      code: 422,
      reason: 'Invalid',
    },
    {
      name: 'a change of what is immutable',
      method: 'PATCH',
      route: `${poolsPath}/pool`,
      body: { spec: { role: 'Producer' } },
      headers: mergeType,
      code: 422,
      reason: 'Invalid',
    },
    {
      name: 'another kind',
      method: 'POST',
      route: roomsPath,
      body: makePool('a'),
      code: 400,
      reason: 'BadRequest',
    },
    {
      name: 'another namespace',
      method: 'POST',
      route: roomsPath,
      body: makeRoom('a', {}, { namespace: 'b' }),
      code: 400,
      reason: 'BadRequest',
    },
    {
      name: 'another name',
      method: 'PUT',
      route: `${roomsPath}/taken`,
      body: makeRoom('b'),
      code: 400,
      reason: 'BadRequest',
    },
    {
      name: 'no namespace',
      method: 'POST',
      route: `${base}/mediarooms`,
      body: makeRoom('a'),
      code: 405,
      reason: 'MethodNotAllowed',
    },
    {
      name: 'a body that is no JSON',
      method: 'POST',
      route: roomsPath,
      body: '{',
      code: 400,
      reason: 'BadRequest',
    },
    {
      name: 'a body that is no object',
      method: 'POST',
      route: roomsPath,
      body: [],
      code: 400,
      reason: 'BadRequest',
    },
    {
      name: 'a strategic merge',
      method: 'PATCH',
      route: `${roomsPath}/taken`,
      body: {},
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
      code: 415,
      reason: 'UnsupportedMediaType',
    },
    {
      name: 'a patch that does not apply',
      method: 'PATCH',
      route: `${roomsPath}/taken`,
      body: [{ op: 'remove', path: '/spec/nothing' }],
      headers: { 'content-type': 'application/json-patch+json' },
      code: 422,
      reason: 'Invalid',
    },
    {
      name: 'an object that is not there',
      method: 'PATCH',
      route: `${roomsPath}/nobody`,
      body: {},
      headers: mergeType,
      code: 404,
      reason: 'NotFound',
    },
    {
      name: 'a selector that can not be read',
      method: 'GET',
      route: `${roomsPath}?labelSelector=a%20b`,
      code: 400,
      reason: 'BadRequest',
    },
    {
      name: 'a field that can not be selected by',
      method: 'GET',
      route: `${roomsPath}?fieldSelector=spec.maxPeers%3D1`,
      code: 400,
      reason: 'BadRequest',
    },
  ];
  it.each(refusals)(
    'is refused for $name with $code $reason',
    async ({ method, route, body, headers, code, reason }) => {
      await call('POST', roomsPath, makeRoom('taken'));
      await call('POST', poolsPath, makePool('pool'));
      const answer = await call(method, route, body, headers);
      expect(answer.code).toBe(code);
      expect(answer.body).toMatchObject({ kind: 'Status', status: 'Failure', reason, code });
    },
  );

  it('is refused with every field at fault named', async () => {
    const bad = makeRoom('a', { maxPeers: 0, producers: { routers: 99 } });
    const { body } = await call('POST', roomsPath, bad);
    expect(body.details.causes.map(({ field }) => field).sort()).toEqual([
      'spec.maxPeers',
      'spec.producers.routers',
    ]);
    const unknown = await call('POST', roomsPath, makeRoom('a', { x: 1, producers: { y: 2 } }));
    expect(unknown.body.message).toContain('unknown field "spec.producers.y"');
  });

  it('is refused when it is too large', async () => {
    await api.close();
    await startApi({ bodyLimitBytes: 1024 });
    const large = makeRoom('a', {}, { annotations: { a: 'x'.repeat(2000) } });
    expect(await call('POST', roomsPath, large)).toMatchObject({
      code: 413,
      body: { reason: 'RequestEntityTooLarge' },
    });
  });
});

describe('a list', () => {
  beforeEach(async () => {
    await call('POST', roomsPath, makeRoom('a', {}, { labels: { tier: 'x', odd: 'yes' } }));
    await call('POST', roomsPath, makeRoom('b', {}, { labels: { tier: 'y' } }));
    await call('POST', `${base}/namespaces/other/mediarooms`, makeRoom('c'));
  });

  it('has a version, and the objects of the namespace or of all', async () => {
    const { body } = await call('GET', roomsPath);
    expect(body['kind']).toBe('MediaRoomList');
    expect(body.metadata['resourceVersion']).toMatch(/^\d+$/);
    expect(body.items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
    expect((await call('GET', `${base}/mediarooms`)).body.items).toHaveLength(3);
  });

  it.each([
    ['labelSelector=tier=x', 'a'],
    ['labelSelector=tier==y', 'b'],
    ['labelSelector=tier!=x', 'b'],
    ['labelSelector=odd', 'a'],
    ['labelSelector=!odd', 'b'],
    ['labelSelector=tier in (x, z)', 'a'],
    ['labelSelector=tier notin (x)', 'b'],
    ['labelSelector=tier in (x,y),odd=yes', 'a'],
    ['fieldSelector=metadata.name=b', 'b'],
    ['fieldSelector=metadata.name!=b', 'a'],
  ])('selects by %s', async (query, want) => {
    const [key = '', ...value] = query.split('=');
    const { body } = await call(
      'GET',
      `${roomsPath}?${key}=${encodeURIComponent(value.join('='))}`,
    );
    expect(body.items.map(({ metadata }) => metadata.name).join()).toBe(want);
  });

  it("comes as a table of kubectl's columns when asked for", async () => {
    await call(
      'PATCH',
      `${roomsPath}/a/status`,
      {
        status: {
          peers: 4,
          conditions: [
            {
              type: 'Ready',
              status: 'True',
              reason: 'R',
              message: '',
              lastTransitionTime: '2026-01-01T00:00:00Z',
            },
          ],
        },
      },
      mergeType,
    );
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const { body } = await call('GET', roomsPath, undefined, { accept });
    const columns = (body['columnDefinitions'] as { name: string }[]).map(({ name }) => name);
    expect(columns.slice(0, 4)).toEqual(['Name', 'Ready', 'Peers', 'Max']);
    const rows = body['rows'] as { cells: unknown[] }[];
    expect(rows[0]?.cells.slice(0, 4)).toEqual(['a', 'True', 4, 200]);
    expect(rows[1]?.cells.slice(0, 4)).toEqual(['b', null, null, 200]);
  });
});

/** Opens a watch and collects its events. */
async function openWatch(query: string) {
  const abort = new AbortController();
  const response = await fetch(`${api.url}${roomsPath}?watch=1&${query}`, {
    headers: { authorization: `Bearer ${api.token}` },
    signal: abort.signal,
  });
  const events: { type: string; object: MediaRoom & { code?: number } }[] = [];
  let ended = false;
  const reading = (async () => {
    let rest = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) events.push(JSON.parse(line) as (typeof events)[number]);
    }
  })()
    .catch(() => undefined)
    .finally(() => (ended = true));
  const summary = () => events.map(({ type, object }) => `${type} ${object.metadata.name}`).join();
  return {
    events,
    summary,
    isEnded: () => ended,
    close: async () => {
      abort.abort();
      await reading;
    },
  };
}

describe('a watch', () => {
  it('begins with what is there, and goes on with each change', async () => {
    await call('POST', roomsPath, makeRoom('a'));
    const watch = await openWatch('');
    await call('POST', roomsPath, makeRoom('b'));
    await call('PATCH', `${roomsPath}/a`, { spec: { maxPeers: 1 } }, mergeType);
    await call('DELETE', `${roomsPath}/b`);
    await call('POST', `${base}/namespaces/other/mediarooms`, makeRoom('c'));
    await until(
      'four events',
      () => watch.summary() === 'ADDED a,ADDED b,MODIFIED a,DELETED b',
      soon,
    );
    await watch.close();
  });

  it('goes on from a version without gap or repetition', async () => {
    await call('POST', roomsPath, makeRoom('a'));
    const { body } = await call('GET', roomsPath);
    await call('POST', roomsPath, makeRoom('b'));
    const watch = await openWatch(`resourceVersion=${String(body.metadata['resourceVersion'])}`);
    await call('POST', roomsPath, makeRoom('c'));
    await until('the events', () => watch.summary() === 'ADDED b,ADDED c', soon);
    await watch.close();
  });

  it.each(['1', 'later'])('is told that version %s is gone', async (which) => {
    const version = which === '1' ? '1' : String(objects.mediarooms.resourceVersion + 1000);
    const watch = await openWatch(`resourceVersion=${version}`);
    await until('the end', () => watch.isEnded(), soon);
    expect(watch.events).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 410 } }]);
  });

  it('tells of objects that enter and leave its selection', async () => {
    await call('POST', roomsPath, makeRoom('a'));
    const watch = await openWatch('labelSelector=on%3Dyes');
    await call('PATCH', `${roomsPath}/a`, { metadata: { labels: { on: 'yes' } } }, mergeType);
    await call('PATCH', `${roomsPath}/a`, { metadata: { labels: { on: null } } }, mergeType);
    await call('DELETE', `${roomsPath}/a`);
    await until('two events', () => watch.events.length === 2, soon);
    expect(watch.summary()).toBe('MODIFIED a,DELETED a');
    await watch.close();
  });

  it('gets bookmarks when it asks for them', async () => {
    await api.close();
    await startApi({ bookmarkIntervalMs: 30 });
    const watch = await openWatch('allowWatchBookmarks=true');
    await until('two bookmarks', () => watch.events.length >= 2, soon);
    expect(watch.events[0]).toMatchObject({ type: 'BOOKMARK', object: { kind: 'MediaRoom' } });
    expect(watch.events[0]?.object.metadata.resourceVersion).toBe(
      String(objects.mediarooms.resourceVersion),
    );
    await watch.close();
  });

  it('ends after its time-out', async () => {
    const watch = await openWatch('timeoutSeconds=1');
    await until('the end', () => watch.isEnded(), soon);
    expect(watch.events).toEqual([]);
  });

  it('ends when the API closes', async () => {
    const watch = await openWatch('');
    await api.close();
    await until('the end', () => watch.isEnded(), soon);
  });
});

describe('@kubernetes/client-node', () => {
  const where = {
    group: 'kube-sfu.dev',
    version: 'v1alpha1',
    namespace: 'default',
    plural: 'mediarooms',
  };
  const load = (): KubeConfig => {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    return config;
  };

  it('lists, creates and deletes as on a cluster', async () => {
    const custom = load().makeApiClient(CustomObjectsApi);
    await custom.createNamespacedCustomObject({ ...where, body: makeRoom('a', { maxPeers: 2 }) });
    const { items } = (await custom.listNamespacedCustomObject(where)) as { items: MediaRoom[] };
    expect(items.map(({ spec }) => spec.maxPeers)).toEqual([2]);
    await expect(
      custom.createNamespacedCustomObject({ ...where, body: makeRoom('b', { maxPeers: -1 }) }),
    ).rejects.toMatchObject({ code: 422 });
    await custom.deleteNamespacedCustomObject({ ...where, name: 'a' });
    await expect(custom.getNamespacedCustomObject({ ...where, name: 'a' })).rejects.toMatchObject({
      code: 404,
    });
  });

  it('follows the objects by its informer', async () => {
    const config = load();
    const custom = config.makeApiClient(CustomObjectsApi);
    objects.mediarooms.create(makeRoom('a', {}, { namespace: 'default' }) as MediaRoom);
    const seen: string[] = [];
    const informer: Informer<KubernetesObject> = makeInformer(config, roomsPath, () =>
      custom.listNamespacedCustomObject(where),
    );
    for (const verb of ['add', 'update', 'delete'] as const)
      informer.on(verb, (object) => seen.push(`${verb} ${object.metadata?.name ?? ''}`));
    await informer.start();
    const stored = objects.mediarooms.require({ namespace: 'default', name: 'a' });
    objects.mediarooms.update({ ...stored, status: { peers: 1 } }, 'status');
    objects.mediarooms.delete({ namespace: 'default', name: 'a' });
    await until('the events', () => seen.join() === 'add a,update a,delete a', soon);
    await informer.stop();
  });
});

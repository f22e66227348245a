import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';

import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import type { MediaRoom, MediaRoomStatus, MediaWorker } from '../../common/resources/types.ts';
import { startControlPlane, type ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { quickConfig } from '../../testing/quick-config.ts';
import { until } from '../../testing/until.ts';
import type { Cluster, Pod, PodDisruptionBudget, PodManifest, WatchEvent } from '../cluster.ts';
import { operatorConfig } from '../config.ts';
import { systemClock } from '../runtime/clock.ts';
import { managedBy, managedByLabel, poolLabel } from '../workers/labels.ts';
import { startKubernetesAdapter, type KubernetesAdapter } from './adapter.ts';
import { createKubernetesMetrics } from './metrics.ts';

type Plural = keyof typeof resourceTypes;

const logger = pino({ level: 'silent' });
const soon = { timeoutMs: 20_000, intervalMs: 20 };
const restricted = 'of-one-namespace';

let controlPlane: ControlPlane;
let namespace: string;
let namespaces = 0;
let adapter: KubernetesAdapter;
let cluster: Cluster;
let registry: Registry;

beforeAll(async () => {
  controlPlane = await startControlPlane({ users: { [restricted]: [] } });
}, 90_000);

afterAll(() => controlPlane.stop());

beforeEach(async () => {
  namespace = `adapter-${++namespaces}`;
  await controlPlane.createNamespace(namespace);
  start();
  await adapter.whenSynced;
});

afterEach(() => adapter.close());

function start(kubeconfig = controlPlane.kubeconfig()): void {
  const kubernetes = { kubeconfig, namespace, fieldManager: 'the-operator', backoffMinMs: 20 };
  const config = operatorConfig.parse({ ...quickConfig, kubernetes });
  registry = new Registry();
  adapter = startKubernetesAdapter({
    config: config.kubernetes!,
    metrics: createKubernetesMetrics(registry),
    clock: systemClock,
    logger,
  });
  cluster = adapter.cluster;
}

/** Requests of this kind so far. */
async function requests(method: string): Promise<number> {
  const pattern = new RegExp(
    `^rest_client_requests_total\\{.*method="${method}".*\\} (\\d+)$`,
    'gm',
  );
  const text = await registry.metrics();
  return [...text.matchAll(pattern)].reduce((sum, [, count]) => sum + Number(count), 0);
}

const stored = <T>(plural: Plural, name: string): Promise<T> =>
  controlPlane.client.call<T>({
    method: 'GET',
    path: objectPath(resourceTypes[plural], { namespace, name }),
  });

const make = <T>(plural: Plural, kind: string, body: { metadata: object; spec: object }) =>
  controlPlane.client.call<T>({
    method: 'POST',
    path: collectionPath(resourceTypes[plural], namespace),
    body: { apiVersion: resourceTypes[plural].apiVersion, kind, ...body },
  });

async function makeRoom(name = 'room'): Promise<MediaRoom> {
  await make('mediarooms', 'MediaRoom', { metadata: { name }, spec: {} });
  return until('the room to be seen', () => cluster.rooms.get({ namespace, name }), soon);
}

async function makePool(name = 'pool'): Promise<MediaWorker> {
  await make('mediaworkers', 'MediaWorker', { metadata: { name }, spec: { role: 'Both' } });
  return until('the pool to be seen', () => cluster.workers.get({ namespace, name }), soon);
}

const manifest = (name: string, spec: object = {}): PodManifest => ({
  metadata: {
    ...{ name, namespace, annotations: { a: '1' }, ownerReferences: [] },
    labels: { [managedByLabel]: managedBy, [poolLabel]: 'pool' },
  },
  spec: {
    terminationGracePeriodSeconds: 30,
    containers: [{ name: 'media-node', image: 'none', env: [], ports: [] }],
    ...spec,
  },
});

const status = (more: Partial<MediaRoomStatus> = {}): MediaRoomStatus => ({
  observedGeneration: 1,
  peers: 3,
  conditions: [
    {
      type: 'Ready',
      status: 'True',
      observedGeneration: 1,
      lastTransitionTime: '2026-01-01T00:00:00Z',
      reason: 'RoutersReady',
      message: '',
    },
  ],
  ...more,
});

describe('status', () => {
  it('is written as the operator’s own, and seen at once', async () => {
    const room = await makeRoom();
    const written = await cluster.rooms.setStatus(room, status());
    expect(written.status).toEqual(status());
    expect(cluster.rooms.get({ namespace, name: 'room' })).toEqual(written);
    const { metadata, spec } = await stored<MediaRoom & { metadata: { managedFields: object[] } }>(
      'mediarooms',
      'room',
    );
    expect(metadata.resourceVersion).toBe(written.metadata.resourceVersion);
    expect(metadata.managedFields).toContainEqual(
      expect.objectContaining({
        manager: 'the-operator',
        operation: 'Apply',
        subresource: 'status',
      }),
    );
    expect(spec).toEqual(room.spec);
  });

  it('loses what a later one leaves out', async () => {
    const first = await cluster.rooms.setStatus(await makeRoom(), status());
    const rest = status({ conditions: [] });
    delete rest.peers;
    await cluster.rooms.setStatus(first, rest);
    const { status: now } = await stored<MediaRoom>('mediarooms', 'room');
    expect(now).toEqual({ observedGeneration: 1 });
  });

  it('is not written where it would change nothing, which an emptied list does not', async () => {
    const first = await cluster.rooms.setStatus(await makeRoom(), status());
    expect(await cluster.rooms.setStatus(first, status())).toEqual(first);
    const emptied = await cluster.rooms.setStatus(first, status({ conditions: [] }));
    expect(await cluster.rooms.setStatus(emptied, status({ conditions: [] }))).toEqual(emptied);
    expect(await requests('PATCH')).toBe(2);
  });

  it('is refused for an object that has changed since it was read, or that was made anew', async () => {
    const room = await makeRoom();
    await cluster.rooms.setStatus(room, status());
    const stale = cluster.rooms.setStatus(room, status({ peers: 4 }));
    await expect(stale).rejects.toMatchObject({ code: 'conflict' });
    await cluster.rooms.delete(room);
    await until('its end', () => !cluster.rooms.get({ namespace, name: 'room' }), soon);
    await expect(cluster.rooms.setStatus(room, status())).rejects.toMatchObject({
      code: 'not_found',
    });
    await makeRoom();
    await expect(cluster.rooms.setStatus(room, status())).rejects.toMatchObject({
      code: 'conflict',
    });
  });
});

describe('finalizers', () => {
  it('are set and removed, and the last one lets a deleted object go', async () => {
    const marked = await cluster.rooms.setFinalizers(await makeRoom(), ['kube-sfu.dev/operator']);
    await cluster.rooms.delete(marked);
    const deleted = await until(
      'the deletion to be seen',
      () => {
        const found = cluster.rooms.get({ namespace, name: 'room' });
        return found?.metadata.deletionTimestamp ? found : undefined;
      },
      soon,
    );
    await cluster.rooms.setFinalizers(deleted, []);
    await until('its end', () => !cluster.rooms.get({ namespace, name: 'room' }), soon);
    await expect(stored('mediarooms', 'room')).rejects.toMatchObject({ code: 'not_found' });
    await cluster.rooms.delete(deleted);
  });
});

describe('the size of a pool', () => {
  it('is written to the scale subresource, and seen at once as it will be', async () => {
    const pool = await makePool();
    const scaled = await cluster.workers.setReplicas(pool, 4);
    const now = await stored<MediaWorker>('mediaworkers', 'pool');
    expect(scaled).toMatchObject({ spec: { replicas: 4 } });
    expect(scaled.metadata.resourceVersion).toBe(now.metadata.resourceVersion);
    expect(scaled.metadata.generation).toBe(now.metadata.generation);
    expect(scaled.spec).toEqual(now.spec);
    expect(cluster.workers.get({ namespace, name: 'pool' })).toEqual(scaled);
    expect(await cluster.workers.setReplicas(scaled, 4)).toEqual(scaled);
    await expect(cluster.workers.setReplicas(pool, 2)).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('pods', () => {
  it('are there for the next read, by their pool too', async () => {
    const seen: WatchEvent<Pod>[] = [];
    cluster.pods.watch((event) => seen.push(event));
    const pod = await cluster.pods.create(manifest('pool-0'));
    expect(cluster.pods.get({ namespace, name: 'pool-0' })).toEqual(pod);
    expect(cluster.pods.listOfPool({ namespace, name: 'pool' })).toEqual([pod]);
    expect(cluster.pods.listOfPool({ namespace, name: 'other' })).toEqual([]);
    expect(pod.status.phase).toBe('Pending');
    expect(seen.map(({ type }) => type)).toEqual(['ADDED']);
    const again = cluster.pods.create(manifest('pool-0'));
    await expect(again).rejects.toMatchObject({ code: 'conflict', reason: 'AlreadyExists' });
  });

  it('without our label are not seen', async () => {
    await make('pods', 'Pod', {
      metadata: { name: 'foreign' },
      spec: { containers: [{ name: 'a', image: 'none' }] },
    });
    await cluster.pods.create(manifest('ours'));
    expect(cluster.pods.list().map(({ metadata }) => metadata.name)).toEqual(['ours']);
  });

  it('get labels and annotations, and lose them', async () => {
    const pod = await cluster.pods.create(manifest('pool-0'));
    const changed = await cluster.pods.updateMetadata(pod, {
      labels: { extra: 'yes' },
      annotations: { a: null, b: '2' },
    });
    expect(changed.metadata.annotations).toEqual({ b: '2' });
    expect(changed.metadata.labels).toEqual({ ...pod.metadata.labels, extra: 'yes' });
    const stale = cluster.pods.updateMetadata(pod, { labels: { extra: 'no' } });
    await expect(stale).rejects.toMatchObject({ code: 'conflict' });
  });

  it('end within their grace period, or at once by force', async () => {
    const pod = await cluster.pods.create(manifest('pool-0', { nodeName: 'a-machine' }));
    await cluster.pods.delete(pod);
    const ending = cluster.pods.get({ namespace, name: 'pool-0' });
    expect(ending?.metadata.deletionTimestamp).toBeDefined();
    await cluster.pods.delete(pod, { force: true });
    await until('its end', () => cluster.pods.list().length === 0, soon);
    await cluster.pods.delete(pod);
  });

  it('of the same name, but made since, are left alone', async () => {
    const old = await cluster.pods.create(manifest('pool-0'));
    await cluster.pods.delete(old, { force: true });
    await until('its end', () => cluster.pods.list().length === 0, soon);
    const fresh = await cluster.pods.create(manifest('pool-0'));
    await cluster.pods.delete(old, { force: true });
    expect((await stored<Pod>('pods', 'pool-0')).metadata.uid).toBe(fresh.metadata.uid);
  });

  it('say what is wrong with them', async () => {
    const bad = cluster.pods.create(manifest('Pool_0'));
    await expect(bad).rejects.toMatchObject({
      code: 'invalid_request',
      fields: [{ field: 'metadata.name' }],
    });
  });
});

describe('a budget', () => {
  const budget = (minAvailable: number): PodDisruptionBudget => ({
    metadata: {
      name: 'pool',
      namespace,
      labels: { [managedByLabel]: managedBy },
      ownerReferences: [],
    },
    spec: {
      minAvailable,
      selector: { matchLabels: { [poolLabel]: 'pool' } },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  });

  it('is written when it differs, and only then', async () => {
    await cluster.budgets.apply(budget(0));
    await cluster.budgets.apply(budget(0));
    expect(await requests('PATCH')).toBe(1);
    await cluster.budgets.apply(budget(1));
    await cluster.budgets.apply(budget(1));
    expect(await requests('PATCH')).toBe(2);
    const { spec } = await stored<PodDisruptionBudget>('poddisruptionbudgets', 'pool');
    expect(spec).toMatchObject(budget(1).spec);
  });
});

describe('Events', () => {
  it('are what kubectl shows, equal ones as a series', async () => {
    const room = await makeRoom();
    const note = { type: 'Normal', reason: 'Placed', action: 'Place', note: 'on a, b' } as const;
    cluster.events.record(room, note);
    await until(
      'the Event',
      async () => (await controlPlane.kubectl(['events'], { namespace })).includes('Placed'),
      soon,
    );
    for (let i = 0; i < 3; i++) cluster.events.record(room, note);
    await adapter.flush();
    const { items } = await controlPlane.client.list<{
      series?: { count: number };
      note: string;
      regarding: { uid: string };
    }>(collectionPath(resourceTypes.events, namespace));
    expect(items).toEqual([
      expect.objectContaining({
        note: 'on a, b',
        series: expect.objectContaining({ count: 4 }),
        regarding: expect.objectContaining({ uid: room.metadata.uid }),
      }),
    ]);
  });
});

describe('an operator that may read one namespace alone', () => {
  it('is ready without the Kubernetes nodes, and says what it waits for before', async () => {
    await adapter.close();
    start(controlPlane.kubeconfig(restricted));
    expect(adapter.waitingFor()).toContain('mediarooms');
    const kubectl = (args: string[]) => controlPlane.kubectl(args, { namespace });
    const kinds = 'mediaworkers,mediarooms,pods,poddisruptionbudgets';
    await kubectl(['create', 'role', 'reader', '--verb=list,watch', `--resource=${kinds}`]);
    await kubectl(['create', 'rolebinding', 'reader', '--role=reader', `--user=${restricted}`]);
    await adapter.whenSynced;
    expect(adapter.waitingFor()).toEqual([]);
    expect(cluster.nodes.get('any')).toBeUndefined();
    await makeRoom();
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { startControlPlane, type ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { grantRoles, serviceUser } from '../../testing/kubernetes/service-roles.ts';
import { secret } from '../../testing/quick-config.ts';
import { operatorConfig } from '../config.ts';
import { managedBy, managedByLabel, poolLabel, portsAnnotation } from '../workers/labels.ts';
import { auditPlatform, type AuditReport } from './audit.ts';

const namespace = 'media';
const user = serviceUser('operator');
const crd = { apiVersion: 'kube-sfu.dev/v1alpha1', metadata: { name: 'standup' } };

describe('an audit on a cluster', () => {
  let plane: ControlPlane;
  let database: TestDatabase;

  beforeAll(async () => {
    [plane, database] = await Promise.all([
      startControlPlane({ users: { [user]: [] } }),
      createTestDatabase(),
    ]);
    await plane.createNamespace(namespace);
    await grantRoles(plane, 'operator-namespaced', namespace);
  }, 120_000);
  afterAll(async () => {
    await plane.stop();
    await database.drop();
  });

  const create = (kind: 'mediarooms' | 'mediaworkers' | 'pods', body: object) =>
    plane.client.call({
      ...{ method: 'POST', path: collectionPath(resourceTypes[kind], namespace), body },
    });
  const pod = (name: string, pool: string, ports: string) =>
    create('pods', {
      ...{ apiVersion: 'v1', kind: 'Pod' },
      metadata: {
        name,
        labels: { [managedByLabel]: managedBy, [poolLabel]: pool },
        annotations: { [portsAnnotation]: ports },
      },
      spec: { containers: [{ name: 'media-node', image: 'none' }] },
    });
  const audit = (): Promise<AuditReport> =>
    auditPlatform(
      operatorConfig.parse({
        serviceAuth: { secret },
        kubernetes: { kubeconfig: plane.kubeconfig(user), namespace },
        database: { url: database.url },
      }),
      { graceMs: 0 },
    );

  it('reads rooms, pools and pods with no more than the operator’s permissions', async () => {
    await create('mediaworkers', { ...crd, kind: 'MediaWorker', spec: { role: 'Both' } });
    await create('mediarooms', { ...crd, kind: 'MediaRoom', spec: {} });
    await pod('standup-0', 'standup', '40000-40009');
    await pod('standup-1', 'standup', '40010-40019');
    expect(await audit()).toMatchObject({
      ...{ differences: [], unreachable: [], compared: { rooms: 1, nodes: 0 } },
    });

    await pod('stray-0', 'stray', '40019-40028');
    const { differences } = await audit();
    expect(differences.map(({ kind, ids }) => [kind, ids])).toEqual([
      [
        'PortBlockOverlap',
        {
          ...{ namespace, podName: 'standup-1' },
          ...{ otherNamespace: namespace, otherPodName: 'stray-0' },
        },
      ],
      ['PodWithoutPool', { namespace, podName: 'stray-0', pool: 'stray' }],
    ]);
  }, 60_000);

  it('asks the pods that run, and names those that do not answer', async () => {
    const path = objectPath(resourceTypes.pods, { namespace, name: 'standup-0' }, 'status');
    const containerStatuses = [
      {
        ...{ name: 'media-node', image: 'none', imageID: '', ready: true, restartCount: 0 },
        state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
      },
    ];
    const status = { phase: 'Running', podIP: '127.0.0.1', containerStatuses };
    await plane.client.call({ method: 'PATCH', path, patch: 'merge', body: { status } });
    // Its manifest names no port, so there is no address to ask.
    expect((await audit()).unreachable).toEqual([]);

    const name = 'standup-2';
    await create('pods', {
      ...{ apiVersion: 'v1', kind: 'Pod' },
      metadata: { name, labels: { [managedByLabel]: managedBy, [poolLabel]: 'standup' } },
      spec: {
        containers: [
          { name: 'media-node', image: 'none', ports: [{ name: 'api', containerPort: 1 }] },
        ],
      },
    });
    const other = objectPath(resourceTypes.pods, { namespace, name }, 'status');
    await plane.client.call({ method: 'PATCH', path: other, patch: 'merge', body: { status } });
    expect((await audit()).unreachable).toEqual([
      expect.objectContaining({ place: `pod ${name} at http://127.0.0.1:1` }),
    ]);
  }, 60_000);

  it('names the Kubernetes API where that is away', async () => {
    await plane.stop();
    const { differences, unreachable } = await audit();
    expect(differences).toEqual([]);
    expect(unreachable).toEqual([expect.objectContaining({ place: 'Kubernetes API' })]);
  }, 60_000);
});

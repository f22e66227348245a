import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import type { KubernetesNode, Pod } from '../../operator/cluster.ts';
import { managedBy, managedByLabel } from '../../operator/workers/labels.ts';
import { until } from '../until.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { Kubelets } from './kubelet.ts';

const soon = { timeoutMs: 20_000, intervalMs: 25 };
const secret = 'a secret of the tests, long enough';
const logger = pino({ level: 'silent' });

let plane: ControlPlane;
let kubelets: Kubelets;
let namespace: string;
let count = 0;

beforeAll(async () => {
  plane = await startControlPlane({ crds: false });
}, 90_000);

afterAll(() => plane.stop());

beforeEach(async () => {
  namespace = `kubelets-${(count += 1)}`;
  await plane.createNamespace(namespace);
  kubelets = await new Kubelets({ client: plane.client, secret, logger, namespace }).start();
});

afterEach(() => kubelets.close());

const api = () => ({ name: 'api', containerPort: 7000, protocol: 'TCP' });
const rtc = (port: number) => ({
  name: 'rtc',
  containerPort: port,
  hostPort: port,
  protocol: 'UDP',
});
const createPod = (
  name: string,
  port: number,
  spec: object = {},
  ports: object[] = [api(), rtc(port)],
): Promise<Pod> =>
  plane.client.call({
    method: 'POST',
    path: collectionPath(resourceTypes.pods, namespace),
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { [managedByLabel]: managedBy } },
      spec: {
        ...spec,
        terminationGracePeriodSeconds: 30,
        containers: [
          {
            name: 'media-node',
            image: 'kube-sfu',
            env: [
              { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              {
                name: 'ANNOUNCED_ADDRESS',
                valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } },
              },
              { name: 'POOL', value: 'media' },
              { name: 'ROLE', value: 'Both' },
              { name: 'RTC_WORKERS', value: '1' },
            ],
            ports,
          },
        ],
      },
    },
  });
const getPod = (name: string): Promise<Pod> =>
  plane.client.call({ method: 'GET', path: objectPath(resourceTypes.pods, { namespace, name }) });
const deletePod = (name: string): Promise<unknown> =>
  plane.client.call({
    method: 'DELETE',
    path: objectPath(resourceTypes.pods, { namespace, name }),
  });
const names = async (): Promise<string[]> => {
  const { items } = await plane.client.list<Pod>(collectionPath(resourceTypes.pods, namespace));
  return items.map(({ metadata }) => metadata.name);
};
const isReady = ({ status }: Pod): boolean =>
  status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ??
  false;
const ready = (name: string): Promise<Pod> =>
  until(
    `pod ${name} to be ready`,
    async () => {
      const pod = await getPod(name);
      return isReady(pod) && pod;
    },
    soon,
  ) as Promise<Pod>;

describe('the kubelets', () => {
  it('run a pod as a process that answers at the address of its status', async () => {
    await kubelets.addNode('run-a', { internalIP: '127.9.9.9', externalIP: '203.0.113.9' });
    await createPod('media-0', 20_000);
    const { spec, status } = await ready('media-0');
    expect(spec.nodeName).toBe('run-a');
    expect(status).toMatchObject({ phase: 'Running', hostIP: '127.9.9.9' });
    const node = kubelets.node('media-0');
    expect(node.url).toBe(`http://${status.podIP ?? ''}:7000`);
    expect(node.status()).toMatchObject({ podName: 'media-0', announcedAddress: '127.9.9.9' });
    expect((await fetch(`${node.url}/readyz`)).status).toBe(200);
  });

  it('leave a pod pending that fits no machine, until one comes', async () => {
    await createPod('media-0', 20_000);
    await until('the scheduler to give up', async () =>
      (await getPod('media-0')).status.conditions?.some(({ reason }) => reason === 'Unschedulable'),
    );
    await kubelets.addNode('late');
    await ready('media-0');
  });

  it('spread pods with one host port over machines, and wait for one that is not cordoned', async () => {
    await kubelets.addNode('spread-a');
    await kubelets.addNode('spread-b');
    await kubelets.cordon('spread-b');
    await createPod('media-0', 20_000);
    await ready('media-0');
    await createPod('media-1', 20_000);
    await until('the scheduler to give up', async () =>
      (await getPod('media-1')).status.conditions?.some(({ reason }) => reason === 'Unschedulable'),
    );
    await kubelets.cordon('spread-b', false);
    expect((await ready('media-1')).spec.nodeName).toBe('spread-b');
  });

  it('end the process of a deleted pod, and only then let the pod go', async () => {
    await kubelets.addNode('delete-a');
    await createPod('media-0', 20_000);
    await ready('media-0');
    const { url } = kubelets.node('media-0');
    await deletePod('media-0');
    await until('the pod to go', async () => (await names()).length === 0, soon);
    await expect(fetch(`${url}/readyz`)).rejects.toThrow();
    expect(kubelets.nodes.size).toBe(0);
  });

  it('count the restarts of a container that crashes', async () => {
    await kubelets.addNode('crash-a');
    await createPod('media-0', 20_000);
    await ready('media-0');
    const { instanceId } = kubelets.node('media-0');
    await kubelets.crash('media-0');
    const { status } = await ready('media-0');
    expect(status.containerStatuses?.[0]?.restartCount).toBe(1);
    expect(kubelets.node('media-0').instanceId).not.toBe(instanceId);
  });

  it('keep the deleted pods of a lost machine until they are forced or the machine is back', async () => {
    await kubelets.addNode('lost-a');
    for (const [index, name] of ['media-0', 'media-1'].entries())
      await createPod(name, 20_000 + index);
    await ready('media-0');
    await ready('media-1');
    const { url } = kubelets.node('media-0');
    await kubelets.loseNode('lost-a');
    await expect(fetch(`${url}/readyz`)).rejects.toThrow();
    await deletePod('media-0');
    await deletePod('media-1');
    expect(await names()).toEqual(['media-0', 'media-1']);
    await plane.kubectl(['delete', 'pod', 'media-0', '--force', '--grace-period=0'], { namespace });
    expect(await names()).toEqual(['media-1']);
    await kubelets.recoverNode('lost-a');
    await until('the other pod to go', async () => (await names()).length === 0, soon);
  });

  it('let the processes of a machine run on whose kubelet alone is dead', async () => {
    await kubelets.addNode('silent-a');
    await createPod('media-0', 20_000);
    await ready('media-0');
    const { url, instanceId } = kubelets.node('media-0');
    await kubelets.loseNode('silent-a', { keepRunning: true });
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(isReady(await getPod('media-0'))).toBe(false);
    await kubelets.recoverNode('silent-a');
    await ready('media-0');
    expect(kubelets.node('media-0').instanceId).toBe(instanceId);
  });

  it('hold back the start of pods, as when an image cannot be pulled', async () => {
    await kubelets.addNode('hold-a');
    kubelets.hold();
    await createPod('media-0', 20_000);
    await until(
      'the kubelet to wait for the image',
      async () =>
        (await getPod('media-0')).status.containerStatuses?.[0]?.state.waiting?.reason ===
        'ImagePullBackOff',
      soon,
    );
    kubelets.release();
    await ready('media-0');
  });

  it('run a pod of the host network at the address of its machine', async () => {
    await kubelets.addNode('host-a', { internalIP: '127.9.9.10' });
    const ports = [{ name: 'api', containerPort: 7000, hostPort: 7000, protocol: 'TCP' }];
    await createPod('media-0', 7001, { hostNetwork: true }, ports);
    expect((await ready('media-0')).status.podIP).toBe('127.9.9.10');
    expect(kubelets.node('media-0').url).toBe('http://127.9.9.10:7000');
  });

  it('bring up many pods at a time', async () => {
    for (let i = 0; i < 10; i++) await kubelets.addNode(`many-${i}`);
    await Promise.all(Array.from({ length: 50 }, (_, i) => createPod(`media-${i}`, 20_000 + i)));
    await until(
      'all pods to be ready',
      async () => {
        const path = collectionPath(resourceTypes.pods, namespace);
        const { items } = await plane.client.list<Pod>(path);
        return items.filter(isReady).length === 50;
      },
      soon,
    );
    const { items } = await plane.client.list<KubernetesNode>(collectionPath(resourceTypes.nodes));
    const load = Map.groupBy(kubelets.nodes.keys(), (key) =>
      kubelets.machineOf(key.slice(key.indexOf('/') + 1)),
    );
    expect(items.map(({ metadata }) => load.get(metadata.name)?.length)).toEqual(
      Array.from({ length: 10 }, () => 5),
    );
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { findCondition } from '../../common/resources/conditions.ts';
import type { Condition } from '../../common/resources/types.ts';
import type { ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { KubernetesWorld, startWorldControlPlane } from '../../testing/kubernetes/world.ts';
import { until } from '../../testing/until.ts';

const testTimeoutMs = 60_000;
const soon = { timeoutMs: 30_000, intervalMs: 50 };

let controlPlane: ControlPlane;
let world: KubernetesWorld;
beforeAll(async () => {
  controlPlane = await startWorldControlPlane();
}, testTimeoutMs);
afterAll(() => controlPlane.stop());
beforeEach(async () => {
  world = await KubernetesWorld.create(controlPlane);
  await world.start();
}, testTimeoutMs);
afterEach(() => world.close(), testTimeoutMs);

const waitFor = (pool: string, type: string, reason: string): Promise<Condition> =>
  until(
    `${type} of ${pool} to be ${reason}`,
    async () => {
      const found = findCondition((await world.pool(pool)).status?.conditions, type);
      return found?.reason === reason ? found : undefined;
    },
    soon,
  );
const enforce = (level: string): Promise<string> =>
  world.kubectl([
    ...['label', 'namespace', world.namespace, '--overwrite'],
    `pod-security.kubernetes.io/enforce=${level}`,
  ]);

describe("a pool's pods at a real API server", () => {
  it(
    'keep to the restricted profile where clients reach pods',
    async () => {
      await enforce('restricted');
      await world.applyPool('c', { role: 'Consumer', network: { mode: 'PodIP' } });
      await world.readyPool('c');
    },
    testTimeoutMs,
  );

  it.each([
    { mode: 'HostPort', wants: 'hostPort' },
    { mode: 'HostNetwork', wants: 'host namespaces' },
  ])(
    'need no more than it wants in mode $mode',
    async ({ mode, wants }) => {
      await enforce('restricted');
      await world.applyPool('c', { role: 'Consumer', network: { mode } });
      const created = await waitFor('c', 'PodsCreated', 'Forbidden');
      expect(created.message).toContain('violates PodSecurity "restricted:latest"');
      expect(created.message).toContain(wants);
      // Each violation is a part of its own, after the first.
      const violations = created.message.split('": ')[1]?.split('), ') ?? [];
      expect(violations.filter((text) => !/^(hostPort|host namespaces)/.test(text))).toEqual([]);
      await enforce('privileged');
      await world.readyPool('c');
    },
    testTimeoutMs,
  );

  it(
    'are refused with the field that is wrong in their overrides',
    async () => {
      const podTemplate = { spec: { tolerations: [{ operator: 'Sometimes', key: 'x' }] } };
      await world.applyPool('c', { role: 'Consumer', podTemplate });
      const created = await waitFor('c', 'PodsCreated', 'InvalidPodTemplate');
      expect(created.message).toContain('spec.tolerations[0].operator');
      const events = await until(
        'the Event',
        async () => {
          const all = await world.events('MediaWorker', 'c');
          return all.filter(({ reason }) => reason === 'InvalidPodTemplate').at(0);
        },
        soon,
      );
      expect(events).toMatchObject({ type: 'Warning', action: 'CreatePods' });
      expect(events.note).toContain('spec.tolerations[0].operator');
      await world.applyPool('c', { role: 'Consumer' });
      await world.readyPool('c');
    },
    testTimeoutMs,
  );

  it(
    'are refused with a field of their overrides that does not exist',
    async () => {
      const podTemplate = { spec: { tolerationz: [] } };
      await world.applyPool('c', { role: 'Consumer', podTemplate });
      const created = await waitFor('c', 'PodsCreated', 'InvalidPodTemplate');
      expect(created.message).toContain('unknown field "spec.tolerationz"');
    },
    testTimeoutMs,
  );

  it(
    'are what they were meant to be: nothing is lost or filled in that would roll them',
    async () => {
      await world.applyPool('c', {
        role: 'Consumer',
        resources: { requests: { cpu: '500m' }, limits: { memory: '1Gi', cpu: 2 } },
        podTemplate: { spec: { nodeSelector: { b: '1', a: '2' }, priorityClassName: '' } },
      });
      await until('the pod', async () => (await world.podNames()).includes('c-0'), soon);
      const { metadata } = await world.pod('c-0');
      await world.applyPool('c', {
        role: 'Consumer',
        resources: { limits: { cpu: 2, memory: '1Gi' }, requests: { cpu: '500m' } },
        podTemplate: { spec: { priorityClassName: '', nodeSelector: { a: '2', b: '1' } } },
      });
      await waitFor('c', 'Updated', 'AllNodesUpdated');
      expect((await world.pod('c-0')).metadata.uid).toBe(metadata.uid);
    },
    testTimeoutMs,
  );
});

describe('an eviction', () => {
  const evict = (pod: string): Promise<unknown> =>
    controlPlane.client.call({
      method: 'POST',
      path: `/api/v1/namespaces/${world.namespace}/pods/${pod}/eviction`,
      body: {
        ...{ apiVersion: 'policy/v1', kind: 'Eviction' },
        metadata: { name: pod, namespace: world.namespace },
      },
    });

  it(
    'of a node with rooms is refused by the budget of its pool',
    async () => {
      await world.applyPool('b', { role: 'Both' });
      await world.readyPool('b');
      await world.applyRoom('room');
      await world.readyRoom('room');
      await until(
        'the node to be protected',
        async () => (await world.pod('b-0')).metadata.labels?.['kube-sfu.dev/occupied'] === 'true',
        soon,
      );
      await expect(evict('b-0')).rejects.toMatchObject({ statusCode: 429 });
      await world.delete('mediarooms', 'room');
      await until(
        'the node to be free',
        async () =>
          (await world.pod('b-0')).metadata.labels?.['kube-sfu.dev/occupied'] === undefined,
        soon,
      );
      await evict('b-0');
      await until('another node', async () => (await world.podNames()).includes('b-1'), soon);
    },
    testTimeoutMs,
  );
});

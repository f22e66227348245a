import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';

import type { ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { KubernetesWorld, startWorldControlPlane } from '../../testing/kubernetes/world.ts';
import { until } from '../../testing/until.ts';

const soon = { timeoutMs: 20_000, intervalMs: 50 };

let controlPlane: ControlPlane;
let world: KubernetesWorld;

beforeAll(async () => {
  controlPlane = await startWorldControlPlane();
}, 90_000);

afterAll(() => controlPlane.stop());

beforeEach(async () => {
  world = await KubernetesWorld.create(controlPlane);
  await world.start();
});

afterEach(() => world.close());

const manifest = (kind: string, name: string, spec: object): string =>
  stringify({ apiVersion: 'kube-sfu.dev/v1alpha1', kind, metadata: { name }, spec });

const pools =
  manifest('MediaWorker', 'producers', { role: 'Producer', replicas: 1 }) +
  '---\n' +
  manifest('MediaWorker', 'consumers', { role: 'Consumer', replicas: 2 });
const room = manifest('MediaRoom', 'lobby', {});

const apply = (input: string): Promise<string> => world.kubectl(['apply', '-f', '-'], input);
const waitReady = (what: string): Promise<string> =>
  world.kubectl(['wait', what, '--for=condition=Ready', '--timeout=20s']);
const routers = (): string[] =>
  [...world.kubelets.nodes.values()].flatMap((node) => [...node.routers.keys()]);

describe('the operator on a real API server', () => {
  it('makes pods and a placed room of what kubectl applies', async () => {
    await apply(pools);
    await apply(room);
    for (const what of ['mediaworker/producers', 'mediaworker/consumers', 'mediaroom/lobby'])
      expect(await waitReady(what)).toContain('condition met');
    expect(await world.podNames()).toEqual(['consumers-0', 'consumers-1', 'producers-0']);
    const { status } = await world.room('lobby');
    expect(status?.placements?.map(({ role }) => role).sort()).toEqual(['Consumer', 'Producer']);
    expect(routers().sort()).toEqual(status?.placements?.map(({ routerId }) => routerId).sort());
  });

  it('follows kubectl scale, up and down', async () => {
    await apply(pools);
    await waitReady('mediaworker/consumers');
    await world.kubectl(['scale', 'mediaworker/consumers', '--replicas=3']);
    await until(
      'three nodes',
      async () => (await world.readyPool('consumers')).status?.readyReplicas === 3,
      soon,
    );
    expect(world.kubelets.nodes.size).toBe(4);
    await world.kubectl(['scale', 'mediaworker/consumers', '--replicas=1']);
    await until('one node', async () => (await world.podNames()).length === 2, soon);
    await waitReady('mediaworker/consumers');
  });

  it('closes the routers of a room that kubectl deletes, and ends the pods of a pool', async () => {
    await apply(pools);
    await apply(room);
    await waitReady('mediaroom/lobby');
    await world.kubectl(['delete', 'mediaroom/lobby', '--timeout=20s']);
    expect(routers()).toEqual([]);
    await world.kubectl(['delete', 'mediaworker', '--all', '--timeout=20s']);
    await until('the pods to go', async () => (await world.podNames()).length === 0, soon);
    expect(world.kubelets.nodes.size).toBe(0);
  });

  it('goes on after the API server was started anew', async () => {
    await apply(pools);
    await waitReady('mediaworker/consumers');
    await controlPlane.restart();
    await apply(room);
    await waitReady('mediaroom/lobby');
  });
});

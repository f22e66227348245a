import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { collectionPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { until } from '../until.ts';
import { ApiProxy } from './api-proxy.ts';
import type { ControlPlane } from './control-plane.ts';
import { KubernetesWorld, startWorldControlPlane } from './world.ts';

let controlPlane: ControlPlane;

beforeAll(async () => {
  controlPlane = await startWorldControlPlane();
}, 90_000);

afterAll(() => controlPlane.stop());

describe('a world on a real API server', () => {
  it('undoes everything at its end, also where no operator runs any more', async () => {
    const world = await KubernetesWorld.create(controlPlane);
    await world.start();
    await world.applyPool('media', { role: 'Both', replicas: 2 });
    await world.applyRoom('lobby');
    await world.readyRoom('lobby');
    await world.kubelets.loseNode(world.kubelets.machineOf('media-0'));
    await world.stopOperators();
    await world.close();
    expect([await world.pools(), await world.rooms(), await world.pods()]).toEqual([[], [], []]);
  });

  it('fails its end when something is left, and names it', async () => {
    const world = await KubernetesWorld.create(controlPlane);
    await controlPlane.client.call({
      method: 'POST',
      path: collectionPath(resourceTypes.pods, world.namespace),
      body: {
        metadata: { name: 'stray' },
        spec: { containers: [{ name: 'stray', image: 'stray' }] },
      },
    });
    await expect(world.close(500)).rejects.toThrow(/left: pods\/stray/);
  });

  it('converges through a proxy that resets watches and refuses calls at random', async () => {
    const world = await KubernetesWorld.create(controlPlane);
    const proxy = await ApiProxy.start(controlPlane);
    try {
      await world.start({ through: proxy });
      proxy.failShare({ share: 0.2, statuses: [429, 500, 503], seed: 1 });
      proxy.resetWatches(300);
      await world.applyPool('media', { role: 'Both', replicas: 2 });
      await world.applyRoom('lobby');
      await world.readyRoom('lobby');
      proxy.expireVersions();
      await world.applyPool('media', { role: 'Both', replicas: 1 });
      await until('one node', async () => (await world.podNames()).length === 1);
    } finally {
      await world.close();
      await proxy.close();
    }
  });
});

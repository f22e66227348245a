import { afterAll, beforeAll, expect } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { Meeting } from './harness/pages.ts';
import { clusterObjects, fingerprint, objectsIn } from './harness/inventory.ts';
import { Release } from './harness/release.ts';
import { enterCluster, ensureInstalled, openMeeting, type World } from './harness/shared.ts';
import { hookTimeout, onFailure, scenario, scene, timed } from './harness/suite.ts';

const setUpMs = 300_000;
/** Long enough for everything but what can't be. */
const brokenMs = 25_000;

const kinds = ['mediarooms.kube-sfu.dev', 'mediaworkers.kube-sfu.dev'];

let world: World;
let meeting: Meeting;
let second: Release;
let clusterBefore: string[];
let before: Record<string, string>;

beforeAll(async () => {
  world = await enterCluster();
  // The same name in another namespace, and rooms in the release's own namespace.
  const namespace = 'e2e-second';
  second = new Release(world.cluster, {
    ...{ name: world.release.options.name, namespace, mediaNamespace: namespace },
    ...{ host: 'second.kube-sfu.test', firstPort: 25_000, consumers: 1 },
  });
  await scene(
    'a release with pages in a room',
    async () => {
      await ensureInstalled(world);
      meeting = await openMeeting(world);
      const labels = { 'pod-security.kubernetes.io/enforce': 'privileged' };
      await world.cluster.apply([
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
      ]);
      clusterBefore = await clusterObjects(world.cluster);
      before = await firstRelease();
    },
    setUpMs,
  );
}, hookTimeout(setUpMs));

afterAll(async () => {
  const { cluster, release } = world;
  await meeting.close();
  const namespaces = [second.options.namespace, release.options.namespace];
  await cluster.kubectl(['delete', 'namespace', ...namespaces, '--ignore-not-found'], {
    timeoutMs: 90_000,
  });
  if (await release.bringsKinds())
    await cluster.kubectl(['delete', 'crd', ...kinds, '--ignore-not-found', '--timeout=60s']);
}, 200_000);

const firstRelease = async (): Promise<Record<string, string>> => {
  const { namespace, mediaNamespace } = world.release.options;
  return {
    ...(await fingerprint(world.cluster, namespace)),
    ...(await fingerprint(world.cluster, mediaNamespace)),
  };
};

/** Pods end in their own time, after Helm has. */
const nothingIn = (namespace: string): Promise<true> =>
  until(
    `nothing in ${namespace}`,
    async () => {
      expect(await objectsIn(world.cluster, namespace)).toEqual([]);
      return true as const;
    },
    { timeoutMs: 60_000, intervalMs: 1000 },
  );

scenario(
  'an installation that failed half-way is completed by the next',
  async () => {
    const broken = { signaling: { image: { tag: 'there-is-no-such-tag' } } };
    await expect(second.deploy(broken, brokenMs)).rejects.toThrow(/helm upgrade/);
    expect(await second.isDeployed()).toBe(false);
    await meeting.during('a second release is installed', () =>
      timed('helm upgrade --install on a failed installation', () => second.deploy()),
    );
    expect(await second.isDeployed()).toBe(true);
  },
  400_000,
);

scenario(
  'two releases of one name serve rooms of one name side by side, and the first is untouched',
  async () => {
    const { cluster } = world;
    const room = 'e2e';
    const namespace = second.options.mediaNamespace;
    await cluster.apply([second.room(room)]);
    await cluster.wait(`mediaroom/${room}`, 'condition=Ready', { namespace, timeoutMs: 90_000 });
    const other = await Meeting.open(
      {
        ...{ ingressAddress: cluster.info.ingressAddress, url: second.pageUrl, room },
        tokenOf: (peer) => second.token(room, peer),
      },
      ['dora', 'emil'],
    );
    onFailure((folder) => other.dump(folder));
    await other.everybodySeesEverybody();
    await meeting.everybodySeesEverybody();
    const peersOf = async (page: Meeting, name: string): Promise<string[]> =>
      (await page.page(name).snapshot()).peers.map(({ peerId }) => peerId).sort();
    expect(await peersOf(other, 'dora')).toEqual(['emil']);
    expect(await peersOf(meeting, 'ada')).toEqual(['bert', 'cleo']);
    await other.close();
    expect(await firstRelease()).toEqual(before);
  },
  240_000,
);

scenario(
  'uninstalling the second leaves nothing of it, and the first untouched',
  async () => {
    const { cluster } = world;
    await meeting.during('the second release is uninstalled', () =>
      timed('helm uninstall', () => second.uninstall()),
    );
    await nothingIn(second.options.namespace);
    expect(await clusterObjects(cluster)).toEqual(clusterBefore);
    expect(await firstRelease()).toEqual(before);
  },
  360_000,
);

scenario(
  'uninstalling the release that brought the kinds leaves those alone, with a room in use',
  async () => {
    const { cluster, release } = world;
    const { namespace, mediaNamespace } = release.options;
    await timed('helm uninstall with peers in a room', () => release.uninstall());
    await nothingIn(namespace);
    const left = await until('the namespace of media to be gone', async () => {
      const objects = await clusterObjects(cluster);
      return objects.includes(`Namespace/${mediaNamespace}`) ? undefined : objects;
    });
    expect(left).toEqual(
      expect.arrayContaining(kinds.map((name) => `CustomResourceDefinition/${name}`)),
    );
    expect(left.filter((name) => name.includes(namespace))).toEqual([`Namespace/${namespace}`]);
  },
  360_000,
);

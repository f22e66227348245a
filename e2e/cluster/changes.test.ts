import { afterAll, beforeAll, expect } from '@jest/globals';

import { Cluster } from './harness/cluster.ts';
import type { Meeting } from './harness/pages.ts';
import { nextImage } from './harness/images.ts';
import type { Values } from './harness/release.ts';
import { enterCluster, ensureInstalled, openMeeting, type World } from './harness/shared.ts';
import { hookTimeout, scenario, scenarioWhere, scene } from './harness/suite.ts';

const setUpMs = 300_000;
const rolloutMs = 150_000;

let world: World;
let meeting: Meeting;

beforeAll(async () => {
  world = await enterCluster();
  await scene(
    'a release with pages in a room',
    async () => {
      await ensureInstalled(world);
      meeting = await openMeeting(world);
    },
    setUpMs,
  );
}, hookTimeout(setUpMs));

afterAll(() => meeting.close(), 30_000);

const media = (): string => world.release.options.mediaNamespace;
const podsOf = (pool: string): string => `kube-sfu.dev/pool=${pool}`;

async function scale(pool: string, replicas: number): Promise<void> {
  const { cluster } = world;
  await cluster.kubectl([
    'scale',
    `mediaworker/${pool}`,
    `--replicas=${replicas}`,
    `--namespace=${media()}`,
  ]);
  await cluster.readyPods(media(), podsOf(pool), replicas);
}

const pools = { producers: 1, consumers: 2 };

/** Waits until every pool has the nodes that it should have, and no others: the last old one ends after `Updated` is true. */
async function settle(): Promise<void> {
  const { cluster } = world;
  for (const [pool, replicas] of Object.entries(pools)) {
    await cluster.wait(`mediaworker/${pool}`, 'condition=Updated', {
      ...{ namespace: media(), timeoutMs: rolloutMs },
    });
    await cluster.readyPods(media(), podsOf(pool), replicas, rolloutMs);
  }
}

async function changePool(pool: string, spec: object): Promise<void> {
  const patch = JSON.stringify({ spec });
  const args = ['--type=merge', `--patch=${patch}`, `--namespace=${media()}`];
  await world.cluster.kubectl(['patch', `mediaworker/${pool}`, ...args]);
  await settle();
}

/** An upgrade brings pools back to their values, which may roll them. */
async function upgrade(values: Values): Promise<void> {
  await world.release.deploy(values);
  await settle();
}

async function rollback(): Promise<void> {
  await world.release.rollback();
  await settle();
}

scenario('a room works on when its pool is scaled up', async () => {
  await meeting.restore();
  await meeting.during('kubectl scale, 2 to 3 consumer nodes', () => scale('consumers', 3));
});

scenario(
  'a room works on when its pool is scaled down',
  async () => {
    await meeting.restore();
    await meeting.during('kubectl scale, 3 to 1 consumer nodes', () => scale('consumers', 1));
    await meeting.during('kubectl scale, 1 to 2 consumer nodes', () => scale('consumers', 2));
  },
  240_000,
);

scenario(
  'a room works on when the image of its pools changes',
  async () => {
    await meeting.restore();
    const [pod] = await world.cluster.readyPods(media(), podsOf('producers'), 1);
    const image = await nextImage(world.cluster, pod!);
    for (const pool of ['consumers', 'producers']) {
      await meeting.during(`new image of the ${pool}`, () => changePool(pool, { image }));
      const pods = await world.cluster.pods(media(), podsOf(pool));
      expect(new Set(pods.map(({ spec }) => spec.containers[0]?.image))).toEqual(new Set([image]));
    }
  },
  360_000,
);

scenario(
  'a room works on when the resources of its pool change',
  async () => {
    await meeting.restore();
    await meeting.during('new resources of the consumers', () =>
      changePool('consumers', { resources: { requests: { cpu: '21m' } } }),
    );
  },
  240_000,
);

/** What measures the pods' CPU use. */
const metricsMissing = async (): Promise<string | undefined> => {
  const cluster = await Cluster.connect();
  const services = await cluster.list('apiservices');
  return services.some(({ metadata }) => metadata.name === 'v1beta1.metrics.k8s.io')
    ? undefined
    : 'the cluster has no metrics-server';
};

scenarioWhere(
  await metricsMissing(),
  'the autoscaler of signaling gets its metrics',
  async () => {
    await meeting.restore();
    const { cluster, release } = world;
    const { namespace } = release.options;
    const autoscaling = { enabled: true, minReplicas: 2, maxReplicas: 3 };
    await meeting.during('helm upgrade, autoscaling on', () =>
      upgrade({ signaling: { autoscaling } }),
    );
    const name = `hpa/${release.fullname}-signaling`;
    await cluster.wait(name, 'condition=ScalingActive', { namespace, timeoutMs: 120_000 });
    await meeting.during('helm rollback, autoscaling off', () => rollback());
  },
  360_000,
);

/** Rolls operator and signaling. */
const rolling = (value: string): object => ({ podAnnotations: { 'e2e.kube-sfu.dev/roll': value } });

scenario(
  'a room works on through helm upgrade and helm rollback',
  async () => {
    await meeting.restore();
    const { cluster, release } = world;
    const before = await cluster.pods(release.options.namespace, release.selector('signaling'));
    const change = { operator: rolling('1'), signaling: rolling('1') };
    await meeting.during('helm upgrade, new operators and signaling', () => upgrade(change));
    const after = await cluster.readyPods(
      ...([release.options.namespace, release.selector('signaling'), 2] as const),
    );
    const uids = new Set(before.map(({ metadata }) => metadata.uid));
    expect(after.filter(({ metadata }) => uids.has(metadata.uid))).toEqual([]);
    await meeting.during('helm rollback', () => rollback());
  },
  480_000,
);

import { afterAll, beforeAll, expect } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { Cluster, type KubeObject, type Pod } from './harness/cluster.ts';
import { cutOff, machinesMissing, mend } from './harness/machines.ts';
import type { Meeting } from './harness/pages.ts';
import { report } from './harness/report.ts';
import { enterCluster, ensureInstalled, openMeeting, type World } from './harness/shared.ts';
import { hookTimeout, scenario, scenarioWhere, scene, timed } from './harness/suite.ts';

const setUpMs = 300_000;
/** How long a pod may take to be replaced. */
const replacedMs = 90_000;
const drainMs = 180_000;

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

afterAll(async () => {
  await world.cluster.kubectl(['uncordon', lastNode()]);
  await meeting.close();
}, 30_000);

const media = (): string => world.release.options.mediaNamespace;
const system = (): string => world.release.options.namespace;
/** Where neither Postgres nor the ingress controller is. */
const lastNode = (): string => world.cluster.info.nodes.at(-1) ?? '';
const poolSelector = (pool: string): string => `kube-sfu.dev/pool=${pool}`;

async function poolsReady(): Promise<void> {
  await world.cluster.readyPods(media(), poolSelector('producers'), 1, replacedMs);
  await world.cluster.readyPods(media(), poolSelector('consumers'), 2, replacedMs);
}

const onLastNode = async (): Promise<Pod[]> => {
  const pods = await world.cluster.pods(media(), 'kube-sfu.dev/pool');
  return pods.filter(({ spec }) => spec.nodeName === lastNode());
};

/** Asks for a pod's eviction, as kubectl drain does; resolves to what the API server answered where it refused. */
async function refusalOfEviction({ metadata: { name, namespace = '' } }: Pod): Promise<string> {
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
  return world.cluster
    .kubectl(['create', `--raw=${path}`, '--filename=-'], { input: JSON.stringify(eviction) })
    .then(
      () => '',
      (error: unknown) => String(error),
    );
}

scenario(
  'kubectl drain waits by the disruption budget until the rooms have moved, and ends',
  async () => {
    const { cluster } = world;
    await poolsReady();
    await meeting.restore();
    const occupied = await until('a live room on the node', async () => {
      const pods = await onLastNode();
      return pods.find(({ metadata }) => metadata.labels?.['kube-sfu.dev/occupied'] === 'true');
    });
    expect(await refusalOfEviction(occupied)).toContain('disruption budget');
    await meeting.during('kubectl drain of a node', () =>
      timed('kubectl drain', async () => {
        const args = [
          '--ignore-daemonsets',
          '--delete-emptydir-data',
          `--timeout=${drainMs / 1000}s`,
        ];
        await cluster.kubectl(['drain', lastNode(), ...args], { timeoutMs: drainMs + 10_000 });
      }),
    );
    expect(await onLastNode()).toEqual([]);
    await meeting.during('kubectl uncordon', async () => {
      await cluster.kubectl(['uncordon', lastNode()]);
      await poolsReady();
    });
  },
  drainMs + 120_000,
);

/** Deletes a pod, and waits until as many others as there were take traffic. */
async function replace(pods: Pod[], pod: Pod, selector: string): Promise<void> {
  const { name, namespace = '', uid } = pod.metadata;
  const { cluster } = world;
  await cluster.kubectl(['delete', 'pod', name, `--namespace=${namespace}`, '--wait=false']);
  await until(
    `${name} to be replaced`,
    async () => {
      const now = await cluster.readyPods(namespace, selector, pods.length, replacedMs);
      return now.every(({ metadata }) => metadata.uid !== uid);
    },
    { timeoutMs: replacedMs },
  );
}

async function deletes(what: string, namespace: string, selector: string): Promise<void> {
  const pods = await world.cluster.pods(namespace, selector);
  expect(pods.length).toBeGreaterThan(0);
  await meeting.restore();
  await meeting.during(`kubectl delete pod, ${what}`, () =>
    timed(`${what}: pod replaced`, () => replace(pods, pods[0]!, selector)),
  );
}

/** Who acts, by the Lease. */
async function leader(): Promise<string> {
  const name = `${world.release.fullname}-operator`;
  const lease = await world.cluster.get<KubeObject & { spec: { holderIdentity?: string } }>(
    ...(['lease', name, system()] as const),
  );
  return lease.spec.holderIdentity ?? '';
}

scenario('another operator acts when the leader is deleted', async () => {
  const selector = world.release.selector('operator');
  const pods = await world.cluster.readyPods(system(), selector, 2);
  const holder = await leader();
  const acting = pods.find(({ metadata }) => holder.startsWith(metadata.name));
  expect(acting).toBeDefined();
  await meeting.restore();
  await meeting.during('kubectl delete pod, the acting operator', async () => {
    const start = Date.now();
    const { name } = acting!.metadata;
    await world.cluster.kubectl(['delete', 'pod', name, `--namespace=${system()}`, '--wait=false']);
    await until('another leader', async () => ![holder, ''].includes(await leader()));
    report({ type: 'time', what: 'another operator acts', ms: Date.now() - start });
    await world.cluster.readyPods(system(), selector, 2);
  });
});

scenario('pages come back when their signaling replica is deleted', () =>
  deletes('a signaling replica', system(), world.release.selector('signaling')),
);

scenario('a room moves when its consumer node is deleted', () =>
  deletes('a consumer node', media(), poolSelector('consumers')),
);

scenario('a room moves when its producer node is deleted', () =>
  deletes('the producer node', media(), poolSelector('producers')),
);

scenario('pages see each other on when Postgres is deleted', () =>
  deletes('Postgres', system(), world.release.selector('trial-postgres')),
);

scenarioWhere(
  machinesMissing(await Cluster.connect()),
  'a room works on when a machine is cut off the network, and the machine comes back',
  async () => {
    const { cluster } = world;
    await poolsReady();
    await meeting.restore();
    const node = lastNode();
    try {
      await meeting.during('a node cut off the network', async () => {
        await cutOff(node);
        await timed('a node cut off: noticed by Kubernetes', () =>
          cluster.wait(`node/${node}`, 'condition=Ready=Unknown', { timeoutMs: 120_000 }),
        );
      });
    } finally {
      await mend(node);
    }
    await meeting.during('its network mended', async () => {
      await timed('its network mended: node Ready', () =>
        cluster.wait(`node/${node}`, 'condition=Ready', { timeoutMs: 120_000 }),
      );
      await poolsReady();
    });
  },
  420_000,
);

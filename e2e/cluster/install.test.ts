import { afterAll, beforeAll, expect } from '@jest/globals';

import type { MediaRoom } from '../../common/resources/types.ts';
import { until } from '../../testing/until.ts';
import { Cluster, type KubeObject } from './harness/cluster.ts';
import { Meeting } from './harness/pages.ts';
import { findGateway } from './harness/release.ts';
import {
  enterCluster,
  makeNamespaces,
  names,
  openMeeting,
  roomName,
  type World,
} from './harness/shared.ts';
import { onFailure, scenario, scenarioWhere, timed } from './harness/suite.ts';

let world: World;
let meeting: Meeting | undefined;

beforeAll(async () => {
  world = await enterCluster();
});

afterAll(() => meeting?.close(), 30_000);

const media = (): string => world.release.options.mediaNamespace;

scenario(
  'helm install brings everything up',
  async () => {
    const { cluster, release } = world;
    await makeNamespaces(cluster, release);
    await timed('helm install', () => release.deploy());
    await timed('pools ready after the installation', () =>
      cluster.wait('mediaworkers', 'condition=Ready', {
        ...{ namespace: media(), timeoutMs: 120_000, selector: 'app.kubernetes.io/component=pool' },
      }),
    );
    const pods = await cluster.pods(media(), 'kube-sfu.dev/pool=consumers');
    expect(new Set(pods.map(({ spec }) => spec.nodeName)).size).toBe(2);
  },
  400_000,
);

scenario('a room applied with kubectl becomes ready', async () => {
  const { cluster, release } = world;
  await cluster.apply([release.room(roomName, 2)]);
  await cluster.wait(`mediaroom/${roomName}`, 'condition=Ready', {
    ...{ namespace: media(), timeoutMs: 60_000 },
  });
});

scenario(
  'pages join through the ingress, and all see and hear each other',
  async () => {
    const opened = await openMeeting(world);
    meeting = opened;
    const pairs = names.flatMap((watcher) =>
      names
        .filter((watched) => watched !== watcher)
        .map((watched) => opened.page(watcher).seesAndHears(watched)),
    );
    await Promise.all(pairs);
  },
  180_000,
);

scenario('what they see crosses pods and nodes', async () => {
  const { cluster } = world;
  const room = await cluster.get<MediaRoom & KubeObject>('mediaroom', roomName, media());
  const placements = room.status?.placements ?? [];
  const pods = await cluster.pods(media(), 'kube-sfu.dev/pool');
  const hostOf = (name: string): string =>
    pods.find(({ metadata }) => metadata.name === name)?.spec.nodeName ?? 'no node';
  const sides = (side: 'Producer' | 'Consumer'): string[] =>
    placements.filter((placement) => placement.role === side).map(({ podName }) => podName);
  expect(sides('Producer')).toHaveLength(1);
  expect(new Set(sides('Consumer')).size).toBe(2);
  expect(new Set(sides('Consumer').map(hostOf)).size).toBe(2);
  await until('peers on every node', async () => {
    const text = await cluster.kubectl([
      'get',
      'mediaworker',
      'consumers',
      `--namespace=${media()}`,
      '--output=json',
    ]);
    const pool = JSON.parse(text) as { status?: { nodes?: { peers?: number }[] } };
    return (
      pool.status?.nodes?.length === 2 && pool.status.nodes.every(({ peers = 0 }) => peers > 0)
    );
  });
});

scenario('kubectl get shows pools and rooms with their nodes, rooms and peers', async () => {
  const { cluster } = world;
  await until('the number of peers', async () => {
    const text = await cluster.kubectl([
      'get',
      'mediaworkers,mediarooms',
      `--namespace=${media()}`,
    ]);
    const row = (name: string): string[] =>
      text
        .split('\n')
        .find((line) => line.startsWith(name))
        ?.trim()
        .split(/\s+/) ?? [];
    // NAME ROLE READY NODES DESIRED ROOMS PEERS
    expect(row('mediaworker.kube-sfu.dev/consumers').slice(1, 7)).toEqual([
      'Consumer',
      'True',
      '2',
      '2',
      '1',
      String(names.length),
    ]);
    expect(row('mediaworker.kube-sfu.dev/producers').slice(1, 7)).toEqual([
      'Producer',
      'True',
      '1',
      '1',
      '1',
      String(names.length),
    ]);
    // NAME READY PEERS
    expect(row(`mediaroom.kube-sfu.dev/${roomName}`).slice(1, 3)).toEqual([
      'True',
      String(names.length),
    ]);
    return true;
  });
});

const cluster = await Cluster.connect();

scenarioWhere(
  (await findGateway(cluster)) ? undefined : 'the cluster has no Gateway that takes HTTP',
  'pages join through a HTTPRoute of the Gateway API',
  async () => {
    const room = 'gateway';
    const { release } = world;
    const pages = await Meeting.open(
      {
        ...{ ingressAddress: cluster.info.ingressAddress, url: release.gatewayUrl, room },
        tokenOf: (peer) => release.token(room, peer),
      },
      ['dora', 'emil'],
    );
    onFailure((folder) => pages.dump(folder));
    await pages.close();
  },
);

scenario(
  'helm test passes',
  async () => {
    expect(await world.release.test()).toMatch(/Phase:\s+Succeeded/);
  },
  150_000,
);

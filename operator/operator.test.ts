import { afterEach, describe, expect, it } from '@jest/globals';

import { findCondition, isConditionTrue } from '../common/resources/conditions.ts';
import type { Placement } from '../common/resources/types.ts';
import { OperatorWorld } from '../testing/operator-world.ts';
import { until } from '../testing/until.ts';
import { blockOf } from './workers/ports.ts';

let world: OperatorWorld;
const make = (config: Record<string, unknown> = {}): OperatorWorld => {
  world = new OperatorWorld(config).start();
  return world;
};
afterEach(() => world.close());

const soon = { timeoutMs: 10_000, intervalMs: 20 };
const readyPool = (name: string) =>
  until(
    `pool ${name} to be ready`,
    () => {
      const { status, metadata } = world.pool(name);
      const seen = status?.observedGeneration === metadata.generation;
      return seen && isConditionTrue(status.conditions, 'Ready');
    },
    soon,
  );
const readyRoom = (name: string) =>
  until(
    `room ${name} to be ready`,
    () => isConditionTrue(world.room(name).status?.conditions, 'Ready'),
    soon,
  );
const conditionsMetric = 'kube_sfu_operator_conditions';
const placements = (name: string): Placement[] => world.room(name).status?.placements ?? [];

describe('MediaWorker', () => {
  it('gets its pods, each with ports of its own, and shows them in its status', async () => {
    make();
    world.applyPool('p', { role: 'Producer', replicas: 3, workersPerNode: 2 });
    world.applyPool('c', { role: 'Consumer', replicas: 2 });
    await readyPool('p');
    await readyPool('c');
    expect(world.pods.names()).toEqual(['c-0', 'c-1', 'p-0', 'p-1', 'p-2']);
    const ports = world.pods.list().flatMap((pod) => {
      const block = blockOf(pod);
      return Array.from({ length: block!.end - block!.start + 1 }, (_, i) => block!.start + i);
    });
    expect(ports).toHaveLength(8);
    expect(new Set(ports).size).toBe(8);
    const { status } = world.pool('p');
    expect(status).toMatchObject({
      replicas: 3,
      readyReplicas: 3,
      selector: 'kube-sfu.dev/pool=p',
    });
    expect(status?.nodes?.map(({ podName, state }) => [podName, state])).toEqual([
      ['p-0', 'Ready'],
      ['p-1', 'Ready'],
      ['p-2', 'Ready'],
    ]);
    expect(status?.nodes?.[0]?.instanceId).toBe(world.pods.node('p-0').instanceId);
    expect(await world.registry.registry.getSingleMetricAsString(conditionsMetric)).toContain(
      `{kind="MediaWorker",type="Ready",status="True",reason="AllNodesReady"} 2`,
    );
    expect(world.pods.list()[0]?.metadata.ownerReferences?.[0]?.uid).toBeDefined();
  });

  it('loses its emptiest node when it is scaled down, after the node has drained', async () => {
    make();
    world.applyPool('c', { role: 'Consumer', replicas: 3 });
    await readyPool('c');
    for (const [name, peers] of [
      ['c-0', 5],
      ['c-1', 1],
      ['c-2', 3],
    ] as const) {
      world.pods.node(name).routers.set('r', {
        ...{
          routerId: `other-${name}`,
          roomId: 'other',
          role: 'Consumer',
          generation: 1,
          workerIndex: 0,
        },
        ...{ peers, transports: 0, producers: 0, consumers: 0, dataProducers: 0, dataConsumers: 0 },
      });
    }
    await until('the peers to be seen', () => world.pool('c').status?.peers === 9, soon);
    const leaving = world.pods.node('c-1');
    world.applyPool('c', { role: 'Consumer', replicas: 2 });
    await until('c-1 to drain', () => leaving.state === 'Draining', soon);
    expect(world.pods.names()).toEqual(['c-0', 'c-1', 'c-2']);
    leaving.routers.clear();
    await until('c-1 to go', () => world.pods.names().join() === 'c-0,c-2', soon);
    await readyPool('c');
    world.applyPool('c', { role: 'Consumer', replicas: 3 });
    await until(
      'the free number to be used',
      () => world.pods.names().join() === 'c-0,c-1,c-2',
      soon,
    );
  });

  it('removes a draining node with its peers once the drain time is over', async () => {
    make();
    world.applyPool('c', { role: 'Consumer', replicas: 1, drain: { timeoutSeconds: 1 } });
    await readyPool('c');
    await setPoolRoomUser();
    world.applyPool('c', { role: 'Consumer', replicas: 0, drain: { timeoutSeconds: 1 } });
    await until('the pod to go', () => world.pods.names().join() === 'p-0', soon);
  });

  it('replaces its nodes one by one when their shape changes, never with fewer than wanted', async () => {
    make();
    world.applyPool('c', { role: 'Consumer', replicas: 2 });
    await readyPool('c');
    const before = new Set(world.pods.list().map(({ metadata }) => metadata.uid));
    let fewest = Infinity;
    const watching = setInterval(() => {
      const serving = world.pods.list().filter(({ metadata }) => {
        const node = world.pods.nodes.get(metadata.name);
        return node?.state === 'Ready';
      });
      fewest = Math.min(fewest, serving.length);
    }, 5);
    world.applyPool('c', { role: 'Consumer', replicas: 2, workersPerNode: 3 });
    await until(
      'all pods to be new ones',
      () =>
        world.pods.list().length === 2 &&
        world.pods.list().every(({ metadata }) => !before.has(metadata.uid)),
      soon,
    );
    clearInterval(watching);
    expect(fewest).toBeGreaterThanOrEqual(2);
    expect(world.pods.list().every((pod) => blockOf(pod)!.end - blockOf(pod)!.start === 2)).toBe(
      true,
    );
  });

  it('replaces its nodes in turn where there are no ports for one more', async () => {
    make();
    const network = (start: number) => ({ network: { portRange: { start, end: start + 1 } } });
    world.applyPool('c', { role: 'Consumer', replicas: 2, ...network(30000) });
    await readyPool('c');
    const announced = {
      network: { portRange: { start: 30000, end: 30001 }, announcedAddress: '10.0.0.1' },
    };
    world.applyPool('c', { role: 'Consumer', replicas: 2, ...announced });
    const isNew = () =>
      world.pods.list().length === 2 &&
      world.pods
        .list()
        .every(({ spec }) =>
          spec.containers[0].env.some((item) => 'value' in item && item.value === '10.0.0.1'),
        );
    await until('all pods to be new ones', isNew, soon);
  });

  it('says so when its ports are used up by another pool', async () => {
    make();
    const range = { network: { portRange: { start: 30000, end: 30001 } } };
    world.applyPool('a', { role: 'Consumer', replicas: 2, ...range });
    await readyPool('a');
    world.applyPool('b', { role: 'Consumer', replicas: 1, ...range });
    await until(
      'the condition',
      () =>
        findCondition(world.pool('b').status?.conditions, 'PodsCreated')?.reason ===
        'PortRangeExhausted',
      soon,
    );
    world.applyPool('a', { role: 'Consumer', replicas: 1, ...range });
    await readyPool('b');
  });

  it('replaces a node that stays silent, and not one that misses a poll', async () => {
    make();
    world.applyPool('c', { role: 'Consumer', replicas: 2 });
    await readyPool('c');
    const uids = () =>
      world.pods
        .list()
        .map(({ metadata }) => metadata.uid)
        .sort()
        .join();
    const before = uids();
    let missed = 0;
    world.pods.node('c-0').fault = () => (missed++ < 1 ? 'internal' : undefined);
    await until('the node to answer again', () => missed > 3, soon);
    expect(uids()).toBe(before);
    expect(world.pool('c').status?.readyReplicas).toBe(2);
    world.pods.node('c-0').fault = () => 'internal';
    await until(
      'the node to be unreachable',
      () => world.pool('c').status?.nodes?.some(({ state }) => state === 'Unreachable'),
      soon,
    );
    await until('the pod to be replaced', () => uids() !== before, soon);
    await readyPool('c');
  });

  it('gives nobody up when all nodes go silent at once', async () => {
    make();
    world.applyPool('c', { role: 'Consumer', replicas: 2 });
    await readyPool('c');
    const before = world.pods
      .list()
      .map(({ metadata }) => metadata.uid)
      .join();
    let asked = 0;
    for (const node of world.pods.nodes.values()) {
      node.fault = () => {
        asked++;
        return 'internal';
      };
    }
    await until('many polls to be missed', () => asked > 40, soon);
    expect(
      world.pods
        .list()
        .map(({ metadata }) => metadata.uid)
        .join(),
    ).toBe(before);
    expect(world.pool('c').status?.nodes?.map(({ state }) => state)).toEqual([
      'Unreachable',
      'Unreachable',
    ]);
    for (const node of world.pods.nodes.values()) node.fault = () => undefined;
    await readyPool('c');
  });

  it('goes with its pods, their rooms moved before', async () => {
    make();
    world.applyPool('a', { role: 'Both' });
    await readyPool('a');
    world.applyRoom('room');
    await readyRoom('room');
    world.applyPool('b', { role: 'Both' });
    await readyPool('b');
    world.objects.mediaworkers.delete({ namespace: 'default', name: 'a' });
    await until(
      'the pool to go',
      () => !world.objects.mediaworkers.get({ namespace: 'default', name: 'a' }),
      soon,
    );
    expect(world.pods.names()).toEqual(['b-0']);
    await until(
      'the room to be on b alone',
      () =>
        placements('room')
          .map((p) => p.podName)
          .join() === 'b-0',
      soon,
    );
    expect(isConditionTrue(world.room('room').status?.conditions, 'Ready')).toBe(true);
  });
});

/** A room with a peer that stays, on a pool of consumers. */
async function setPoolRoomUser(): Promise<void> {
  world.applyPool('p', { role: 'Producer' });
  world.applyRoom('room');
  await readyRoom('room');
  world.pods.node('c-0').setPeers(1);
}

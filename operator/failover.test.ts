import { afterEach, describe, expect, it } from '@jest/globals';

import { isConditionTrue } from '../common/resources/conditions.ts';
import type { Placement } from '../common/resources/types.ts';
import { OperatorWorld } from '../testing/operator-world.ts';
import { quickConfig } from '../testing/quick-config.ts';
import { until } from '../testing/until.ts';

let world: OperatorWorld;
afterEach(() => world.close());

const soon = { timeoutMs: 10_000, intervalMs: 5 };
/** Nothing is looked at for its time alone, so that what is seen in time was told. */
const patient = { reconcile: { ...quickConfig.reconcile, resyncMs: 60_000 } };

/** A room on one of two consumer nodes, with the operator's own times of polling unless told otherwise. */
async function start(nodes: object = {}): Promise<Placement> {
  world = new OperatorWorld({ ...patient, nodes }).start();
  world.applyPool('p', { role: 'Producer' });
  world.applyPool('c', { role: 'Consumer', replicas: 2 });
  for (const name of ['p', 'c'])
    await until(
      `pool ${name}`,
      () => world.pool(name).status?.readyReplicas === world.pool(name).spec.replicas,
      soon,
    );
  world.applyRoom('room');
  await until(
    'the room',
    () => isConditionTrue(world.room('room').status?.conditions, 'Ready'),
    soon,
  );
  return consumer()!;
}

const placements = (): Placement[] => world.room('room').status?.placements ?? [];
const consumer = (): Placement | undefined =>
  placements().find(({ role, state }) => role === 'Consumer' && state === 'Ready');
const moved = async (from: Placement): Promise<number> => {
  const since = performance.now();
  await until(
    'the router to be replaced',
    () => {
      const now = consumer();
      return now && now.routerId !== from.routerId ? now : undefined;
    },
    soon,
  );
  return performance.now() - since;
};
const routersOnNodes = (): string[] =>
  [...world.pods.nodes.values()].flatMap((node) => [...node.routers.keys()]).sort();
const placedRouters = (): string[] =>
  placements()
    .map(({ routerId }) => routerId)
    .sort();

describe('a room whose node ends', () => {
  it('is on another node within a second by the end of its connections alone', async () => {
    const from = await start();
    // Its machine says nothing, as when it has yet to notice.
    await world.pods.node(from.podName).stop();
    expect(await moved(from)).toBeLessThan(1000);
    expect(placements()).toHaveLength(2);
    expect(world.room('room').status?.placementGeneration).toBe(2);
  });

  it('keeps its node while that stalls for less than its time', async () => {
    const from = await start({
      ...{ ...quickConfig.nodes, deadAfterMs: 3000, replaceAfterMs: 4000 },
    });
    const node = world.pods.node(from.podName);
    const before = placements();
    node.fault = (_method, path) => (path === '/status' ? 'hang' : undefined);
    await until(
      'polls to be missed',
      () => node.calls.slice(-5).every((call) => call === 'GET /status'),
      soon,
    );
    await until(
      'the node to be unreachable',
      () => world.pool('c').status?.nodes?.some(({ state }) => state === 'Unreachable'),
      soon,
    );
    node.fault = () => undefined;
    await until('the node to be ready', () => world.pool('c').status?.readyReplicas === 2, soon);
    expect(placements()).toEqual(before);
  });
});

describe('a node that was given up and comes back', () => {
  it('goes on as the same one, without what was replaced meanwhile', async () => {
    const from = await start({ ...quickConfig.nodes, replaceAfterMs: 20_000 });
    const node = world.pods.node(from.podName);
    const { uid } = world.pods
      .list()
      .find(({ metadata }) => metadata.name === from.podName)!.metadata;
    node.fault = () => 'hang';
    await moved(from);
    expect([...node.routers.keys()]).toEqual([from.routerId]);
    node.fault = () => undefined;
    // Well before routers that nobody knows are closed for their age.
    await until('its router to be closed', () => node.routers.size === 0, {
      ...soon,
      timeoutMs: 1500,
    });
    await until('the node to be ready', () => world.pool('c').status?.readyReplicas === 2, soon);
    expect(
      world.pods.list().find(({ metadata }) => metadata.name === from.podName)?.metadata.uid,
    ).toBe(uid);
    expect(routersOnNodes()).toEqual(placedRouters());
    expect(placements()).toHaveLength(2);
    world.applyRoom('next', { consumers: { routers: 2 } });
    await until(
      'a room on all nodes',
      () => isConditionTrue(world.room('next').status?.conditions, 'Ready'),
      soon,
    );
    expect(node.routers.size).toBe(1);
  });

  it('is replaced when it stays silent', async () => {
    const from = await start({ ...quickConfig.nodes, replaceAfterMs: 3500 });
    const { uid } = world.pods
      .list()
      .find(({ metadata }) => metadata.name === from.podName)!.metadata;
    world.pods.node(from.podName).fault = () => 'hang';
    await moved(from);
    expect(world.pods.list().map(({ metadata }) => metadata.uid)).toContain(uid);
    await until(
      'its pod to be replaced',
      () => !world.pods.list().some(({ metadata }) => metadata.uid === uid),
      soon,
    );
  });
});

describe('a router that its node loses', () => {
  const slow = { ...quickConfig.nodes, intervalMs: 400 };

  it('is made again although no answer had listed it', async () => {
    const from = await start(slow);
    const node = world.pods.node(from.podName);
    // The next answer is the first after the room's making.
    node.routers.clear();
    await until('the router to be back', () => node.routers.has(from.routerId), {
      ...soon,
      timeoutMs: 3000,
    });
    expect(consumer()).toEqual(from);
  });

  it('is made again as soon as its mediasoup worker is seen to be another', async () => {
    const from = await start(slow);
    const node = world.pods.node(from.podName);
    node.routers.clear();
    node.workerPid = 2;
    const polls = node.calls.filter((call) => call === 'GET /status').length;
    await until('the router to be back', () => node.routers.has(from.routerId), soon);
    const after = node.calls.filter((call) => call === 'GET /status').length;
    expect(after - polls).toBeLessThanOrEqual(2);
  });
});

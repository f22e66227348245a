import { afterEach, describe, expect, it } from '@jest/globals';

import { findCondition, isConditionTrue } from '../../common/resources/conditions.ts';
import type { Placement } from '../../common/resources/types.ts';
import { OperatorWorld } from '../../testing/operator-world.ts';
import { until } from '../../testing/until.ts';

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
const placements = (name: string): Placement[] => world.room(name).status?.placements ?? [];
const routersOnNodes = (): string[] =>
  [...world.pods.nodes.values()].flatMap((node) => [...node.routers.keys()]).sort();
const setPools = async (consumers = 2): Promise<void> => {
  world.applyPool('p', { role: 'Producer' });
  world.applyPool('c', { role: 'Consumer', replicas: consumers });
  await readyPool('p');
  await readyPool('c');
};
const metric = async (pattern: RegExp): Promise<number> =>
  Number(pattern.exec(await world.registry.registry.metrics())?.[1] ?? Number.NaN);

describe('MediaRoom', () => {
  it('is placed, and ready once its routers exist, with few writes', async () => {
    make();
    await setPools();
    let writes = 0;
    world.objects.mediarooms.subscribe(() => writes++);
    world.applyRoom('room', { consumers: { routers: 2 } });
    await readyRoom('room');
    const placed = placements('room');
    expect(placed.map(({ role, state }) => `${role} ${state}`).sort()).toEqual([
      'Consumer Ready',
      'Consumer Ready',
      'Producer Ready',
    ]);
    expect(new Set(placed.map(({ podName }) => podName)).size).toBe(3);
    expect(routersOnNodes()).toEqual(placed.map(({ routerId }) => routerId).sort());
    expect(world.room('room').status?.placementGeneration).toBe(1);
    // Its creation, the finalizer, the status.
    expect(writes).toBe(3);
    await until(
      'some polls',
      async () => (await metric(/polls_total\{result="answered"\} (\d+)/)) > 20,
      soon,
    );
    expect(writes).toBe(3);
  });

  it('waits for nodes, says why, and is placed when they come', async () => {
    make();
    world.applyRoom('room');
    const fact = () => findCondition(world.room('room').status?.conditions, 'Ready');
    await until('the reason', () => fact()?.reason === 'InsufficientCapacity', soon);
    await setPools(1);
    await readyRoom('room');
  });

  it('gives its routers the codecs of its spec', async () => {
    make();
    await setPools(1);
    const opus = { kind: 'audio', mimeType: 'audio/opus', clockRate: 48000, channels: 2 };
    world.applyRoom('room', { mediaCodecs: [opus] });
    await readyRoom('room');
    const made = [...world.pods.nodes.values()].flatMap((node) => [...node.mediaCodecs.values()]);
    expect(made).toMatchObject([[opus], [opus]]);
  });

  it('moves what was on a node whose process has ended, and raises the generation', async () => {
    make();
    await setPools(2);
    world.applyRoom('room');
    await readyRoom('room');
    const consumer = placements('room').find(({ role }) => role === 'Consumer')!;
    const producer = placements('room').find(({ role }) => role === 'Producer')!;
    await world.pods.crash(consumer.podName);
    const moved = await until(
      'the router to be replaced',
      () =>
        placements('room').find(
          ({ role, routerId, state }) =>
            role === 'Consumer' && routerId !== consumer.routerId && state === 'Ready',
        ),
      soon,
    );
    expect(moved.generation).toBe(2);
    expect(world.room('room').status?.placementGeneration).toBe(2);
    expect(placements('room')).toContainEqual(producer);
    await until(
      'the nodes to have what is placed',
      () =>
        routersOnNodes().join() ===
        placements('room')
          .map(({ routerId }) => routerId)
          .sort()
          .join(),
      soon,
    );
  });

  it('gets a router back that its node has lost, in the same place', async () => {
    make();
    await setPools(1);
    world.applyRoom('room');
    await readyRoom('room');
    const before = placements('room');
    world.pods.node('c-0').routers.clear();
    await until('the router to be back', () => world.pods.node('c-0').routers.size === 1, soon);
    expect(placements('room')).toEqual(before);
  });

  it('tries again when a node fails to make its router, and elsewhere when a node refuses', async () => {
    make();
    await setPools(2);
    const refusing = world.pods.node('c-0');
    const failing = world.pods.node('c-1');
    refusing.fault = (method) => (method === 'PUT' ? 'capacity_exhausted' : undefined);
    let failures = 0;
    failing.fault = (method) => (method === 'PUT' && failures++ < 2 ? 'internal' : undefined);
    world.applyRoom('room', { consumers: { routers: 1 } });
    await readyRoom('room');
    await until(
      'the consumer router to be on c-1',
      () =>
        placements('room').some(
          ({ role, podName, state }) =>
            role === 'Consumer' && podName === 'c-1' && state === 'Ready',
        ),
      soon,
    );
  });

  it('leaves a draining node when its peers have moved', async () => {
    make();
    await setPools(2);
    world.applyRoom('room');
    await readyRoom('room');
    const old = placements('room').find(({ role }) => role === 'Consumer')!;
    const node = world.pods.node(old.podName);
    node.setPeers(2);
    await until('the peers to be seen', () => world.room('room').status?.peers === 2, soon);
    node.state = 'Draining';
    await until(
      'a second router',
      () =>
        placements('room').filter(({ role, state }) => role === 'Consumer' && state === 'Ready')
          .length === 1 && placements('room').length === 3,
      soon,
    );
    expect(placements('room')).toContainEqual({
      ...{ ...old, state: 'Draining' },
      drainDeadline: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    node.setPeers(0);
    await until('the old router to be closed', () => node.routers.size === 0, soon);
    await until('the placement to go', () => placements('room').length === 2, soon);
  });

  it('counts its peers', async () => {
    make();
    await setPools(2);
    world.applyRoom('room', { consumers: { routers: 2 } });
    await readyRoom('room');
    for (const name of ['c-0', 'c-1']) world.pods.node(name).setPeers(3);
    world.pods.node('p-0').setPeers(6);
    await until('six peers', () => world.room('room').status?.peers === 6, soon);
    await until('the pool to show them', () => world.pool('c').status?.peers === 6, soon);
  });

  it('is deleted when it has been idle for long enough, and not before', async () => {
    make();
    await setPools(1);
    world.applyRoom('room', { idlePolicy: { action: 'Delete', afterSeconds: 1 } });
    await readyRoom('room');
    world.pods.node('p-0').setPeers(1);
    world.pods.node('c-0').setPeers(1);
    await until('the peer to be seen', () => world.room('room').status?.peers === 1, soon);
    const idle = () => findCondition(world.room('room').status?.conditions, 'Idle');
    expect(idle()?.status).toBe('False');
    world.pods.node('p-0').setPeers(0);
    world.pods.node('c-0').setPeers(0);
    await until('the room to go', () => !world.hasRoom('room'), soon);
    expect(routersOnNodes()).toEqual([]);
  });

  it('goes with its routers', async () => {
    make();
    await setPools(2);
    world.applyRoom('room', { consumers: { routers: 2 } });
    await readyRoom('room');
    world.objects.mediarooms.delete({ namespace: 'default', name: 'room' });
    await until('the room to go', () => !world.hasRoom('room'), soon);
    expect(routersOnNodes()).toEqual([]);
  });

  it('goes after a bounded time when a node does not close its router, which is closed later', async () => {
    make();
    await setPools(1);
    world.applyRoom('room');
    await readyRoom('room');
    const node = world.pods.node('c-0');
    node.fault = (method) => (method === 'DELETE' ? 'internal' : undefined);
    world.objects.mediarooms.delete({ namespace: 'default', name: 'room' });
    await until('the room to go', () => !world.hasRoom('room'), soon);
    expect(node.routers.size).toBe(1);
    expect(await metric(/abandoned_routers_total (\d+)/)).toBe(1);
    node.fault = () => undefined;
    await until('the orphan to be closed', () => node.routers.size === 0, soon);
  });

  it('grows when its consumer router fills, and shrinks when the added one stays empty', async () => {
    make({ rooms: { shrinkAfterMs: 200, drainGraceMs: 100 } });
    await setPools(2);
    world.applyRoom('room');
    await readyRoom('room');
    const consumers = () => placements('room').filter(({ role }) => role === 'Consumer');
    const [first] = consumers();
    const node = world.pods.node(first!.podName);
    node.workerConsumers = [450];
    node.setPeers(50);
    await until('a second router', () => consumers().length === 2, soon);
    await readyRoom('room');
    node.workerConsumers = [10];
    node.setPeers(5);
    await until('the second router to go', () => consumers().length === 1, soon);
    expect(consumers()).toEqual([first]);
  });

  it('ends by its time to live', async () => {
    make();
    await setPools(1);
    world.applyRoom('room', { ttlSeconds: 1 });
    await until('the room to go', () => !world.hasRoom('room'), soon);
    expect(routersOnNodes()).toEqual([]);
  });

  it('survives a restart of the operator with nothing moved or made twice', async () => {
    make();
    await setPools(2);
    world.applyRoom('room', { consumers: { routers: 2 } });
    await readyRoom('room');
    const before = placements('room');
    const pods = world.pods.names();
    await world.stopOperator();
    world.start();
    await until(
      'some polls',
      async () => (await metric(/polls_total\{result="answered"\} (\d+)/)) > 20,
      soon,
    );
    expect(placements('room')).toEqual(before);
    expect(world.pods.names()).toEqual(pods);
    expect(routersOnNodes()).toEqual(before.map(({ routerId }) => routerId).sort());
  });

  it('is never over a capacity that many rooms want at once', async () => {
    make();
    const capacity = { capacity: { routersPerWorker: 3 } };
    world.applyPool('b', { role: 'Both', replicas: 2, ...capacity });
    await readyPool('b');
    for (let i = 0; i < 8; i++) world.applyRoom(`room-${i}`);
    const isReady = (i: number) =>
      isConditionTrue(world.room(`room-${i}`).status?.conditions, 'Ready');
    await until(
      'six rooms to be ready',
      () => Array.from({ length: 8 }, (_, i) => isReady(i)).filter(Boolean).length === 6,
      soon,
    );
    for (const node of world.pods.nodes.values()) expect(node.routers.size).toBe(3);
    const [placed] = Array.from({ length: 8 }, (_, i) => i).filter(isReady);
    world.objects.mediarooms.delete({ namespace: 'default', name: `room-${placed!}` });
    await until(
      'another room to take the place',
      () =>
        Array.from({ length: 8 }, (_, i) => i).filter((i) => i !== placed && isReady(i)).length ===
        6,
      soon,
    );
  });
});

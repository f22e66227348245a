import { afterEach, describe, expect, it } from '@jest/globals';

import { findCondition, isConditionTrue } from '../../common/resources/conditions.ts';
import { ApiError } from '../../common/errors.ts';
import { RoomWorld } from '../../testing/room-world.ts';

let world: RoomWorld;
afterEach(() => world.close());

/** A world with nodes `p-0`, … that receive and `c-0`, … that send. */
async function make(
  consumers = 2,
  {
    config = {},
    pool = {},
    producers = 1,
  }: { config?: object; pool?: object; producers?: number } = {},
): Promise<void> {
  world = new RoomWorld({ ...config });
  world.applyPool('p', { role: 'Producer' });
  world.applyPool('c', { role: 'Consumer', ...pool });
  for (let i = 0; i < producers; i++) world.addNode(`p-${i}`, 'p');
  for (let i = 0; i < consumers; i++) world.addNode(`c-${i}`, 'c');
  await world.poll();
}

async function place(name: string, spec: Record<string, unknown> = {}): Promise<void> {
  world.applyRoom(name, spec);
  await world.settle(name);
  await world.poll();
  expect(isConditionTrue(world.room(name).status?.conditions, 'Ready')).toBe(true);
}

const condition = (name: string, type: string) =>
  findCondition(world.room(name).status?.conditions, type);
const consumerNodes = (name: string): string[] =>
  world
    .placements(name)
    .filter(({ role, state }) => role === 'Consumer' && state !== 'Draining')
    .map(({ podName }) => podName);
/** Fills the workers of these nodes to so many consumers of 500. */
const fill = (names: readonly string[], consumers: number): void => {
  for (const name of names) {
    world.node(name).workerConsumers = [consumers];
    world.node(name).load = { consumers };
  }
};

describe('a room whose consumer routers fill', () => {
  it('grows by one router at a time, each on a node that has room', async () => {
    await make(3);
    await place('room');
    const [first = ''] = consumerNodes('room');
    world.setPeers(first, 50);
    fill([first], 450);
    await world.poll();
    await world.settle('room');
    await world.poll();
    await world.settle('room');
    expect(consumerNodes('room')).toHaveLength(2);
    expect(new Set(consumerNodes('room')).size).toBe(2);
    expect(world.events.filter(({ reason }) => reason === 'RoomGrown')).toMatchObject([
      { type: 'Normal', note: expect.stringMatching(/^from 1 to 2 consumer routers.* 90 %/) },
    ]);
    const [, second = ''] = consumerNodes('room');
    world.setPeers(second, 50);
    fill([second], 400);
    await world.poll();
    await world.settle('room');
    expect(consumerNodes('room')).toHaveLength(3);
  });

  it('keeps its size over a restart of the operator and over the loss of a router', async () => {
    await make(4);
    await place('room');
    world.setPeers(consumerNodes('room')[0]!, 5);
    fill(consumerNodes('room'), 450);
    await world.poll();
    await world.settle('room');
    await world.poll();
    const before = world.room('room').status;
    await world.close();
    world.startOperator();
    await world.poll();
    await world.settle('room');
    expect(world.room('room').status).toEqual(before);
    world.removeNode(consumerNodes('room')[1]!);
    await world.settle('room');
    expect(consumerNodes('room')).toHaveLength(2);
  });

  it('stays within spec.consumers.maxRouters', async () => {
    await make(3);
    await place('room', { consumers: { maxRouters: 1 } });
    world.setPeers(consumerNodes('room')[0]!, 50);
    fill(consumerNodes('room'), 500);
    await world.poll();
    await world.settle('room');
    expect(consumerNodes('room')).toHaveLength(1);
  });

  it('says so when there is no place to grow to, and goes on to be ready', async () => {
    await make(2);
    await place('room');
    world.setPeers(consumerNodes('room')[0]!, 50);
    fill(['c-0', 'c-1'], 450);
    await world.poll();
    await world.settle('room');
    expect(consumerNodes('room')).toHaveLength(1);
    expect(condition('room', 'Ready')?.status).toBe('True');
    expect(condition('room', 'Placed')).toMatchObject({ status: 'True', reason: 'CannotGrow' });
    expect(world.reasons().filter((reason) => reason === 'CannotGrow')).toHaveLength(1);
    expect(world.memory.wake(5)).toEqual(['default/room']);
    world.addNode('c-2', 'c');
    await world.poll();
    await world.settle('room');
    expect(consumerNodes('room')).toContain('c-2');
    expect(condition('room', 'Placed')?.reason).toBe('RoutersPlaced');
  });

  it('gets a consumer router beside its one router for both sides', async () => {
    world = new RoomWorld();
    world.applyPool('b', { role: 'Both' });
    for (const name of ['b-0', 'b-1']) world.addNode(name, 'b');
    await world.poll();
    await place('room');
    const [both] = world.placements('room');
    world.setPeers(both!.podName, 50);
    fill([both!.podName], 450);
    await world.poll();
    await world.settle('room');
    const other = both!.podName === 'b-0' ? 'b-1' : 'b-0';
    expect(world.summary('room')).toEqual([
      `Both ${both!.podName} Ready`,
      `Consumer ${other} Ready`,
    ]);
    expect(world.placements('room')).toContainEqual(both);
  });

  it('shrinks by the router that was added once that is empty, and not at once', async () => {
    await make(2);
    await place('room');
    const [first = ''] = consumerNodes('room');
    world.setPeers(first, 50);
    fill([first], 450);
    await world.poll();
    await world.settle('room');
    await world.poll();
    await world.settle('room');
    const added = consumerNodes('room')[1]!;
    fill([first], 100);
    await world.poll();
    const { requeueAfterMs } = await world.settle('room');
    expect(requeueAfterMs).toBeLessThanOrEqual(60_000);
    await world.clock.advance(59_000);
    await world.settle('room');
    expect(consumerNodes('room')).toHaveLength(2);
    await world.clock.advance(1_000);
    await world.settle('room');
    expect(world.summary('room')).toContain(`Consumer ${added} Draining`);
    expect(world.events.at(-1)).toMatchObject({
      reason: 'RoomShrunk',
      note: expect.stringMatching(/^from 2 to 1 consumer routers: Consumer on c-\d is empty/),
    });
    await world.clock.advance(5_000);
    await world.settle('room');
    expect(consumerNodes('room')).toEqual([first]);
    expect(world.node(added).routers.size).toBe(0);
    expect(world.reasons().at(-1)).toBe('RouterClosed');
  });
});

describe('a room whose time is over', () => {
  it('is deleted spec.ttlSeconds after its creation, with its peers', async () => {
    await make();
    await place('room', { ttlSeconds: 100 });
    world.setPeers('p-0', 3);
    await world.poll();
    await world.clock.advance(99_000);
    expect((await world.settle('room')).requeueAfterMs).toBeLessThanOrEqual(1_000);
    await world.clock.advance(1_000);
    await world.look('room');
    await world.look('room');
    expect(world.hasRoom('room')).toBe(false);
    expect(world.routersOnNodes()).toEqual([]);
    expect(world.events.at(-1)).toMatchObject({
      reason: 'TTLExpired',
      note: expect.stringContaining('100 s'),
    });
  });

  it('is deleted when it is idle, and not while nothing is known of its peers', async () => {
    await make(1, { config: { nodes: { startTimeoutMs: 1_000_000 } } });
    await place('room', { idlePolicy: { action: 'Delete', afterSeconds: 60 } });
    world.node('c-0').fault = () => 'hang';
    await world.close();
    world.startOperator();
    await world.poll();
    await world.clock.advance(61_000);
    await world.settle('room');
    expect(world.hasRoom('room')).toBe(true);
    world.node('c-0').fault = () => undefined;
    await world.poll();
    await world.look('room');
    await world.look('room');
    expect(world.hasRoom('room')).toBe(false);
    expect(world.reasons().at(-1)).toBe('IdleTimeout');
  });
});

describe('a room whose node changes', () => {
  it('moves when its pod is made anew under the same name, before the new process answers', async () => {
    await make(2);
    await place('room');
    const [old = ''] = consumerNodes('room');
    world.removeNode(old);
    world.addNode(old, 'c');
    world.setPodStatus(old, { phase: 'Pending' });
    await world.settle('room');
    expect(consumerNodes('room')).not.toContain(old);
    expect(world.events.find(({ reason }) => reason === 'RouterLost')).toMatchObject({
      type: 'Warning',
      note: `Consumer on ${old}: its pod or process is gone`,
    });
  });

  it('moves when another process runs in its pod', async () => {
    await make(1);
    await place('room');
    world.node('c-0').restart();
    await world.poll();
    await world.settle('room');
    expect(world.placements('room').find(({ role }) => role === 'Consumer')).toMatchObject({
      ...{ podName: 'c-0', generation: 2, instanceId: world.node('c-0').instanceId },
    });
    expect(world.events.find(({ reason }) => reason === 'RouterLost')?.note).toMatch(
      /another process runs/,
    );
  });

  it('tells why a router drains and that its peers lost it when the drain time is over', async () => {
    await make(2, { pool: { drain: { timeoutSeconds: 20 } } });
    await place('room');
    const [old = ''] = consumerNodes('room');
    world.setPeers(old, 4);
    world.node(old).state = 'Draining';
    await world.poll();
    await world.settle('room');
    expect(world.events.find(({ reason }) => reason === 'RouterDraining')?.note).toBe(
      `Consumer on ${old} takes no more peers: its node drains`,
    );
    const deadline = world.clock.now() + 20_000;
    expect(world.placements('room').find(({ podName }) => podName === old)).toMatchObject({
      ...{ state: 'Draining', drainDeadline: new Date(deadline).toISOString() },
    });
    // Those who are told to connect anew then have a moment for it.
    await world.clock.advance(21_999);
    await world.settle('room');
    expect(world.summary('room')).toHaveLength(3);
    await world.clock.advance(1);
    await world.settle('room');
    expect(world.summary('room')).toHaveLength(2);
    expect(world.events.at(-1)).toMatchObject({ type: 'Warning', reason: 'RouterClosed' });
  });

  it('follows a changed selector', async () => {
    await make(1);
    await place('room');
    world.applyPool('d', { role: 'Consumer' }, { zone: 'd' });
    world.addNode('d-0', 'd');
    await world.poll();
    world.applyRoom('room', { consumers: { selector: { matchLabels: { zone: 'd' } } } });
    await world.settle('room');
    expect(world.summary('room')).toEqual([
      'Consumer c-0 Draining',
      'Consumer d-0 Ready',
      'Producer p-0 Ready',
    ]);
    expect(world.room('room').status).toMatchObject({
      ...{ routers: 2, nodes: ['d-0', 'p-0'], pools: ['d', 'p'], observedGeneration: 2 },
    });
  });

  it('spreads what was on a dead node over the others, and moves nothing else', async () => {
    await make(5, { producers: 4 });
    const names = Array.from({ length: 250 }, (_, i) => `room-${i}`);
    for (const name of names) await place(name);
    const before = new Map(names.map((name) => [name, consumerNodes(name)[0]!]));
    world.removeNode('c-0');
    const victims = names.filter((name) => before.get(name) === 'c-0');
    expect(victims.length).toBeGreaterThan(40);
    for (const name of names) await world.settle(name);
    for (const name of names)
      if (!victims.includes(name)) expect(consumerNodes(name)).toEqual([before.get(name)]);
    const counts = ['c-1', 'c-2', 'c-3', 'c-4'].map(
      (pod) => victims.filter((name) => consumerNodes(name)[0] === pod).length,
    );
    expect(Math.max(...counts)).toBeLessThanOrEqual((victims.length / 4) * 1.8);
  });

  it('does not put all that has to move on the one node that is the emptiest now', async () => {
    const pool = { capacity: { routersPerWorker: 10_000 } };
    await make(5, { pool, producers: 3 });
    const names = Array.from({ length: 200 }, (_, i) => `room-${i}`);
    for (const name of names) await place(name);
    fill(['c-0', 'c-1', 'c-2', 'c-3'], 200);
    fill(['c-4'], 100);
    await world.poll();
    world.removeNode('c-0');
    const victims = names.filter((name) => consumerNodes(name)[0] === 'c-0');
    for (const name of victims) await world.settle(name);
    const onEmptiest = victims.filter((name) => consumerNodes(name)[0] === 'c-4').length;
    expect(onEmptiest).toBeGreaterThanOrEqual(victims.length / 4);
    expect(onEmptiest).toBeLessThanOrEqual(victims.length * 0.8);
  });
});

describe('a room that finds no place', () => {
  it('waits from its decision on, so that a node that comes while that is written down wakes it', async () => {
    await make(0);
    world.applyRoom('room');
    const woken: string[][] = [];
    world.beforeWrite = (verb) => {
      if (verb === 'setStatus') woken.push(world.memory.wake(1));
    };
    await world.look('room');
    expect(woken).toEqual([['default/room']]);
  });
});

describe('a room that is deleted', () => {
  it('goes within a bounded time although its node is silent, and says what was given up', async () => {
    await make(1, {
      config: { nodes: { staleAfterMisses: 2 }, rooms: { closeTimeoutMs: 10_000 } },
    });
    await place('room');
    const node = world.node('c-0');
    node.fault = () => 'hang';
    await world.poll();
    await world.poll();
    world.deleteRoom('room');
    const calls = node.calls.length;
    expect((await world.look('room')).requeueAfterMs).toBeLessThanOrEqual(1_000);
    expect(world.hasRoom('room')).toBe(true);
    expect(node.calls.slice(calls)).toEqual([]);
    await world.clock.advance(10_000);
    await world.look('room');
    expect(world.hasRoom('room')).toBe(false);
    expect(world.events.at(-1)).toMatchObject({
      ...{ type: 'Warning', reason: 'RoutersAbandoned' },
      note: expect.stringMatching(/gave up after 10 s on closing room-c0-g1-\w+ on c-0/),
    });
  });

  it('can be made again at once under the same name, with routers of its own', async () => {
    await make(1);
    await place('room');
    const before = world.placements('room').map(({ routerId }) => routerId);
    world.deleteRoom('room');
    await world.look('room');
    world.applyRoom('room');
    await world.settle('room');
    const after = world.placements('room').map(({ routerId }) => routerId);
    expect(after.filter((id) => before.includes(id))).toEqual([]);
    expect(world.routersOnNodes()).toEqual([...after].sort());
  });
});

describe('an operator that ends or lags', () => {
  it.each([1, 2])(
    'finishes what it began when it ends before write %i of a new room',
    async (nth) => {
      await make(2);
      world.applyRoom('room');
      let writes = 0;
      world.beforeWrite = () => {
        if (++writes === nth) throw new Error('the operator ends here');
      };
      await expect(world.settle('room')).rejects.toThrow('ends here');
      world.beforeWrite = () => undefined;
      await world.close();
      world.startOperator();
      await world.poll();
      await world.settle('room');
      const placed = world.placements('room').map(({ routerId }) => routerId);
      expect(isConditionTrue(world.room('room').status?.conditions, 'Ready')).toBe(true);
      // What it made and could not write down any more has no owner now.
      await world.collectOrphans();
      expect(world.routersOnNodes()).toEqual([...placed].sort());
    },
  );

  it('knows that routers may be in use when only the answer was lost by which it told of them', async () => {
    await make(2);
    world.applyRoom('room');
    world.afterWrite = (verb) => {
      if (verb === 'setStatus') throw new ApiError('timed_out', 'no answer in time');
    };
    await expect(world.settle('room')).rejects.toMatchObject({ code: 'timed_out' });
    world.afterWrite = () => undefined;
    const [used = ''] = consumerNodes('room');
    world.node(used).state = 'Draining';
    await world.poll();
    await world.settle('room');
    const other = used === 'c-0' ? 'c-1' : 'c-0';
    expect(world.summary('room')).toEqual(
      [`Consumer ${used} Draining`, `Consumer ${other} Ready`, 'Producer p-0 Ready'].sort(),
    );
    await world.collectOrphans();
    expect(world.routersOnNodes()).toHaveLength(3);
  });

  it('leaves a room alone that somebody else has written meanwhile', async () => {
    await make(2);
    world.applyRoom('room');
    world.beforeWrite = (verb) => {
      if (verb === 'setStatus') throw new ApiError('conflict', 'the object has been modified');
    };
    await expect(world.settle('room')).rejects.toMatchObject({ code: 'conflict' });
    expect(world.placements('room')).toEqual([]);
    const made = world.routersOnNodes();
    world.beforeWrite = () => undefined;
    await world.settle('room');
    // Another try goes on from what was decided, also when it would be decided otherwise now.
    expect(
      world
        .placements('room')
        .map(({ routerId }) => routerId)
        .sort(),
    ).toEqual(made);
    expect(world.routersOnNodes()).toEqual(made);
    expect(world.reasons()).toEqual(['RoutersPlaced']);
  });

  it('writes twice for a new room, tells of it once, and does nothing when nothing changes', async () => {
    await make(2);
    await place('room', { consumers: { routers: 2 } });
    expect(world.writes).toBe(2);
    expect(world.reasons()).toEqual(['RoutersPlaced']);
    await world.clock.advance(600_000);
    await world.look('room');
    expect(world.writes).toBe(2);
    expect(world.reasons()).toHaveLength(1);
  });

  it('does not wait for a silent node that it has not heard of since its start', async () => {
    await make(1);
    world.applyRoom('room');
    const node = world.node('c-0');
    node.fault = (method) => (method === 'PUT' ? 'store_unavailable' : undefined);
    await expect(world.look('room')).rejects.toThrow('Consumer on c-0: told to fail');
    node.fault = () => 'hang';
    await world.close();
    world.startOperator();
    await world.poll();
    const calls = node.calls.length;
    await expect(world.look('room')).rejects.toThrow('Consumer on c-0: the node does not answer');
    expect(node.calls).toHaveLength(calls);
    node.fault = () => undefined;
    await world.poll();
    await world.settle('room');
    expect(world.summary('room')).toEqual(['Consumer c-0 Ready', 'Producer p-0 Ready']);
  });

  it('says which node fails to make a router, once', async () => {
    await make(1);
    world.node('c-0').fault = (method) => (method === 'PUT' ? 'store_unavailable' : undefined);
    world.applyRoom('room');
    for (let i = 0; i < 3; i++)
      await expect(world.look('room')).rejects.toThrow(/Consumer on c-0: told to fail/);
    expect(condition('room', 'Ready')).toMatchObject({
      ...{ status: 'False', reason: 'RoutersFailed' },
      message: expect.stringContaining('Consumer on c-0'),
    });
    expect(world.reasons()).toEqual(['RoutersPlaced', 'RouterFailed']);
  });

  it('remembers nothing of 10,000 rooms that have come and gone', async () => {
    await make(20, { producers: 20, config: { nodes: { intervalMs: 1_000_000 } } });
    for (let i = 0; i < 10_000; i++) {
      const name = `room-${i}`;
      const isRefused = i % 10 === 0;
      world.node('c-0').fault = (method) =>
        isRefused && method === 'PUT' ? 'capacity_exhausted' : undefined;
      world.applyRoom(name);
      await world.look(name).catch(() => undefined);
      world.deleteRoom(name);
      await world.look(name);
      if (world.hasRoom(name)) throw new Error(`${name} stays`);
      await world.look(name);
    }
    expect(world.memory.size).toBe(0);
    expect(world.memory.waiting).toBe(0);
    expect(world.ledger.size).toBe(0);
    for (const name of world.nodes.keys()) expect(world.ledger.roomsOn(name)).toEqual([]);
    expect(world.routersOnNodes()).toEqual([]);
  }, 300_000);
});

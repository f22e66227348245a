import { afterEach, describe, expect, it } from '@jest/globals';

import { isConditionTrue } from '../../common/resources/conditions.ts';
import { RoomWorld } from '../../testing/room-world.ts';
import { drainingSinceAnnotation } from '../workers/labels.ts';

let world: RoomWorld;
afterEach(() => world.close());

async function make(consumers: number, drain: object = {}): Promise<void> {
  world = new RoomWorld();
  world.applyPool('p', { role: 'Producer' });
  world.applyPool('c', { role: 'Consumer', drain });
  world.addNode('p-0', 'p');
  for (let i = 0; i < consumers; i++) world.addNode(`c-${i}`, 'c');
  await world.poll();
}

async function place(name: string): Promise<void> {
  world.applyRoom(name);
  await world.settle(name);
}

/** What the pool does first to a node that is to go. */
const mark = (podName: string): void =>
  world.annotatePod(podName, {
    [drainingSinceAnnotation]: new Date(world.clock.now()).toISOString(),
  });
const consumers = (name: string): string[] =>
  world.summary(name).filter((text) => text.startsWith('Consumer'));
const isReady = (name: string): boolean =>
  isConditionTrue(world.room(name).status?.conditions, 'Ready');

describe('a room on a node that is to go', () => {
  it('is told to move in the same write that has its new router ready', async () => {
    await make(2);
    await place('room');
    const [old = ''] = world
      .placements('room')
      .filter(({ role }) => role === 'Consumer')
      .map(({ podName }) => podName);
    const other = old === 'c-0' ? 'c-1' : 'c-0';
    mark(old);
    const writes = world.writes;
    await world.settle('room');
    expect(world.writes).toBe(writes + 1);
    expect(consumers('room')).toEqual(
      [`Consumer ${old} Draining`, `Consumer ${other} Ready`].sort(),
    );
    expect(world.room('room').status?.placementGeneration).toBe(2);
  });

  it('stays as it is until there is another router, with a deadline, and does not grow by that', async () => {
    await make(1, { timeoutSeconds: 100 });
    await place('room');
    world.setPeers('c-0', 3);
    await world.poll();
    const deadline = new Date(world.clock.now() + 100_000).toISOString();
    mark('c-0');
    await world.settle('room');
    expect(world.placements('room')).toContainEqual(
      expect.objectContaining({ podName: 'c-0', state: 'Ready', drainDeadline: deadline }),
    );
    expect(isReady('room')).toBe(true);
    expect(world.room('room').status?.placementGeneration).toBe(1);
    expect(world.reasons()).not.toContain('RouterDraining');
    // A new node fails to make the router at first.
    const failing = world.addNode('c-1', 'c');
    failing.fault = (method) => (method === 'PUT' ? 'store_unavailable' : undefined);
    await world.poll();
    for (let looks = 0; looks < 3; looks++) await world.look('room').catch(() => undefined);
    expect(consumers('room')).toEqual(['Consumer c-0 Ready', 'Consumer c-1 Pending']);
    expect(world.room('room').status?.placementGeneration).toBe(2);
    failing.fault = () => undefined;
    await world.settle('room');
    expect(consumers('room')).toEqual(['Consumer c-0 Draining', 'Consumer c-1 Ready']);
    expect(world.room('room').status?.placementGeneration).toBe(3);
    expect(world.reasons().filter((reason) => reason === 'RouterDraining')).toHaveLength(1);
  });

  it('drains at once, with or without another router, where its node takes no peers by itself', async () => {
    await make(1);
    await place('room');
    world.node('c-0').state = 'Draining';
    await world.poll();
    await world.settle('room');
    expect(consumers('room')).toEqual(['Consumer c-0 Draining']);
    expect(isReady('room')).toBe(false);
  });

  it('has less time where the pool gives less, and never more than it was told', async () => {
    await make(2, { timeoutSeconds: 100 });
    await place('room');
    const [old = ''] = world
      .placements('room')
      .filter(({ role }) => role === 'Consumer')
      .map(({ podName }) => podName);
    world.setPeers(old, 1);
    const since = world.clock.now();
    mark(old);
    await world.settle('room');
    const deadline = (): number =>
      Date.parse(
        world.placements('room').find(({ state }) => state === 'Draining')?.drainDeadline ?? '',
      ) - since;
    expect(deadline()).toBe(100_000);
    await world.clock.advance(10_000);
    world.applyPool('c', { role: 'Consumer', drain: { timeoutSeconds: 1000 } });
    await world.settle('room');
    expect(deadline()).toBe(100_000);
    world.applyPool('c', { role: 'Consumer', drain: { timeoutSeconds: 0 } });
    await world.settle('room');
    expect(deadline()).toBe(10_000);
    await world.clock.advance(2_000);
    await world.settle('room');
    expect(world.summary('room')).toHaveLength(2);
  });
});

describe('the rooms of a node that is to go', () => {
  it('leave some at a time, the next as soon as one is empty, and all in time', async () => {
    await make(1, { timeoutSeconds: 100, maxConcurrentRooms: 2 });
    const names = Array.from({ length: 6 }, (_, i) => `room-${i}`);
    for (const name of names) await place(name);
    world.setPeers('c-0', 2);
    world.addNode('c-1', 'c');
    await world.poll();
    const woken: string[] = [];
    world.memory.turns.onTurn((key) => woken.push(key.slice('default/'.length)));
    mark('c-0');
    const lookAtAll = async (): Promise<void> => {
      for (const name of names) await world.settle(name);
    };
    const moving = (): string[] =>
      names.filter((name) => consumers(name).includes('Consumer c-0 Draining'));
    await lookAtAll();
    expect(moving()).toEqual(['room-0', 'room-1']);
    // The others take peers where they are.
    expect(names.every(isReady)).toBe(true);
    expect(consumers('room-2')).toEqual(['Consumer c-0 Ready']);
    world.setPeers('c-0', 0, 'room-0');
    await world.poll();
    await world.settle('room-0');
    expect(woken).toEqual(['room-2']);
    await world.settle('room-2');
    expect(moving()).toContain('room-2');
    // Nobody else leaves: the rest follows all the same.
    await world.clock.advance(50_000);
    await lookAtAll();
    expect(names.flatMap(consumers).filter((text) => text === 'Consumer c-0 Ready')).toEqual([]);
    expect(names.every((name) => consumers(name).includes('Consumer c-1 Ready'))).toBe(true);
  });
});

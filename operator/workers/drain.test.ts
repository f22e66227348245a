import { afterEach, describe, expect, it } from '@jest/globals';

import { isConditionTrue } from '../../common/resources/conditions.ts';
import type { Placement } from '../../common/resources/types.ts';
import { OperatorWorld } from '../../testing/operator-world.ts';
import { quickConfig } from '../../testing/quick-config.ts';
import { until } from '../../testing/until.ts';

let world: OperatorWorld;
afterEach(() => world.close());

const soon = { timeoutMs: 15_000, intervalMs: 10 };
const rooms = Array.from({ length: 6 }, (_, i) => `room-${i}`);
const placementsOf = (room: string): Placement[] => world.room(room).status?.placements ?? [];
const onPod = (podName: string, state: Placement['state']): string[] =>
  rooms.filter((room) =>
    placementsOf(room).some(
      (placement) => placement.podName === podName && placement.state === state,
    ),
  );
const nodeStatus = (podName: string) =>
  world.pool('c').status?.nodes?.find((node) => node.podName === podName);
const noted = (reason: string): Promise<string> =>
  until(`the Event ${reason}`, () => world.events.notes(reason)[0], soon);

/** Two consumer nodes, all rooms on the first, each with two peers; the pool then wants only the second. */
async function drainFirst(drain: object, pods: object = {}): Promise<void> {
  world = new OperatorWorld({ ...quickConfig, pods }).start();
  world.applyPool('p', { role: 'Producer' });
  world.applyPool('c', { role: 'Consumer', drain });
  await until(
    'the pools',
    () => ['p', 'c'].every((name) => world.pool(name).status?.readyReplicas === 1),
    soon,
  );
  for (const room of rooms) world.applyRoom(room);
  await until(
    'the rooms',
    () => rooms.every((room) => isConditionTrue(world.room(room).status?.conditions, 'Ready')),
    soon,
  );
  world.pods.node('c-0').setPeers(2);
  await until('the peers to be seen', () => world.pool('c').status?.peers === 12, soon);
  world.applyPool('c', { role: 'Consumer', drain, image: 'another:1' });
}

describe('the drain of a node with rooms', () => {
  it('ends as soon as the last peer has left, a number of rooms at a time', async () => {
    await drainFirst({ timeoutSeconds: 60, maxConcurrentRooms: 2 }, { drainProgressMs: 100 });
    const node = world.pods.node('c-0');
    await until('the first rooms to move', () => onPod('c-0', 'Draining').length === 2, soon);
    expect(onPod('c-0', 'Ready')).toHaveLength(4);
    expect(onPod('c-1', 'Ready')).toHaveLength(2);
    // Peers may still come to the others.
    expect(node.state).toBe('Ready');
    await until('the status', () => world.pool('c').status?.drainingReplicas === 1, soon);
    const shown = nodeStatus('c-0');
    expect(shown).toMatchObject({ state: 'Draining', peers: 12, rooms: 6 });
    expect(Date.parse(shown?.drainDeadline ?? '') - Date.parse(shown?.drainStartedAt ?? '')).toBe(
      60_000,
    );
    // As clients do that can move: they leave a router as soon as it drains.
    let most = 0;
    const leaving = setInterval(() => {
      const draining = onPod('c-0', 'Draining').filter((room) =>
        [...node.routers.values()].some(({ roomId, peers }) => roomId === room && peers > 0),
      );
      most = Math.max(most, draining.length);
      for (const room of draining) node.setPeers(0, room);
    }, 50);
    const since = performance.now();
    await until('the pod to go', () => !world.pods.names().includes('c-0'), soon);
    clearInterval(leaving);
    expect(performance.now() - since).toBeLessThan(10_000);
    expect(most).toBeLessThanOrEqual(2);
    expect(node.state).toBe('Draining');
    expect(await noted('DrainStarted')).toContain(
      'c-0 is to go within 60 s: the pool has another shape now; 12 peers in 6 rooms on it',
    );
    expect(await noted('DrainProgress')).toMatch(
      /^c-0: \d+ peers in \d rooms of 12 peers in 6 rooms are left after \d+ s/,
    );
    expect(await noted('DrainCompleted')).toMatch(
      /^removed c-0: it is empty after \d+ s of draining, with 12 peers in 6 rooms at its beginning/,
    );
    expect(world.events.notes('DrainDeadlineExceeded')).toEqual([]);
    await until('the status', () => world.pool('c').status?.drainingReplicas === 0, soon);
  });

  it('ends at its deadline with those who are left, and says how many', async () => {
    await drainFirst({ timeoutSeconds: 1 });
    expect(await noted('DrainDeadlineExceeded')).toMatch(
      /^removed c-0 after \d s of draining, with \d+ peers in \d rooms on it of 12 peers in 6 rooms/,
    );
    await until('the pod to go', () => !world.pods.names().includes('c-0'), soon);
    expect(rooms.every((room) => placementsOf(room).some(({ podName }) => podName === 'c-1'))).toBe(
      true,
    );
  });

  it('goes on where a new operator takes over', async () => {
    await drainFirst({ timeoutSeconds: 60, maxConcurrentRooms: 1 });
    await until('a room to move', () => onPod('c-0', 'Draining').length > 0, soon);
    await world.stopOperator();
    world.start();
    const node = world.pods.node('c-0');
    const leaving = setInterval(() => {
      for (const room of onPod('c-0', 'Draining')) node.setPeers(0, room);
    }, 50);
    await until('the pod to go', () => !world.pods.names().includes('c-0'), soon);
    clearInterval(leaving);
    expect(
      rooms.every((room) =>
        placementsOf(room).every(({ podName, state }) => podName !== 'c-0' && state === 'Ready'),
      ),
    ).toBe(true);
  });
});

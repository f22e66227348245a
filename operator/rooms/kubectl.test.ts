import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { findCondition } from '../../common/resources/conditions.ts';
import type { ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { KubernetesWorld, startWorldControlPlane } from '../../testing/kubernetes/world.ts';
import { until } from '../../testing/until.ts';

const soon = { timeoutMs: 20_000, intervalMs: 50 };

let controlPlane: ControlPlane;
let world: KubernetesWorld;

beforeAll(async () => {
  controlPlane = await startWorldControlPlane();
}, 90_000);
afterAll(() => controlPlane.stop());
beforeEach(async () => {
  world = await KubernetesWorld.create(controlPlane);
  await world.start();
  await world.applyPool('receivers', { role: 'Producer' });
  await world.applyPool('senders', { role: 'Consumer', replicas: 2 });
  await world.readyPool('receivers');
  await world.readyPool('senders');
});
afterEach(() => world.close());

const event = (room: string, reason: string) =>
  until(
    `the Event ${reason}`,
    async () => (await world.events('MediaRoom', room)).find((one) => one.reason === reason),
    soon,
  );

describe('a MediaRoom, as kubectl shows it', () => {
  it('has its state in columns, and its nodes and pools in the wide ones', async () => {
    await world.applyRoom('lobby', { consumers: { routers: 2 }, maxPeers: 30 });
    await world.readyRoom('lobby');
    const [head, row] = (await world.kubectl(['get', 'mr'])).trim().split('\n');
    expect(head?.split(/\s+/)).toEqual(['NAME', 'READY', 'PEERS', 'MAX', 'ROUTERS', 'AGE']);
    expect(row).toMatch(/^lobby\s+True\s+0\s+30\s+3\s+\d+s$/);
    const wide = await world.kubectl(['get', 'mr', '-o', 'wide']);
    expect(wide).toMatch(/REASON\s+NODES\s+POOLS\s+GENERATION\s+IDLE/);
    expect(wide).toMatch(
      /RoutersReady\s+\["receivers-0","senders-0","senders-1"\]\s+\["receivers","senders"\]\s+1\s+Retain/,
    );
  });

  it('tells in Events where it was placed, and why and how far it grew', async () => {
    await world.applyRoom('lobby');
    const { status } = await world.readyRoom('lobby');
    expect(await event('lobby', 'RoutersPlaced')).toMatchObject({
      ...{ type: 'Normal', action: 'Place' },
      note: expect.stringMatching(
        /^generation 1: Producer on receivers-0, Consumer on senders-\d$/,
      ),
    });
    const podName = status?.placements?.find(({ role }) => role === 'Consumer')?.podName;
    const node = world.kubelets.node(podName ?? '');
    node.workerConsumers = [450];
    node.setPeers(40);
    expect((await event('lobby', 'RoomGrown')).note).toMatch(
      /^from 1 to 2 consumer routers.* 90 %/,
    );
    await until(
      'three routers',
      async () => (await world.room('lobby')).status?.routers === 3,
      soon,
    );
  });

  it('says which pool is missing, and is ready once it is there', async () => {
    await world.applyRoom('lobby', { consumers: { selector: { matchLabels: { zone: 'north' } } } });
    const found = await until(
      'the reason',
      async () => {
        const ready = findCondition((await world.room('lobby')).status?.conditions, 'Ready');
        return ready?.reason === 'InsufficientCapacity' ? ready : undefined;
      },
      soon,
    );
    expect(found.message).toMatch(/role Consumer or Both and the labels zone=north/);
    expect((await event('lobby', 'InsufficientCapacity')).type).toBe('Warning');
    await world.applyPool('north', { role: 'Consumer' }, { zone: 'north' });
    await world.readyRoom('lobby');
  });

  it('is deleted in bounded time with a node that does not answer, and says what it gave up on', async () => {
    await world.applyRoom('lobby');
    const { status } = await world.readyRoom('lobby');
    const podName = status?.placements?.find(({ role }) => role === 'Consumer')?.podName ?? '';
    world.kubelets.node(podName).fault = (method) => (method === 'DELETE' ? 'internal' : undefined);
    await world.kubectl(['delete', 'mr', 'lobby', '--timeout=20s']);
    expect((await event('lobby', 'RoutersAbandoned')).note).toContain(`on ${podName}`);
  });

  it('ends by its time to live, with an Event', async () => {
    await world.applyRoom('lobby', { ttlSeconds: 1 });
    await until('the room to go', async () => !(await world.exists('mediarooms', 'lobby')), soon);
    expect((await event('lobby', 'TTLExpired')).type).toBe('Normal');
  });
});

import { isConditionTrue } from '../../common/resources/conditions.ts';
import type { MediaRoom, MediaWorker } from '../../common/resources/types.ts';
import type { Pod } from '../../operator/cluster.ts';
import { poolOf } from '../../operator/workers/labels.ts';
import { blockOf } from '../../operator/workers/ports.ts';
import type { KubernetesWorld } from './world.ts';

/** What is wanted of a world. */
export interface Wanted {
  /** Replicas of each pool. */
  pools: ReadonlyMap<string, number>;
  /** Consumer routers of each room, which has one producer router. */
  rooms: ReadonlyMap<string, number>;
}

/** What makes one set differ from another, each item with its number. */
function compare(what: string, is: readonly string[], wanted: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const item of is) counts.set(item, (counts.get(item) ?? 0) + 1);
  for (const item of wanted) counts.set(item, (counts.get(item) ?? 0) - 1);
  return [...counts].flatMap(([item, count]) => {
    if (count === 0) return [];
    return count > 0 ? `${count} too many: ${what} ${item}` : `missing: ${what} ${item}`;
  });
}

function flawsOfRoom({ metadata, status }: MediaRoom, consumers: number): string[] {
  const what = `room ${metadata.name}`;
  if (status?.observedGeneration !== metadata.generation) return [`${what} is not up to date`];
  if (!isConditionTrue(status.conditions, 'Ready')) return [`${what} is not ready`];
  const placements = status.placements ?? [];
  const unready = placements.filter(({ state }) => state !== 'Ready');
  return [
    ...unready.map(({ routerId, state }) => `${what}: router ${routerId} is ${state}`),
    ...compare(
      `${what}: router of role`,
      placements.map(({ role }) => role),
      ['Producer', ...Array<string>(consumers).fill('Consumer')],
    ),
  ];
}

function flawsOfPool({ metadata, status }: MediaWorker, replicas: number): string[] {
  const what = `pool ${metadata.name}`;
  if (status?.observedGeneration !== metadata.generation) return [`${what} is not up to date`];
  if (!isConditionTrue(status.conditions, 'Ready')) return [`${what} is not ready`];
  return status.replicas === replicas ? [] : [`${what} has ${status.replicas} nodes`];
}

function flawsOfPods(pods: readonly Pod[], { pools }: Wanted): string[] {
  const ports = pods.flatMap((pod) => {
    const { start = 0, end = -1 } = blockOf(pod) ?? {};
    return Array.from({ length: end - start + 1 }, (_, i) => String(start + i));
  });
  return [
    ...compare(
      'pod of pool',
      pods.map(poolOf),
      [...pools].flatMap(([name, replicas]) => Array<string>(replicas).fill(name)),
    ),
    ...compare('port', ports, [...new Set(ports)]),
  ];
}

/** Routers are where the rooms say, and nowhere else. */
function flawsOfRouters(world: KubernetesWorld, rooms: readonly MediaRoom[]): string[] {
  const placed = rooms.flatMap(({ status }) =>
    (status?.placements ?? []).map(({ podName, routerId }) => `${routerId} on ${podName}`),
  );
  const made = [...world.kubelets.nodes.values()].flatMap(({ options, routers }) =>
    [...routers.keys()].map((routerId) => `${routerId} on ${options.podName}`),
  );
  return compare('router', made, placed);
}

/** Everything in which the world is not as it is wanted: what is missing, doubled, left over or not ready. */
export async function findFlaws(world: KubernetesWorld, wanted: Wanted): Promise<string[]> {
  const [pools, rooms, pods, budgets] = await Promise.all([
    world.pools(),
    world.rooms(),
    world.pods(),
    world.budgets(),
  ]);
  const namesOf = (objects: readonly { metadata: { name: string } }[]): string[] =>
    objects.map(({ metadata }) => metadata.name);
  const processes = [...world.kubelets.nodes.values()].map(({ options }) => options.podName);
  return [
    ...compare('pool', namesOf(pools), [...wanted.pools.keys()]),
    ...pools.flatMap((pool) => flawsOfPool(pool, wanted.pools.get(pool.metadata.name) ?? 0)),
    ...compare('room', namesOf(rooms), [...wanted.rooms.keys()]),
    ...rooms.flatMap((room) => flawsOfRoom(room, wanted.rooms.get(room.metadata.name) ?? 0)),
    ...flawsOfPods(pods, wanted),
    ...compare('process', processes, namesOf(pods)),
    ...compare('budget', namesOf(budgets), [...wanted.pools.keys()]),
    ...flawsOfRouters(world, rooms),
  ];
}

import type { Placement } from '../../common/resources/types.ts';

interface Entry {
  room: string;
  instanceId: string;
  podName: string;
}

/**
 * What was placed where, over all rooms, as decided. It is ahead of the cache: a decision counts from the moment it is
 * made, so that two rooms decided one after the other can't both take a node's last place.
 */
export class PlacementLedger {
  readonly #rooms = new Map<string, Placement[]>();
  readonly #routers = new Map<string, Entry>();
  readonly #byInstance = new Map<string, Set<string>>();
  readonly #byPod = new Map<string, Set<string>>();

  set(room: string, placements: readonly Placement[]): void {
    if (sameRouters(this.#rooms.get(room) ?? [], placements)) return;
    this.delete(room);
    if (placements.length === 0) return;
    this.#rooms.set(room, [...placements]);
    for (const { routerId, instanceId, podName } of placements) {
      this.#routers.set(routerId, { room, instanceId, podName });
      addTo(this.#byInstance, instanceId, routerId);
      addTo(this.#byPod, podName, routerId);
    }
  }

  delete(room: string): void {
    for (const { routerId, instanceId, podName } of this.#rooms.get(room) ?? []) {
      this.#routers.delete(routerId);
      removeFrom(this.#byInstance, instanceId, routerId);
      removeFrom(this.#byPod, podName, routerId);
    }
    this.#rooms.delete(room);
  }

  /** How many rooms have a placement. */
  get size(): number {
    return this.#rooms.size;
  }

  /** Whether a room has a placement of this id. */
  has(routerId: string): boolean {
    return this.#routers.has(routerId);
  }

  /** Key of the router's room. */
  roomOf(routerId: string): string | undefined {
    return this.#routers.get(routerId)?.room;
  }

  routersOn(instanceId: string): number {
    return this.#byInstance.get(instanceId)?.size ?? 0;
  }

  /** Ids of the routers that are placed on an instance. */
  routerIdsOn(instanceId: string): Iterable<string> {
    return this.#byInstance.get(instanceId) ?? [];
  }

  /** Keys of the rooms with a placement on the pod, on whichever instance of it. */
  roomsOn(podName: string): string[] {
    const routers = [...(this.#byPod.get(podName) ?? [])];
    return [...new Set(routers.flatMap((id) => this.#routers.get(id)?.room ?? []))];
  }
}

/** A router never changes its place, so its id says all. */
const sameRouters = (a: readonly Placement[], b: readonly Placement[]): boolean =>
  a.length === b.length && a.every(({ routerId }, i) => routerId === b[i]?.routerId);

function addTo(index: Map<string, Set<string>>, key: string, value: string): void {
  const set = index.get(key);
  if (set) set.add(value);
  else index.set(key, new Set([value]));
}

function removeFrom(index: Map<string, Set<string>>, key: string, value: string): void {
  const set = index.get(key);
  set?.delete(value);
  if (set?.size === 0) index.delete(key);
}

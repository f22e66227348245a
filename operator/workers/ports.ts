import type { MediaWorker } from '../../common/resources/types.ts';
import { formatKey, type ObjectKey, type Pod } from '../cluster.ts';
import type { Clock } from '../runtime/clock.ts';
import { portsAnnotation } from './labels.ts';

/** Ports from `start` to `end`, both included. */
export interface PortBlock {
  start: number;
  end: number;
}

type NetworkMode = MediaWorker['spec']['network']['mode'];

export const formatBlock = ({ start, end }: PortBlock): string => `${start}-${end}`;

/** The block that a pod holds, for as long as the pod exists. */
export function blockOf(pod: Pod): PortBlock | undefined {
  const match = /^(\d+)-(\d+)$/.exec(pod.metadata.annotations?.[portsAnnotation] ?? '');
  return match ? { start: Number(match[1]), end: Number(match[2]) } : undefined;
}

/** Pods that share their machine's network need a port for the node's API as well, the last one of the block. */
const apiPorts = (mode: NetworkMode): number => (mode === 'HostNetwork' ? 1 : 0);

/** How many ports each pod of the pool needs. */
export const blockSize = ({ spec }: MediaWorker): number =>
  spec.workersPerNode + apiPorts(spec.network.mode);

/** The part of a block that clients' media goes to: a port for each worker. */
export const mediaBlockOf = (mode: NetworkMode, { start, end }: PortBlock): PortBlock => ({
  start,
  end: end - apiPorts(mode),
});

export const apiPortOf = (mode: NetworkMode, { end }: PortBlock, apiPort: number): number =>
  apiPorts(mode) > 0 ? end : apiPort;

/** Whether the block is one that the pool would give a pod now. */
export function fitsPool(block: PortBlock, worker: MediaWorker): boolean {
  const { start, end } = worker.spec.network.portRange;
  const size = block.end - block.start + 1;
  return size === blockSize(worker) && block.start >= start && block.end <= end;
}

/**
 * The first `size` ports in a row of the range that nobody holds.
 *
 * @returns undefined when there are none
 */
export function allocateBlock(
  range: PortBlock,
  size: number,
  taken: readonly PortBlock[],
): PortBlock | undefined {
  let start = range.start;
  for (const block of [...taken].sort((a, b) => a.start - b.start)) {
    if (block.end < start) continue;
    if (block.start >= start + size) break;
    start = block.end + 1;
  }
  const end = start + size - 1;
  return end <= range.end ? { start, end } : undefined;
}

/** How many blocks of `size` ports the range has besides those that are taken. */
export function countBlocks(range: PortBlock, size: number, taken: readonly PortBlock[]): number {
  let start = range.start;
  let count = 0;
  const fitBefore = (end: number): number => Math.max(0, Math.floor((end - start) / size));
  for (const block of [...taken].sort((a, b) => a.start - b.start)) {
    if (block.end < start) continue;
    count += fitBefore(Math.min(block.start, range.end + 1));
    start = block.end + 1;
  }
  return count + fitBefore(range.end + 1);
}

/** What became of the pod that a block was reserved for: `Unknown` when there was no answer. */
export type CreateOutcome = 'Created' | 'Refused' | 'Unknown';

interface Reservation {
  block: PortBlock;
  /** Milliseconds since the epoch. */
  madeAt: number;
  /** An attempt had no answer: the pod may exist. */
  uncertain: boolean;
}

export interface PortAllocatorDeps {
  pods: { list(): readonly Pod[] };
  clock: Clock;
  /** How long a reservation is kept for a pod that never appears, in milliseconds. */
  reservationMs: number;
}

/**
 * Gives each pod a block of ports of its own, over all pools, so that pools with one range can share a machine. A block is
 * held by its pod's annotation while the pod is in the cache, and by a reservation from its choice until then: pools are
 * worked on at the same time, and the cache may lag behind.
 */
export class PortAllocator {
  readonly #deps: PortAllocatorDeps;
  /** By the pod's key. More than one where a pool's shape changed while an attempt was without an answer. */
  readonly #reservations = new Map<string, Reservation[]>();

  constructor(deps: PortAllocatorDeps) {
    this.#deps = deps;
  }

  /** Blocks that are reserved for pods not seen yet. */
  get reserved(): number {
    return [...this.#reservations.values()].flat().length;
  }

  /**
   * A block for a pod that is about to be made; the same again when that is tried again.
   *
   * @returns undefined when the pool's range is used up
   */
  reserve(pod: ObjectKey, worker: MediaWorker): PortBlock | undefined {
    this.#expire();
    const key = formatKey(pod);
    const known = this.#reservations.get(key) ?? [];
    const madeAt = this.#deps.clock.now();
    const again = known.find(({ block }) => fitsPool(block, worker));
    if (again) {
      again.madeAt = madeAt;
      return again.block;
    }
    const block = allocateBlock(worker.spec.network.portRange, blockSize(worker), this.#taken());
    if (!block) return undefined;
    this.#reservations.set(key, [...known, { block, madeAt, uncertain: false }]);
    return block;
  }

  /** Says how an attempt to make the pod ended. */
  settle(pod: ObjectKey, { block, outcome }: { block: PortBlock; outcome: CreateOutcome }): void {
    const key = formatKey(pod);
    const known = this.#reservations.get(key) ?? [];
    const next = known.flatMap((item) => {
      if (item.block.start !== block.start) return item;
      if (outcome === 'Unknown') return { ...item, uncertain: true };
      // An earlier attempt without an answer may have made it after all.
      return outcome === 'Refused' && !item.uncertain ? [] : item;
    });
    this.#put(key, next);
  }

  /** The pod is in the cache, or was: from now on that says whether it holds its ports. */
  see(pod: Pod): void {
    this.#reservations.delete(formatKey(pod.metadata));
  }

  /** How many more pods of the pool there are ports for, up to a limit. */
  countFree(worker: MediaWorker, limit: number): number {
    this.#expire();
    const free = countBlocks(worker.spec.network.portRange, blockSize(worker), this.#taken());
    return Math.min(limit, free);
  }

  #taken(): PortBlock[] {
    const held = this.#deps.pods.list().flatMap((pod) => blockOf(pod) ?? []);
    return [...held, ...[...this.#reservations.values()].flat().map(({ block }) => block)];
  }

  #expire(): void {
    const oldest = this.#deps.clock.now() - this.#deps.reservationMs;
    for (const [key, known] of this.#reservations)
      this.#put(
        key,
        known.filter(({ madeAt }) => madeAt > oldest),
      );
  }

  #put(key: string, reservations: Reservation[]): void {
    if (reservations.length > 0) this.#reservations.set(key, reservations);
    else this.#reservations.delete(key);
  }
}

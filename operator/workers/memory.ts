import type { MediaWorker } from '../../common/resources/types.ts';
import { formatKey } from '../cluster.ts';
import type { Recommendations, ScalingDecision } from './autoscale.ts';
import type { Shortage } from './conditions.ts';
import type { Occupants } from './drains.ts';

/** A drain under way, for what is told of it. Times in milliseconds since the epoch. */
export interface DrainRecord {
  startedAt: number;
  /** What was on the node when it began, as far as that is known. */
  atFirst: Occupants | undefined;
  /** What was told last, and when it was last looked at whether to tell more. */
  told: Occupants | undefined;
  toldAt: number;
}

/** What the operator knows of a pool beside its objects: nothing that it could not do without after a restart. */
export interface PoolMemory {
  uid: string;
  /** The last refusal of a pod, and when to try again. */
  refusal?: { shortage: Shortage; generation: number; failures: number; retryAt: number };
  scaling?: { history: Recommendations; last: ScalingDecision };
  /** By the uids of the pods. */
  drains?: Map<string, DrainRecord>;
  /** When a status with new figures was last written, in milliseconds since the epoch. */
  figuresAt?: number;
}

/** The memories of all pools that exist. */
export class PoolMemories {
  readonly #pools = new Map<string, PoolMemory>();

  get size(): number {
    return this.#pools.size;
  }

  of({ metadata }: MediaWorker): PoolMemory {
    const key = formatKey(metadata);
    const known = this.#pools.get(key);
    // A pool of the same name may be another one.
    if (known?.uid === metadata.uid) return known;
    const fresh = { uid: metadata.uid };
    this.#pools.set(key, fresh);
    return fresh;
  }

  forget(key: string): void {
    this.#pools.delete(key);
  }
}

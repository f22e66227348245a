import type { MediaWorker } from '../../common/resources/types.ts';
import type { Pod } from '../cluster.ts';
import type { OperatorDeps } from '../deps.ts';
import type { PoolMemory } from './memory.ts';
import type { PortAllocator } from './ports.ts';
import type { PoolEvent } from './reasons.ts';

/** One look at a pool. */
export interface PoolContext {
  deps: OperatorDeps;
  ports: PortAllocator;
  memory: PoolMemory;
  worker: MediaWorker;
}

const isOwnedBy = (pod: Pod, { metadata }: MediaWorker): boolean =>
  pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) ?? false;

/** The pool's pods as the cache has them now; those of an earlier pool of the same name are not its own. */
export const podsOf = ({ deps, worker }: PoolContext): Pod[] =>
  deps.cluster.pods.listOfPool(worker.metadata).filter((pod) => isOwnedBy(pod, worker));

/** Pods whose names are taken although they are not the pool's. */
export const foreignPodsOf = ({ deps, worker }: PoolContext): Pod[] =>
  deps.cluster.pods.listOfPool(worker.metadata).filter((pod) => !isOwnedBy(pod, worker));

export const record = ({ deps, worker }: PoolContext, event: PoolEvent): void =>
  deps.cluster.events.record(worker, event);

import type {
  KubernetesObject,
  MediaRoom,
  MediaRoomStatus,
  MediaWorker,
  MediaWorkerStatus,
} from '../../common/resources/types.ts';
import { isApiError } from '../../common/errors.ts';
import { validateResource } from '../../common/resources/validate.ts';
import type { Cluster, PodClient, Reader, ResourceClient } from '../cluster.ts';
import { Collection, Revisions, type NewObject, type Stored } from './store.ts';

/** All objects of the local adapter. Pods have their own store beside their processes. */
export interface LocalObjects {
  revisions: Revisions;
  mediaworkers: Collection<MediaWorker>;
  mediarooms: Collection<MediaRoom>;
}

export function createLocalObjects(historySize: number, now = () => new Date()): LocalObjects {
  const revisions = new Revisions();
  const options = <T extends KubernetesObject>() => ({
    revisions,
    historySize,
    now,
    validate: (object: NewObject<T>, old?: T): NewObject<T> =>
      validateResource(object, old ? { old } : {}) as unknown as NewObject<T>,
  });
  return {
    revisions,
    mediaworkers: new Collection<MediaWorker>(options<MediaWorker>()),
    mediarooms: new Collection<MediaRoom>(options<MediaRoom>()),
  };
}

export function readerOf<T extends Stored>(collection: Collection<T>): Reader<T> {
  return {
    get: (key) => collection.get(key),
    list: () => collection.list(),
    watch(listener) {
      for (const object of collection.list()) listener({ type: 'ADDED', object });
      return collection.subscribe(({ type, object }) => listener({ type, object }));
    },
  };
}

function clientOf<T extends KubernetesObject<unknown, Status>, Status>(
  collection: Collection<T>,
): ResourceClient<T, Status> {
  return {
    ...readerOf(collection),
    setFinalizers: async (object, finalizers) =>
      Promise.resolve(
        collection.update({ ...object, metadata: { ...object.metadata, finalizers } }),
      ),
    setStatus: async (object, status) =>
      Promise.resolve(collection.update({ ...object, status }, 'status')),
    async delete(object) {
      try {
        collection.delete(object.metadata, { uid: object.metadata.uid });
      } catch (error) {
        if (!isApiError(error, 'not_found')) throw error;
      }
      return Promise.resolve();
    },
  };
}

/** The reconcilers' view of the local adapter. */
export const createLocalCluster = (objects: LocalObjects, pods: PodClient): Cluster => ({
  workers: clientOf<MediaWorker, MediaWorkerStatus>(objects.mediaworkers),
  rooms: clientOf<MediaRoom, MediaRoomStatus>(objects.mediarooms),
  pods,
});

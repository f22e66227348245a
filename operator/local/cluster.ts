import type {
  KubernetesObject,
  MediaRoom,
  MediaRoomStatus,
  MediaWorker,
  MediaWorkerStatus,
} from '../../common/resources/types.ts';
import { isApiError } from '../../common/errors.ts';
import { validateResource } from '../../common/resources/validate.ts';
import type { Logger } from '../../common/service/logger.ts';
import type {
  BudgetClient,
  Cluster,
  EventRecorder,
  NodeReader,
  Pod,
  PodClient,
  Reader,
  ResourceClient,
} from '../cluster.ts';
import { poolOf } from '../workers/labels.ts';
import {
  Collection,
  Revisions,
  mergeMap,
  type CollectionOptions,
  type NewObject,
  type Stored,
} from './store.ts';

/** All objects of the local adapter. Pods have their own store beside their processes. */
export interface LocalObjects {
  revisions: Revisions;
  mediaworkers: Collection<MediaWorker>;
  mediarooms: Collection<MediaRoom>;
}

/** Where the objects get from what is another one at each run. */
type Sources = Partial<Pick<CollectionOptions<never>, 'now' | 'newUid'>>;

export function createLocalObjects(historySize: number, sources: Sources = {}): LocalObjects {
  const revisions = new Revisions();
  const options = <T extends KubernetesObject>() => ({
    revisions,
    historySize,
    ...{ now: () => new Date(), ...sources },
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

/** The methods of a client of pods that are the same whatever runs in them. */
export const podMethodsOf = (
  pods: Collection<Pod>,
): Pick<PodClient, 'listOfPool' | 'updateMetadata'> => ({
  listOfPool: ({ namespace, name }) =>
    pods.list().filter((pod) => pod.metadata.namespace === namespace && poolOf(pod) === name),
  updateMetadata: async (pod, { labels, annotations }) => {
    const changed = {
      labels: mergeMap(pod.metadata.labels, labels),
      annotations: mergeMap(pod.metadata.annotations, annotations),
    };
    return Promise.resolve(
      pods.update({ ...pod, metadata: { ...pod.metadata, ...changed } } as NewObject<Pod>),
    );
  },
});

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

/** There is no Kubernetes node here: pods are announced by the address that their environment gives them. */
const noNodes: NodeReader = { get: () => undefined, watch: () => () => undefined };

/** Nobody evicts processes. */
const noBudgets: BudgetClient = { apply: () => Promise.resolve() };

/** Without an API that keeps Events, they are lines of the log. */
const logEvents = (logger: Logger): EventRecorder => ({
  record: ({ kind, metadata }, { type, reason, action, note }) =>
    logger[type === 'Warning' ? 'warn' : 'info'](
      { kind, namespace: metadata.namespace, name: metadata.name, reason, action },
      note,
    ),
});

/** The reconcilers' view of the local adapter. */
export const createLocalCluster = (
  objects: LocalObjects,
  pods: PodClient,
  logger: Logger,
): Cluster => ({
  workers: {
    ...clientOf<MediaWorker, MediaWorkerStatus>(objects.mediaworkers),
    setReplicas: async (worker, replicas) =>
      Promise.resolve(
        objects.mediaworkers.update({ ...worker, spec: { ...worker.spec, replicas } }),
      ),
  },
  rooms: clientOf<MediaRoom, MediaRoomStatus>(objects.mediarooms),
  pods,
  nodes: noNodes,
  budgets: noBudgets,
  events: logEvents(logger),
});

import type { KubernetesClient } from '../../common/kubernetes/client.ts';
import type { Informer } from '../../common/kubernetes/informer.ts';
import { objectPath, resourceTypes, type ResourceType } from '../../common/kubernetes/paths.ts';
import {
  apiVersion,
  type KubernetesObject,
  type MediaRoom,
  type MediaRoomStatus,
  type MediaWorker,
  type MediaWorkerStatus,
} from '../../common/resources/types.ts';
import {
  formatKey,
  type BudgetClient,
  type PodClient,
  type ResourceClient,
  type WorkerClient,
} from '../cluster.ts';
import { containsAll, isSame } from './contains.ts';
import { poolIndex, type Informers, type StoredBudget } from './informers.ts';
import { readerOf } from './reader.ts';
import { trimObject, trimPod } from './trim.ts';
import { Writer } from './writer.ts';

export interface ClientDeps {
  client: KubernetesClient;
  fieldManager: string;
  informers: Informers;
}

interface KindDeps<T extends KubernetesObject> extends Omit<ClientDeps, 'informers'> {
  kind: string;
  type: ResourceType;
  informer: Informer<T>;
}

/** Deletes of one kind of ours, and writes to its status and finalizers. */
function resourceClient<T extends KubernetesObject<unknown, Status>, Status>(
  deps: KindDeps<T>,
  writer: Writer<T>,
): ResourceClient<T, Status> {
  return {
    ...readerOf(deps.informer),
    setFinalizers: (object, finalizers) =>
      writer.patch(object, { patch: 'merge', body: { metadata: { finalizers } } }),
    // By server-side apply: what a later status leaves out goes, since it was this manager's alone.
    setStatus: async (object, status) =>
      isSame(object.status, status)
        ? object
        : writer.patch(object, {
            patch: 'apply',
            subresource: 'status',
            body: { apiVersion, kind: deps.kind, status },
          }),
    delete: (object) => writer.delete(object),
  };
}

const writerOf = <T extends KubernetesObject>(deps: KindDeps<T>): Writer<T> =>
  new Writer({ ...deps, trim: trimObject });

export function createRoomClient({
  informers,
  ...rest
}: ClientDeps): ResourceClient<MediaRoom, MediaRoomStatus> {
  const deps: KindDeps<MediaRoom> = {
    ...rest,
    kind: 'MediaRoom',
    type: resourceTypes.mediarooms,
    informer: informers.mediarooms,
  };
  return resourceClient(deps, writerOf(deps));
}

/** The part of a Scale that tells what became of the object. */
interface Scale {
  metadata: { resourceVersion: string };
}

export function createWorkerClient({ informers, ...rest }: ClientDeps): WorkerClient {
  const deps: KindDeps<MediaWorker> = {
    ...rest,
    kind: 'MediaWorker',
    type: resourceTypes.mediaworkers,
    informer: informers.mediaworkers,
  };
  const writer = writerOf(deps);
  return {
    ...resourceClient<MediaWorker, MediaWorkerStatus>(deps, writer),
    async setReplicas(worker, replicas) {
      const { metadata } = await writer.send<Scale>(worker, {
        patch: 'merge',
        subresource: 'scale',
        body: { spec: { replicas } },
      });
      const { resourceVersion } = metadata;
      if (resourceVersion === worker.metadata.resourceVersion) return worker;
      // The answer is a Scale; but since nobody has changed the object meanwhile, this is what it is now.
      return writer.take({
        ...worker,
        metadata: {
          ...worker.metadata,
          resourceVersion,
          generation: worker.metadata.generation + 1,
        },
        spec: { ...worker.spec, replicas },
      });
    },
  };
}

export function createPodClient({ informers, client, fieldManager }: ClientDeps): PodClient {
  const informer = informers.pods;
  const writer = new Writer({
    client,
    fieldManager,
    type: resourceTypes.pods,
    informer,
    trim: trimPod,
  });
  return {
    ...readerOf(informer),
    listOfPool: (pool) => informer.byIndex(poolIndex, formatKey(pool)),
    create: (manifest) =>
      writer.create(manifest.metadata.namespace, { apiVersion: 'v1', kind: 'Pod', ...manifest }),
    updateMetadata: (pod, change) =>
      writer.patch(pod, { patch: 'merge', body: { metadata: change } }),
    delete: (pod, { force = false } = {}) =>
      writer.delete(pod, force ? { gracePeriodSeconds: 0 } : {}),
  };
}

export function createBudgetClient({ informers, client, fieldManager }: ClientDeps): BudgetClient {
  const type = resourceTypes.poddisruptionbudgets;
  const informer = informers.poddisruptionbudgets;
  return {
    async apply(budget) {
      const { name, namespace } = budget.metadata;
      if (containsAll(informer.get({ namespace, name }), budget)) return;
      const answer = await client.call<StoredBudget>({
        method: 'PATCH',
        path: objectPath(type, { namespace, name }),
        query: { fieldManager, force: true },
        patch: 'apply',
        body: { apiVersion: type.apiVersion, kind: 'PodDisruptionBudget', ...budget },
      });
      informer.accept(trimObject(answer));
    },
  };
}

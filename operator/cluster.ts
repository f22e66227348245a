/**
 * The operator's whole view of the world, with Kubernetes' semantics. Reads come from a cache that may lag behind; every
 * write names the object as it was read, and fails with `conflict` when that is no longer the newest. Objects that come
 * from here are shared: whoever wants a change builds a new one.
 */
import type {
  MediaRoom,
  MediaRoomStatus,
  MediaWorker,
  MediaWorkerStatus,
  ObjectMeta,
  OwnerReference,
} from '../common/resources/types.ts';

export interface ObjectKey {
  namespace: string;
  name: string;
}

/** `namespace/name`, as work queues and logs write a key. */
export const formatKey = ({ namespace, name }: ObjectKey): string => `${namespace}/${name}`;

export function parseKey(text: string): ObjectKey {
  const slash = text.indexOf('/');
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

export interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: T;
}

/** A cached collection, over all namespaces that the operator looks after. */
export interface Reader<T> {
  get(key: ObjectKey): T | undefined;
  list(): T[];
  /** Calls back with `ADDED` for all that is there, then with each change. Returns how to stop. */
  watch(listener: (event: WatchEvent<T>) => void): () => void;
}

/** Reads and writes of one of our two kinds. */
export interface ResourceClient<T, Status> extends Reader<T> {
  /** @throws {ApiError} `conflict`, `not_found` */
  setFinalizers(object: T, finalizers: string[]): Promise<T>;
  /** Writes the status subresource. @throws {ApiError} `conflict`, `not_found` */
  setStatus(object: T, status: Status): Promise<T>;
  /** Asks for deletion: at once without finalizers, else once they are gone. One that is gone is no error. */
  delete(object: T): Promise<void>;
}

export type EnvVar =
  | { name: string; value: string }
  | { name: string; valueFrom: { fieldRef: { fieldPath: string } } };

export interface ContainerPort {
  name: string;
  containerPort: number;
  hostPort?: number;
  protocol: 'TCP' | 'UDP';
}

/** What the operator says about a pod; the adapter fills in what belongs to its world (image, probes, addresses). */
export interface PodManifest {
  metadata: Pick<ObjectMeta, 'name' | 'namespace'> & {
    labels: Record<string, string>;
    annotations: Record<string, string>;
    ownerReferences: OwnerReference[];
  };
  spec: {
    hostNetwork?: boolean;
    terminationGracePeriodSeconds: number;
    containers: [{ name: string; env: EnvVar[]; ports: ContainerPort[] }];
  };
}

export interface PodStatus {
  phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  podIP?: string;
  conditions?: { type: string; status: 'True' | 'False' | 'Unknown' }[];
  containerStatuses?: { restartCount: number; state: { running?: { startedAt: string } } }[];
}

/** The part of a Kubernetes pod that the operator reads. */
export interface Pod {
  metadata: ObjectMeta;
  spec: PodManifest['spec'];
  status: PodStatus;
}

export interface PodClient extends Reader<Pod> {
  /** @throws {ApiError} `conflict` when a pod of that name exists */
  create(manifest: PodManifest): Promise<Pod>;
  /** @throws {ApiError} `conflict`, `not_found` */
  annotate(pod: Pod, annotations: Record<string, string>): Promise<Pod>;
  /** Ends the pod's process within its grace period; the pod is gone from the cache after that. Repeatable. */
  delete(pod: Pod): Promise<void>;
}

export interface Cluster {
  workers: ResourceClient<MediaWorker, MediaWorkerStatus>;
  rooms: ResourceClient<MediaRoom, MediaRoomStatus>;
  pods: PodClient;
}

/** The name of the port in a pod's manifest on which the node's API listens. */
export const apiPortName = 'api';

/** Where a pod's API is reached, once it has an address. */
export function podUrl(pod: Pod): string | undefined {
  const port = pod.spec.containers[0].ports.find(({ name }) => name === apiPortName);
  const ip = pod.status.podIP;
  if (!port || !ip) return undefined;
  return `http://${ip.includes(':') ? `[${ip}]` : ip}:${port.containerPort}`;
}

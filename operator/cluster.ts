/**
 * The operator's whole view of the world, with Kubernetes' semantics. Reads come from a cache that may lag behind; every
 * write names the object as it was read, and fails with `conflict` when that is no longer the newest. Objects that come
 * from here are shared: whoever wants a change builds a new one.
 */
import type {
  KubernetesObject,
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

export interface WorkerClient extends ResourceClient<MediaWorker, MediaWorkerStatus> {
  /** Writes the scale subresource. @throws {ApiError} `conflict`, `not_found` */
  setReplicas(worker: MediaWorker, replicas: number): Promise<MediaWorker>;
}

export interface EnvVar {
  name: string;
  value?: string;
  /** The operator's own variables refer to fields of the pod; overrides may refer to anything. */
  valueFrom?: { fieldRef?: { fieldPath: string }; [source: string]: unknown };
}

export interface ContainerPort {
  name?: string;
  containerPort: number;
  hostPort?: number;
  protocol: 'TCP' | 'UDP';
}

export interface Container {
  name: string;
  image?: string;
  env: EnvVar[];
  ports: ContainerPort[];
  [field: string]: unknown;
}

/**
 * A pod as the operator wants it. What the operator itself reads again has a type; all else of a PodSpec passes through, so
 * that a pool's overrides can set any of it. The local adapter uses name, environment and ports alone.
 */
export interface PodManifest {
  metadata: Pick<ObjectMeta, 'name' | 'namespace'> & {
    labels: Record<string, string>;
    annotations: Record<string, string>;
    ownerReferences: OwnerReference[];
  };
  spec: {
    hostNetwork?: boolean;
    terminationGracePeriodSeconds: number;
    /** The media node's own container comes first. */
    containers: [Container, ...Container[]];
    [field: string]: unknown;
  };
}

export interface ContainerStatus {
  name?: string;
  restartCount: number;
  state: {
    running?: { startedAt: string };
    /** Why the container does not run yet, such as `ImagePullBackOff`. */
    waiting?: { reason?: string; message?: string };
    terminated?: { reason?: string; message?: string; exitCode?: number };
  };
}

export interface PodStatus {
  phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  podIP?: string;
  reason?: string;
  message?: string;
  conditions?: {
    type: string;
    status: 'True' | 'False' | 'Unknown';
    reason?: string;
    message?: string;
  }[];
  containerStatuses?: ContainerStatus[];
  initContainerStatuses?: ContainerStatus[];
}

/** The part of a Kubernetes pod that the operator reads. */
export interface Pod {
  metadata: ObjectMeta;
  /** `nodeName` once the pod is scheduled. */
  spec: PodManifest['spec'] & { nodeName?: string };
  status: PodStatus;
}

/** Labels and annotations to set; null removes one. */
interface MetadataChange {
  labels?: Record<string, string | null>;
  annotations?: Record<string, string | null>;
}

export interface PodClient extends Reader<Pod> {
  /** The pods of one pool. */
  listOfPool(pool: ObjectKey): Pod[];
  /** @throws {ApiError} `conflict` when a pod of that name exists; `invalid_request`, `forbidden` with what is wrong */
  create(manifest: PodManifest): Promise<Pod>;
  /** @throws {ApiError} `conflict`, `not_found` */
  updateMetadata(pod: Pod, change: MetadataChange): Promise<Pod>;
  /**
   * Ends the pod's process within its grace period; the pod is gone from the cache after that. Repeatable.
   *
   * @param options.force lets the object go at once, whatever became of the process: for a machine that does not answer
   */
  delete(pod: Pod, options?: { force?: boolean }): Promise<void>;
}

/** The part of a Kubernetes node that the operator reads. */
export interface KubernetesNode {
  metadata: Pick<ObjectMeta, 'name' | 'resourceVersion' | 'uid'> & {
    labels?: Record<string, string>;
  };
  /** `unschedulable` while the node is cordoned, as `kubectl drain` does first. */
  spec: { unschedulable?: boolean };
  status: {
    addresses?: { type: string; address: string }[];
    conditions?: { type: string; status: 'True' | 'False' | 'Unknown' }[];
  };
}

/** Nodes belong to no namespace. */
export interface NodeReader {
  get(name: string): KubernetesNode | undefined;
  watch(listener: (event: WatchEvent<KubernetesNode>) => void): () => void;
}

/** Which of a pool's pods may not be evicted. */
export interface PodDisruptionBudget {
  metadata: Pick<ObjectMeta, 'name' | 'namespace'> & {
    labels: Record<string, string>;
    ownerReferences: OwnerReference[];
  };
  spec: {
    minAvailable: number;
    selector: { matchLabels: Record<string, string> };
    unhealthyPodEvictionPolicy: 'AlwaysAllow' | 'IfHealthyBudget';
  };
}

export interface BudgetClient {
  /** Makes the budget or brings it to this state; does nothing when it is so already. It goes with its owner. */
  apply(budget: PodDisruptionBudget): Promise<void>;
}

/** Something that a person may ask about, as an Event of the object. */
export interface EventNote {
  type: 'Normal' | 'Warning';
  /** Why: one CamelCase word. */
  reason: string;
  /** What was done: one CamelCase word. */
  action: string;
  /** For a person; at most 1024 characters are kept. */
  note: string;
}

export interface EventRecorder {
  /** Never throws and never waits: an Event that can't be written is lost. */
  record(regarding: KubernetesObject, event: EventNote): void;
}

export interface Cluster {
  workers: WorkerClient;
  rooms: ResourceClient<MediaRoom, MediaRoomStatus>;
  pods: PodClient;
  nodes: NodeReader;
  budgets: BudgetClient;
  events: EventRecorder;
}

/** The name of the port in a pod's manifest on which the node's API listens. */
export const apiPortName = 'api';

/** The media node's own container, which overrides may have moved from the first place. */
export const mediaContainerName = 'media-node';

export const mediaContainer = ({ spec }: Pick<Pod, 'spec'>): Container =>
  spec.containers.find(({ name }) => name === mediaContainerName) ?? spec.containers[0];

export const mediaContainerStatus = ({ status }: Pod): ContainerStatus | undefined =>
  status.containerStatuses?.find(({ name }) => name === mediaContainerName) ??
  status.containerStatuses?.[0];

/** Where a pod's API is reached, once it has an address. */
export function podUrl(pod: Pod): string | undefined {
  const port = mediaContainer(pod).ports.find(({ name }) => name === apiPortName);
  const ip = pod.status.podIP;
  if (!port || !ip) return undefined;
  return `http://${ip.includes(':') ? `[${ip}]` : ip}:${port.containerPort}`;
}

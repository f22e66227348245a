/**
 * The custom resources of the group `kube-sfu.dev`.
 *
 * Terms. *pool*: a MediaWorker, a set of media nodes of one role and size. *node*: one media-node process, the only
 * container of its pod. *instance*: one run of a node; its id is new at every start. *worker*: a mediasoup worker, a
 * subprocess of a node. *room*: a MediaRoom. *placement*: one router of a room on one instance. *generation*: of an
 * object, counts the changes of its spec; of a placement, counts the times that the room's routers were placed anew.
 *
 * The spec types describe stored objects, in which every default is filled in.
 */
import type { MediaRoomSpec, MediaRoomStatus } from './generated/mediaroom.ts';
import type { MediaWorkerSpec, MediaWorkerStatus } from './generated/mediaworker.ts';

export type { MediaRoomSpec, MediaRoomStatus } from './generated/mediaroom.ts';
export type { MediaWorkerStatus } from './generated/mediaworker.ts';

export const apiGroup = 'kube-sfu.dev';
export const apiVersion = 'kube-sfu.dev/v1alpha1';

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Metadata of a stored object, with Kubernetes' meaning of each field. */
export interface ObjectMeta {
  name: string;
  namespace: string;
  uid: string;
  /** Opaque; changes with every write. */
  resourceVersion: string;
  /** Counts the changes of the spec. */
  generation: number;
  creationTimestamp: string;
  /** Set when deletion was asked for; the object goes when its finalizers are gone. */
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
}

export interface KubernetesObject<Spec = unknown, Status = unknown> {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec: Spec;
  status?: Status;
}

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  observedGeneration?: number;
  /** When `status` last flipped. */
  lastTransitionTime: string;
  /** One CamelCase word. */
  reason: string;
  message: string;
}

export interface MediaWorker extends KubernetesObject<MediaWorkerSpec, MediaWorkerStatus> {
  kind: 'MediaWorker';
}

export interface MediaRoom extends KubernetesObject<MediaRoomSpec, MediaRoomStatus> {
  kind: 'MediaRoom';
}

/** One router of a room on one node. */
export type Placement = NonNullable<MediaRoomStatus['placements']>[number];

/** One node of a pool, as the pool's status shows it. */
export type MediaWorkerNode = NonNullable<MediaWorkerStatus['nodes']>[number];

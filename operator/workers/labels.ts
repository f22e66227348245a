import type { Pod } from '../cluster.ts';

/** Tells what the operator made, on every object of it; what has it is all that the operator reads of pods and budgets. */
export const managedByLabel = 'app.kubernetes.io/managed-by';
export const managedBy = 'kube-sfu-operator';
export const managedSelector = `${managedByLabel}=${managedBy}`;

/** Labels and annotations of a pool's pods. */
export const poolLabel = 'kube-sfu.dev/pool';
export const roleLabel = 'kube-sfu.dev/role';
/** `true` on pods that have rooms or peers. */
export const occupiedLabel = 'kube-sfu.dev/occupied';
/** The pod's ports, `first-last`. */
export const portsAnnotation = 'kube-sfu.dev/ports';
/** Tells which shape of the pool's spec the pod was made for. */
export const specHashAnnotation = 'kube-sfu.dev/spec-hash';
/** What the configuration says of the content of the pods' ConfigMap and Secret. */
export const configHashAnnotation = 'kube-sfu.dev/config-hash';
/** When the pod was chosen to go: the decision outlives the operator that made it. */
export const drainingSinceAnnotation = 'kube-sfu.dev/draining-since';

/** Keeps an object until the operator has undone what it made for it. */
export const finalizer = 'kube-sfu.dev/operator';

export const poolOf = (pod: Pod): string => pod.metadata.labels?.[poolLabel] ?? '';

/** Since when the pod drains, in milliseconds since the epoch. */
export function drainingSince(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[drainingSinceAnnotation];
  const time = text ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** Whether the pod was chosen to go, or is on its way. */
export const isLeaving = (pod: Pod): boolean =>
  drainingSince(pod) !== undefined || pod.metadata.deletionTimestamp !== undefined;

/** A pod is named after its pool and the smallest number that was free. */
export const podName = (pool: string, ordinal: number): string => `${pool}-${ordinal}`;

export function ordinalOf(pod: Pod): number {
  const { name } = pod.metadata;
  return Number(name.slice(name.lastIndexOf('-') + 1));
}

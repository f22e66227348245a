import { apiVersion } from '../resources/types.ts';

export interface ResourceType {
  /** Such as `v1` or `policy/v1`. */
  apiVersion: string;
  plural: string;
}

export const resourceTypes = {
  mediaworkers: { apiVersion, plural: 'mediaworkers' },
  mediarooms: { apiVersion, plural: 'mediarooms' },
  pods: { apiVersion: 'v1', plural: 'pods' },
  nodes: { apiVersion: 'v1', plural: 'nodes' },
  poddisruptionbudgets: { apiVersion: 'policy/v1', plural: 'poddisruptionbudgets' },
  events: { apiVersion: 'events.k8s.io/v1', plural: 'events' },
  leases: { apiVersion: 'coordination.k8s.io/v1', plural: 'leases' },
} as const satisfies Record<string, ResourceType>;

/** The path of a collection, over all namespaces where none is named. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const base = type.apiVersion.includes('/') ? '/apis' : '/api';
  const within = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `${base}/${type.apiVersion}${within}/${type.plural}`;
}

/** The path of one object, or of one of its subresources. */
export function objectPath(
  type: ResourceType,
  { namespace, name }: { namespace?: string; name: string },
  subresource?: string,
): string {
  const object = `${collectionPath(type, namespace)}/${encodeURIComponent(name)}`;
  return subresource === undefined ? object : `${object}/${subresource}`;
}

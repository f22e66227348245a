import type { KubernetesClient, Query } from './client.ts';
import { KubernetesError } from './errors.ts';
import type { ListWatch } from './informer.ts';

export interface Collection {
  /** Such as `/api/v1/pods`. */
  path: string;
  labelSelector?: string;
  fieldSelector?: string;
}

const expired = 410;

/** What an informer of a collection stands on. */
export function collectionSource<T>(
  client: KubernetesClient,
  { path, labelSelector, fieldSelector }: Collection,
): ListWatch<T> {
  const query: Query = { labelSelector, fieldSelector };
  let listedFrom: object | undefined;
  return {
    async list(signal) {
      const result = await client.list<T>(path, query, signal);
      listedFrom = client.server;
      return result;
    },
    async watch(resourceVersion, onEvent, signal) {
      // The versions of one API server mean nothing to another.
      if (client.server !== listedFrom)
        throw new KubernetesError(expired, { message: 'the API server is another one' }, path);
      await client.watch<T>(path, { ...query, resourceVersion }, onEvent, signal);
    },
  };
}

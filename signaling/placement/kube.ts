import { KubernetesClient } from '../../common/kubernetes/client.ts';
import { KubernetesError } from '../../common/kubernetes/errors.ts';
import type { ListWatch } from '../../common/kubernetes/informer.ts';
import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { collectionSource } from '../../common/kubernetes/source.ts';
import { ApiError, isApiError } from '../../common/errors.ts';
import { apiVersion, type MediaRoom, type MediaRoomSpec } from '../../common/resources/types.ts';
import type { SignalingConfig } from '../config.ts';

type Plural = 'mediarooms' | 'mediaworkers';

export interface NewRoom {
  name: string;
  /** Left out fields get the API's defaults. */
  spec: {
    [Key in keyof MediaRoomSpec]?: MediaRoomSpec[Key] extends object
      ? Partial<MediaRoomSpec[Key]>
      : MediaRoomSpec[Key];
  };
  annotations?: Record<string, string>;
}

/** What a refusal of the API means here; a failure to reach it is a room that can't be made ready now. */
function toRoomError(error: unknown): ApiError {
  if (isApiError(error, 'not_found'))
    return new ApiError('room_not_found', error.message, { cause: error });
  if (error instanceof KubernetesError && error.statusCode < 500) return error;
  return new ApiError('room_not_ready', 'the Kubernetes API is not available', { cause: error });
}

/**
 * Lists, watches and writes the custom resources.
 *
 * @throws what keeps the kubeconfig from being read
 */
export function createKube(config: SignalingConfig['kubernetes']) {
  const client = new KubernetesClient({ config });
  const { namespace } = config;

  return {
    source: <T>(plural: Plural): ListWatch<T> =>
      collectionSource<T>(client, { path: collectionPath(resourceTypes[plural], namespace) }),

    /** @throws {ApiError} `conflict` where the name is taken */
    createRoom: async ({ name, spec, annotations = {} }: NewRoom): Promise<MediaRoom> => {
      const metadata = { name, namespace, annotations };
      try {
        return await client.call<MediaRoom>({
          method: 'POST',
          path: collectionPath(resourceTypes.mediarooms, namespace),
          body: { apiVersion, kind: 'MediaRoom', metadata, spec },
        });
      } catch (error) {
        throw toRoomError(error);
      }
    },

    /** @throws {ApiError} `room_not_found` */
    deleteRoom: async (name: string): Promise<void> => {
      try {
        await client.call({
          method: 'DELETE',
          path: objectPath(resourceTypes.mediarooms, { namespace, name }),
        });
      } catch (error) {
        throw toRoomError(error);
      }
    },

    close: () => client.close(),
  };
}

export type Kube = ReturnType<typeof createKube>;

import { KubernetesClient, type KubernetesClientConfig } from '../../common/kubernetes/client.ts';
import { isConflict, isQuotaExceeded, KubernetesError } from '../../common/kubernetes/errors.ts';
import type { ListWatch } from '../../common/kubernetes/informer.ts';
import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { collectionSource } from '../../common/kubernetes/source.ts';
import { ApiError } from '../../common/errors.ts';
import { apiVersion, type MediaRoom, type MediaRoomSpec } from '../../common/resources/types.ts';
import type { Logger } from '../../common/service/logger.ts';
import { isRefused, toRoomError } from './room-error.ts';

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

/** How often a room is asked for while other API servers change the quota that it counts against. */
const quotaAttempts = 3;

export interface KubeDeps {
  config: KubernetesClientConfig & { namespace: string };
  logger: Logger;
}

/**
 * Lists, watches and writes the custom resources.
 *
 * @throws what keeps the kubeconfig from being read
 */
export function createKube({ config, logger }: KubeDeps) {
  const client = new KubernetesClient({ config });
  const { namespace } = config;
  const roomsPath = collectionPath(resourceTypes.mediarooms, namespace);

  /** Whether the API server has the room, whatever the informer knows so far. */
  async function exists(name: string): Promise<boolean> {
    const { items } = await client.list(roomsPath, { fieldSelector: `metadata.name=${name}` });
    return items.length > 0;
  }

  async function post({ name, spec, annotations = {} }: NewRoom): Promise<MediaRoom> {
    const metadata = { name, namespace, annotations };
    for (let attempt = 1; ; attempt++) {
      try {
        return await client.call<MediaRoom>({
          method: 'POST',
          path: roomsPath,
          // A field that the API server does not know is refused, not left out.
          query: { fieldValidation: 'Strict' },
          body: { apiVersion, kind: 'MediaRoom', metadata, spec },
        });
      } catch (error) {
        if (!isConflict(error) || attempt >= quotaAttempts) throw error;
      }
    }
  }

  const failed = (error: unknown, what: string, name: string): ApiError => {
    const roomError = toRoomError(error, name);
    if (isRefused(error) && roomError.code === 'room_not_ready')
      logger.error({ room: name, namespace, reason: error.detail }, `${what} is not allowed`);
    return roomError;
  };

  return {
    source: <T>(plural: Plural): ListWatch<T> =>
      collectionSource<T>(client, { path: collectionPath(resourceTypes[plural], namespace) }),
    /**
     * @throws {ApiError} `conflict` where the name is taken, `invalid_request` with the fields of a wrong spec,
     *   `quota_exceeded`, `room_not_ready`
     */
    createRoom: async (room: NewRoom): Promise<MediaRoom> => {
      const { name } = room;
      try {
        return await post(room);
      } catch (error) {
        // The quota is looked at before the name: what is used up may have been used by this very room.
        if (isQuotaExceeded(error) && (await exists(name).catch(() => false)))
          throw new ApiError('conflict', `there is a room ${name} already`, { cause: error });
        throw failed(error, 'making a room', name);
      }
    },
    /** @throws {ApiError} `room_not_found`, `room_not_ready` */
    deleteRoom: async (name: string): Promise<void> => {
      try {
        await client.call({
          method: 'DELETE',
          path: objectPath(resourceTypes.mediarooms, { namespace, name }),
        });
      } catch (error) {
        if (error instanceof KubernetesError && error.statusCode === 404)
          throw new ApiError('room_not_found', `there is no room ${name}`, { cause: error });
        throw failed(error, 'deleting a room', name);
      }
    },
    close: () => client.close(),
  };
}
export type Kube = ReturnType<typeof createKube>;

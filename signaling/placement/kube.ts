import {
  ApiException,
  CustomObjectsApi,
  KubeConfig,
  Observable,
  Watch,
  type ObservableMiddleware,
} from '@kubernetes/client-node';

import { ApiError, messageOf } from '../../common/errors.ts';
import {
  apiGroup,
  apiVersion,
  type MediaRoom,
  type MediaRoomSpec,
} from '../../common/resources/types.ts';
import type { SignalingConfig } from '../config.ts';
import type { ListWatch, WatchEvent } from './informer.ts';

const version = apiVersion.slice(apiGroup.length + 1);
const loopback = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:|\/|$)/;
const alreadyExists = 409;
const notFound = 404;

export type Plural = 'mediarooms' | 'mediaworkers';

export interface NewRoom {
  name: string;
  /** Left out fields get the API's defaults. */
  spec: Partial<MediaRoomSpec> | { idlePolicy: Partial<MediaRoomSpec['idlePolicy']> };
  annotations?: Record<string, string>;
}

/** Ends a call that hangs: without it the client waits for ever. */
const withSignal = (signal: AbortSignal): ObservableMiddleware => ({
  pre: (context) => {
    context.setSignal(signal);
    return new Observable(Promise.resolve(context));
  },
  post: (context) => new Observable(Promise.resolve(context)),
});

interface ApiStatus {
  message?: string;
}

function statusMessage({ body }: ApiException<unknown>): string | undefined {
  if (typeof body !== 'string') return (body as ApiStatus | undefined)?.message;
  try {
    return (JSON.parse(body) as ApiStatus).message;
  } catch {
    return body;
  }
}

/** What a refusal of the API means here; a failure to reach it is a room that can't be made ready now. */
function toApiError(error: unknown, what: string): ApiError {
  if (error instanceof ApiException) {
    const text = `${what}: ${statusMessage(error) ?? error.message}`;
    if (error.code === notFound) return new ApiError('room_not_found', text, { cause: error });
    if (error.code === alreadyExists) return new ApiError('conflict', text, { cause: error });
    if (error.code === 400 || error.code === 422)
      return new ApiError('invalid_request', text, { cause: error });
    if (error.code === 403) return new ApiError('forbidden', text, { cause: error });
  }
  return new ApiError('room_not_ready', 'the Kubernetes API is not available', { cause: error });
}

function loadKubeConfig(file: string | undefined): KubeConfig {
  const kubeConfig = new KubeConfig();
  if (file === undefined) kubeConfig.loadFromCluster();
  else kubeConfig.loadFromFile(file);
  // The client refuses plain HTTP unless it is told that nothing is verified; on loopback that is so anyway.
  kubeConfig.clusters = kubeConfig.clusters.map((cluster) =>
    loopback.test(cluster.server) ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  return kubeConfig;
}

/** Asks for a new list, as the API's own 410 does. */
class VersionGoneError extends Error {
  readonly statusCode = 410;
}

/** One state of the kubeconfig, and the client made from it. */
interface Access {
  kubeConfig: KubeConfig;
  text: string;
  api: CustomObjectsApi;
}

/** Whether another address or another token could help: nobody answered, or whoever did refused the token. */
function mayBeStale(error: unknown): boolean {
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  const status = statusCode ?? code;
  return typeof status !== 'number' || status === 401 || status === 403;
}

/**
 * The way to the API. An API server that starts anew may have another port and token, so the kubeconfig is read again after
 * a failure; as long as it says the same the access stays the same object.
 *
 * @throws what keeps the kubeconfig from being read at first
 */
function createAccess(file: string | undefined) {
  const load = (): Access => {
    const kubeConfig = loadKubeConfig(file);
    const text = kubeConfig.exportConfig();
    return { kubeConfig, text, api: kubeConfig.makeApiClient(CustomObjectsApi) };
  };
  let access = load();
  let stale = false;
  const current = (): Access => {
    if (stale) {
      const now = load();
      if (now.text !== access.text) access = now;
      stale = false;
    }
    return access;
  };
  return {
    current,
    /** Runs a call with the present access. */
    async use<T>(call: (access: Access) => Promise<T>): Promise<T> {
      const used = current();
      try {
        return await call(used);
      } catch (error) {
        if (used === access && mayBeStale(error)) stale = true;
        throw error;
      }
    },
  };
}

/**
 * Lists, watches and writes the custom resources. No method retries, but the next call after a failure reads the kubeconfig
 * again.
 *
 * @throws what keeps the kubeconfig from being read
 */
export function createKube(config: SignalingConfig['kubernetes']) {
  const access = createAccess(config.kubeconfig);
  const { namespace } = config;
  const where = (plural: Plural) => ({ group: apiGroup, version, namespace, plural });
  const within = (signal?: AbortSignal) => {
    const timeout = AbortSignal.timeout(config.requestTimeoutMs);
    const middleware = [withSignal(signal ? AbortSignal.any([signal, timeout]) : timeout)];
    return { middleware, middlewareMergeStrategy: 'append' as const };
  };

  async function watch<T>(
    watcher: Watch,
    { plural, resourceVersion }: { plural: Plural; resourceVersion: string },
    onEvent: (event: WatchEvent<T>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    // Its watchdog ends a watch that is silent for 30 s. The API is asked to end it before that, so that silence
    // means that the other side is gone.
    const path = `/apis/${apiVersion}/namespaces/${namespace}/${plural}`;
    const timeoutSeconds = Math.ceil(config.watchTimeoutMs / 1000);
    const query = { resourceVersion, timeoutSeconds, allowWatchBookmarks: true };
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      watcher
        .watch(
          path,
          query,
          (type: string, object: T) => onEvent({ type, object } as WatchEvent<T>),
          (error: unknown) => {
            if (error === null || error === undefined || signal.aborted) resolve();
            else reject(error instanceof Error ? error : new Error(messageOf(error)));
          },
        )
        .then((controller) => {
          if (signal.aborted) controller.abort();
          else signal.addEventListener('abort', () => controller.abort(), { once: true });
        }, reject);
    });
  }

  function source<T>(plural: Plural): ListWatch<T> {
    let listedBy: Access | undefined;
    return {
      list: (signal) =>
        access.use(async (used) => {
          const answer = (await used.api.listNamespacedCustomObject(
            where(plural),
            within(signal),
          )) as { items: T[]; metadata: { resourceVersion: string } };
          listedBy = used;
          return { items: answer.items, resourceVersion: answer.metadata.resourceVersion };
        }),
      watch: (resourceVersion, onEvent, signal) =>
        access.use((used) => {
          // The versions of one API server mean nothing to another.
          if (used !== listedBy) throw new VersionGoneError('the API server is another one');
          return watch(new Watch(used.kubeConfig), { plural, resourceVersion }, onEvent, signal);
        }),
    };
  }

  return {
    source,

    /** @throws {ApiError} `conflict` where the name is taken */
    createRoom: async ({ name, spec, annotations = {} }: NewRoom): Promise<MediaRoom> => {
      const body = {
        apiVersion,
        kind: 'MediaRoom',
        metadata: { name, namespace, annotations },
        spec,
      };
      try {
        return (await access.use(({ api }) =>
          api.createNamespacedCustomObject({ ...where('mediarooms'), body }, within()),
        )) as MediaRoom;
      } catch (error) {
        throw toApiError(error, `MediaRoom ${name}`);
      }
    },

    /** @throws {ApiError} `room_not_found` */
    deleteRoom: async (name: string): Promise<void> => {
      try {
        await access.use(({ api }) =>
          api.deleteNamespacedCustomObject({ ...where('mediarooms'), name }, within()),
        );
      } catch (error) {
        throw toApiError(error, `MediaRoom ${name}`);
      }
    },
  };
}

export type Kube = ReturnType<typeof createKube>;

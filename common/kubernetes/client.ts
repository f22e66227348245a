import { getGlobalDispatcher, request, type Dispatcher } from 'undici';

import { withDeadline } from '../deadline.ts';
import { ApiError, messageOf } from '../errors.ts';
import { currentTraceparent } from '../service/trace.ts';
import { loadAccess, type Access, type Credentials } from './access.ts';
import { KubernetesError, type StatusBody } from './errors.ts';
import { fenced } from './fenced.ts';
import type { WatchEvent } from './informer.ts';
import { splitLines } from './lines.ts';

export interface KubernetesClientConfig {
  /** Without it the pod's service account is used. */
  kubeconfig?: string | undefined;
  /** How long a list or a write may take, in milliseconds. */
  requestTimeoutMs: number;
  /** After how long the API is asked to end a watch, in milliseconds. */
  watchTimeoutMs: number;
  /** How long after that a watch that goes on counts as stalled, in milliseconds. */
  watchStallMs: number;
  /** Objects in one page of a list. */
  listPageSize: number;
}

/** Told of every request's outcome; `code` is the HTTP status or `<error>`. */
export type RequestObserver = (request: {
  method: string;
  host: string;
  code: string;
  seconds: number;
}) => void;

export interface KubernetesClientDeps {
  config: KubernetesClientConfig;
  observe?: RequestObserver;
  /** Asked right before each write; throws where this process may not write (any more). */
  fence?: () => void;
}

/** How the body of a PATCH is meant. */
export type PatchType = 'merge' | 'apply';

const contentTypes: Record<PatchType, string> = {
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

export type Query = Record<string, string | number | boolean | undefined>;

export interface KubernetesCall {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  query?: Query;
  body?: unknown;
  patch?: PatchType;
  signal?: AbortSignal;
}

export interface ListResult<T> {
  items: T[];
  resourceVersion: string;
}

interface RawList<T> {
  items: T[];
  metadata: { resourceVersion: string; continue?: string };
}

/** Whether another address or another token could help: nobody answered, or whoever did refused the token. */
const mayBeStale = (error: unknown): boolean =>
  !(error instanceof KubernetesError) || [401, 403].includes(error.statusCode);

function urlOf(server: string, path: string, query: Query = {}): string {
  const params = Object.entries(query).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${encodeURIComponent(value)}`],
  );
  return params.length === 0 ? server + path : `${server}${path}?${params.join('&')}`;
}

function parseStatus(text: string): StatusBody {
  try {
    return JSON.parse(text) as StatusBody;
  } catch {
    return { message: text.slice(0, 500) };
  }
}

/** Rejects as soon as the signal is aborted; undici itself looks at it only once there is a connection. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** A failure to reach the API server, as this platform's error. */
function unreachable(error: unknown, what: string): ApiError {
  if (error instanceof ApiError) return error;
  // A DOMException, which not every realm counts as an Error of its own.
  if ((error as { name?: unknown } | undefined)?.name === 'TimeoutError')
    return new ApiError('timed_out', `${what}: the Kubernetes API did not answer in time`, {
      cause: error,
    });
  return new ApiError(
    'kubernetes_unavailable',
    `${what}: the Kubernetes API is not available: ${messageOf(error)}`,
    { cause: error },
  );
}

/**
 * Calls to the Kubernetes API: JSON in and out for every kind, over connections that are used again. (The generated clients of
 * @kubernetes/client-node open a connection for each call.) No call is retried, but the one after a failure reads the kubeconfig
 * again.
 *
 * Every call throws an {@link ApiError}: a {@link KubernetesError} for a refusal, else `timed_out` or `kubernetes_unavailable`.
 */
export class KubernetesClient {
  readonly #deps: KubernetesClientDeps;
  #access: Access;
  #stale = false;

  /** @throws what keeps the kubeconfig from being read */
  constructor(deps: KubernetesClientDeps) {
    this.#deps = deps;
    this.#access = loadAccess(deps.config.kubeconfig);
  }

  /** Names the API server that is talked to: resource versions of one mean nothing to another. */
  get server(): object {
    return this.#access;
  }

  /** The namespace of the kubeconfig's context or of the pod. */
  get namespace(): string | undefined {
    return this.#access.namespace;
  }

  async call<T>(call: KubernetesCall): Promise<T> {
    const what = `${call.method} ${call.path}`;
    const { requestTimeoutMs } = this.#deps.config;
    const work = (credentials: Credentials): Promise<T> =>
      withDeadline(
        requestTimeoutMs,
        async (signal) => {
          const response = await this.#send(credentials, call, signal);
          const text = await response.body.text();
          if (response.statusCode >= 300)
            throw new KubernetesError(response.statusCode, parseStatus(text), what);
          return JSON.parse(text) as T;
        },
        call.signal,
      );
    return this.#use(what, work);
  }

  /** All objects of a collection, page by page. */
  async list<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<ListResult<T>> {
    const items: T[] = [];
    let next: string | undefined;
    for (;;) {
      const page: RawList<T> = await this.call({
        method: 'GET',
        path,
        query: { ...query, limit: this.#deps.config.listPageSize, continue: next },
        ...(signal ? { signal } : {}),
      });
      items.push(...page.items);
      next = page.metadata.continue || undefined;
      if (!next) return { items, resourceVersion: page.metadata.resourceVersion };
    }
  }

  /**
   * Follows a collection. Resolves when the API server has ended the watch in order.
   *
   * @throws {ApiError} when it broke, was refused, or went on past its time without an end
   */
  async watch<T>(
    path: string,
    query: Query,
    onEvent: (event: WatchEvent<T>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { watchTimeoutMs, watchStallMs } = this.#deps.config;
    const what = `watch ${path}`;
    const call: KubernetesCall = {
      method: 'GET',
      path,
      query: {
        ...query,
        watch: true,
        allowWatchBookmarks: true,
        timeoutSeconds: Math.ceil(watchTimeoutMs / 1000),
      },
    };
    const follow = async (credentials: Credentials, live: AbortSignal): Promise<void> => {
      const response = await this.#send(credentials, call, live);
      if (response.statusCode >= 300)
        throw new KubernetesError(
          response.statusCode,
          parseStatus(await response.body.text()),
          what,
        );
      for await (const line of splitLines(response.body))
        onEvent(JSON.parse(line) as WatchEvent<T>);
    };
    const stalledAfterMs = watchTimeoutMs + watchStallMs;
    await this.#use(what, (credentials) =>
      withDeadline(stalledAfterMs, (live) => follow(credentials, live), signal),
    );
  }

  async close(): Promise<void> {
    await this.#access.close();
  }

  async #use<T>(what: string, work: (credentials: Credentials) => Promise<T>): Promise<T> {
    let used = this.#access;
    try {
      used = this.#current();
      return await work(await used.credentials());
    } catch (error) {
      if (used === this.#access && mayBeStale(error)) this.#stale = true;
      throw unreachable(error, what);
    }
  }

  /** The access by the newest kubeconfig. As long as that says the same, it stays the same object. */
  #current(): Access {
    if (!this.#stale) return this.#access;
    const now = loadAccess(this.#deps.config.kubeconfig);
    if (now.text !== this.#access.text) {
      void this.#access.close();
      this.#access = now;
    }
    this.#stale = false;
    return this.#access;
  }

  /** @throws what the fence throws */
  #forWrites(dispatcher: Dispatcher | undefined): Dispatcher | undefined {
    const { fence } = this.#deps;
    if (!fence) return dispatcher;
    fence();
    return fenced(dispatcher ?? getGlobalDispatcher(), fence);
  }

  async #send(
    { server, headers, dispatcher }: Credentials,
    { method, path, query, body, patch }: KubernetesCall,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const used = method === 'GET' ? dispatcher : this.#forWrites(dispatcher);
    const startedAt = performance.now();
    let code = '<error>';
    try {
      const response = request(urlOf(server, path, query), {
        method,
        signal,
        headers: {
          ...headers,
          accept: 'application/json',
          traceparent: currentTraceparent(),
          ...(body === undefined
            ? {}
            : { 'content-type': patch ? contentTypes[patch] : 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(used ? { dispatcher: used } : {}),
        // Ended by the signal alone; undici's own limits would cut a quiet watch.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      const answered = await orAborted(response, signal);
      code = String(answered.statusCode);
      return answered;
    } finally {
      const seconds = (performance.now() - startedAt) / 1000;
      this.#deps.observe?.({ method, host: new URL(server).host, code, seconds });
    }
  }
}

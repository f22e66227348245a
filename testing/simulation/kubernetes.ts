import { ApiError } from '../../common/errors.ts';
import type { KubernetesCall, KubernetesClient } from '../../common/kubernetes/client.ts';
import type { HasMeta, WatchEvent } from '../../common/kubernetes/informer.ts';
import type { ObjectMeta } from '../../common/resources/types.ts';
import type { Pod } from '../../operator/cluster.ts';
import type { StoredBudget } from '../../operator/kubernetes/informers.ts';
import { createLocalObjects } from '../../operator/local/cluster.ts';
import { Collection, mergeMap, type NewObject, type Stored } from '../../operator/local/store.ts';
import type { SimulatedProcess } from './process.ts';
import { time } from './time.ts';
import { toError } from './to-error.ts';

/** What an API server does to the next calls. */
export type ApiFault = 'refuse' | 'lose answer';

type AnyCollection = Collection<Stored>;

interface Patch {
  metadata: Pick<ObjectMeta, 'uid' | 'resourceVersion'> & {
    finalizers?: string[];
    labels?: Record<string, string | null>;
    annotations?: Record<string, string | null>;
  };
  spec?: { replicas: number };
  status?: unknown;
}

const historySize = 1_000;
const latency = (): number => time.between(0, 6);

/** Kubernetes' API with the operator's kinds: the store of the local adapter, reached by the calls of a client of a cluster. */
export class SimulatedKubernetes {
  readonly #uids = { last: 0 };
  readonly #sources = {
    now: () => new Date(time.now()),
    newUid: () => `uid-${++this.#uids.last}`,
  };
  readonly objects = createLocalObjects(historySize, this.#sources);
  readonly pods = this.#collection<Pod>();
  readonly budgets = this.#collection<StoredBudget & Stored>();
  readonly #machines = this.#collection<Stored>();
  /** Nobody is answered, and all watches break. */
  #away = false;
  readonly #faults: ApiFault[] = [];
  readonly #watches = new Set<(error: Error) => void>();
  /** Told before and after each write. */
  onWrite: (when: 'before' | 'after', call: KubernetesCall) => void = () => undefined;

  #collection<T extends Stored>(): Collection<T> {
    return new Collection<T>({
      ...{ revisions: this.objects.revisions, historySize, ...this.#sources },
      validate: (object) => object,
    });
  }

  goAway(): void {
    this.#away = true;
    for (const end of [...this.#watches]) end(unavailable());
  }

  comeBack(): void {
    this.#away = false;
  }

  /** What happens to the next write. */
  disturb(fault: ApiFault): void {
    this.#faults.push(fault);
  }

  heal(): void {
    this.comeBack();
    this.#faults.length = 0;
  }

  /** The API as one process reaches it. */
  clientOf(process: SimulatedProcess): KubernetesClient {
    const client: Pick<KubernetesClient, 'server' | 'call' | 'list' | 'watch'> = {
      server: {},
      call: (call) => process.receive(this.#carry(() => this.#write(call))) as Promise<never>,
      list: (path) => process.receive(this.#carry(() => this.#list(path))) as Promise<never>,
      watch: (path, query, onEvent, signal) =>
        process.receive(
          this.#watch({
            ...{ collection: this.#at(path), version: Number(query['resourceVersion']), signal },
            onEvent: (event) => process.deliver(() => onEvent(event as WatchEvent<never>)),
          }),
        ),
    };
    return client as KubernetesClient;
  }

  #carry<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      time.schedule(latency(), () => {
        try {
          if (this.#away) throw unavailable();
          const answer = work();
          time.schedule(latency(), () => resolve(answer));
        } catch (error) {
          time.schedule(latency(), () => reject(toError(error)));
        }
      });
    });
  }

  #at(path: string): AnyCollection {
    const { mediarooms, mediaworkers } = this.objects;
    const collections: Record<string, unknown> = {
      ...{ mediarooms, mediaworkers, pods: this.pods, nodes: this.#machines },
      poddisruptionbudgets: this.budgets,
    };
    const found = path.split('/').find((part) => part in collections) ?? '';
    return collections[found] as AnyCollection;
  }

  #list(path: string) {
    const collection = this.#at(path);
    return { items: collection.list(), resourceVersion: String(collection.resourceVersion) };
  }

  #write(call: KubernetesCall): unknown {
    this.onWrite('before', call);
    const fault = this.#faults.shift();
    if (fault === 'refuse') throw unavailable();
    const answer = this.#apply(call);
    this.onWrite('after', call);
    if (fault === 'lose answer') throw new ApiError('timed_out', 'the answer was lost');
    return answer;
  }

  #apply({ method, path, body, patch }: KubernetesCall): unknown {
    const collection = this.#at(path);
    const [, namespace = '', , name = '', subresource] =
      /namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path) ?? [];
    const key = { namespace, name };
    if (method === 'POST')
      return collection.create({ ...(body as Pod), status: { phase: 'Pending' } });
    if (method === 'DELETE') return this.#delete(collection, key, body as DeleteBody);
    const change = body as Patch;
    if (collection === (this.budgets as unknown) && patch === 'apply')
      return collection.get(key)
        ? collection.update(change as NewObject<Stored>)
        : collection.create(change as NewObject<Stored>);
    const old = collection.require(key);
    const metadata = { ...old.metadata, ...named(change.metadata) };
    if (subresource === 'status')
      return collection.update({ ...old, metadata, status: change.status }, 'status');
    if (subresource === 'scale')
      return collection.update({
        ...{ ...old, metadata },
        spec: { ...(old.spec as object), ...change.spec },
      });
    const { finalizers = old.metadata.finalizers, labels, annotations } = change.metadata;
    const merged = {
      labels: mergeMap(old.metadata.labels, labels),
      annotations: mergeMap(old.metadata.annotations, annotations),
    };
    return collection.update({
      ...old,
      metadata: { ...metadata, ...merged, finalizers },
    } as NewObject<Stored>);
  }

  #delete(
    collection: AnyCollection,
    key: { namespace: string; name: string },
    { preconditions, gracePeriodSeconds }: DeleteBody,
  ): unknown {
    const isPod = collection === (this.pods as unknown);
    return collection.delete(key, preconditions, isPod && gracePeriodSeconds !== 0);
  }

  /** Tells of each change a moment later, in order. */
  #watch({ collection, version, signal, onEvent }: WatchCall): Promise<void> {
    return new Promise((resolve, reject) => {
      let at = time.now();
      const tell = (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: HasMeta): void => {
        at = Math.max(at, time.now() + latency());
        time.schedule(at - time.now(), () => {
          if (this.#watches.has(fail)) onEvent({ type, object });
        });
      };
      const end = (settle: () => void): void => {
        if (!this.#watches.delete(fail)) return;
        unsubscribe();
        settle();
      };
      const fail = (error: Error): void => end(() => reject(toError(error)));
      const missed = this.#away ? undefined : collection.since(version);
      if (!missed || signal.aborted) {
        reject(unavailable());
        return;
      }
      this.#watches.add(fail);
      for (const { type, object } of missed) tell(type, object);
      const unsubscribe = collection.subscribe(({ type, object }) => tell(type, object));
      signal.addEventListener('abort', () => end(resolve), { once: true });
    });
  }
}

interface DeleteBody {
  preconditions: { uid: string };
  gracePeriodSeconds?: number;
}

interface WatchCall {
  collection: AnyCollection;
  version: number;
  signal: AbortSignal;
  onEvent: (event: WatchEvent<HasMeta>) => void;
}

const unavailable = (): ApiError => new ApiError('kubernetes_unavailable', 'the API is away');

const named = ({ uid, resourceVersion }: Patch['metadata']) => ({ uid, resourceVersion });

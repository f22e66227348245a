import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

import { ApiError } from '../../common/errors.ts';
import type { KubernetesObject, ObjectMeta } from '../../common/resources/types.ts';
import { formatKey, type ObjectKey, type WatchEvent } from '../cluster.ts';

/** An object as it is given to be stored: identity and the user's part of the metadata. */
export type NewObject<T> = Omit<T, 'metadata'> & {
  metadata: Partial<Omit<ObjectMeta, 'name' | 'namespace'>> &
    Pick<ObjectMeta, 'name' | 'namespace'>;
};

/** One change as a watch reports it; `resourceVersion` orders all changes of all collections. */
export interface Change<T> extends WatchEvent<T> {
  resourceVersion: number;
}

/**
 * Hands out resource versions, rising over all collections as etcd's revisions do. They begin at the time of the start,
 * so that one from an earlier run is known to be too old.
 */
export class Revisions {
  #last = Date.now();

  get last(): number {
    return this.#last;
  }

  next(): number {
    return ++this.#last;
  }
}

export interface CollectionOptions<T> {
  revisions: Revisions;
  /** Fills in defaults and refuses what the API server would refuse; `old` on an update. */
  validate: (object: NewObject<T>, old?: T) => NewObject<T>;
  /** How many changes are kept for watches that resume. */
  historySize: number;
  now: () => Date;
  /** Names each new object for good; default: at random. */
  newUid?: () => string;
}

/** Which part of an object a write may change; the rest stays as stored. */
export type Part = 'object' | 'status';

/** What every collection's objects have. */
export type Stored = Pick<KubernetesObject, 'metadata'> & { spec: unknown; status?: unknown };

/** Kubernetes drops fractions of seconds. */
const timestamp = (date: Date): string => date.toISOString().replace(/\.\d+Z$/, 'Z');

/**
 * A collection of objects in memory with the API server's semantics: uid, resourceVersion with optimistic concurrency,
 * generation, status as a subresource, finalizers that hold back a deletion, and watches that can resume.
 */
export class Collection<T extends Stored> {
  readonly #options: CollectionOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #listeners = new Set<(change: Change<T>) => void>();
  #history: Change<T>[] = [];
  /** Changes up to this one are forgotten. */
  #forgotten: number;

  constructor(options: CollectionOptions<T>) {
    this.#options = options;
    this.#forgotten = options.revisions.last;
  }

  get resourceVersion(): number {
    return this.#options.revisions.last;
  }

  get(key: ObjectKey): T | undefined {
    return this.#objects.get(formatKey(key));
  }

  /** @throws {ApiError} `not_found` */
  require(key: ObjectKey): T {
    const found = this.get(key);
    if (!found) throw new ApiError('not_found', `"${key.name}" not found`);
    return found;
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** @throws {ApiError} `conflict` when the name is taken, `invalid_request` */
  create(object: NewObject<T>): T {
    const { name, namespace } = object.metadata;
    if (this.get({ name, namespace })) throw new ApiError('conflict', `"${name}" already exists`);
    const valid = this.#options.validate(object);
    const { labels, annotations, finalizers, ownerReferences } = object.metadata;
    const metadata: ObjectMeta = {
      name,
      namespace,
      uid: (this.#options.newUid ?? randomUUID)(),
      resourceVersion: '',
      generation: 1,
      creationTimestamp: timestamp(this.#options.now()),
      ...withoutEmpty({ labels, annotations, finalizers, ownerReferences }),
    };
    return this.#put('ADDED', { ...valid, metadata } as unknown as T);
  }

  /**
   * Replaces the object's spec and metadata, or its status alone.
   *
   * @throws {ApiError} `not_found`; `conflict` when the object names another resourceVersion or uid; `invalid_request`
   */
  update(object: NewObject<T>, part: Part = 'object'): T {
    const old = this.require(object.metadata);
    checkPreconditions(object.metadata, old.metadata);
    const merged = this.#options.validate(mergePart(object, old, part), old);
    const spec = merged.spec;
    const metadata: ObjectMeta = {
      ...(merged.metadata as ObjectMeta),
      generation: old.metadata.generation + (isDeepStrictEqual(spec, old.spec) ? 0 : 1),
    };
    const next = { ...merged, metadata } as unknown as T;
    if (isDeepStrictEqual(next, old)) return old;
    if (metadata.deletionTimestamp && !metadata.finalizers?.length) return this.#remove(next);
    return this.#put('MODIFIED', next);
  }

  /** Deletes at once, or marks for deletion while finalizers exist or `hold` says so. @throws {ApiError} `not_found` */
  delete(key: ObjectKey, preconditions: Partial<ObjectMeta> = {}, hold = false): T {
    const old = this.require(key);
    checkPreconditions(preconditions, old.metadata);
    if (!old.metadata.finalizers?.length && !hold) return this.#remove(old);
    if (old.metadata.deletionTimestamp) return old;
    const deletionTimestamp = timestamp(this.#options.now());
    const metadata = {
      ...old.metadata,
      deletionTimestamp,
      // As in Kubernetes, the wish to be gone is a change of what is wanted.
      generation: old.metadata.generation + 1,
    };
    return this.#put('MODIFIED', { ...old, metadata });
  }

  /** Calls back with every change from now on. */
  subscribe(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The changes after a resource version, or undefined when they are no longer known. */
  since(resourceVersion: number): Change<T>[] | undefined {
    if (resourceVersion < this.#forgotten || resourceVersion > this.resourceVersion)
      return undefined;
    return this.#history.filter((change) => change.resourceVersion > resourceVersion);
  }

  #put(type: 'ADDED' | 'MODIFIED', object: T): T {
    const revision = this.#options.revisions.next();
    const stored = withRevision(object, revision);
    this.#objects.set(formatKey(stored.metadata), stored);
    this.#publish({ type, object: stored, resourceVersion: revision });
    return stored;
  }

  #remove(object: T): T {
    const revision = this.#options.revisions.next();
    const removed = withRevision(object, revision);
    this.#objects.delete(formatKey(object.metadata));
    this.#publish({ type: 'DELETED', object: removed, resourceVersion: revision });
    return removed;
  }

  #publish(change: Change<T>): void {
    this.#history.push(change);
    // Cut in halves, so that a full history isn't copied at every change.
    if (this.#history.length > 2 * this.#options.historySize) {
      this.#history = this.#history.slice(-this.#options.historySize);
      this.#forgotten = (this.#history[0]?.resourceVersion ?? 1) - 1;
    }
    for (const listener of this.#listeners) listener(change);
  }
}

const withRevision = <T extends Stored>(object: T, revision: number): T => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: String(revision) },
});

const withoutEmpty = (fields: {
  [K in keyof ObjectMeta]?: ObjectMeta[K] | undefined;
}): Partial<ObjectMeta> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

function checkPreconditions(
  wanted: Partial<ObjectMeta>,
  { name, uid, resourceVersion }: ObjectMeta,
): void {
  if (wanted.uid && wanted.uid !== uid)
    throw new ApiError('conflict', `"${name}" is another object now: its uid is ${uid}`);
  if (wanted.resourceVersion && wanted.resourceVersion !== resourceVersion)
    throw new ApiError(
      'conflict',
      `"${name}": the object has been modified; please apply your changes to the latest version`,
    );
}

/** A spec write leaves status and the system's metadata alone, a status write everything but status. */
function mergePart<T extends Stored>(object: NewObject<T>, old: T, part: Part): NewObject<T> {
  if (part === 'status') return { ...old, status: object.status };
  const { labels, annotations, finalizers, ownerReferences } = object.metadata;
  const {
    uid,
    name,
    namespace,
    creationTimestamp,
    deletionTimestamp,
    generation,
    resourceVersion,
  } = old.metadata;
  const system = { uid, name, namespace, creationTimestamp, generation, resourceVersion };
  const user = { labels, annotations, finalizers, ownerReferences };
  const merged: NewObject<T> = {
    ...object,
    metadata: { ...system, ...withoutEmpty({ deletionTimestamp, ...user }) },
  };
  if (old.status === undefined) delete merged.status;
  else merged.status = old.status;
  return merged;
}

/** The change applied to a map of labels or annotations; null removes. */
export const mergeMap = (
  old: Record<string, string> | undefined,
  change: Record<string, string | null> | undefined,
): Record<string, string> | undefined =>
  change === undefined
    ? old
    : (Object.fromEntries(
        Object.entries({ ...old, ...change }).filter(([, value]) => value !== null),
      ) as Record<string, string>);

import { setTimeout as sleep } from 'node:timers/promises';

import { messageOf } from '../errors.ts';
import type { ObjectMeta } from '../resources/types.ts';
import type { Logger } from '../service/logger.ts';
import { isExpired } from './errors.ts';

export interface HasMeta {
  metadata: Pick<ObjectMeta, 'name' | 'uid' | 'resourceVersion'> & { namespace?: string };
}

/** One line of a watch. `ERROR` has a Kubernetes Status in place of an object. */
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: HasMeta }
  | { type: 'ERROR'; object: { code?: number; message?: string } };

/** The two calls of the Kubernetes API that an informer stands on. */
export interface ListWatch<T> {
  list(signal: AbortSignal): Promise<{ items: T[]; resourceVersion: string }>;
  /** Resolves when the watch has ended in order; rejects when it broke, was refused or fell silent. */
  watch(
    resourceVersion: string,
    onEvent: (event: WatchEvent<T>) => void,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface ObjectRef {
  namespace?: string;
  name: string;
}

/** An object that is new or changed, or (`object` undefined) gone. */
export interface Change<T> {
  name: string;
  object: T | undefined;
  previous: T | undefined;
  /** Gone by an event that says so; otherwise a later list did not have it, which may be the API's own loss. */
  deleted: boolean;
}

interface InformerTiming {
  /** After how long everything is listed anew even if watches seem well, in milliseconds. */
  relistMs: number;
  /** First pause after a failed list or watch, in milliseconds; doubles, with jitter. */
  backoffMinMs: number;
  backoffMaxMs: number;
}

/** Told of an informer's lists and of its watches' ends. */
export interface InformerObserver {
  listed(items: number, seconds: number): void;
  watchEnded(how: 'timeout' | 'expired' | 'error'): void;
}

export interface InformerOptions<T> {
  what: string;
  source: ListWatch<T>;
  timing: InformerTiming;
  logger: Logger;
  /** Leaves out of each object what nobody reads, before it is kept. */
  transform?: (object: T) => T;
  /** Names what an object is found by besides its key. */
  indexes?: Record<string, (object: T) => string[]>;
  observer?: InformerObserver;
}

/** The API no longer has the history since the version that the watch asked for. */
class ExpiredError extends Error {}

const keyOf = ({ namespace, name }: ObjectRef): string =>
  namespace === undefined ? name : `${namespace}/${name}`;

/** Whether one resource version is later than another: both are decimal numbers of any length. */
const isLater = (a: string, b: string): boolean =>
  a.length === b.length ? a > b : a.length > b.length;

/**
 * A local copy of all objects of a kind, kept by list and watch. It never ends by itself: what fails is begun anew after
 * a jittered, growing pause, and until then the copy is served as it was.
 */
export class Informer<T extends HasMeta> {
  readonly #options: InformerOptions<T>;
  readonly #stop = new AbortController();
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Map<string, Set<string>>>();
  readonly #listeners = new Set<(change: Change<T>) => void>();
  /** The newest version that a list or an event has told of. */
  #seen = '0';
  /** What was taken from answers to our writes since the last list was asked for. */
  readonly #accepted = new Set<string>();
  #failures = 0;
  /** Watches in a row that soon ended by an expired version. */
  #expiries = 0;
  #running: Promise<void> | undefined;
  #markSynced: () => void = () => undefined;
  #synced = false;
  /** Resolves once everything was listed. */
  readonly whenSynced: Promise<void>;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.whenSynced = new Promise((resolve) => (this.#markSynced = resolve));
    for (const name of Object.keys(options.indexes ?? {})) this.#indexes.set(name, new Map());
  }

  /** How many objects there are. */
  get size(): number {
    return this.#objects.size;
  }

  /** Whether everything was listed at least once. */
  get synced(): boolean {
    return this.#synced;
  }

  get(ref: ObjectRef): T | undefined {
    return this.#objects.get(keyOf(ref));
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** The objects for which the index of this name gives this value. */
  byIndex(index: string, value: string): T[] {
    const keys = this.#indexes.get(index)?.get(value) ?? [];
    return [...keys].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** Calls for every later change. @returns a function that ends it */
  onChange(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Takes the API's answer to a write of ours, so that the next read sees it before the watch tells of it. An answer that
   * is older than what is known already changes nothing.
   */
  accept(object: T): void {
    const key = keyOf(object.metadata);
    const known = this.#objects.get(key);
    const { resourceVersion, uid } = object.metadata;
    // What is not here and not later than what the watch has told is here no more.
    const isNews =
      known?.metadata.uid === uid
        ? isLater(resourceVersion, known.metadata.resourceVersion)
        : isLater(resourceVersion, this.#seen);
    if (!isNews) return;
    this.#accepted.add(key);
    this.#put(object);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#stopped()) {
      try {
        await this.#listThenWatch();
      } catch (error) {
        if (this.#stopped()) return;
        // An expired history is the API's ordinary way to ask for a new list.
        if (!(error instanceof ExpiredError)) await this.#pause(error, this.#failures++);
      }
    }
  }

  async #listThenWatch(): Promise<void> {
    let version = await this.#list();
    const relistAt = Date.now() + this.#options.timing.relistMs;
    while (!this.#stopped() && Date.now() < relistAt)
      version = await this.#watchOnce(version, relistAt);
  }

  /**
   * Takes over all that is there. A function of its own, so that the list itself, which was not trimmed, does not stay in memory
   * for as long as it is watched on. @returns the version to watch from
   */
  async #list(): Promise<string> {
    const { source, observer } = this.#options;
    const startedAt = performance.now();
    this.#accepted.clear();
    const { items, resourceVersion } = await source.list(this.#stop.signal);
    if (this.#stopped()) return resourceVersion;
    this.#replaceAll(items, resourceVersion);
    observer?.listed(items.length, (performance.now() - startedAt) / 1000);
    this.#failures = 0;
    return resourceVersion;
  }

  /** Follows one watch to its end. @returns the version to go on from */
  async #watchOnce(from: string, relistAt: number): Promise<string> {
    const { source, observer } = this.#options;
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(), relistAt - Date.now());
    const begun = Date.now();
    let version = from;
    let expired = false;
    const onEvent = (event: WatchEvent<T>): void => {
      if (event.type === 'ERROR') {
        expired = true;
        end.abort();
        return;
      }
      version = this.#take(event);
    };
    try {
      await source.watch(from, onEvent, AbortSignal.any([this.#stop.signal, end.signal]));
      observer?.watchEnded('timeout');
    } catch (error) {
      if (isExpired(error)) expired = true;
      if (!expired && !end.signal.aborted && !this.#stopped()) await this.#noteBroken(error, begun);
    } finally {
      clearTimeout(timer);
    }
    if (expired) {
      observer?.watchEnded('expired');
      // A list is dear: a server that lets one watch after the other expire must not be asked for one again and again.
      if (!this.#hasLasted(begun))
        await this.#pause(new Error('the version has expired'), this.#expiries++);
      throw new ExpiredError();
    }
    if (version === from && !this.#hasLasted(begun)) await this.#pause(undefined, this.#failures++);
    return version;
  }

  async #noteBroken(error: unknown, begun: number): Promise<void> {
    this.#options.observer?.watchEnded('error');
    if (this.#hasLasted(begun)) this.#options.logger.debug({ err: error }, 'a watch ended');
    else await this.#pause(error, this.#failures++);
  }

  /** Whether a watch went on for so long that the next one needs no pause before it. */
  #hasLasted(begun: number): boolean {
    const lasted = Date.now() - begun >= this.#options.timing.backoffMaxMs;
    if (lasted) this.#failures = this.#expiries = 0;
    return lasted || this.#stopped();
  }

  /** @returns the version that the copy has now */
  #take(event: Exclude<WatchEvent<T>, { type: 'ERROR' }>): string {
    this.#failures = 0;
    this.#seen = event.object.metadata.resourceVersion;
    if (event.type !== 'BOOKMARK') this.#apply(event);
    return event.object.metadata.resourceVersion;
  }

  #apply({ type, object }: Exclude<WatchEvent<T>, { type: 'BOOKMARK' | 'ERROR' }>): void {
    const known = this.#objects.get(keyOf(object.metadata));
    if (type === 'DELETED') {
      // Another object of that name may have been made since, by us.
      if (known?.metadata.uid === object.metadata.uid) this.#remove(keyOf(object.metadata), true);
      return;
    }
    const { uid, resourceVersion } = object.metadata;
    const isOld =
      known?.metadata.uid === uid && !isLater(resourceVersion, known.metadata.resourceVersion);
    if (!isOld) this.#put(object);
  }

  #replaceAll(items: T[], resourceVersion: string): void {
    const keys = new Set(items.map(({ metadata }) => keyOf(metadata)));
    // What we wrote while the list was on its way may be missing in it.
    const isNewer = (key: string): boolean => {
      const version = this.#objects.get(key)?.metadata.resourceVersion;
      return this.#accepted.has(key) && isLater(version ?? '0', resourceVersion);
    };
    for (const key of [...this.#objects.keys()])
      if (!keys.has(key) && !isNewer(key)) this.#remove(key, false);
    for (const item of items) if (!isNewer(keyOf(item.metadata))) this.#putIfChanged(item);
    this.#seen = resourceVersion;
    this.#synced = true;
    this.#markSynced();
  }

  /** An API server that was restored from a backup may have gone back, so any other version counts. */
  #putIfChanged(object: T): void {
    const known = this.#objects.get(keyOf(object.metadata));
    if (known?.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.#put(object);
  }

  #put(given: T): void {
    const object = this.#options.transform?.(given) ?? given;
    const key = keyOf(object.metadata);
    const previous = this.#objects.get(key);
    if (previous) this.#unindex(key, previous);
    this.#objects.set(key, object);
    this.#index(key, object);
    this.#tell({ name: object.metadata.name, object, previous, deleted: false });
  }

  #remove(key: string, deleted: boolean): void {
    const previous = this.#objects.get(key);
    if (!previous) return;
    this.#objects.delete(key);
    this.#unindex(key, previous);
    this.#tell({ name: previous.metadata.name, object: undefined, previous, deleted });
  }

  #index(key: string, object: T): void {
    for (const [name, valuesOf] of Object.entries(this.#options.indexes ?? {}))
      for (const value of valuesOf(object)) {
        const index = this.#indexes.get(name);
        const keys = index?.get(value);
        if (keys) keys.add(key);
        else index?.set(value, new Set([key]));
      }
  }

  #unindex(key: string, object: T): void {
    for (const [name, valuesOf] of Object.entries(this.#options.indexes ?? {}))
      for (const value of valuesOf(object)) {
        const index = this.#indexes.get(name);
        const keys = index?.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index?.delete(value);
      }
  }

  #tell(change: Change<T>): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(change);
      } catch (error) {
        this.#options.logger.error({ err: error, name: change.name }, 'informer listener failed');
      }
    }
  }

  /** Waits longer after each failure in a row, with jitter so that replicas don't come back all at once. */
  async #pause(error: unknown, failuresBefore: number): Promise<void> {
    const { timing, logger, what } = this.#options;
    const grown = timing.backoffMinMs * 2 ** Math.min(failuresBefore, 20);
    const longest = Math.min(timing.backoffMaxMs, grown);
    const pauseMs = Math.round(longest * (0.5 + Math.random() / 2));
    if (error !== undefined)
      logger.warn(
        { what, pauseMs, reason: messageOf(error) },
        'watch of the Kubernetes API failed',
      );
    await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}

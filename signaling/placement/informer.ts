import { setTimeout as sleep } from 'node:timers/promises';

import { messageOf } from '../../common/errors.ts';
import type { ObjectMeta } from '../../common/resources/types.ts';
import type { Logger } from '../../common/service/logger.ts';

export interface HasMeta {
  metadata: ObjectMeta;
}

/** One line of a watch. `ERROR` has a Kubernetes Status in place of an object. */
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: HasMeta }
  | { type: 'ERROR'; object: { code?: number; message?: string } };

/** The two calls of the Kubernetes API that an informer stands on. */
export interface ListWatch<T> {
  list(signal: AbortSignal): Promise<{ items: T[]; resourceVersion: string }>;
  /** Resolves when the watch has ended in order; rejects when it broke or fell silent. */
  watch(
    resourceVersion: string,
    onEvent: (event: WatchEvent<T>) => void,
    signal: AbortSignal,
  ): Promise<void>;
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
  relistMs: number;
  backoffMinMs: number;
  backoffMaxMs: number;
}

export interface InformerOptions<T> {
  what: string;
  source: ListWatch<T>;
  timing: InformerTiming;
  logger: Logger;
}

/** The API no longer has the history since the version that the watch asked for. */
class ExpiredError extends Error {}

const gone = 410;

/**
 * A local copy of all objects of a kind, kept by list and watch. It never ends by itself: what fails is begun anew after
 * a jittered, growing pause, and until then the copy is served as it was.
 */
export class Informer<T extends HasMeta> {
  readonly #options: InformerOptions<T>;
  readonly #stop = new AbortController();
  readonly #objects = new Map<string, T>();
  readonly #listeners = new Set<(change: Change<T>) => void>();
  #synced = false;
  #failures = 0;
  #running: Promise<void> | undefined;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
  }

  /** Whether everything was listed at least once. */
  get synced(): boolean {
    return this.#synced;
  }

  get(name: string): T | undefined {
    return this.#objects.get(name);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** Calls for every later change. @returns a function that ends it */
  onChange(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
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
        if (!(error instanceof ExpiredError)) await this.#pause(error);
      }
    }
  }

  async #listThenWatch(): Promise<void> {
    const { source, timing } = this.#options;
    const { items, resourceVersion } = await source.list(this.#stop.signal);
    this.#replaceAll(items);
    this.#failures = 0;
    const relistAt = Date.now() + timing.relistMs;
    let version = resourceVersion;
    while (!this.#stopped() && Date.now() < relistAt)
      version = await this.#watchOnce(version, relistAt);
  }

  /** Follows one watch to its end. @returns the version to go on from */
  async #watchOnce(from: string, relistAt: number): Promise<string> {
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
      this.#failures = 0;
      version = event.object.metadata.resourceVersion;
      if (event.type !== 'BOOKMARK') this.#apply(event);
    };
    try {
      const signal = AbortSignal.any([this.#stop.signal, end.signal]);
      await this.#options.source.watch(from, onEvent, signal);
    } catch (error) {
      if ((error as { statusCode?: unknown } | null)?.statusCode === gone) expired = true;
      else if (this.#hasLasted(begun)) this.#options.logger.debug({ err: error }, 'a watch ended');
      else await this.#pause(error);
    } finally {
      clearTimeout(timer);
    }
    if (expired) {
      // A server that answers every watch so must not be asked in a tight loop.
      if (version === from) await this.#pause(new Error('the watch is refused: version expired'));
      throw new ExpiredError();
    }
    if (version === from && !this.#hasLasted(begun)) await this.#pause(undefined);
    return version;
  }

  /** Whether a watch went on for so long that the next one needs no pause before it. */
  #hasLasted(begun: number): boolean {
    const lasted = Date.now() - begun >= this.#options.timing.backoffMaxMs;
    if (lasted) this.#failures = 0;
    return lasted || this.#stopped();
  }

  #apply({ type, object }: Exclude<WatchEvent<T>, { type: 'BOOKMARK' | 'ERROR' }>): void {
    const { name } = object.metadata;
    if (type === 'DELETED') this.#remove(name, true);
    else this.#put(name, object);
  }

  #replaceAll(items: T[]): void {
    const names = new Set(items.map(({ metadata }) => metadata.name));
    for (const name of [...this.#objects.keys()]) if (!names.has(name)) this.#remove(name, false);
    this.#synced = true;
    for (const item of items)
      if (
        this.#objects.get(item.metadata.name)?.metadata.resourceVersion !==
        item.metadata.resourceVersion
      )
        this.#put(item.metadata.name, item);
  }

  #put(name: string, object: T): void {
    const previous = this.#objects.get(name);
    this.#objects.set(name, object);
    this.#tell({ name, object, previous, deleted: false });
  }

  #remove(name: string, deleted: boolean): void {
    const previous = this.#objects.get(name);
    if (!previous) return;
    this.#objects.delete(name);
    this.#tell({ name, object: undefined, previous, deleted });
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
  async #pause(error: unknown): Promise<void> {
    const { timing, logger, what } = this.#options;
    const longest = Math.min(timing.backoffMaxMs, timing.backoffMinMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 20);
    const pauseMs = Math.round(longest * (0.5 + Math.random() / 2));
    if (error !== undefined)
      logger.warn(
        { what, pauseMs, reason: messageOf(error) },
        'watch of the Kubernetes API failed',
      );
    await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}

import { createHash } from 'node:crypto';

import type { KubernetesObject } from '../../common/resources/types.ts';
import type { EventNote } from '../cluster.ts';
import type { EventsConfig } from '../config.ts';

const noteLimitBytes = 1024;

/** The object that an Event is about. */
export interface Regarding {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  uid: string;
}

/** One Event, with how often the same happened since it was first seen. */
export interface RememberedEvent {
  regarding: Regarding;
  event: EventNote;
  /** Of the Event object, unique. */
  name: string;
  firstAt: number;
  lastAt: number;
  count: number;
  /** The count that the API server was last told, or that was given up; 0 before the first write. */
  written: number;
  queued: boolean;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Cuts text to a number of bytes of UTF-8, between two characters. */
export function cutNote(text: string): string {
  if (Buffer.byteLength(text) <= noteLimitBytes) return text;
  const cut = Buffer.from(text).subarray(0, noteLimitBytes - 3);
  return `${cut.toString('utf8').replace(/\uFFFD+$/, '')}…`;
}

const regardingOf = ({ apiVersion, kind, metadata }: KubernetesObject): Regarding => {
  const { namespace, name, uid } = metadata;
  return { apiVersion, kind, namespace, name, uid };
};

const keyOf = ({ uid }: Regarding, { reason, action, type, note }: EventNote): string =>
  createHash('sha256')
    .update(JSON.stringify([uid, reason, action, type, note]))
    .digest('base64');

/** Names are bounded, so a long one is cut; what follows keeps it unique. */
const longestName = 253 - 18;

/**
 * Decides which Events are new, which are one more of a series, and which are too many. It forgets what is older than the
 * window, and the oldest beyond a bound, so that its size does not depend on how many objects there are.
 */
export class EventMemory {
  readonly #config: EventsConfig;
  /** Oldest first. */
  readonly #events = new Map<string, RememberedEvent>();
  readonly #buckets = new Map<string, Bucket>();
  #serial = 0;

  constructor(config: EventsConfig) {
    this.#config = config;
  }

  get size(): number {
    return this.#events.size + this.#buckets.size;
  }

  /** @returns the Event to write now, or why there is none */
  note(
    object: KubernetesObject,
    given: EventNote,
    now: number,
  ): RememberedEvent | 'counted' | 'rate_limited' {
    this.#forget(now);
    const event = { ...given, note: cutNote(given.note) };
    const regarding = regardingOf(object);
    const key = keyOf(regarding, event);
    const known = this.#events.get(key);
    if (known) {
      known.count++;
      known.lastAt = now;
      this.#touch(key, known);
      // One that waits, or that has no turn now, is told of all of them by the next write.
      if (known.queued || !this.#takeToken(regarding.uid, now)) return 'counted';
      return known;
    }
    if (!this.#takeToken(regarding.uid, now)) return 'rate_limited';
    const fresh: RememberedEvent = {
      ...{ regarding, event, count: 1, written: 0, queued: false },
      ...{ firstAt: now, lastAt: now, name: this.#nameOf(regarding, now) },
    };
    this.#touch(key, fresh);
    return fresh;
  }

  /** Series of which the API server has not heard the last. */
  unwritten(): RememberedEvent[] {
    return [...this.#events.values()].filter(
      ({ count, written, queued }) => !queued && count > written,
    );
  }

  #nameOf({ name }: Regarding, now: number): string {
    // As client-go does: the time in nanoseconds, in hexadecimal; the last digits count.
    const nanoseconds = BigInt(now) * 1_000_000n + BigInt(this.#serial++ % 1_000_000);
    return `${name.slice(0, longestName)}.${nanoseconds.toString(16)}`;
  }

  #takeToken(uid: string, now: number): boolean {
    const { burst, refillMs } = this.#config;
    const old = this.#buckets.get(uid);
    const tokens = old ? Math.min(burst, old.tokens + (now - old.at) / refillMs) : burst;
    this.#buckets.delete(uid);
    this.#buckets.set(uid, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    return tokens >= 1;
  }

  #touch(key: string, event: RememberedEvent): void {
    this.#events.delete(key);
    this.#events.set(key, event);
  }

  #forget(now: number): void {
    const { seriesWindowMs, maxRemembered, burst, refillMs } = this.#config;
    for (const [key, { lastAt }] of this.#events) {
      if (now - lastAt < seriesWindowMs && this.#events.size <= maxRemembered) break;
      this.#events.delete(key);
    }
    for (const [uid, { at, tokens }] of this.#buckets) {
      const isFull = tokens + (now - at) / refillMs >= burst;
      if (!isFull && this.#buckets.size <= maxRemembered) break;
      this.#buckets.delete(uid);
    }
  }
}

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { isApiError, messageOf } from '../../common/errors.ts';
import { currentRequestId, withRequestId, type Logger } from '../../common/service/logger.ts';
import type {
  MessageBatch,
  MessageBatchInput,
  RoutedMessage,
  RouterVolumes,
} from '../../common/wire/signaling.ts';
import type { MediaNodeConfig } from '../config.ts';

/** A connection that has lost one of its transports, one of its sides, or all. */
export type LostPeer = MessageBatch['lostPeers'][number];
type Content =
  | { kind: 'message'; value: RoutedMessage }
  | { kind: 'volumes'; value: RouterVolumes }
  | { kind: 'lost'; value: LostPeer };
/** `requestId`: of the request that this comes from. */
type Item = Content & { at: number; requestId: string | undefined };

export interface OutboxDeps {
  config: MediaNodeConfig['notifications'];
  logger: Logger;
  post: (replicaUrl: string, batch: MessageBatchInput) => Promise<unknown>;
  onDropped: (count: number) => void;
}

/**
 * What waits for one replica, with one request in flight. A peer that a message was dropped for may have missed a
 * consumer, which nothing repairs later: it is reported as lost, and its client joins anew.
 */
export class ReplicaQueue {
  readonly #deps: OutboxDeps;
  readonly #url: string;
  readonly #stop: AbortSignal;
  readonly #items: Item[] = [];
  /** Losses that wait. */
  readonly #lost = new Set<string>();
  #overflowed = false;

  constructor(deps: OutboxDeps, url: string, stop: AbortSignal) {
    this.#deps = deps;
    this.#url = url;
    this.#stop = stop;
  }

  get length(): number {
    return this.#items.length;
  }

  add(content: Content): void {
    const item = { ...content, at: Date.now(), requestId: currentRequestId() };
    if (item.kind === 'lost') {
      const key = lossKey(item.value);
      if (this.#lost.has(key)) return;
      this.#lost.add(key);
    } else if (this.#items.length >= this.#deps.config.maxQueue) {
      const why = 'too many messages wait';
      // Once is enough in the log.
      this.#drop([item], this.#overflowed ? undefined : why);
      this.#overflowed = true;
      return;
    }
    this.#items.push(item);
  }

  /** Only the newest volumes of a router count. */
  addVolumes(volumes: RouterVolumes): void {
    const older = this.#items.find(
      (item) => item.kind === 'volumes' && item.value.routerId === volumes.routerId,
    );
    if (older) older.value = volumes;
    else this.add({ kind: 'volumes', value: volumes });
  }

  /** Delivers until nothing waits. */
  async run(): Promise<void> {
    // What the same turn of the event loop adds shares the first batch.
    await Promise.resolve();
    while (this.#items.length > 0 && !this.#stop.aborted) await this.#deliver(this.#take());
    if (this.#items.length > 0) this.#drop(this.#items.splice(0), 'the node stops');
  }

  /** The next batch, within the limits; at least one item. */
  #take(): Item[] {
    const { maxBatch, maxBatchBytes } = this.#deps.config;
    let bytes = 0;
    let count = 0;
    for (const { value } of this.#items) {
      bytes += Buffer.byteLength(JSON.stringify(value));
      if (count > 0 && (count === maxBatch || bytes > maxBatchBytes)) break;
      count++;
    }
    const taken = this.#items.splice(0, count);
    for (const item of taken) if (item.kind === 'lost') this.#lost.delete(lossKey(item.value));
    return taken;
  }

  async #deliver(all: Item[]): Promise<void> {
    const { config, post } = this.#deps;
    const batchId = randomUUID();
    let items = all;
    for (let pause = config.retryMs; ; pause = Math.min(pause * 2, config.maxRetryMs)) {
      items = this.#withoutOld(items);
      if (items.length === 0) return;
      try {
        const batch = batchOf(batchId, items);
        await withRequestId(sharedRequestId(items), () => post(this.#url, batch));
        return;
      } catch (error) {
        if (isRefused(error) && items.length > 1) {
          // One of them is what is refused.
          const half = Math.ceil(items.length / 2);
          await this.#deliver(items.slice(0, half));
          await this.#deliver(items.slice(half));
          return;
        }
        const hopeless = isApiError(error) && !error.retryable && error.code !== 'internal';
        if (hopeless || this.#stop.aborted) {
          this.#drop(items, messageOf(error));
          return;
        }
      }
      await sleep(pause, undefined, { signal: this.#stop }).catch(() => undefined);
    }
  }

  #withoutOld(items: Item[]): Item[] {
    const { maxAgeMs, lostMaxAgeMs } = this.#deps.config;
    const isOld = ({ kind, at }: Item): boolean =>
      Date.now() - at > (kind === 'lost' ? lostMaxAgeMs : maxAgeMs);
    const old = items.filter(isOld);
    if (old.length === 0) return items;
    this.#drop(old, 'too old');
    return items.filter((item) => !old.includes(item));
  }

  #drop(items: Item[], why: string | undefined): void {
    const { onDropped, logger } = this.#deps;
    onDropped(items.length);
    if (why !== undefined)
      logger.warn({ replicaUrl: this.#url, count: items.length, why }, 'messages dropped');
    if (this.#stop.aborted) return;
    for (const item of items)
      if (item.kind === 'message' && 'mediaPeerIds' in item.value.to)
        for (const mediaPeerId of item.value.to.mediaPeerIds)
          this.add({ kind: 'lost', value: { mediaPeerId, reason: 'messages_dropped' } });
  }
}

const lossKey = ({ mediaPeerId, direction, transportId }: LostPeer): string =>
  [mediaPeerId, direction, transportId].join(' ');

const isRefused = (error: unknown): boolean =>
  isApiError(error, 'payload_too_large', 'invalid_request');

/** A batch of several requests belongs to none of them. */
function sharedRequestId(items: Item[]): string | undefined {
  const [first, ...others] = new Set(items.map(({ requestId }) => requestId));
  return others.length > 0 ? undefined : first;
}

function batchOf(batchId: string, items: Item[]): MessageBatchInput {
  return {
    batchId,
    messages: items.flatMap((item) => (item.kind === 'message' ? [item.value] : [])),
    volumes: items.flatMap((item) => (item.kind === 'volumes' ? [item.value] : [])),
    lostPeers: items.flatMap((item) => (item.kind === 'lost' ? [item.value] : [])),
  };
}

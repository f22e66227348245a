import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { isApiError, messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type {
  MessageBatchInput,
  MessageTarget,
  RoutedMessage,
  RouterVolumes,
} from '../../common/wire/signaling.ts';
import type { PeerMessage } from '../../common/wire/peer.ts';
import type { MediaNodeConfig } from '../config.ts';

const maxRetryMs = 5_000;

type Item =
  | { kind: 'message'; value: RoutedMessage; at: number }
  | { kind: 'volumes'; value: RouterVolumes; at: number }
  | { kind: 'lost'; value: { mediaPeerId: string; reason: string }; at: number };

export interface OutboxDeps {
  config: MediaNodeConfig['notifications'];
  logger: Logger;
  post: (replicaUrl: string, batch: MessageBatchInput) => Promise<unknown>;
  onDropped: (count: number) => void;
}

/**
 * What this node has to tell clients: one queue for each signaling replica, with one request in flight, so that the
 * order is kept and what gathers meanwhile goes out as one batch. A batch that fails is repeated under its id until its
 * messages are too old.
 */
export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #queues = new Map<string, Item[]>();
  readonly #senders = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
  }

  send(replicaUrl: string, to: MessageTarget, message: PeerMessage): void {
    this.#add(replicaUrl, { kind: 'message', value: { to, message }, at: Date.now() });
  }

  /** Only the newest volumes of a router count. */
  sendVolumes(replicaUrl: string, volumes: RouterVolumes): void {
    const queue = this.#queues.get(replicaUrl);
    const older = queue?.find(
      (item) => item.kind === 'volumes' && item.value.routerId === volumes.routerId,
    );
    if (older) older.value = volumes;
    else this.#add(replicaUrl, { kind: 'volumes', value: volumes, at: Date.now() });
  }

  reportLost(replicaUrl: string, mediaPeerId: string, reason: string): void {
    this.#add(replicaUrl, { kind: 'lost', value: { mediaPeerId, reason }, at: Date.now() });
  }

  /** Messages that wait, over all replicas. */
  get depth(): number {
    return [...this.#queues.values()].reduce((sum, queue) => sum + queue.length, 0);
  }

  /** Resolves once the queues are empty. */
  async flush(): Promise<void> {
    while (this.#senders.size > 0) await Promise.all(this.#senders.values());
  }

  /** Gives queued messages `graceMs` to go out, then drops the rest. */
  async close(graceMs: number): Promise<void> {
    await Promise.race([this.flush(), sleep(graceMs, undefined, { ref: false })]);
    this.#stop.abort();
    await this.flush();
  }

  #add(replicaUrl: string, item: Item): void {
    if (this.#stop.signal.aborted) return;
    const queue = this.#queues.get(replicaUrl);
    if (queue) {
      queue.push(item);
      return;
    }
    this.#queues.set(replicaUrl, [item]);
    this.#senders.set(replicaUrl, this.#run(replicaUrl));
  }

  async #run(replicaUrl: string): Promise<void> {
    // What the same turn of the event loop adds shares the first batch.
    await Promise.resolve();
    const queue = this.#queues.get(replicaUrl) ?? [];
    while (queue.length > 0 && !this.#stop.signal.aborted)
      await this.#deliver(replicaUrl, queue.splice(0, this.#deps.config.maxBatch));
    this.#queues.delete(replicaUrl);
    this.#senders.delete(replicaUrl);
  }

  async #deliver(replicaUrl: string, items: Item[]): Promise<void> {
    const { config, post, logger, onDropped } = this.#deps;
    const batch = batchOf(items);
    const oldest = items[0]?.at ?? Date.now();
    for (let pause = config.retryMs; ; pause = Math.min(pause * 2, maxRetryMs)) {
      try {
        await post(replicaUrl, batch);
        return;
      } catch (error) {
        const hopeless = isApiError(error) && !error.retryable && error.code !== 'internal';
        const tooOld = Date.now() - oldest > config.maxAgeMs;
        if (hopeless || tooOld || this.#stop.signal.aborted) {
          onDropped(items.length);
          logger.warn(
            { replicaUrl, count: items.length, why: messageOf(error) },
            'messages dropped',
          );
          return;
        }
      }
      await sleep(pause, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}

function batchOf(items: Item[]): MessageBatchInput {
  return {
    batchId: randomUUID(),
    messages: items.flatMap((item) => (item.kind === 'message' ? [item.value] : [])),
    volumes: items.flatMap((item) => (item.kind === 'volumes' ? [item.value] : [])),
    lostPeers: items.flatMap((item) => (item.kind === 'lost' ? [item.value] : [])),
  };
}

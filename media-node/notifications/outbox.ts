import { setTimeout as sleep } from 'node:timers/promises';

import { withRequestId } from '../../common/service/logger.ts';
import type { PeerMessage } from '../../common/wire/peer.ts';
import type { MessageTarget, RouterVolumes } from '../../common/wire/signaling.ts';
import { ReplicaQueue, type LostPeer, type OutboxDeps } from './replica-queue.ts';

/**
 * What this node has to tell clients: one queue for each signaling replica, with one request in flight, so that the
 * order is kept and what gathers meanwhile goes out as one batch. A batch that fails is repeated under its id until its
 * messages are too old.
 */
export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #queues = new Map<string, ReplicaQueue>();
  readonly #senders = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
  }

  /** @param aboutMediaPeerId with `newPeer`: which connection the new peer is */
  send(
    replicaUrl: string,
    to: MessageTarget,
    message: PeerMessage,
    aboutMediaPeerId?: string,
  ): void {
    const about = aboutMediaPeerId === undefined ? {} : { aboutMediaPeerId };
    this.#add(replicaUrl, (queue) =>
      queue.add({ kind: 'message', value: { to, message, ...about } }),
    );
  }

  sendVolumes(replicaUrl: string, volumes: RouterVolumes): void {
    this.#add(replicaUrl, (queue) => queue.addVolumes(volumes));
  }

  reportLost(replicaUrl: string, lost: LostPeer): void {
    this.#add(replicaUrl, (queue) => queue.add({ kind: 'lost', value: lost }));
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

  #add(replicaUrl: string, add: (queue: ReplicaQueue) => void): void {
    if (this.#stop.signal.aborted) return;
    const known = this.#queues.get(replicaUrl);
    const queue = known ?? new ReplicaQueue(this.#deps, replicaUrl, this.#stop.signal);
    add(queue);
    if (known) return;
    this.#queues.set(replicaUrl, queue);
    // The sender outlives the request that it starts with.
    withRequestId(undefined, () => this.#senders.set(replicaUrl, this.#run(replicaUrl, queue)));
  }

  async #run(replicaUrl: string, queue: ReplicaQueue): Promise<void> {
    await queue.run();
    this.#queues.delete(replicaUrl);
    this.#senders.delete(replicaUrl);
  }
}

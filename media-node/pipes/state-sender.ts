import { setTimeout as sleep } from 'node:timers/promises';

import type { z } from 'zod';

import { isApiError } from '../../common/errors.ts';
import type { pipeStateRequest } from '../../common/wire/media-node.ts';

type State = z.output<typeof pipeStateRequest>;
export type ProducerState = State['producers'][number];

export interface StateSenderDeps {
  /** Pause before a failed update is repeated, which doubles up to `maxRetryMs`. */
  retryMs: number;
  maxRetryMs: number;
  send: (state: State) => Promise<unknown>;
  /** The far end does not exist any more. */
  onGone: () => void;
}

/** Answers that say that the far end of a pipe is gone for good. */
export const farEndGone = (error: unknown): boolean =>
  isApiError(error, 'transport_not_found', 'router_not_found', 'instance_mismatch');

/**
 * Tells a pipe's destination what became of the producers that go through it: one request in flight, what changes
 * meanwhile goes with the next, and a failed one is repeated with growing pauses while the pipe lives.
 */
export class StateSender {
  readonly #deps: StateSenderDeps;
  readonly #producers = new Map<string, ProducerState>();
  /** By id, whether it was lost. */
  readonly #closedData = new Map<string, boolean>();
  readonly #stop = new AbortController();
  #sequence = 0;
  #running = false;

  constructor(deps: StateSenderDeps) {
    this.#deps = deps;
  }

  /** The newest update's number. What is read from the producers now is at least as new. */
  get sequence(): number {
    return this.#sequence;
  }

  producerChanged(state: ProducerState): void {
    this.#producers.set(state.producerId, state);
    this.#start();
  }

  dataProducerClosed(id: string, lost: boolean): void {
    this.#closedData.set(id, lost);
    this.#start();
  }

  close(): void {
    this.#stop.abort();
  }

  #start(): void {
    if (this.#running || this.#stop.signal.aborted) return;
    this.#running = true;
    void this.#run().finally(() => {
      this.#running = false;
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const stopped = (): boolean => signal.aborted;
    let pause = this.#deps.retryMs;
    while (!stopped() && this.#producers.size + this.#closedData.size > 0) {
      const producers = new Map(this.#producers);
      const closedData = new Map(this.#closedData);
      this.#producers.clear();
      this.#closedData.clear();
      try {
        await this.#deps.send({
          sequence: ++this.#sequence,
          producers: [...producers.values()],
          closedDataProducerIds: [...closedData.keys()],
          lostDataProducerIds: [...closedData].flatMap(([id, lost]) => (lost ? [id] : [])),
          pipeClosed: false,
        });
        pause = this.#deps.retryMs;
      } catch (error) {
        if (stopped()) return;
        if (farEndGone(error)) {
          this.#deps.onGone();
          return;
        }
        // What has changed since is newer than what failed.
        for (const [id, state] of producers)
          if (!this.#producers.has(id)) this.#producers.set(id, state);
        for (const [id, lost] of closedData) this.#closedData.set(id, lost);
        await sleep(pause, undefined, { signal }).catch(() => undefined);
        pause = Math.min(pause * 2, this.#deps.maxRetryMs);
      }
    }
  }
}

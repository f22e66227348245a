import type { ProducerScore } from 'mediasoup/types';

import type { Source } from '../mediasoup/objects.ts';
import type { PipedSet } from './piped-set.ts';

/** What the origin says of a producer. */
interface OriginState {
  closed: boolean;
  /** With `closed`: not by its peer. */
  lost: boolean;
  paused: boolean;
  score: ProducerScore[];
}

/** With the number of the update that said so: the newest counts. */
interface Known extends OriginState {
  sequence: number;
  /** Pausing and resuming happen one after another. */
  applied: Promise<void>;
}

/** Keeps the producers that a pipe has brought as their origins are. */
export class OriginStates {
  readonly #media: PipedSet<Source>;
  readonly #onScore: (source: Source) => void;
  readonly #known = new Map<string, Known>();

  constructor(media: PipedSet<Source>, onScore: (source: Source) => void) {
    this.#media = media;
    this.#onScore = onScore;
  }

  /** Takes over what the origin says, unless something newer is known; also of one that is still on its way here. */
  learn(id: string, sequence: number, state: OriginState): void {
    const known = this.#known.get(id);
    if (known && known.sequence > sequence) return;
    if (!this.#media.get(id) && !this.#media.isBringing(id)) return;
    const applied = known?.applied ?? Promise.resolve();
    this.#known.set(id, { ...state, sequence, applied });
    if (this.#media.get(id)) void this.apply(id);
  }

  forget(id: string): void {
    this.#known.delete(id);
  }

  /** Resolves once what is known now is done. */
  async applied(id: string): Promise<void> {
    await this.#known.get(id)?.applied;
  }

  /** Brings the piped producer to what is known of its origin. Never rejects. */
  apply(id: string): Promise<void> {
    const known = this.#known.get(id);
    if (!known) return Promise.resolve();
    known.applied = known.applied.then(async () => {
      const source = this.#media.get(id);
      const newest = this.#known.get(id);
      if (!source || !newest) return;
      const { producer } = source;
      // A producer that is closed meanwhile needs nothing any more.
      if (newest.closed) {
        if (newest.lost) source.closeReason = 'ProducerLost';
        producer.close();
      } else if (newest.paused && !producer.paused) await producer.pause().catch(() => undefined);
      else if (!newest.paused && producer.paused) await producer.resume().catch(() => undefined);
      if (JSON.stringify(source.originScore) === JSON.stringify(newest.score)) return;
      source.originScore = newest.score;
      this.#onScore(source);
    });
    return known.applied;
  }
}

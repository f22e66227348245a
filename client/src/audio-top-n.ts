interface Speaker {
  peerId: string;
  /** When they were heard last, in milliseconds. */
  heardAt: number;
  volume: number;
}

/**
 * Whose voices to receive: those who speak, loudest first, then those who spoke last, then whoever came first. One who has
 * just stopped keeps the place for a while, so that a pause between two words costs nobody their voice.
 */
export class LoudestSpeakers {
  readonly #holdMs: number;
  readonly #speakers = new Map<string, Speaker>();

  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  heard(volumes: readonly { peerId: string; volume: number }[], now: number): void {
    for (const { peerId, volume } of volumes)
      this.#speakers.set(peerId, { peerId, volume, heardAt: now });
  }

  forget(peerId: string): void {
    this.#speakers.delete(peerId);
  }

  /** The `count` peers of these to receive. */
  choose(peerIds: readonly string[], count: number, now: number): ReadonlySet<string> {
    const rank = (peerId: string): [speaks: number, value: number] => {
      const speaker = this.#speakers.get(peerId);
      if (!speaker) return [0, Number.NEGATIVE_INFINITY];
      const isNow = now - speaker.heardAt <= this.#holdMs;
      return isNow ? [1, speaker.volume] : [0, speaker.heardAt];
    };
    const ranked = peerIds.map((peerId) => ({ peerId, rank: rank(peerId) }));
    ranked.sort((a, b) => b.rank[0] - a.rank[0] || compare(b.rank[1], a.rank[1]));
    return new Set(ranked.slice(0, count).map(({ peerId }) => peerId));
  }
}

/** Unlike a difference it is a number for two infinities too. */
const compare = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1);

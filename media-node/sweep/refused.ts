/** Producers that a receiving transport can't consume: they are not tried again for a while. */
export class Refused {
  readonly #forMs: number;
  readonly #until = new Map<string, number>();

  /** @param forMs how long a refusal counts, in milliseconds */
  constructor(forMs: number) {
    this.#forMs = forMs;
  }

  get size(): number {
    return this.#until.size;
  }

  add(transport: string, producerIds: string[], now = Date.now()): void {
    for (const id of producerIds) this.#until.set(`${transport} ${id}`, now + this.#forMs);
  }

  has(transport: string, producerId: string, now = Date.now()): boolean {
    return (this.#until.get(`${transport} ${producerId}`) ?? 0) > now;
  }

  /** Those whose time is not over. */
  list(now = Date.now()): { transport: string; producerId: string }[] {
    return [...this.#until]
      .filter(([, until]) => until > now)
      .map(([key]) => {
        const end = key.lastIndexOf(' ');
        return { transport: key.slice(0, end), producerId: key.slice(end + 1) };
      });
  }

  /** Forgets those whose time is over. */
  purge(now = Date.now()): void {
    for (const [key, until] of this.#until) if (until <= now) this.#until.delete(key);
  }
}

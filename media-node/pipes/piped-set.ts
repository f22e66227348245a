import type { DataSource, Source } from '../mediasoup/objects.ts';

/** A source that a pipe brought here, and since when nobody has used it. */
interface Entry<S> {
  source: S;
  idleSince: number;
}

/** What one pipe has brought to its destination, of one kind. Each id is brought once, however many ask at once. */
export class PipedSet<S extends Source | DataSource> {
  readonly #entries = new Map<string, Entry<S>>();
  readonly #bringing = new Map<string, Promise<void>>();
  /** Where consumers find the sources: the router's own map. */
  readonly #sources: Map<string, S>;

  constructor(sources: Map<string, S>) {
    this.#sources = sources;
  }

  /**
   * @param bring fetches those that are not here; it adds what it gets
   * @returns the ids that are here now
   */
  async ensure(ids: string[], bring: (missing: string[]) => Promise<void>): Promise<string[]> {
    this.#touch(ids);
    const missing = ids.filter((id) => !this.#entries.has(id) && !this.#bringing.has(id));
    if (missing.length > 0) {
      const batch = bring(missing).finally(() => {
        for (const id of missing) this.#bringing.delete(id);
      });
      for (const id of missing) this.#bringing.set(id, batch);
    }
    // All at once: one that fails while another is waited for would go unhandled, and take the process down.
    await Promise.all(new Set(ids.flatMap((id) => this.#bringing.get(id) ?? [])));
    this.#touch(ids);
    return ids.filter((id) => this.#entries.has(id));
  }

  /** What was just asked for is about to be used. */
  #touch(ids: string[]): void {
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (entry) entry.idleSince = Date.now();
    }
  }

  add(source: S): void {
    const entry = { source, idleSince: Date.now() };
    source.onUsersChange = () => {
      entry.idleSince = Date.now();
    };
    this.#entries.set(source.id, entry);
    this.#sources.set(source.id, source);
  }

  get(id: string): S | undefined {
    return this.#entries.get(id)?.source;
  }

  remove(id: string): void {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    if (entry && this.#sources.get(id) === entry.source) this.#sources.delete(id);
  }

  isBringing(id: string): boolean {
    return this.#bringing.has(id);
  }

  /** All that is here or on its way. */
  get ids(): string[] {
    return [...this.#entries.keys(), ...this.#bringing.keys()];
  }

  /** Those that are here. */
  get brought(): string[] {
    return [...this.#entries.keys()];
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Those that nobody uses, and for how long that has been so, in milliseconds. */
  unused(): { id: string; forMs: number }[] {
    const now = Date.now();
    return [...this.#entries]
      .filter(([, { source }]) => source.users === 0)
      .map(([id, { idleSince }]) => ({ id, forMs: now - idleSince }));
  }

  /** Those that nobody has used for so long. */
  idle(idleMs: number): S[] {
    const before = Date.now() - idleMs;
    return [...this.#entries.values()]
      .filter(({ source, idleSince }) => source.users === 0 && idleSince <= before)
      .map(({ source }) => source);
  }
}

/** Runs what shares a key one after another. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>();

  /** Takes all keys, in one order for all callers so that none waits in a circle, and runs `work`. */
  async runAll<T>(keys: string[], work: () => Promise<T>): Promise<T> {
    const releases: (() => void)[] = [];
    try {
      for (const key of [...new Set(keys)].sort()) releases.push(await this.#lock(key));
      return await work();
    } finally {
      for (const release of releases) release();
    }
  }

  async #lock(key: string): Promise<() => void> {
    const before = this.#tails.get(key);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const tail = promise.then(() => undefined);
    this.#tails.set(key, tail);
    await before;
    return () => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
      resolve(undefined);
    };
  }
}

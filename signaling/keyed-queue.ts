/** Runs tasks of the same key one after another, and those of different keys, or none, at once. */
export function createKeyedQueue() {
  const tails = new Map<string, Promise<unknown>>();
  return {
    run<T>(key: string | undefined, task: () => Promise<T>): Promise<T> {
      if (key === undefined) return task();
      const result = (tails.get(key) ?? Promise.resolve()).then(task);
      const tail = result.catch(() => undefined);
      tails.set(key, tail);
      void tail.then(() => tails.get(key) === tail && tails.delete(key));
      return result;
    },
  };
}

export type KeyedQueue = ReturnType<typeof createKeyedQueue>;

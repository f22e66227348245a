/** Removes the oldest entries of a cache that has more than `max`. */
export function limitSize(cache: Map<string, unknown>, max: number): void {
  for (const key of cache.keys()) {
    if (cache.size <= max) return;
    cache.delete(key);
  }
}

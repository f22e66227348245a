/** How many events a second are let through in the long run, and how many at once. */
export interface Rate {
  perSecond: number;
  burst: number;
}

/** A token bucket: `take()` says whether one more event fits the rate. */
export function createTokenBucket({ perSecond, burst }: Rate, now: () => number = Date.now) {
  let tokens = burst;
  let at = now();
  return {
    take(): boolean {
      const time = now();
      tokens = Math.min(burst, tokens + ((time - at) / 1000) * perSecond);
      at = time;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}

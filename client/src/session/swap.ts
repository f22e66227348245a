import { sleep } from '../signaling/persist.ts';
import type { Timing } from '../timing.ts';
import type { Feed } from './feed.ts';

interface Swap {
  next: Feed;
  /** What is shown until then. */
  shown: Feed | undefined;
  timing: Timing['move'];
  /** Nothing is to come: paused by either end. */
  isStill: () => boolean;
  /** It is not to be shown any more, another one took its place. */
  isVoid: () => boolean;
}

/**
 * Waits until `next` may take the place of what is shown: once it has decoded a frame or got sound; at once where nothing
 * is to come; else after a while, if what is shown does not move any more, and at last in any case.
 */
export async function untilSwappable({
  next,
  shown,
  timing,
  isStill,
  isVoid,
}: Swap): Promise<void> {
  const patience = next.announced.kind === 'video' ? timing.videoMs : timing.audioMs;
  const startedAt = performance.now();
  let seen: number | undefined;
  let movedAt = 0;
  while (!isVoid() && !isStill()) {
    const waited = performance.now() - startedAt;
    if ((await next.progress()) > 0 || waited >= timing.keepOldMs) return;
    // Reading numbers costs time: the old ones matter only towards the end.
    if (waited >= patience - timing.stalledMs) {
      const now = await progressOf(shown);
      if (seen !== undefined && now > seen) movedAt = waited;
      seen = now;
    }
    if (waited >= patience && waited - movedAt >= timing.stalledMs) return;
    await sleep(timing.pollMs);
  }
}

/** One that the server closed does not move any more, whatever it still shows. */
const progressOf = async (feed: Feed | undefined): Promise<number> =>
  feed && !feed.gone ? feed.progress() : 0;

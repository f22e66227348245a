import type { Page } from 'playwright-core';

/** When frames of which peer were shown: milliseconds since the epoch, rising. */
type FrameMarks = Record<string, number[]>;

/** A time without a new frame, in milliseconds since the epoch. */
export interface Gap {
  from: number;
  to: number;
}

/** What a page showed from a time on, in milliseconds since the epoch. */
export interface TilesShown {
  at: number;
  /** For each of the others, how many tiles with their camera there are. */
  tiles: Record<string, number>;
}

interface Recorder {
  marks: FrameMarks;
  shown: TilesShown[];
  stop: () => void;
}
type Place = typeof globalThis & { __kubeSfuFrames?: Recorder };

/** Runs inside the page, so it uses nothing from outside itself. */
function startRecorder(): void {
  const place = globalThis as Place;
  place.__kubeSfuFrames?.stop();
  const watched = new WeakSet<HTMLVideoElement>();
  let stopped = false;
  const tileOf = (video: Element): HTMLElement | null =>
    video.closest<HTMLElement>('[data-testid="tile"][data-source="video"][data-self="false"]');
  const watch = (video: HTMLVideoElement): void => {
    watched.add(video);
    const onFrame = (_now: number, { presentationTime }: VideoFrameCallbackMetadata): void => {
      const peer = tileOf(video)?.dataset['peerId'];
      if (stopped) return;
      if (peer !== undefined)
        (recorder.marks[peer] ??= []).push(performance.timeOrigin + presentationTime);
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  };
  let last = '';
  const look = (): void => {
    const tiles: Record<string, number> = {};
    for (const tile of document.querySelectorAll<HTMLElement>('[data-testid="tile"]')) {
      const { peerId = '', source, self } = tile.dataset;
      // Without a camera, a voice has the tile.
      if (self === 'false' && source !== 'screensharing') tiles[peerId] = (tiles[peerId] ?? 0) + 1;
    }
    for (const video of document.querySelectorAll('video'))
      if (!watched.has(video) && tileOf(video)) watch(video);
    const now = JSON.stringify(tiles);
    if (now !== last) recorder.shown.push({ at: Date.now(), tiles });
    last = now;
  };
  const observer = new MutationObserver(look);
  const recorder: Recorder = {
    marks: {},
    shown: [],
    stop: () => {
      stopped = true;
      observer.disconnect();
    },
  };
  place.__kubeSfuFrames = recorder;
  observer.observe(document.documentElement, {
    ...{ childList: true, subtree: true, attributes: true },
    attributeFilter: ['data-source', 'data-peer-id', 'data-self'],
  });
  look();
}

/** Runs inside the page: returns what was recorded since the last time, nothing where the page was loaded anew. */
function takeRecords(): { marks: FrameMarks; shown: TilesShown[] } | undefined {
  const recorder = (globalThis as Place).__kubeSfuFrames;
  if (!recorder) return undefined;
  const { marks, shown } = recorder;
  recorder.marks = {};
  recorder.shown = [];
  return { marks, shown };
}

/** Records when a page shows a new frame of each peer's camera, and which tiles it has. */
export class FrameRecorder {
  readonly #page: Page;
  readonly #marks = new Map<string, number[]>();
  readonly #shown: TilesShown[] = [];

  private constructor(page: Page) {
    this.#page = page;
  }

  static async start(page: Page): Promise<FrameRecorder> {
    await page.evaluate(startRecorder);
    return new FrameRecorder(page);
  }

  /** When frames of this peer were shown so far. */
  async marksOf(peerId: string): Promise<number[]> {
    await this.#take();
    return this.#marks.get(peerId) ?? [];
  }

  /** The tiles that were there, each time that they changed. */
  async tilesShown(): Promise<TilesShown[]> {
    await this.#take();
    return this.#shown;
  }

  async #take(): Promise<void> {
    const records = await this.#page.evaluate(takeRecords);
    if (!records) {
      await this.#page.evaluate(startRecorder);
      return;
    }
    for (const [peer, marks] of Object.entries(records.marks)) {
      const known = this.#marks.get(peer) ?? [];
      known.push(...marks);
      this.#marks.set(peer, known);
    }
    this.#shown.push(...records.shown);
  }
}

/**
 * The times between `from` and `to` that saw no new frame for longer than the threshold. Both ends count as seen, so that
 * what lies outside is not counted.
 */
export function gapsBetween(
  marks: readonly number[],
  { from, to }: Gap,
  thresholdMs: number,
): Gap[] {
  const seen = [from, ...marks.filter((mark) => mark > from && mark < to), to];
  return seen
    .slice(1)
    .map((end, i) => ({ from: seen[i] ?? from, to: end }))
    .filter((gap) => gap.to - gap.from > thresholdMs);
}

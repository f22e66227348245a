import type { Page } from 'playwright-core';

import type { Snapshot } from '../../room-page.ts';

/** When frames of which peer were decoded: milliseconds since the epoch, rising. */
type FrameMarks = Record<string, number[]>;

/** A time without a new frame, in milliseconds since the epoch. */
export interface Gap {
  from: number;
  to: number;
}

/** Pause between two looks at a page's statistics, in milliseconds. */
const lookEveryMs = 200;

interface Recorder {
  marks: FrameMarks;
  stop: () => void;
}
type Place = typeof globalThis & {
  __kubeSfu?: { snapshot: () => Promise<Snapshot> };
  __kubeSfuFrames?: Recorder;
};

/** Runs inside the page, so it uses nothing from outside itself. */
function startRecorder(everyMs: number): void {
  const place = globalThis as Place;
  place.__kubeSfuFrames?.stop();
  const last: Record<string, string> = {};
  let stopped = false;
  const recorder: Recorder = { marks: {}, stop: () => (stopped = true) };
  place.__kubeSfuFrames = recorder;
  const look = async (): Promise<void> => {
    const snapshot = await place.__kubeSfu?.snapshot().catch(() => undefined);
    for (const { peerId, id, source, framesDecoded = 0 } of snapshot?.consumers ?? []) {
      const state = `${id} ${framesDecoded}`;
      if (source !== 'video' || framesDecoded === 0 || last[peerId] === state) continue;
      last[peerId] = state;
      (recorder.marks[peerId] ??= []).push(Date.now());
    }
    if (!stopped) setTimeout(() => void look(), everyMs);
  };
  void look();
}

/** Runs inside the page: returns what was recorded since the last time. */
function takeMarks(): FrameMarks {
  const recorder = (globalThis as Place).__kubeSfuFrames;
  if (!recorder) throw new Error('the page does not record its frames');
  const { marks } = recorder;
  recorder.marks = {};
  return marks;
}

/** Records when a page decodes a new frame of each peer, to {@link lookEveryMs} exactly. */
export class FrameRecorder {
  readonly #page: Page;
  readonly #marks = new Map<string, number[]>();

  private constructor(page: Page) {
    this.#page = page;
  }

  static async start(page: Page): Promise<FrameRecorder> {
    await page.evaluate(startRecorder, lookEveryMs);
    return new FrameRecorder(page);
  }

  /** When frames of this peer were decoded so far. */
  async marksOf(peerId: string): Promise<number[]> {
    for (const [peer, marks] of Object.entries(await this.#page.evaluate(takeMarks))) {
      this.#marks.set(peer, [...(this.#marks.get(peer) ?? []), ...marks]);
    }
    return this.#marks.get(peerId) ?? [];
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

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { messageOf } from '../../../common/errors.ts';
import { until } from '../../../testing/until.ts';
import { launchBrowser, type Browser } from '../../browser.ts';
import { RoomPage } from '../../room-page.ts';
import { FrameRecorder, gapsBetween, type Gap } from '../../frames.ts';
import { report } from './report.ts';

/** Times without frames that a page notices; shorter ones are how a busy machine decodes. */
const noticedMs = 1000;
/** How long a room may take until everybody sees everybody again. */
const recoveryMs = 90_000;
/** How long everything must go well at the end of an action. */
const calmMs = 3000;

export interface MeetingOptions {
  /** Where host names lead to. */
  ingressAddress: string;
  /** The page's address. */
  url: string;
  room: string;
  /** A room token for this peer. */
  tokenOf: (peer: string) => Promise<string>;
}

interface Member {
  room: RoomPage;
  frames: FrameRecorder;
  console: string[];
}

interface Outcome {
  page: string;
  longestGapMs: number;
  /** End of the last gap. */
  recoveredAt: number | undefined;
}

/** Browser pages in one room, who all watch each other. */
export class Meeting {
  readonly #options: MeetingOptions;
  readonly #browser: Browser;
  readonly #members = new Map<string, Member>();

  private constructor(options: MeetingOptions, browser: Browser) {
    this.#options = options;
    this.#browser = browser;
  }

  /** Opens a page for each name and waits until everybody sees everybody. */
  static async open(options: MeetingOptions, names: string[]): Promise<Meeting> {
    const browser = await launchBrowser([
      `--host-resolver-rules=MAP ${new URL(options.url).hostname} ${options.ingressAddress}`,
      // Cameras are for secure pages alone.
      `--unsafely-treat-insecure-origin-as-secure=${options.url}`,
    ]);
    const meeting = new Meeting(options, browser);
    try {
      for (const name of names) await meeting.#enter(name);
      await meeting.everybodySeesEverybody();
    } catch (error) {
      await meeting.close();
      throw error;
    }
    return meeting;
  }

  get names(): string[] {
    return [...this.#members.keys()];
  }

  page(name: string): RoomPage {
    return this.#member(name).room;
  }

  /**
   * Waits until every page has decoded a frame of every other that came after this call.
   *
   * @throws Error that names who does not see whom
   */
  async everybodySeesEverybody(timeoutMs = recoveryMs): Promise<void> {
    const since = Date.now();
    await until(
      'everybody to see everybody',
      async () => {
        const blind = await this.#blindSince(since);
        if (blind.length > 0) throw new Error(blind.join(', '));
        return true;
      },
      { timeoutMs, intervalMs: 300 },
    );
  }

  /**
   * Does something to the platform, waits until everybody sees everybody and goes on to for a while, and reports how long
   * each page was without new frames.
   */
  async during(action: string, work: () => Promise<void>): Promise<void> {
    const from = Date.now();
    try {
      await work();
      await this.everybodySeesEverybody();
      await this.#calm();
    } finally {
      for (const outcome of await this.#outcomes({ from, to: Date.now() })) {
        const { page, longestGapMs, recoveredAt } = outcome;
        const recoveredMs = recoveredAt === undefined ? undefined : recoveredAt - from;
        report({ type: 'page', action, page, longestGapMs, recoveredMs });
      }
    }
  }

  /** Puts the room in order before the next action, so that a failed one does not fail all that follow. */
  async restore(): Promise<void> {
    const blind = await this.#blindSince(Date.now() - 2 * noticedMs).catch(() => [
      'a page is gone',
    ]);
    if (blind.length === 0) return;
    for (const [name, { room }] of this.#members) {
      await room.page.close().catch(() => undefined);
      await this.#enter(name);
    }
    await this.everybodySeesEverybody();
  }

  /** For the folder of a failed test. */
  async dump(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    for (const [name, { room, console }] of this.#members) {
      const file = path.join(folder, `page-${name}`);
      await writeFile(`${file}.log`, console.join('\n'));
      const snapshot = await room.snapshot().catch(messageOf);
      await writeFile(`${file}.json`, JSON.stringify(snapshot, null, 2));
      await room.page.screenshot({ path: `${file}.png`, timeout: 5000 }).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    for (const { room } of this.#members.values()) await room.leave().catch(() => undefined);
    await this.#browser.close();
  }

  async #enter(name: string): Promise<void> {
    const { url, room, tokenOf } = this.#options;
    const page = await this.#browser.newPage();
    page.setDefaultTimeout(20_000);
    const console: string[] = [];
    page.on('console', (message) => {
      console.push(`${new Date().toISOString()} ${message.type()} ${message.text()}`);
    });
    const entered = await RoomPage.join(page, {
      ...{ baseUrl: url, room, name, videoHeight: 90, token: await tokenOf(name) },
    });
    this.#members.set(name, { room: entered, frames: await FrameRecorder.start(page), console });
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (!member) throw new Error(`no page of ${name}; there are ${this.names.join(', ')}`);
    return member;
  }

  /** `a does not see b`, for all pairs without a frame since then. */
  async #blindSince(since: number): Promise<string[]> {
    const blind: string[] = [];
    for (const [watcher, watched] of this.#pairs()) {
      const marks = await this.#member(watcher).frames.marksOf(watched);
      if ((marks.at(-1) ?? 0) <= since) blind.push(`${watcher} does not see ${watched}`);
    }
    return blind;
  }

  #pairs(): [string, string][] {
    return this.names.flatMap((watcher) =>
      this.names
        .filter((watched) => watched !== watcher)
        .map((watched): [string, string] => [watcher, watched]),
    );
  }

  /** What goes well now may be what an old pod sends before it ends, so the calm counts from here on. */
  async #calm(): Promise<void> {
    const since = Date.now();
    const hasCalm = async (): Promise<boolean> => {
      const to = Date.now();
      if (to - calmMs < since) return false;
      const outcomes = await this.#outcomes({ from: to - calmMs, to });
      return outcomes.every(({ recoveredAt }) => recoveredAt === undefined);
    };
    await until('nobody to miss a frame for a while', hasCalm, {
      ...{ timeoutMs: recoveryMs, intervalMs: 500 },
    });
  }

  async #outcomes(time: Gap): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const watcher of this.names) {
      const gaps: Gap[] = [];
      let longestGapMs = 0;
      for (const watched of this.names.filter((name) => name !== watcher)) {
        const marks = await this.#member(watcher).frames.marksOf(watched);
        for (const gap of gapsBetween(marks, time, 0)) {
          longestGapMs = Math.max(longestGapMs, gap.to - gap.from);
          if (gap.to - gap.from > noticedMs) gaps.push(gap);
        }
      }
      const recoveredAt = gaps.length > 0 ? Math.max(...gaps.map(({ to }) => to)) : undefined;
      outcomes.push({ page: watcher, longestGapMs, recoveredAt });
    }
    return outcomes;
  }
}

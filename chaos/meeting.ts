import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { messageOf } from '../common/errors.ts';
import { launchBrowser, type Browser } from '../e2e/browser.ts';
import { FrameRecorder, gapsBetween, type Gap } from '../e2e/frames.ts';
import { RoomPage } from '../e2e/room-page.ts';
import { until } from '../testing/until.ts';

/** Frames a second of the cameras, and their height in pixels: what a small machine encodes and decodes for all pages. */
const camera = { framesPerSecond: 15, height: 90 };
/** How long the pages may take until everybody sees everybody again, and without a gap, in milliseconds. */
const recovery = { timeoutMs: 120_000, intervalMs: 250 };
/** Times without frames that nobody may have at the end of a recovery, and for how long, in milliseconds. */
const calm = { noticedMs: 1000, lastsMs: 2500 };
/** Longer than this, a tile that is missing or there twice is wrong, whatever happens; in milliseconds. */
const wrongTilesMs = 15_000;

export interface MeetingOptions {
  url: string;
  room: string;
  names: string[];
  clients: 'sdk' | 'rejoin';
  browserFlags: string[];
  tokenOf: (room: string, peer: string) => Promise<string | undefined>;
}

interface Member {
  room: RoomPage;
  frames: FrameRecorder;
  console: string[];
  loads: number;
}

export interface WatchedGap {
  page: string;
  watched: string;
  gap: Gap;
}

/** Browser pages in one room, who all publish and watch each other. */
export class Meeting {
  readonly #options: MeetingOptions;
  readonly #browser: Browser;
  readonly #members = new Map<string, Member>();

  private constructor(options: MeetingOptions, browser: Browser) {
    this.#options = options;
    this.#browser = browser;
  }

  /** Opens a page for each name and waits until everybody sees everybody. */
  static async open(options: MeetingOptions): Promise<Meeting> {
    const browser = await launchBrowser([
      `--use-fake-device-for-media-stream=fps=${camera.framesPerSecond}`,
      ...options.browserFlags,
    ]);
    const meeting = new Meeting(options, browser);
    try {
      for (const name of options.names) await meeting.#enter(name);
      await meeting.recovered(Date.now());
    } catch (error) {
      await meeting.dump('.run/chaos/start').catch(() => undefined);
      await meeting.close();
      throw error;
    }
    return meeting;
  }

  get names(): string[] {
    return [...this.#members.keys()];
  }

  /** How often pages were loaded anew. */
  get reloads(): number {
    return [...this.#members.values()].reduce((sum, { loads }) => sum + loads - 1, 0);
  }

  /**
   * Waits until every page has frames of every other that came after this time, and goes on to for a while.
   *
   * @throws Error that names who does not see whom
   */
  async recovered(since: number): Promise<void> {
    await until(
      'everybody to see everybody',
      async () => {
        const now = Date.now();
        const from = Math.max(since, now - calm.lastsMs);
        const gaps = await this.gaps({ from, to: now });
        const blind = gaps.filter(({ gap }) => gap.to - gap.from > calm.noticedMs);
        if (now - calm.lastsMs < since) throw new Error('just begun');
        if (blind.length > 0)
          throw new Error(
            blind.map(({ page, watched }) => `${page} does not see ${watched}`).join(', '),
          );
        return true;
      },
      recovery,
    );
  }

  /** For each page and each that it watches, the longest time without a new frame. */
  async gaps(time: Gap): Promise<WatchedGap[]> {
    const found: WatchedGap[] = [];
    for (const [page, watched] of this.#pairs()) {
      const marks = await this.#member(page).frames.marksOf(watched);
      const gaps = gapsBetween(withBounds(marks, time), widened(marks, time), 0);
      const longest = gaps.reduce((one, other) =>
        other.to - other.from > one.to - one.from ? other : one,
      );
      found.push({ page, watched, gap: longest });
    }
    return found;
  }

  /**
   * What is wrong with the pages once they have recovered: who is missing, there twice, or unknown to them, and tiles that
   * were wrong for long since a time.
   */
  async wrongs(since: number): Promise<string[]> {
    const wrongs: string[] = [];
    for (const [name, { room, frames }] of this.#members) {
      const others = this.names.filter((other) => other !== name).sort();
      const snapshot = await room.snapshot();
      if (snapshot.connection !== 'connected') wrongs.push(`${name} is ${snapshot.connection}`);
      const peers = snapshot.peers.map(({ peerId }) => peerId).sort();
      if (peers.join() !== others.join())
        wrongs.push(`${name} knows of ${peers.join(', ')} instead of ${others.join(', ')}`);
      const shown = await frames.tilesShown();
      for (const other of others) {
        const right = shown.map(({ at, tiles }) => ({ at, is: tiles[other] === 1 }));
        if (right.at(-1)?.is !== true)
          wrongs.push(`${name} has ${shown.at(-1)?.tiles[other] ?? 0} tiles of ${other}`);
        const longestMs = longestWrong(right, since);
        if (longestMs > wrongTilesMs)
          wrongs.push(`${name} had no or two tiles of ${other} for ${longestMs} ms`);
      }
    }
    return wrongs;
  }

  /** Loads the pages anew, so that one failure does not fail all that follow. */
  async restore(): Promise<void> {
    for (const [name, member] of this.#members) {
      await member.room.page.close();
      await this.#enter(name, member);
    }
    await this.recovered(Date.now());
  }

  /** Writes what each page shows and has said. */
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

  async leave(): Promise<void> {
    for (const { room } of this.#members.values()) await room.leave();
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }

  /** A page of its own in another room with itself and a second one: a room made now works. */
  async tryRoom(room: string): Promise<void> {
    const names = ['xenia', 'yann'];
    const pages = await Promise.all(
      names.map(async (name) => this.#join(await this.#browser.newPage(), room, name)),
    );
    const [first, second] = pages;
    await Promise.all([first?.decodesVideoOf('yann'), second?.decodesVideoOf('xenia')]);
    for (const page of pages) {
      await page.leave();
      await page.page.close();
    }
  }

  async #join(page: RoomPage['page'], room: string, name: string): Promise<RoomPage> {
    const { url, clients, tokenOf } = this.#options;
    page.setDefaultTimeout(30_000);
    const token = await tokenOf(room, name);
    return RoomPage.join(page, {
      ...{ baseUrl: url, room, name, videoHeight: camera.height },
      ...(token === undefined ? {} : { token }),
      ...(clients === 'rejoin' ? { extensions: 'none' } : {}),
    });
  }

  async #enter(name: string, before?: Member): Promise<void> {
    const page = await this.#browser.newPage();
    const console: string[] = before?.console ?? [];
    page.on('console', (message) => {
      console.push(`${new Date().toISOString()} ${message.type()} ${message.text()}`);
    });
    const room = await this.#join(page, this.#options.room, name);
    const frames = await FrameRecorder.start(page);
    const member: Member = { room, frames, console, loads: (before?.loads ?? 0) + 1 };
    page.on('load', () => {
      member.loads++;
    });
    this.#members.set(name, member);
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (!member) throw new Error(`no page of ${name}`);
    return member;
  }

  #pairs(): [string, string][] {
    return this.names.flatMap((page) =>
      this.names
        .filter((watched) => watched !== page)
        .map((watched): [string, string] => [page, watched]),
    );
  }
}

/** Begins at the last frame before, so that a gap counts from the frame before to the frame after. */
const widened = (marks: readonly number[], { from, to }: Gap): Gap => ({
  from: marks.findLast((mark) => mark <= from) ?? from,
  to,
});

const withBounds = (marks: readonly number[], { to }: Gap): number[] =>
  marks.filter((mark) => mark <= to);

/** The longest time that a state was wrong since a time, in milliseconds. */
function longestWrong(states: readonly { at: number; is: boolean }[], since: number): number {
  let longest = 0;
  for (const [i, { at, is }] of states.entries()) {
    const end = states[i + 1]?.at ?? Date.now();
    if (!is && end > since) longest = Math.max(longest, end - Math.max(at, since));
  }
  return longest;
}

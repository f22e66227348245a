import { setTimeout as sleep } from 'node:timers/promises';

import { messageOf } from '../common/errors.ts';
import { Cleanup } from '../testing/cleanup.ts';
import { createRandom } from '../testing/random.ts';
import { Crowd } from './crowd.ts';
import { faults, missingFor, type Blow } from './faults.ts';
import { percentilesOf, summarize, type StreamGap } from './gaps.ts';
import { Meeting } from './meeting.ts';
import type { ChaosOptions } from './options.ts';
import { nameOf, planRounds, type Round } from './plan.ts';
import type { Platform } from './platform.ts';
import { controlKind, type ChaosReport, type EventRecord } from './report.ts';
import { compareHoldings, readHoldings } from './resources.ts';
import { TruthRoom } from './truth.ts';

export interface RunOptions extends ChaosOptions {
  platform: Platform;
  say: (line: string) => void;
  /** Where the pages are written when something goes wrong. */
  dir: string;
}

const rooms = { pages: 'chaos', truth: 'chaos-truth', first: 'chaos-first', last: 'chaos-last' };
/** Each watches the others: as many as two cores carry. */
const names = ['ada', 'bert', 'cleo'];
const loadPeers = 3;
/** Length of a window without faults, in milliseconds: about as long as an event takes. */
const controlWindowMs = 5000;
/** Pause between two rounds, in milliseconds. */
const restMs = 500;

/** What is wrong with the work, if anything. */
const problem = async (work: () => Promise<unknown>): Promise<string[]> => {
  try {
    await work();
    return [];
  } catch (error) {
    return [messageOf(error)];
  }
};

interface People {
  meeting: Meeting;
  truth: TruthRoom;
  crowd: Crowd;
}

/** One run: rooms with pages and load peers, and faults one after the other. */
class Run {
  readonly #options: RunOptions;
  readonly #meeting: Meeting;
  readonly #truth: TruthRoom;
  readonly #crowd: Crowd;
  readonly events: EventRecord[] = [];
  readonly gaps: StreamGap[] = [];

  constructor(options: RunOptions, { meeting, truth, crowd }: People) {
    this.#options = options;
    this.#meeting = meeting;
    this.#truth = truth;
    this.#crowd = crowd;
  }

  /** Watches the pages while nothing happens. */
  async control(): Promise<void> {
    const { controlMs } = this.#options;
    for (let i = 0; i < Math.ceil(controlMs / controlWindowMs); i++) {
      const from = Date.now();
      await sleep(controlWindowMs);
      await this.#recordGaps(controlKind, -1 - i, { from, to: Date.now() }, () => true);
    }
  }

  async round(round: Round, event: number): Promise<void> {
    const { say, dir } = this.#options;
    const kind = nameOf(round);
    const blows: Blow[] = [];
    const from = Date.now();
    this.#truth.resume();
    const problems = await problem(() => this.#strike(round, blows));
    const [first = { at: from }] = blows;
    const since = Date.now();
    problems.push(
      ...(await problem(() => this.#options.platform.steady())),
      ...(await problem(() => this.#meeting.recovered(since))),
    );
    const to = Date.now();
    const hits: Blow['hits'] = (page, watched) => blows.some((blow) => blow.hits(page, watched));
    await this.#recordGaps(kind, event, { from: first.at, to }, hits);
    problems.push(
      ...(await problem(() => this.#crowd.hearsEachOther())),
      ...(await problem(() => this.#truth.check())),
      ...(await this.#meeting.wrongs(first.at)),
    );
    const targets = blows.map(({ target }) => target);
    this.events.push({ event, kind, targets, from: first.at, to, problems });
    say(`${event + 1}. ${kind} (${targets.join(', ')}): ${this.#describe(event)}`);
    for (const line of problems) say(`   ! ${line}`);
    if (problems.length > 0) {
      await this.#meeting.dump(`${dir}/event-${event}`).catch(() => undefined);
      await problem(() => this.#meeting.restore());
    }
    await sleep(restMs);
  }

  async #strike({ kinds, delayMs, seed }: Round, blows: Blow[]): Promise<void> {
    const random = createRandom(seed);
    const { platform } = this.#options;
    const context = { platform, room: rooms.pages, random };
    const results = await Promise.allSettled(
      kinds.map(async (kind, i) => {
        await sleep(i * delayMs);
        await faults[kind]({ ...context, begun: (blow) => blows.push(blow) });
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #recordGaps(
    kind: string,
    event: number,
    time: { from: number; to: number },
    hits: Blow['hits'],
  ): Promise<void> {
    for (const { page, watched, gap } of await this.#meeting.gaps(time)) {
      const ms = Math.round(gap.to - gap.from);
      this.gaps.push({ kind, event, page, watched, ms, hit: hits(page, watched) });
    }
  }

  #describe(event: number): string {
    const [summary] = summarize(this.gaps.filter((gap) => gap.event === event));
    const hit = summary?.hit ? `${summary.hit.p50} ms, most ${summary.hit.max} ms` : 'nobody hit';
    return `gap of pages hit: ${hit}; most of all: ${summary?.all?.max ?? 0} ms`;
  }
}

/** Opens rooms once and leaves them again, so that every part has what it keeps for good. */
async function readBaseline(meeting: Meeting, platform: Platform) {
  await meeting.tryRoom(rooms.first);
  await meeting.leave();
  return readHoldings(platform);
}

/** Runs the plan and reports; what goes wrong is in the report. */
export async function runChaos(options: RunOptions): Promise<ChaosReport> {
  const { platform, seed, clients, rooms: live, say, count, rounds } = options;
  const startedAt = Date.now();
  const kinds = options.kinds.filter((kind) => missingFor(kind, platform) === undefined);
  const notRun = options.kinds.flatMap((kind) => {
    const why = missingFor(kind, platform);
    return why === undefined ? [] : [{ kind, why }];
  });
  if (kinds.length === 0) throw new Error('this platform has none of these faults');
  const random = createRandom(seed);
  const plan = planRounds({ kinds, rounds, count, random });
  say('opening the pages');
  const meeting = await Meeting.open({
    ...{ url: platform.pageUrl, room: rooms.pages, names, clients },
    browserFlags: platform.browserFlags,
    tokenOf: platform.tokenOf.bind(platform),
  });
  const closing = new Cleanup();
  closing.add(() => meeting.close());
  try {
    const before = await readBaseline(meeting, platform);
    await meeting.restore();
    const reloads = meeting.reloads;
    const crowd = new Crowd({ platform, rooms: live - 1, clients });
    closing.add(() => crowd.close());
    await crowd.open();
    const truth = new TruthRoom({ platform, room: rooms.truth, peers: loadPeers, random });
    truth.resume();
    const run = new Run(options, { meeting, truth, crowd });
    say('watching without faults');
    await run.control();
    for (const [i, round] of plan.entries()) await run.round(round, i);
    await truth.close();
    await crowd.close();
    await meeting.leave();
    const report: ChaosReport = {
      ...{ seed, clients, rooms: live, events: run.events, gaps: run.gaps, notRun },
      startedAt: new Date(startedAt).toISOString(),
      durationMs: Date.now() - startedAt,
      control: percentilesOf(
        run.gaps.filter(({ kind }) => kind === controlKind).map(({ ms }) => ms),
      ),
      told: {
        succeeded: truth.told.filter(({ failure }) => failure === undefined).length,
        failed: truth.told.filter(({ failure }) => failure !== undefined).length,
      },
      reloads: meeting.reloads - reloads,
      rejoins: crowd.rejoins,
      holdings: { before, after: undefined },
      problems: [],
    };
    say('looking at what is left');
    report.problems.push(
      ...(await problem(async () => {
        report.holdings.after = await readHoldings(platform);
        report.problems.push(...compareHoldings(before, report.holdings.after));
      })),
      ...(await problem(() => platform.audit())),
      ...(await problem(() => meeting.tryRoom(rooms.last))),
    );
    return report;
  } finally {
    await closing.run();
  }
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { startPlatform } from '../demo/platform.ts';
import { freePorts } from '../demo/ports.ts';
import { Room, type JoinTimes } from './room.ts';
import { tally, withoutBackground } from './statements.ts';
import { startRecordingPostgres, type RecordingPostgres } from './statement-log.ts';
import { median, percentile, sum } from './statistics.ts';

export interface JoinOptions {
  /** Room sizes, the joining peer counted. */
  sizes: number[];
  /** Joins for each size. */
  rounds: number;
  /** No further round is begun for a size after this many seconds. */
  secondsPerSize: number;
  packetsPerSecond: number;
  /** Prints the statements of a join. */
  verbose: boolean;
  say: (line: string) => void;
}

export interface JoinResult {
  size: number;
  rounds: number;
  /** Join request to answer, in milliseconds. */
  answered: { p50: number; p99: number };
  /** Join request to the last `newConsumer` request, in milliseconds. */
  lastConsumer: { p50: number; p99: number };
  /** Consumers that one join makes. */
  consumers: number;
  /** Consumers made in a second of these joins. */
  consumersPerSecond: number;
  /** Consumers made in a second while the room was filled, two peers at a time. */
  fillConsumersPerSecond: number | undefined;
  /** Statements that all services ran for one join. */
  statements: number;
}

/** All peers of the largest room leave at the same moment. */
interface LeaveResult {
  peers: number;
  /** Until the tables had nothing left of them, in milliseconds; undefined when that took too long. */
  emptyAfter: number | undefined;
}

export interface JoinReport {
  joins: JoinResult[];
  leave: LeaveResult;
}

/** Ports apart from the demo's and the tests', so that those may run too. */
const ports = { rtc: 24_000, nodeApi: 17_000 };
const consumerNodes = 2;
/** Rest between two joins, so that one's end is not the other's beginning. */
const pauseMs = 50;
/** Rounds in which statements are counted, and the idle time that shows which ones run by the clock. */
const counting = { rounds: 5, idleMs: 12_000, settleMs: 500 };

/** How often, and how long, it is looked whether the tables are empty. */
const leaving = { intervalMs: 20, timeoutMs: 60_000 };

interface Measured {
  room: Room;
  size: number;
  postgres: RecordingPostgres;
}

async function countStatements(
  { room, size, postgres }: Measured,
  { say, verbose }: JoinOptions,
): Promise<number> {
  const idle = await postgres.record(() => sleep(counting.idleMs));
  const counts: number[] = [];
  for (let round = 0; round < counting.rounds; round++) {
    const peer = await room.connect(`counted-${size}-${round}`);
    const recorded = await postgres.record(async () => {
      await room.join(peer);
      await sleep(counting.settleMs);
    });
    await room.leave(peer);
    const own = withoutBackground(recorded, idle);
    counts.push(own.length);
    if (verbose && round === 0) for (const line of tally(own)) say(`  ${line}`);
  }
  return median(counts);
}

async function measureRounds({ room, size }: Measured, options: JoinOptions): Promise<JoinTimes[]> {
  const deadline = performance.now() + options.secondsPerSize * 1000;
  const times: JoinTimes[] = [];
  for (let round = 0; round < options.rounds && performance.now() < deadline; round++) {
    const peer = await room.connect(`joiner-${size}-${round}`);
    times.push(await room.join(peer));
    await room.leave(peer);
    await sleep(pauseMs);
  }
  return times;
}

async function measureSize(measured: Measured, options: JoinOptions): Promise<JoinResult> {
  const { room, size } = measured;
  const { say } = options;
  say(`room of ${size}: ${size - 1} publishing peers come in`);
  const filled = await room.fill(size - 1);
  say(`room of ${size}: up to ${options.rounds} joins, ${options.secondsPerSize} s at most`);
  const times = await measureRounds(measured, options);
  say(`room of ${size}: counting statements`);
  const statements = await countStatements(measured, options);
  for (const error of room.errors()) say(`  ${error}`);
  const spread = (values: number[]) => ({ p50: median(values), p99: percentile(values, 99) });
  const lastConsumer = times.map((each) => each.lastConsumer);
  const consumers = times.map((each) => each.consumers);
  return {
    size,
    rounds: times.length,
    answered: spread(times.map((each) => each.answered)),
    lastConsumer: spread(lastConsumer),
    consumers: median(consumers),
    consumersPerSecond: (1000 * sum(consumers)) / sum(lastConsumer),
    fillConsumersPerSecond:
      filled.consumers > 0 ? (1000 * filled.consumers) / filled.milliseconds : undefined,
    statements,
  };
}

async function measureLeave(room: Room, postgres: RecordingPostgres): Promise<LeaveResult> {
  const { peers } = room;
  const start = performance.now();
  await room.close();
  for (;;) {
    const rows = await postgres.sessionRows();
    const elapsed = performance.now() - start;
    if (rows === 0) return { peers, emptyAfter: elapsed };
    if (elapsed > leaving.timeoutMs) return { peers, emptyAfter: undefined };
    await sleep(leaving.intervalMs);
  }
}

async function measureRoom(
  url: string,
  postgres: RecordingPostgres,
  options: JoinOptions,
): Promise<JoinReport> {
  const { packetsPerSecond, say } = options;
  const room = new Room({ url, roomId: 'bench', packetsPerSecond });
  try {
    const joins: JoinResult[] = [];
    for (const size of options.sizes.toSorted((a, b) => a - b))
      joins.push(await measureSize({ room, size, postgres }, options));
    say(`all ${room.peers} peers leave at once`);
    return { joins, leave: await measureLeave(room, postgres) };
  } finally {
    await room.close();
  }
}

/** Starts the whole platform and measures joins into one room as it grows. */
export async function measureJoins(options: JoinOptions): Promise<JoinReport> {
  const dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-bench-'));
  const postgres = await startRecordingPostgres(path.join(dir, 'postgres'));
  try {
    const signalingPort = await freePorts(1);
    const platform = await startPlatform({
      dir,
      ports,
      signalingPorts: [signalingPort],
      consumers: consumerNodes,
      pageUrls: ['http://localhost'],
      databaseUrl: postgres.url,
      logLevel: 'warn',
      say: options.say,
    });
    try {
      return await measureRoom(`ws://127.0.0.1:${signalingPort}/`, postgres, options);
    } finally {
      await platform.stop();
    }
  } finally {
    await postgres.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

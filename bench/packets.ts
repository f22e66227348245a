import { setTimeout as sleep } from 'node:timers/promises';

import { sentAt } from '../testing/load-peer/rtp-stream.ts';
import { ForwardingRig, type Placement } from './forwarding-rig.ts';
import { median, percentile, sum } from './statistics.ts';

export interface PacketOptions {
  say: (line: string) => void;
  /** Rounds of each measurement, in turn for the two placements; the median round counts. */
  rounds: number;
  /** Receivers of the one producer, one measurement for each number. */
  receivers: number[];
}

/** What one packet that reached a receiver cost the workers, in microseconds of processor time. */
interface ForwardingCost {
  receivers: number;
  direct: number;
  pipe: number;
  /** Share of the expected packets that did not arrive, over all rounds. */
  lost: number;
}

/** One-way times from the sender's socket to the receiver's, in milliseconds. */
interface OneWayLatency {
  packets: number;
  direct: { p50: number; p99: number };
  pipe: { p50: number; p99: number };
}

export interface PacketResult {
  costs: ForwardingCost[];
  latency: OneWayLatency;
}

const placements: Placement[] = ['direct', 'pipe'];
/** A steady video of about 4 Mbit/s, sent in small bursts as frames are. */
const load = { payloadBytes: 1000, burst: 5, intervalMs: 10, seconds: 4, decryptEvery: 50 };
/** Far from any queue: one small packet every 5 ms. */
const probe = { payloadBytes: 100, intervalMs: 5, packets: 500 };
/** Time for what is under way to arrive, and for a new receiver's first packets. */
const settleMs = 300;

/** Calls `action` every `intervalMs` and catches up after a pause, so that the number of calls is exact. */
async function pace(calls: number, intervalMs: number, action: () => void): Promise<void> {
  const start = performance.now();
  for (let done = 0; done < calls;) {
    const due = Math.min(calls, Math.floor((performance.now() - start) / intervalMs) + 1);
    for (; done < due; done++) action();
    if (done < calls) await sleep(Math.max(1, start + done * intervalMs - performance.now()));
  }
}

interface CostRound {
  microseconds: number;
  expected: number;
  received: number;
}

async function costRound(
  rig: ForwardingRig,
  placement: Placement,
  receivers: number,
): Promise<CostRound> {
  let received = 0;
  for (let i = 0; i < receivers; i++) await rig.addReceiver(placement, () => received++);
  await pace(10, load.intervalMs, () => rig.send());
  await sleep(settleMs);
  received = 0;
  const before = await rig.cpuMs();
  const bursts = (load.seconds * 1000) / load.intervalMs;
  await pace(bursts, load.intervalMs, () => {
    for (let i = 0; i < load.burst; i++) rig.send();
  });
  await sleep(settleMs);
  const used = (await rig.cpuMs()) - before;
  rig.removeReceivers();
  return {
    microseconds: (used * 1000) / received,
    expected: bursts * load.burst * receivers,
    received,
  };
}

async function measureCost(rig: ForwardingRig, receivers: number, rounds: number) {
  const done: Record<Placement, CostRound[]> = { direct: [], pipe: [] };
  for (let round = 0; round < rounds; round++)
    for (const placement of placements)
      done[placement].push(await costRound(rig, placement, receivers));
  const all = [...done.direct, ...done.pipe];
  const expected = sum(all.map((each) => each.expected));
  const cost = (of: CostRound[]): number => median(of.map(({ microseconds }) => microseconds));
  return {
    receivers,
    direct: cost(done.direct),
    pipe: cost(done.pipe),
    lost: 1 - sum(all.map((each) => each.received)) / expected,
  };
}

async function latencyRound(rig: ForwardingRig, placement: Placement): Promise<number[]> {
  const times: number[] = [];
  await rig.addReceiver(placement, ({ packet, receivedAt }) => {
    if (packet) times.push(receivedAt - sentAt(packet));
  });
  await pace(20, probe.intervalMs, () => rig.send());
  await sleep(settleMs);
  times.length = 0;
  await pace(probe.packets, probe.intervalMs, () => rig.send());
  await sleep(settleMs);
  rig.removeReceivers();
  return times;
}

async function measureLatency({ rounds, say }: PacketOptions): Promise<OneWayLatency> {
  say(`one-way latency: ${rounds} rounds of ${probe.packets} packets, without and with a pipe`);
  const rig = await ForwardingRig.create({
    kind: 'audio',
    payloadBytes: probe.payloadBytes,
    decryptEvery: 1,
  });
  try {
    const times: Record<Placement, number[]> = { direct: [], pipe: [] };
    for (let round = 0; round < rounds; round++)
      for (const placement of placements)
        times[placement].push(...(await latencyRound(rig, placement)));
    const { direct, pipe } = times;
    return {
      packets: Math.min(direct.length, pipe.length),
      direct: { p50: median(direct), p99: percentile(direct, 99) },
      pipe: { p50: median(pipe), p99: percentile(pipe, 99) },
    };
  } finally {
    await rig.close();
  }
}

/** Measures what forwarding a packet costs, and how long it takes, without and with a pipe on the way. */
export async function measurePackets(options: PacketOptions): Promise<PacketResult> {
  const rig = await ForwardingRig.create({
    kind: 'video',
    payloadBytes: load.payloadBytes,
    decryptEvery: load.decryptEvery,
  });
  const costs: ForwardingCost[] = [];
  try {
    for (const receivers of options.receivers) {
      options.say(
        `processor time of a packet with ${receivers} receiver(s): ${options.rounds} rounds, without and with a pipe`,
      );
      costs.push(await measureCost(rig, receivers, options.rounds));
    }
  } finally {
    await rig.close();
  }
  return { costs, latency: await measureLatency(options) };
}

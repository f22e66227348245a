import type { JoinReport } from './join.ts';
import type { Machine } from './machine.ts';
import type { OperatorResult } from './operator.ts';
import type { PacketResult } from './packets.ts';

export interface Report {
  /** ISO date and time. */
  measuredAt: string;
  machine: Machine;
  room?: JoinReport;
  packets?: PacketResult;
  operator?: OperatorResult[];
}

/** Numbers that the project aims at, on two cores. */
const aims = {
  joinP99Ms: 250,
  joinPeers: 100,
  pipeLatencyMs: 1,
  roomsPerSecond: 150,
  writesPerRoom: 4,
  operatorMiB: 300,
  coldStartSeconds: 20,
  /** Processor time for each room in the largest round by that in the smallest. */
  growth: 1.25,
};

/** A Markdown table, its columns padded to be read as plain text too; the first is text, the others are numbers. */
function table(head: string[], rows: string[][]): string[] {
  const widths = head.map((title, i) =>
    Math.max(3, title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, i) =>
    i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)];
}

const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 0);
const rate = (value: number | undefined): string => (value === undefined ? '–' : value.toFixed(0));
const met = (holds: boolean): string => (holds ? 'met' : 'missed');

function machineLines({ machine, measuredAt }: Report): string[] {
  const { cores, model, memoryGiB, kernel, node, mediasoup, worker } = machine;
  return [
    `- Machine: ${cores} × ${model}, ${memoryGiB} GiB, ${kernel}`,
    `- Node ${node}, mediasoup ${mediasoup}, worker: ${worker}`,
    `- Measured at ${measuredAt}`,
  ];
}

function joinLines({ joins, leave }: JoinReport): string[] {
  const head = [
    'Peers',
    'Joins',
    'Answer p50 ms',
    'Answer p99 ms',
    'Last consumer p50 ms',
    'Last consumer p99 ms',
    'Consumers a join',
    'Consumers/s, one join at a time',
    'Consumers/s, filling the room',
    'Statements a join',
  ];
  const rows = joins.map((join) => [
    String(join.size),
    String(join.rounds),
    ms(join.answered.p50),
    ms(join.answered.p99),
    ms(join.lastConsumer.p50),
    ms(join.lastConsumer.p99),
    String(join.consumers),
    rate(join.consumersPerSecond),
    rate(join.fillConsumersPerSecond),
    String(join.statements),
  ]);
  const aimed = joins.find(({ size }) => size === aims.joinPeers);
  const aim = aimed && [
    '',
    `Aim: the join of peer ${aims.joinPeers} answered below ${aims.joinP99Ms} ms at p99: ${met(aimed.answered.p99 < aims.joinP99Ms)}; its last consumer below that too: ${met(aimed.lastConsumer.p99 < aims.joinP99Ms)}.`,
  ];
  const emptied =
    leave.emptyAfter === undefined
      ? 'the tables are not empty in time'
      : `the tables are empty after ${ms(leave.emptyAfter)} ms`;
  const left = ['', `When all ${leave.peers} publishing peers leave at once, ${emptied}.`];
  return ['## Join', '', ...table(head, rows), ...(aim ?? []), ...left];
}

function packetLines({ costs, latency }: PacketResult): string[] {
  const costRows = costs.map(({ receivers, direct, pipe, lost }) => [
    String(receivers),
    direct.toFixed(1),
    pipe.toFixed(1),
    (pipe / direct).toFixed(2),
    `${(100 * lost).toFixed(2)} %`,
  ]);
  const added = latency.pipe.p50 - latency.direct.p50;
  return [
    '## Forwarding',
    '',
    ...table(
      ['Receivers', 'Direct µs/packet', 'Behind a pipe µs/packet', 'Ratio', 'Lost'],
      costRows,
    ),
    '',
    ...table(
      ['One-way latency', 'p50 ms', 'p99 ms'],
      [
        ['Direct', ms(latency.direct.p50), ms(latency.direct.p99)],
        ['Behind a pipe', ms(latency.pipe.p50), ms(latency.pipe.p99)],
        ['Added by the pipe', ms(added), ms(latency.pipe.p99 - latency.direct.p99)],
      ],
    ),
    '',
    `Aim: a pipe adds less than ${aims.pipeLatencyMs} ms at the median: ${met(added < aims.pipeLatencyMs)}. ${latency.packets} packets each.`,
  ];
}

/** Whether a room costs the same among many as among few. */
function growthOf(results: OperatorResult[]): string {
  const [first, last] = [results[0], results.at(-1)];
  if (!first || !last || first === last) return '';
  const ratio = last.cpuMs / first.cpuMs;
  return ` Processor time a room, ${last.rooms} rooms against ${first.rooms}: ${ratio.toFixed(2)} (below ${aims.growth}: ${met(ratio < aims.growth)}).`;
}

function operatorLines(results: OperatorResult[]): string[] {
  const rows = results.map((result) => [
    String(result.rooms),
    rate(result.rooms / result.placedAfter),
    String(result.reconcileP99Ms),
    result.writes.toFixed(2),
    result.nodeCalls.toFixed(2),
    result.cpuMs.toFixed(2),
    rate(result.memoryMiB),
    result.coldStart.toFixed(1),
    String(result.coldStartWrites),
  ]);
  const most = results.at(-1);
  const aim = most
    ? `Aims with ${most.rooms} rooms on ${most.nodes} media nodes: ${aims.roomsPerSecond} rooms a second: ${met(most.rooms / most.placedAfter >= aims.roomsPerSecond)}; at most ${aims.writesPerRoom} writes a room: ${met(most.writes <= aims.writesPerRoom)}; below ${aims.operatorMiB} MiB: ${met(most.memoryMiB < aims.operatorMiB)}; cold start below ${aims.coldStartSeconds} s: ${met(most.coldStart < aims.coldStartSeconds)}.`
    : '';
  return [
    '## Operator',
    '',
    ...table(
      [
        'Rooms',
        'Rooms/s',
        'Reconcile p99 ≤ ms',
        'Writes a room',
        'Node calls a room',
        'CPU ms a room',
        'Memory MiB',
        'Cold start s',
        'Writes at it',
      ],
      rows,
    ),
    '',
    aim + growthOf(results),
  ];
}

/** The report as Markdown. */
export function renderReport(report: Report): string {
  const sections = [
    ['# Benchmark', '', 'How to read it: [bench/README.md](../README.md).'],
    machineLines(report),
    ...(report.room ? [joinLines(report.room)] : []),
    ...(report.packets ? [packetLines(report.packets)] : []),
    ...(report.operator ? [operatorLines(report.operator)] : []),
  ];
  return sections.map((lines) => lines.join('\n')).join('\n\n') + '\n';
}

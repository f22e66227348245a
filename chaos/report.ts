import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { summarize, type GapSummary, type Percentiles, type StreamGap } from './gaps.ts';
import type { Holding, Holdings } from './resources.ts';

/** One fault or pair of faults, with what came of it. */
export interface EventRecord {
  event: number;
  kind: string;
  targets: string[];
  /** Milliseconds since the epoch. */
  from: number;
  to: number;
  /** What was wrong; empty where all recovered and was true. */
  problems: string[];
}

export interface ChaosReport {
  seed: number;
  clients: 'sdk' | 'rejoin';
  /** Live rooms. */
  rooms: number;
  startedAt: string;
  durationMs: number;
  /** Of time without faults. */
  control: Percentiles | undefined;
  events: EventRecord[];
  gaps: StreamGap[];
  /** Faults that this platform can't have, with the reason. */
  notRun: { kind: string; why: string }[];
  told: { succeeded: number; failed: number };
  reloads: number;
  /** How often peers of the rooms without pages had to join again. */
  rejoins: number;
  holdings: { before: Holdings; after: Holdings | undefined };
  /** What was wrong besides the events. */
  problems: string[];
}

export const controlKind = 'none (control)';

const ms = (value: number | undefined): string =>
  value === undefined ? '–' : `${Math.round(value)}`;

function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

const numbers = (values: Percentiles | undefined): string[] => [
  ...[values?.p50, values?.p90, values?.p99, values?.max].map(ms),
];

const row = (clients: string, { kind, events, hit, all }: GapSummary): string[] => [
  ...[kind, clients, String(events), String(hit?.count ?? 0)],
  ...numbers(hit),
  ...numbers(all),
];

/** The table of gaps, in milliseconds, as the documentation has it. */
const gapTable = ({ clients, gaps }: Pick<ChaosReport, 'clients' | 'gaps'>): string =>
  table(
    [
      ...['fault', 'clients', 'events', 'pages hit'],
      ...['p50', 'p90', 'p99', 'max'].map((name) => `${name} (hit)`),
      ...['p50', 'p90', 'p99', 'max'].map((name) => `${name} (all)`),
    ],
    summarize(gaps).map((summary) => row(clients, summary)),
  );

const list = (title: string, lines: string[]): string[] =>
  lines.length === 0 ? [] : [`${title}:\n`, ...lines.map((line) => `- ${line}`), ''];

export const problemsOf = ({ events, problems }: ChaosReport): string[] => [
  ...events.flatMap(({ event, kind, targets, problems: own }) =>
    own.map((problem) => `event ${event} (${kind}: ${targets.join(', ')}): ${problem}`),
  ),
  ...problems,
];

const describeHolding = ({ memoryMegabytes, handles, udpPorts }: Holding): string =>
  `${memoryMegabytes} MB, ${handles} handles, ${udpPorts} UDP ports`;

/** As Markdown. */
export function renderReport(report: ChaosReport): string {
  const { seed, rooms, events, durationMs, told, reloads, rejoins, notRun, holdings } = report;
  const minutes = (durationMs / 60_000).toFixed(1);
  const memory = (name: string): string => {
    const after = holdings.after?.processes.find((one) => one.name === name);
    return after ? describeHolding(after) : 'gone';
  };
  return [
    `${events.length} events in ${minutes} minutes, seed ${seed}, ${rooms} rooms.`,
    'Longest time without a new frame of each page around an event, in milliseconds:',
    '',
    gapTable(report),
    '',
    `Requests of load peers that were told to have succeeded: ${told.succeeded}, failed: ${told.failed}. Pages loaded anew: ${reloads}. Peers of the other rooms that had to join again: ${rejoins}.`,
    '',
    ...list(
      'Before and after',
      holdings.before.processes.map(
        (holding) => `${holding.name}: ${describeHolding(holding)} → ${memory(holding.name)}`,
      ),
    ),
    ...list(
      'Not run',
      notRun.map(({ kind, why }) => `${kind}: ${why}`),
    ),
    ...list('Problems', problemsOf(report)),
  ].join('\n');
}

/** Writes the report beside the logs. */
export async function writeReport(dir: string, report: ChaosReport): Promise<void> {
  await mkdir(dir, { recursive: true });
  const file = path.join(dir, `report-${report.clients}`);
  await writeFile(`${file}.md`, `${renderReport(report)}\n`);
  await writeFile(`${file}.json`, `${JSON.stringify(report, null, 2)}\n`);
}

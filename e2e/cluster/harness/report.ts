import { appendFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { z } from 'zod';

/** Where the suite leaves its report and what it found when a test failed. */
export const outputDir = path.resolve(import.meta.dirname, '../../../.run/e2e/cluster');
const linesFile = path.join(outputDir, 'report.jsonl');

const Line = z.discriminatedUnion('type', [
  /** What one page noticed of an action. */
  z.object({
    type: z.literal('page'),
    action: z.string(),
    page: z.string(),
    /** Longest time without a new frame of some peer. */
    longestGapMs: z.number(),
    /** From the action's start until the end of the last gap; left out where there was none. */
    recoveredMs: z.number().optional(),
  }),
  /** How long something took. */
  z.object({ type: z.literal('time'), what: z.string(), ms: z.number() }),
  /** What this cluster does not allow. */
  z.object({ type: z.literal('notRun'), what: z.string(), why: z.string() }),
]);

export type ReportLine = z.infer<typeof Line>;

/** Begins a report without lines. */
export function clearReport(): void {
  rmSync(outputDir, { recursive: true, force: true });
  mkdirSync(outputDir, { recursive: true });
}

/** Adds a line. Test files share nothing but the file. */
export function report(line: ReportLine): void {
  mkdirSync(outputDir, { recursive: true });
  appendFileSync(linesFile, `${JSON.stringify(line)}\n`);
}

function readLines(): ReportLine[] {
  let text = '';
  try {
    text = readFileSync(linesFile, 'utf8');
  } catch {
    return [];
  }
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => Line.parse(JSON.parse(line)));
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** The report as Markdown, each action's pages together. */
export function renderReport(lines: readonly ReportLine[]): string {
  const pages = lines.filter((line) => line.type === 'page');
  const times = lines.filter((line) => line.type === 'time');
  const notRun = lines.filter((line) => line.type === 'notRun');
  const parts = [
    table(
      ['action', 'page', 'longest time without frames', 'all frames again after'],
      pages.map(({ action, page, longestGapMs, recoveredMs }) => [
        action,
        page,
        seconds(longestGapMs),
        recoveredMs === undefined ? 'no gap' : seconds(recoveredMs),
      ]),
    ),
    table(
      ['what', 'time'],
      times.map(({ what, ms }) => [what, seconds(ms)]),
    ),
  ];
  if (notRun.length > 0)
    parts.push(
      table(
        ['not run', 'why'],
        notRun.map(({ what, why }) => [what, why]),
      ),
    );
  return `${parts.join('\n\n')}\n`;
}

/** Writes `report.md` and `report.json`, and returns the first's text. */
export async function writeReport(): Promise<string> {
  const lines = readLines();
  const text = renderReport(lines);
  mkdirSync(outputDir, { recursive: true });
  await writeFile(path.join(outputDir, 'report.md'), text);
  await writeFile(path.join(outputDir, 'report.json'), `${JSON.stringify(lines, null, 2)}\n`);
  return text;
}

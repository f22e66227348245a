import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { runJest } from './jest.ts';
import { readCounts, sum } from './results.ts';
import type { Counts } from './results.ts';

const MINUTE = 60_000;

/** The top folder of the tree. */
export const root = path.resolve(import.meta.dirname, '..', '..');
/** Where results and totals go. */
export const resultsDir = path.join(root, '.run', 'test-results');

/** A run of Jest that counts as one of several. */
export interface Suite {
  name: string;
  args: string[];
  /** Minutes. */
  timeout: number;
  /** A command that runs the one that follows it, such as one that enters a network namespace. */
  within?: string[];
}

/** Runs the tests of a suite. A run that went wrong as a whole counts as a failed test. */
export async function runSuite({ name, timeout, ...run }: Suite): Promise<Counts> {
  const resultsFile = path.join(resultsDir, `${name}.json`);
  const problem = await runJest({ ...run, resultsFile, timeout: timeout * MINUTE });
  const counts = await readCounts(resultsFile);
  if (problem === undefined) return counts;
  console.error(`${name}: ${problem}`);
  return { ...counts, failed: Math.max(counts.failed, 1) };
}

/**
 * Prints the sum as the last line, writes it to a file of the results, and sets the exit code: 0 when there were tests and
 * none failed.
 */
export async function finish(counts: Counts[], file: string): Promise<void> {
  const total = sum(counts);
  const line = `${total.passed} passed, ${total.failed} failed`;
  await mkdir(resultsDir, { recursive: true });
  await writeFile(path.join(resultsDir, file), `${line}\n`);
  console.log(line);
  process.exitCode = total.passed > 0 && total.failed === 0 ? 0 : 1;
}

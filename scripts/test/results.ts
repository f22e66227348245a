import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** How many tests passed and failed. */
export interface Counts {
  passed: number;
  failed: number;
}

/** What is used of the file that `jest --json --outputFile` writes. */
const JestResults = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  /** Test files that did not get as far as to have tests. */
  numRuntimeErrorTestSuites: z.number(),
});

/**
 * Reads the counts of one Jest run. A test file that cannot be loaded counts as one failure, and so does a run that left no
 * results.
 */
export async function readCounts(file: string): Promise<Counts> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return { passed: 0, failed: 1 };
  const results = JestResults.parse(JSON.parse(text));
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
  };
}

/** The sum of several runs. */
export function sum(counts: Counts[]): Counts {
  return {
    passed: counts.reduce((total, { passed }) => total + passed, 0),
    failed: counts.reduce((total, { failed }) => total + failed, 0),
  };
}

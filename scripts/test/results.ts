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

/** What is used of it for the tests that failed. */
const JestFailures = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string(),
      assertionResults: z.array(
        z.object({
          fullName: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()),
        }),
      ),
    }),
  ),
});

/** A test that failed, or a test file that could not be run. */
export interface Failure {
  file: string;
  /** Undefined for a file as a whole. */
  test?: string;
  message: string;
}

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

/** Reads which tests of one Jest run failed; none for a run that left no results. */
export async function readFailures(file: string): Promise<Failure[]> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  return JestFailures.parse(JSON.parse(text)).testResults.flatMap(
    ({ name, status, message, assertionResults }) => {
      const failed = assertionResults.filter((result) => result.status === 'failed');
      if (failed.length === 0) return status === 'failed' ? [{ file: name, message }] : [];
      return failed.map(({ fullName, failureMessages }) => ({
        ...{ file: name, test: fullName, message: failureMessages.join('\n') },
      }));
    },
  );
}

/** The sum of several runs. */
export function sum(counts: Counts[]): Counts {
  return {
    passed: counts.reduce((total, { passed }) => total + passed, 0),
    failed: counts.reduce((total, { failed }) => total + failed, 0),
  };
}

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readCounts, readFailures, sum } from './results.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-results-'));
});

afterEach(() => rm(dir, { recursive: true, force: true }));

async function counts(results: Record<string, number>): Promise<unknown> {
  const file = path.join(dir, 'results.json');
  await writeFile(file, JSON.stringify(results));
  return readCounts(file);
}

describe('readCounts', () => {
  it('takes the counts of a run', async () => {
    const run = { numPassedTests: 7, numFailedTests: 2, numRuntimeErrorTestSuites: 0 };
    expect(await counts(run)).toEqual({ passed: 7, failed: 2 });
  });

  it('counts a test file that does not load as a failure', async () => {
    const run = { numPassedTests: 7, numFailedTests: 0, numRuntimeErrorTestSuites: 1 };
    expect(await counts(run)).toEqual({ passed: 7, failed: 1 });
  });

  it('counts a run without results as a failure', async () => {
    expect(await readCounts(path.join(dir, 'missing.json'))).toEqual({ passed: 0, failed: 1 });
  });

  it('refuses a file that is not from Jest', async () => {
    await expect(counts({ numPassedTests: 7 })).rejects.toThrow('numFailedTests');
  });
});

describe('readFailures', () => {
  const write = async (testResults: object[]): Promise<string> => {
    const file = path.join(dir, 'results.json');
    await writeFile(file, JSON.stringify({ testResults }));
    return file;
  };
  const result = (status: string, ...failureMessages: string[]) => ({
    ...{ fullName: `a test that ${status}`, status, failureMessages },
  });

  it('names each test that failed, and each file that could not be run', async () => {
    const file = await write([
      {
        ...{ name: 'a.test.ts', status: 'failed', message: 'all of it' },
        assertionResults: [result('passed'), result('failed', 'one', 'two')],
      },
      { name: 'b.test.ts', status: 'failed', message: 'does not load', assertionResults: [] },
      { name: 'c.test.ts', status: 'passed', message: '', assertionResults: [result('passed')] },
    ]);
    expect(await readFailures(file)).toEqual([
      { file: 'a.test.ts', test: 'a test that failed', message: 'one\ntwo' },
      { file: 'b.test.ts', message: 'does not load' },
    ]);
  });

  it('finds none in a run without results', async () => {
    expect(await readFailures(path.join(dir, 'missing.json'))).toEqual([]);
  });
});

describe('sum', () => {
  it('adds the counts of several runs, and of none', () => {
    expect(sum([])).toEqual({ passed: 0, failed: 0 });
    expect(
      sum([
        { passed: 1, failed: 2 },
        { passed: 10, failed: 20 },
      ]),
    ).toEqual({ passed: 11, failed: 22 });
  });
});

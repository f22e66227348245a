/**
 * Runs all the tests: first those beside the code, then, one file at a time so that the browsers get the whole machine, those
 * in `e2e/`. Prints the sum as its last line and writes it to `.run/test-results/total`. Exits with 0 when there were tests and
 * none failed.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { runJest } from './jest.ts';
import { readCounts, sum } from './results.ts';
import type { Counts } from './results.ts';

const root = path.resolve(import.meta.dirname, '..', '..');
const resultsDir = path.join(root, '.run', 'test-results');
const MINUTE = 60_000;

const suites = [
  { name: 'unit', args: ['--testMatch', '**/*.test.{ts,tsx}', `!${root}/e2e/**`], timeout: 30 },
  { name: 'e2e', args: ['--testMatch', '<rootDir>/e2e/**/*.test.ts', '--runInBand'], timeout: 35 },
];

async function runSuite({ name, args, timeout }: (typeof suites)[number]): Promise<Counts> {
  const resultsFile = path.join(resultsDir, `${name}.json`);
  const problem = await runJest({ args, resultsFile, timeout: timeout * MINUTE });
  const counts = await readCounts(resultsFile);
  if (problem === undefined) return counts;
  console.error(`${name}: ${problem}`);
  return { ...counts, failed: Math.max(counts.failed, 1) };
}

await rm(resultsDir, { recursive: true, force: true });
await mkdir(resultsDir, { recursive: true });
const counts: Counts[] = [];
for (const suite of suites) counts.push(await runSuite(suite));
const total = sum(counts);
const line = `${total.passed} passed, ${total.failed} failed`;
await writeFile(path.join(resultsDir, 'total'), `${line}\n`);
console.log(line);
process.exitCode = total.passed > 0 && total.failed === 0 ? 0 : 1;

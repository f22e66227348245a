/**
 * Runs all the tests that need no cluster: first those beside the code, then, one file at a time so that the browsers get the
 * whole machine, those in `e2e/`. Prints the sum as its last line and writes it to `.run/test-results/total`. Exits with 0 when
 * there were tests and none failed.
 */
import { mkdir, rm } from 'node:fs/promises';
import type { Counts } from './results.ts';
import { finish, resultsDir, root, runSuite } from './suite.ts';

const browserTests = ['*.test.ts', 'cluster/*.test.ts'].map((files) => `!${root}/e2e/${files}`);
const suites = [
  { name: 'unit', args: ['--testMatch', '**/*.test.{ts,tsx}', ...browserTests], timeout: 30 },
  { name: 'e2e', args: ['--testMatch', '<rootDir>/e2e/*.test.ts', '--runInBand'], timeout: 35 },
];

await rm(resultsDir, { recursive: true, force: true });
await mkdir(resultsDir, { recursive: true });
const counts: Counts[] = [];
for (const suite of suites) counts.push(await runSuite(suite));
await finish(counts, 'total');

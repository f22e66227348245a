/**
 * Runs the tests of `e2e/cluster/` on the cluster that `make cluster` made, which it makes and takes down itself where there is
 * none, or on the one that KUBECONFIG leads to. Prints the report and, as its last line, the sum, which it also writes to
 * `.run/test-results/total-cluster`. Exits with 0 when there were tests and none failed.
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { clearReport, writeReport } from '../../e2e/cluster/harness/report.ts';
import { runCluster, startCluster } from './cluster-state.ts';
import { finish, resultsDir, root, runSuite } from './suite.ts';

/** Minutes. */
const timeout = 35;

async function runTests(): Promise<void> {
  const config = path.join(root, 'e2e/cluster/jest.config.js');
  const counts = await runSuite({
    ...{ name: 'cluster', args: ['--config', config, ...process.argv.slice(2)], timeout },
    within: [runCluster],
  });
  console.error(`\n${await writeReport()}`);
  await finish([counts], 'total-cluster');
}

clearReport();
await mkdir(resultsDir, { recursive: true });
for (const file of ['cluster.json', 'total-cluster'])
  await rm(path.join(resultsDir, file), { force: true });
const cluster = await startCluster();
try {
  await runTests();
} finally {
  await cluster.stop();
}

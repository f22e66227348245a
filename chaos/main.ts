import path from 'node:path';

import { runMain } from '../common/service/lifecycle.ts';
import { canEnterNamespace, isInNamespace, runInNamespace } from './local/namespace.ts';
import { LocalPlatform } from './local/platform.ts';
import { chaosOptions, type ChaosOptions } from './options.ts';
import type { Platform } from './platform.ts';
import { problemsOf, renderReport, writeReport } from './report.ts';
import { runChaos } from './run.ts';

/** Where reports and logs go. */
const dir = path.resolve(
  process.env['CHAOS_DIR'] ?? path.join(import.meta.dirname, '../.run/chaos'),
);

/** How long a draining node may keep its peers, in seconds: clients that only rejoin stay until it is nearly over. */
const drainSeconds = { sdk: 30, rejoin: 5 };

const started = Date.now();
const say = (line: string): void => {
  console.log(`[${((Date.now() - started) / 1000).toFixed(1)} s] ${line}`);
};

function startPlatform({ kinds, clients }: ChaosOptions): Promise<Platform> {
  return LocalPlatform.start({
    ...{ dir: path.join(dir, 'local'), producers: 2, consumers: 3, replicas: 2, say },
    drainSeconds: drainSeconds[clients],
    smallLogDisk: isInNamespace() && kinds.includes('log-disk-full'),
  });
}

/** Kills, stops and cuts off parts of the platform under live rooms, and tells what people in them saw. */
async function main(): Promise<void> {
  const options = chaosOptions(process.env);
  if (!isInNamespace() && canEnterNamespace()) process.exit(await runInNamespace());
  const platform = await startPlatform(options);
  const onSignal = (): void => {
    say('stopping');
    void platform.stop().finally(() => process.exit(1));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    const report = await runChaos({ ...options, platform, say, dir });
    await writeReport(dir, report);
    console.log(`\n${renderReport(report)}`);
    process.exitCode = problemsOf(report).length > 0 ? 1 : 0;
  } finally {
    await platform.stop();
  }
  process.exit();
}

runMain(main);

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { root } from './suite.ts';

const infoFile = path.join(root, '.run/cluster/info.json');
/** Runs a command where the cluster can be reached. */
export const runCluster = path.join(root, 'scripts/cluster/run.sh');

async function runMake(...args: string[]): Promise<void> {
  const child = spawn('make', ['--no-print-directory', ...args], {
    cwd: root,
    // What it says is not the result.
    stdio: ['ignore', process.stderr, 'inherit'],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`make ${args.join(' ')} failed`);
}

/**
 * Brings a cluster up where there is none.
 *
 * @returns with what takes it down, where this brought it up and nobody wants to keep it
 */
export async function startCluster(): Promise<{ stop: () => Promise<void> }> {
  const wasThere = existsSync(infoFile);
  const keep = wasThere || process.env['KEEP'] !== undefined;
  const stop = keep ? () => Promise.resolve() : () => runMake('cluster-down');
  try {
    await runMake('cluster', 'INSTALL=0');
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

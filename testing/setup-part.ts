import { spawn } from 'node:child_process';
import path from 'node:path';
import { text } from 'node:stream/consumers';

const parts = path.resolve(import.meta.dirname, '../scripts/setup');

export interface SetupOutcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface SetupRun {
  /** All files are below it; the commands find it in `$1`. */
  dir: string;
  /** Those of `scripts/setup/` that are read first, besides `lib`. */
  parts?: string[];
  env?: Record<string, string | undefined>;
}

/** Runs commands as a part of the set-up would. */
export async function runSetup(
  commands: string,
  { dir, parts: names = [], env = {} }: SetupRun,
): Promise<SetupOutcome> {
  const read = ['lib', ...names].map((name) => `. "$0/${name}.sh"`).join('; ');
  const script = `set -euo pipefail; ${read}; run_dir=$1/run; mkdir -p "$run_dir"; ${commands}`;
  const child = spawn('bash', ['-c', script, parts, dir], {
    env: { ...process.env, KUBE_SFU_CACHE: path.join(dir, 'cache'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  return { code, stdout, stderr };
}

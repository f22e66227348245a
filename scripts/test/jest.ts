import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..', '..');

/** How long Jest may take to end after it has written its results, in milliseconds. */
const EXIT_TIMEOUT = 60_000;
/** How long Jest may take to end after it was asked to, in milliseconds. */
const KILL_TIMEOUT = 10_000;
const POLL_INTERVAL = 500;

/** One run of Jest. */
export interface JestRun {
  args: string[];
  /** Where the results go, as JSON. It must not exist yet. */
  resultsFile: string;
  /** Milliseconds. */
  timeout: number;
  /** A command that runs Jest, such as one that enters a network namespace. */
  within?: string[];
}

/**
 * Runs Jest on this terminal, and resolves to what went wrong beside failed tests, if anything. It does not hang: a run that
 * takes too long is ended, and so is one that does not end by itself since a test left something open.
 */
export async function runJest({
  args,
  resultsFile,
  timeout,
  within = [],
}: JestRun): Promise<string | undefined> {
  const [command, ...rest] = [...within, process.execPath, 'node_modules/jest/bin/jest.js'];
  const jest = spawn(command, [...rest, '--json', `--outputFile=${resultsFile}`, ...args], {
    cwd: root,
    env: {
      ...process.env,
      NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
    },
    // The readable report goes to standard error.
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(jest, 'exit');
  const passOn = (): void => {
    jest.kill('SIGTERM');
    process.exit(1);
  };
  process.once('SIGTERM', passOn);
  const problem = await watch(jest, resultsFile, timeout);
  process.off('SIGTERM', passOn);
  if (problem === undefined) return undefined;
  jest.kill('SIGTERM');
  const timer = setTimeout(() => jest.kill('SIGKILL'), KILL_TIMEOUT);
  await exited;
  clearTimeout(timer);
  return problem;
}

/** Resolves when Jest has exited, or to the reason why it should be ended. */
function watch(
  jest: ChildProcess,
  resultsFile: string,
  timeout: number,
): Promise<string | undefined> {
  const start = Date.now();
  let written: number | undefined;
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      const now = Date.now();
      if (now - start > timeout) settle(`the tests took longer than ${timeout / 60_000} minutes`);
      if (existsSync(resultsFile)) written ??= now;
      if (written !== undefined && now - written > EXIT_TIMEOUT) {
        settle('Jest did not end after the last test: a test leaves a handle open');
      }
    }, POLL_INTERVAL);
    const settle = (problem: string | undefined): void => {
      clearInterval(timer);
      resolve(problem);
    };
    jest.once('error', reject);
    jest.once('exit', (_, signal) => settle(signal ? `Jest was ended by ${signal}` : undefined));
  });
}

import { it } from '@jest/globals';

import { messageOf } from '../../../common/errors.ts';
import { folderOf } from './dump.ts';
import { report } from './report.ts';

/** How long collecting what was found may take, in milliseconds. */
const dumpMs = 60_000;
const usualTimeoutMs = 120_000;

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const secondsSince = (start: number): string => `${((Date.now() - start) / 1000).toFixed(1)} s`;

const witnesses: ((folder: string) => Promise<void>)[] = [];

/** Has something written into a folder when a test of this file fails. */
export function onFailure(witness: (folder: string) => Promise<void>): void {
  witnesses.push(witness);
}

async function askWitnesses(name: string): Promise<void> {
  const folder = folderOf(name);
  const found = await Promise.allSettled(witnesses.map((witness) => witness(folder)));
  for (const result of found)
    if (result.status === 'rejected') say(`  (not written: ${messageOf(result.reason)})`);
  say(`  what was found is in ${folder}`);
}

async function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Does the work within a time, says how it goes, and keeps what can be seen when it fails. */
export async function scene(
  name: string,
  work: () => Promise<void>,
  timeoutMs = usualTimeoutMs,
): Promise<void> {
  const start = Date.now();
  say(`  … ${name}`);
  try {
    await within(timeoutMs, work);
    say(`  ✓ ${name} (${secondsSince(start)})`);
  } catch (error) {
    say(`  ✗ ${name} (${secondsSince(start)}): ${messageOf(error)}`);
    await within(dumpMs, () => askWitnesses(name)).catch((failure: unknown) =>
      say(`  (not all was written: ${messageOf(failure)})`),
    );
    throw error;
  }
}

/** A test, as `it`; see {@link scene}. */
export function scenario(
  name: string,
  work: () => Promise<void>,
  timeoutMs = usualTimeoutMs,
): void {
  it(name, () => scene(name, work, timeoutMs), timeoutMs + dumpMs + 5000);
}

/** Jest's time for a hook that is a {@link scene}. */
export const hookTimeout = (timeoutMs: number): number => timeoutMs + dumpMs + 5000;

/** A test that needs what not every cluster has. Where it is missing, the report says so, and the test doesn't count. */
export function scenarioWhere(
  missing: string | undefined,
  ...[name, work, timeoutMs]: Parameters<typeof scenario>
): void {
  if (missing === undefined) {
    scenario(name, work, timeoutMs);
    return;
  }
  say(`  – not run: ${name}: ${missing}`);
  report({ type: 'notRun', what: name, why: missing });
}

/** Does the work and reports how long it took. */
export async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = Date.now();
  const result = await work();
  report({ type: 'time', what, ms: Date.now() - start });
  return result;
}

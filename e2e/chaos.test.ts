import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';

import { beforeAll, describe, expect, it } from '@jest/globals';

import { problemsOf, type ChaosReport } from '../chaos/report.ts';

const root = path.resolve(import.meta.dirname, '..');
const dir = path.join(root, '.run/e2e/chaos');
/** Few, so that the whole takes some minutes: one of each sort. */
const kinds = ['consumer-kill', 'signaling-kill', 'operator-kill', 'postgres-kill'];

/** A short run of `make chaos`: that all recovers and is true, not how fast. */
describe('a short chaos run', () => {
  let report: ChaosReport;
  let output: string;
  let status: unknown;

  beforeAll(async () => {
    await rm(dir, { recursive: true, force: true });
    const env = { SEED: '7', COUNT: '1', CONTROL: '5', FAULTS: kinds.join(','), CHAOS_DIR: dir };
    const child = spawn(process.execPath, ['chaos/main.ts'], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    output = await text(child.stdout);
    status = ((await exited) as unknown[])[0];
    report = JSON.parse(await readFile(path.join(dir, 'report-sdk.json'), 'utf8')) as ChaosReport;
  }, 420_000);

  it('recovers from each fault, and leaves nothing behind', () => {
    expect(problemsOf(report)).toEqual([]);
    expect(status).toBe(0);
  });

  it('strikes with each fault once', () => {
    expect(report.events.map(({ kind }) => kind).sort()).toEqual([...kinds].sort());
    for (const { targets } of report.events) expect(targets).toHaveLength(1);
  });

  it('has seen frames of everybody around each event', () => {
    for (const { event, from, to } of report.events) {
      const gaps = report.gaps.filter((gap) => gap.event === event);
      expect(gaps).toHaveLength(6);
      for (const { ms } of gaps) expect(ms).toBeLessThan(to - from + 1000);
    }
  });

  it('has asked the platform for something meanwhile, and was told the truth', () => {
    expect(report.told.succeeded).toBeGreaterThan(20);
  });

  it('prints the table', () => {
    expect(output).toContain('| none (control) ');
    for (const kind of kinds) expect(output).toContain(`| ${kind} `);
  });
});

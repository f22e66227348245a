import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { runSetup, type SetupOutcome } from '../../testing/setup-part.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-setup-'));
});

afterEach(() => rm(dir, { recursive: true, force: true }));

const run = (commands: string): Promise<SetupOutcome> => runSetup(commands, { dir });

describe('need_packages', () => {
  const asUser =
    'is_root() { false; }; dpkg-query() { [ "$4" = g++ ] && echo "ii "; }; apt-get() { false; };';

  it('names all the missing packages to a user who is not root, and fails', async () => {
    const { code, stderr } = await run(`${asUser}
      need_packages 'the worker' g++ libuv1-dev libssl-dev || true
      need_packages 'Chromium' chromium || true
      stop_at_missing_packages`);
    expect(code).toBe(1);
    expect(stderr).toMatch(/sudo apt-get install .* libuv1-dev libssl-dev chromium $/m);
  });

  it('is content when the packages are there', async () => {
    const { code, stderr } = await run(`${asUser}
      need_packages 'the worker' g++
      stop_at_missing_packages`);
    expect(code).toBe(0);
    expect(stderr).toBe('');
  });
});

describe('with_lock', () => {
  it('makes a second run wait, which then finds the work done', async () => {
    const work = `work() { [ ! -e "$1/done" ] || return 0; sleep 0.3; echo worked >>"$1/log"; touch "$1/done"; }
      with_lock some-work work "$1"`;
    const outcomes = await Promise.all([run(work), run(work), run(work)]);
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(await readFile(path.join(dir, 'log'), 'utf8')).toBe('worked\n');
  });

  it('fails when the work fails', async () => {
    const { code } = await run('with_lock some-work false; echo not reached');
    expect(code).toBe(1);
  });
});

describe('with_progress', () => {
  it('says what it does, keeps the output to itself, and leaves standard output alone', async () => {
    const { code, stdout, stderr } = await run(`with_progress 'Some work' echo noise`);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: 'setup: Some work\n' });
  });

  it('shows the end of the output when the work fails', async () => {
    const { code, stderr } = await run(`with_progress 'Some work' bash -c 'echo reason; exit 3'`);
    expect(code).toBe(3);
    expect(stderr).toMatch(/reason\nsetup: failed: Some work/);
  });
});

describe('set_env', () => {
  it('writes a line that gives the same value back, whatever it holds', async () => {
    const { stdout } = await run(`set_env NAME "a 'quoted' \\$value"; unset NAME
      . "$run_dir/env.d/NAME"; printf %s "$NAME"`);
    expect(stdout).toBe("a 'quoted' $value");
  });
});

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { runSetup, type SetupOutcome } from '../../testing/setup-part.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-setup-'));
});

afterEach(() => rm(dir, { recursive: true, force: true }));

const run = (commands: string, kubeconfig?: string): Promise<SetupOutcome> =>
  runSetup(`part_dir() { echo "$cache/$1-$2"; }; find_go() { :; }; ${commands}`, {
    dir,
    parts: ['cluster'],
    env: { KUBECONFIG: kubeconfig },
  });

const withDocker = 'command() { :; }; docker() { :; }; limit() { :; }';
const withoutDocker = 'command() { false; }';

describe('the kind of cluster', () => {
  it.each([
    {
      name: 'that of KUBECONFIG, whatever there is',
      given: withDocker,
      kubeconfig: '/tmp/mine',
      want: 'external',
    },
    { name: 'kind where Docker runs', given: withDocker, want: 'kind' },
    { name: 'native without Docker', given: withoutDocker, want: 'native' },
    {
      name: 'native where Docker is but does not answer',
      given: `${withDocker}; limit() { false; }`,
      want: 'native',
    },
  ])('is $name', async ({ given, kubeconfig, want }) => {
    const { stderr } = await run(`${given}; cluster_kind >&2`, kubeconfig);
    expect(stderr.trim()).toBe(want);
  });

  it('is its own, not another, in a shell that reaches it', async () => {
    const commands = `${withoutDocker}; KUBECONFIG=$run_dir/cluster/kubeconfig; cluster_kind >&2`;
    expect((await run(commands)).stderr.trim()).toBe('native');
  });
});

describe('a part of the cluster', () => {
  it('is made once for all later runs', async () => {
    const make = 'make_it() { echo made >&3; touch "$1/program"; }';
    const { code, stderr } = await run(
      `exec 3>&2; ${make}; with_progress() { shift; "$@"; }
       built_part thing 1.2 make_it; built_part thing 1.2 make_it`,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'made\n' });
    expect(await readdir(path.join(dir, 'cache/thing-1.2'))).toEqual(['program']);
  });

  it('leaves nothing under its name when it cannot be made', async () => {
    const { code } = await run('built_part thing 1.2 false');
    expect(code).not.toBe(0);
    expect(await readdir(path.join(dir, 'cache'))).not.toContain('thing-1.2');
  });
});

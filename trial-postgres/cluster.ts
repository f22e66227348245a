import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/** The server's programs and an empty cluster, which the image brings along: `initdb` needs a shell, and there is none. */
const files = fileURLToPath(new URL('../postgres/', import.meta.url));
const hbaFile = fileURLToPath(new URL('pg_hba.conf', import.meta.url));
const program = path.join(files, 'native/bin/postgres');

/** The one role and the one database. */
export const databaseName = 'kube_sfu';

const environment = { ...process.env, LC_ALL: 'C' };

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

/** Copies the empty cluster, unless there is one. What a copy that was cut off has left is written over. */
export async function prepareData(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await chmod(dataDir, 0o700);
  // Copied last, so that it tells whether all is there.
  const last = 'PG_VERSION';
  if (await exists(path.join(dataDir, last))) return;
  const template = path.join(files, 'template');
  const names = (await readdir(template)).filter((name) => name !== last);
  for (const name of [...names, last])
    await cp(path.join(template, name), path.join(dataDir, name), { recursive: true });
}

/**
 * Gives the role its password while nobody can connect.
 *
 * @throws Error with what Postgres said
 */
export async function setPassword(dataDir: string, password: string): Promise<void> {
  // Alone with the data, as `initdb` works: no port, no other process.
  const child = spawn(program, ['--single', '-D', dataDir, 'postgres'], {
    env: environment,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(`ALTER ROLE ${databaseName} PASSWORD '${password.replaceAll("'", "''")}'\n`);
  const [said, , [code]] = await Promise.all([
    text(child.stderr),
    text(child.stdout),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  // It ends with 0 after a failed statement as well.
  if (code !== 0 || said.includes('ERROR:'))
    throw new Error(`the password cannot be set:\n${said.trimEnd()}`);
}

/**
 * Runs the server until it ends; SIGTERM and SIGINT end it, open connections included.
 *
 * @returns its exit status
 */
export async function serveUntilSignal(dataDir: string, port: number): Promise<number> {
  const settings = {
    ...{ listen_addresses: '*', port, hba_file: hbaFile, unix_socket_directories: '' },
    ...{ max_connections: 200, timezone: 'UTC', lc_messages: 'C' },
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const child = spawn(program, ['-D', dataDir, ...flags], { env: environment, stdio: 'inherit' });
  // SIGINT is Postgres' fast shutdown; SIGTERM would wait for the clients.
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => child.kill('SIGINT'));
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

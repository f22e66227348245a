import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import path from 'node:path';

export interface ChildOptions {
  name: string;
  /** The service's main module. */
  script: string;
  configFile: string;
  logDir: string;
  /** Told of each line for people; the service's own log goes to its file. */
  say: (line: string) => void;
  /** Told of each start, since it has another process id. */
  onStart: () => void;
}

/** A service of the demo that is kept running until it is stopped. */
export interface Child {
  name: string;
  pid: () => number | undefined;
  stop: () => Promise<void>;
}

/** Pause before a service that ended by itself is started again, in milliseconds; doubles up to the largest. */
const restart = { initialMs: 500, maxMs: 15_000, resetAfterMs: 30_000 };
/** How long a service may take to end before it is killed, in milliseconds. */
const stopTimeoutMs = 15_000;

/**
 * Starts a service as a child process. It has an IPC channel, so that it ends by itself when this process is killed, and
 * it is started again with growing pauses when it dies.
 */
export function startChild(options: ChildOptions): Child {
  mkdirSync(options.logDir, { recursive: true });
  const log = createWriteStream(path.join(options.logDir, `${options.name}.log`), { flags: 'a' });
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let pauseMs = restart.initialMs;

  const start = (): void => {
    const startedAt = Date.now();
    child = spawn(process.execPath, [options.script, '--config', options.configFile], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A process group of its own: Ctrl-C is for the demo alone, which stops its services in order.
      detached: true,
    });
    options.onStart();
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    child.once('exit', (code, signal) => {
      if (stopped) return;
      if (Date.now() - startedAt > restart.resetAfterMs) pauseMs = restart.initialMs;
      options.say(
        `${options.name} ended (${String(signal ?? code)}), starting it again in ${pauseMs} ms; log: ${String(log.path)}`,
      );
      timer = setTimeout(start, pauseMs);
      pauseMs = Math.min(pauseMs * 2, restart.maxMs);
    });
  };
  start();

  return {
    name: options.name,
    pid: () => child?.pid,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      if (child?.exitCode === null && child.signalCode === null) {
        const killer = setTimeout(() => child?.kill('SIGKILL'), stopTimeoutMs);
        const exited = once(child, 'exit');
        child.kill('SIGTERM');
        await exited;
        clearTimeout(killer);
      }
      log.end();
    },
  };
}

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

import { messageOf } from '../../../common/errors.ts';
import type { Logger } from '../../../common/service/logger.ts';
import type { Clock } from '../../runtime/clock.ts';
import { backoffDelay } from '../../runtime/queue.ts';

interface RestartBackoff {
  initialMs: number;
  maxMs: number;
  /** A process that ran for this long starts the back-off over. */
  resetAfterMs: number;
}

export interface ProcessOptions {
  command: readonly string[];
  env: Record<string, string>;
  /** File that gets the process's output; without it the output goes where ours goes. */
  logFile: string | undefined;
  backoff: RestartBackoff;
  clock: Clock;
  logger: Logger;
  /** Called at every start and end of the process. */
  onChange: (state: ProcessState) => void;
}

export interface ProcessState {
  restartCount: number;
  /** Undefined while the process isn't running. */
  startedAt: Date | undefined;
}

/**
 * A child process that is started again when it ends, with a growing pause. It has an IPC channel, whose closing tells
 * it that we are gone, and a process group of its own, so that Ctrl-C reaches it through us and its children can be
 * ended with it.
 */
export class SupervisedProcess {
  readonly #options: ProcessOptions;
  #child: ChildProcess | undefined;
  #state: ProcessState = { restartCount: 0, startedAt: undefined };
  #failures = 0;
  #cancelRestart: (() => void) | undefined;
  #stopping = false;
  #ended: (() => void)[] = [];

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const { clock, command, onChange } = this.#options;
    const [file = '', ...args] = command;
    const output = this.#openOutput();
    const child = spawn(file === 'node' ? process.execPath : file, args, {
      env: { ...process.env, ...this.#options.env },
      stdio: ['ignore', output, output, 'ipc'],
      detached: true,
    });
    if (typeof output === 'number') closeSync(output);
    this.#child = child;
    this.#state = { ...this.#state, startedAt: new Date(clock.now()) };
    child.once('error', (error) => this.#onEnd(child, messageOf(error)));
    child.once('exit', (code, signal) => this.#onEnd(child, signal ?? `status ${String(code)}`));
    onChange(this.#state);
  }

  /** Ends the process: SIGTERM, and SIGKILL after the grace period, for its children too. Repeatable. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#cancelRestart?.();
    const child = this.#child;
    if (!child) return;
    const ended = new Promise<void>((resolve) => this.#ended.push(resolve));
    child.kill('SIGTERM');
    const cancelKill = this.#options.clock.schedule(graceMs, () => {
      this.#options.logger.warn(
        { pid: child.pid, graceMs },
        'process did not end in time; killing it',
      );
      killGroup(child);
    });
    await ended;
    cancelKill();
  }

  #openOutput(): number | 'inherit' {
    const { logFile } = this.#options;
    return logFile === undefined ? 'inherit' : openSync(logFile, 'a');
  }

  #onEnd(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    killGroup(child);
    const { clock, logger, backoff, onChange } = this.#options;
    const ranMs = clock.now() - (this.#state.startedAt?.getTime() ?? clock.now());
    this.#state = { ...this.#state, startedAt: undefined };
    onChange(this.#state);
    for (const resolve of this.#ended.splice(0)) resolve();
    if (this.#stopping) return;
    if (ranMs >= backoff.resetAfterMs) this.#failures = 0;
    const delay = backoffDelay(backoff, this.#failures++);
    logger.warn({ pid: child.pid, how, ranMs, restartInMs: delay }, 'process ended');
    this.#cancelRestart = clock.schedule(delay, () => this.#restart());
  }

  #restart(): void {
    this.#state = { ...this.#state, restartCount: this.#state.restartCount + 1 };
    this.start();
  }
}

/** Ends what is left of the process's group; the group may be gone. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left in the group.
  }
}

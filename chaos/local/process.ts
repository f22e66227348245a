import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessOptions {
  name: string;
  /** Script and arguments for Node. */
  args: string[];
  env?: Record<string, string>;
  logFile: () => string;
  /** Told of each end that nobody asked for. */
  onCrash: () => void;
}

/** How long a process may take to end in order before it is killed, in milliseconds. */
const stopTimeoutMs = 15_000;

/** A service as a child process with a group of its own, which ends with this process at the latest. */
export class ServiceProcess {
  readonly #options: ProcessOptions;
  #child: ChildProcess | undefined;

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    if (this.#child) throw new Error(`${this.name} runs already`);
    const { args, env = {}, logFile, onCrash } = this.#options;
    const log = openSync(logFile(), 'a');
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    child.once('exit', () => {
      killGroup(child);
      if (this.#child !== child) return;
      this.#child = undefined;
      onCrash();
    });
  }

  /** Ends it: by SIGTERM, and by SIGKILL after the grace time, in milliseconds. */
  async stop(graceMs = stopTimeoutMs): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    const exited = once(child, 'exit');
    // One that is stopped takes no other signal.
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    const killer = setTimeout(() => killGroup(child), graceMs);
    await exited;
    clearTimeout(killer);
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

export interface SupervisedOptions extends Omit<ProcessOptions, 'onCrash'> {
  /** Pause before it is started again, in milliseconds. */
  restartMs: number;
}

/** A service that is started again when it ends, unless it is held. */
export class SupervisedService {
  readonly #process: ServiceProcess;
  readonly #restartMs: number;
  #timer: NodeJS.Timeout | undefined;
  #held = true;

  constructor({ restartMs, ...options }: SupervisedOptions) {
    this.#restartMs = restartMs;
    this.#process = new ServiceProcess({ ...options, onCrash: () => this.#later() });
  }

  get name(): string {
    return this.#process.name;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  start(): void {
    this.#held = false;
    this.#process.start();
  }

  /** Ends it by this signal and starts it again after a while, in milliseconds. */
  async away(signal: 'SIGKILL' | 'SIGTERM', ms: number): Promise<void> {
    this.#held = true;
    clearTimeout(this.#timer);
    const { pid } = this;
    if (signal === 'SIGTERM') await this.#process.stop();
    else if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await sleep(ms);
    while (this.pid !== undefined) await sleep(50);
    this.start();
  }

  async stop(): Promise<void> {
    this.#held = true;
    clearTimeout(this.#timer);
    await this.#process.stop();
  }

  #later(): void {
    if (this.#held) return;
    this.#timer = setTimeout(() => this.#process.start(), this.#restartMs);
  }
}

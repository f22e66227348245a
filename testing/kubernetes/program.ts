import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** How many lines of a log an error shows. */
const shownLines = 25;
/** Pause between two looks whether a program is ready, in milliseconds. */
const readyPauseMs = 25;

const lastLines = (file: string): string =>
  readFileSync(file, 'utf8').trimEnd().split('\n').slice(-shownLines).join('\n');

/**
 * A temporary folder, and whoever runs in it: when this process ends, even by a crash, a shell that outlives it kills the
 * programs and removes the folder.
 */
export class ProgramFolder {
  readonly dir: string;
  readonly #guard: ChildProcess;

  private constructor(dir: string, guard: ChildProcess) {
    this.dir = dir;
    this.#guard = guard;
  }

  static async create(): Promise<ProgramFolder> {
    const dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-control-plane-'));
    // Reads until the end of its standard input, whose other end this process alone has open.
    const script =
      'cat; for f in "$0"/*.pid; do [ ! -e "$f" ] || kill -KILL "$(cat "$f")"; done; rm -rf "$0"';
    const guard = spawn('sh', ['-c', script, dir], {
      stdio: ['pipe', 'ignore', 'ignore'],
      // A group of its own, so that Ctrl-C leaves it its work.
      detached: true,
    });
    return new ProgramFolder(dir, guard);
  }

  /** Kills what runs in the folder and removes it. */
  async remove(): Promise<void> {
    if (this.#guard.exitCode !== null) return;
    const exited = once(this.#guard, 'exit');
    this.#guard.stdin?.end();
    await exited;
  }
}

export interface ProgramOptions {
  command: string;
  args: string[];
  folder: ProgramFolder;
}

/** A program that runs until it is killed; its output goes to a file. */
export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly #exited: Promise<void>;

  private constructor(name: string, child: ChildProcess, log: string) {
    this.name = name;
    this.#child = child;
    this.#log = log;
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
  }

  static start({ command, args, folder }: ProgramOptions): Program {
    const name = path.basename(command);
    const log = path.join(folder.dir, `${name}.log`);
    const pidFile = path.join(folder.dir, `${name}.pid`);
    const output = openSync(log, 'a');
    const child = spawn(command, args, {
      stdio: ['ignore', output, output],
      detached: true,
      // Memory is there; with Go's own setting a third of the processor time goes into collecting garbage.
      env: { ...process.env, GOGC: process.env['GOGC'] ?? '400' },
    });
    closeSync(output);
    if (child.pid !== undefined) writeFileSync(pidFile, String(child.pid));
    child.once('exit', () => rmSync(pidFile, { force: true }));
    return new Program(name, child, log);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#child.pid === undefined || this.#ending !== undefined;
  }

  /** The end of what the program has written. */
  get logTail(): string {
    return lastLines(this.#log);
  }

  /**
   * Asks again and again until the answer is true.
   *
   * @throws Error with the end of the log when the program ends or the time is over
   */
  async ready(isReady: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await isReady())) {
      this.assertRuns();
      if (Date.now() > deadline) throw this.#failure(`is not ready after ${timeoutMs} ms`);
      await sleep(readyPauseMs);
    }
  }

  /** @throws Error with the end of the log when the program has ended */
  assertRuns(): void {
    if (this.hasEnded) throw this.#failure(`ended (${this.#ending ?? 'it did not start'})`);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends it without a chance to clean up, also while it is stopped. */
  async kill(): Promise<void> {
    if (this.hasEnded) return;
    this.signal('SIGKILL');
    await this.#exited;
  }

  get #ending(): string | undefined {
    const { signalCode, exitCode } = this.#child;
    if (signalCode !== null) return signalCode;
    return exitCode === null ? undefined : `exit code ${exitCode}`;
  }

  #failure(what: string): Error {
    return new Error(`${this.name} ${what}; the end of its log:\n${this.logTail}`);
  }
}

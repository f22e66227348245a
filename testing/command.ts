import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface CommandOptions {
  /** For its standard input. */
  input?: string;
  /** How long it may take, in milliseconds; then it is killed. */
  timeoutMs?: number;
  env?: NodeJS.ProcessEnv;
}

const defaultTimeoutMs = 60_000;

/** A program that failed, with what it wrote. */
export class CommandError extends Error {
  readonly stderr: string;

  constructor(message: string, stderr: string) {
    super(message);
    this.stderr = stderr;
  }
}

/**
 * Runs a program to its end and returns what it printed.
 *
 * @throws {CommandError} with its command line and messages when it fails or takes too long
 */
export async function runCommand(
  command: string,
  args: string[],
  { input = '', timeoutMs = defaultTimeoutMs, env = process.env }: CommandOptions = {},
): Promise<string> {
  const child = spawn(command, args, { env, timeout: timeoutMs, killSignal: 'SIGKILL' });
  const exit = new Promise<string | undefined>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`)),
    );
  });
  // A program that fails early does not read it.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [stdout, stderr, failure] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    exit,
  ]);
  if (failure === undefined) return stdout;
  const name = command.slice(command.lastIndexOf('/') + 1);
  const line = [name, ...args].join(' ');
  throw new CommandError(`${line} (${failure}): ${stderr}${stdout}`.trimEnd(), stderr);
}

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface KubectlOptions {
  /** For its standard input, as with `-f -`. */
  input?: string;
  namespace?: string;
  /** How long it may take, in milliseconds. */
  timeoutMs?: number;
}

export interface KubectlSetup {
  command: string;
  kubeconfig: string;
  /** Where it keeps what it learned about the API server. */
  home: string;
}

const defaultTimeoutMs = 60_000;

/**
 * Runs the real kubectl and returns what it printed.
 *
 * @throws Error with its message when it fails
 */
export async function runKubectl(
  { command, kubeconfig, home }: KubectlSetup,
  args: string[],
  { input = '', namespace, timeoutMs = defaultTimeoutMs }: KubectlOptions = {},
): Promise<string> {
  const scoped = namespace === undefined ? args : ['--namespace', namespace, ...args];
  const child = spawn(command, scoped, {
    env: { HOME: home, KUBECONFIG: kubeconfig, PATH: process.env['PATH'] },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const exit = new Promise<string | undefined>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`)),
    );
  });
  // A kubectl that fails early does not read it.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [stdout, stderr, failure] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    exit,
  ]);
  if (failure !== undefined)
    throw new Error(`kubectl ${scoped.join(' ')} (${failure}): ${stderr}${stdout}`.trimEnd());
  return stdout;
}

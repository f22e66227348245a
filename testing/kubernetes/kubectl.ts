import { runCommand } from '../command.ts';

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

/**
 * Runs the real kubectl and returns what it printed.
 *
 * @throws {CommandError} with its message when it fails
 */
export function runKubectl(
  { command, kubeconfig, home }: KubectlSetup,
  args: string[],
  { namespace, ...options }: KubectlOptions = {},
): Promise<string> {
  const scoped = namespace === undefined ? args : ['--namespace', namespace, ...args];
  const env = { HOME: home, KUBECONFIG: kubeconfig, PATH: process.env['PATH'] };
  return runCommand(command, scoped, { ...options, env });
}

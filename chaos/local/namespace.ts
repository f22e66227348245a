import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { runCommand } from '../../testing/command.ts';

const mark = 'KUBE_SFU_CHAOS_NAMESPACE';
const ownAddress = '10.99.0.1';

/** Whether this process has a network and mounts of its own, in which it may break what it likes. */
export const isInNamespace = (): boolean => process.env[mark] === '1';

/** Whether this process may make itself such a place. */
export const canEnterNamespace = (): boolean =>
  process.platform === 'linux' && process.getuid?.() === 0;

/**
 * Runs this very command again with a loopback network and mounts that nobody else sees.
 *
 * @returns its exit code
 */
export async function runInNamespace(): Promise<number> {
  const script = [
    'ip link set lo up',
    // The API server looks for an address besides those of loopback, on the way that everything takes.
    `ip address add ${ownAddress}/32 dev lo`,
    `ip route add default dev lo src ${ownAddress}`,
    'exec "$@"',
  ].join(' && ');
  const command = [process.execPath, ...process.argv.slice(1)];
  const child = spawn(
    'unshare',
    ['--net', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...command],
    { stdio: 'inherit', env: { ...process.env, [mark]: '1' } },
  );
  // Ctrl-C reaches the whole group; what is sent to this process alone is passed on.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** Puts a small memory file system over a folder. It goes with the namespace. */
export async function mountMemory(dir: string, megabytes: number): Promise<void> {
  await runCommand('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'tmpfs', dir]);
}

/** Drops what comes from or goes to an address. Resolves to what lets it through again. */
export async function dropPackets(
  address: string,
  protocol: 'udp' | 'all',
): Promise<() => Promise<void>> {
  const rules = ['-s', '-d'].map((side) => ['INPUT', side, address, '-p', protocol, '-j', 'DROP']);
  for (const rule of rules) await runCommand('iptables', ['-A', ...rule]);
  return async () => {
    for (const rule of rules) await runCommand('iptables', ['-D', ...rule]);
  };
}

import { execFile } from 'node:child_process';
import { lstat, mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** Postgres refuses to run as root, so root's server runs as the first of these that the system knows. */
const ACCOUNT_NAMES = ['postgres', 'nobody'];

/** Where root keeps what another account must read, when its own cache is closed to others (as `/root` is). */
const SHARED_ROOT = '/var/tmp/kube-sfu-root';

/** The account that a server runs as. */
export interface Account {
  uid: number;
  gid: number;
}

/** The caller's own account; for root, an unprivileged one. */
export async function serverAccount(): Promise<Account> {
  const own = { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 };
  if (own.uid !== 0) return own;
  for (const name of ACCOUNT_NAMES) {
    const [uid, gid] = await Promise.all([idOf('-u', name), idOf('-g', name)]);
    if (uid && gid) return { uid, gid };
  }
  throw new Error(
    `Postgres does not run as root, and there is no account named ${ACCOUNT_NAMES.join(' or ')} to run it as: ` +
      'set DATABASE_URL to a server of your own, or start this as another user',
  );
}

async function idOf(flag: string, name: string): Promise<number | undefined> {
  return exec('id', [flag, name]).then(
    ({ stdout }) => Number(stdout),
    () => undefined,
  );
}

/** Options for `spawn` that make the child run as the account. Only root can, and need, switch. */
export function asAccount(account: Account): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? account : {};
}

/** Tells whether the account can enter the folder, by trying. */
async function canEnter(account: Account, dir: string): Promise<boolean> {
  return exec('/bin/sh', ['-c', 'cd "$0"', dir], { ...asAccount(account), cwd: '/' }).then(
    () => true,
    () => false,
  );
}

/**
 * Gives `dir` back when the account can enter its parent folder `parent`, and a folder under `/var/tmp` named by `fallback`
 * when it cannot. The folder `parent` is made when it is missing.
 */
export async function reachable(
  account: Account,
  { parent, dir, fallback }: { parent: string; dir: string; fallback: string },
): Promise<string> {
  await mkdir(parent, { recursive: true });
  if (await canEnter(account, parent)) return dir;
  await mkdir(SHARED_ROOT, { mode: 0o755, recursive: true });
  // Anybody can make a folder in /var/tmp, and what is in this one gets executed.
  const info = await lstat(SHARED_ROOT);
  if (!info.isDirectory() || info.uid !== process.getuid?.()) {
    throw new Error(`${SHARED_ROOT} is not a folder of root's own: remove it`);
  }
  return `${SHARED_ROOT}/${fallback}`;
}

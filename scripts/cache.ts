import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

/** What an interrupted run left behind is removed once it is this old, in milliseconds. */
const LEFTOVER_AGE = 3_600_000;

/** The folder outside the tree where downloaded and built things are kept: `KUBE_SFU_CACHE`, else below the home folder. */
export function cacheRoot(): string {
  const fromEnv = process.env['KUBE_SFU_CACHE'];
  return path.resolve(fromEnv ? fromEnv : path.join(homedir(), '.cache', 'kube-sfu'));
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

async function removeLeftovers(target: string): Promise<void> {
  const parent = path.dirname(target);
  const prefix = `${path.basename(target)}.tmp-`;
  for (const name of await readdir(parent)) {
    const leftover = path.join(parent, name);
    const info = name.startsWith(prefix) ? await stat(leftover).catch(() => undefined) : undefined;
    if (info && Date.now() - info.mtimeMs > LEFTOVER_AGE) {
      await rm(leftover, { recursive: true, force: true });
    }
  }
}

/**
 * Makes the folder `target` once: `build` fills a folder beside it, which then takes its name in one step. An interrupted
 * run leaves no half-filled `target`; of two runs at once, the first to finish wins and the other uses the winner's.
 */
export async function buildOnce(
  target: string,
  build: (dir: string) => Promise<void>,
): Promise<void> {
  if (await exists(target)) return;
  await mkdir(path.dirname(target), { recursive: true });
  await removeLeftovers(target);
  const scratch = `${target}.tmp-${randomUUID().slice(0, 8)}`;
  try {
    await mkdir(scratch, { mode: 0o755 });
    await build(scratch);
    await rename(scratch, target);
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    if (!(await exists(target))) throw error;
  }
}

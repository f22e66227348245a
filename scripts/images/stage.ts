/**
 * Puts the files of an image's service into a folder: our files that it reaches, the npm packages that these need, and its native
 * programs.
 *
 * Usage: node scripts/images/stage.ts IMAGE FOLDER
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { z } from 'zod';

import { serverAccount } from '../postgres/account.ts';
import { preparePostgres } from '../postgres/files.ts';
import { closureOf } from './packages.ts';
import { reach } from './reach.ts';
import { imageName, images, type ImageContents, type ImageName } from './services.ts';

const root = path.resolve(import.meta.dirname, '..', '..');

const packageFile = z.object({ version: z.string(), license: z.string() });

/** Where mediasoup looks for its worker. */
const workerPath = 'node_modules/mediasoup/worker/out/Release/mediasoup-worker';

/** What packages hold for those who develop with them, and mediasoup's sources of the worker. */
const isUnused = (file: string): boolean =>
  /\.(map|d\.[cm]?ts)$/.test(file) ||
  /^node_modules\/mediasoup\/(worker|npm-scripts\.mjs)/.test(file);

/** Copies a file with modes that do not depend on who made the tree, readable for any account. */
function copyFile(from: string, to: string, mode = 0o644): void {
  mkdirSync(path.dirname(to), { recursive: true, mode: 0o755 });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

/** A package's own files; what it has in a `node_modules` of its own is a package too. */
function packageFiles(location: string): string[] {
  return readdirSync(path.join(root, location), { withFileTypes: true })
    .filter((entry) => entry.name !== 'node_modules')
    .flatMap((entry) => {
      const name = path.posix.join(location, entry.name);
      if (entry.isDirectory()) return packageFiles(name);
      return entry.isFile() && !isUnused(name) ? [name] : [];
    });
}

function stageWorker(out: string): void {
  const worker = process.env['MEDIASOUP_WORKER_BIN'] ?? path.join(root, workerPath);
  if (!existsSync(worker))
    throw new Error(`no mediasoup worker at ${worker}: run scripts/setup.sh worker first`);
  copyFile(worker, path.join(out, workerPath), 0o755);
}

/**
 * The server and the empty cluster of the embedded Postgres. The cluster's password is random and nobody's: the image sets another
 * one before it serves.
 */
async function stagePostgres(out: string): Promise<void> {
  const { server, template } = await preparePostgres(await serverAccount());
  const to = path.join(out, 'postgres');
  const isForCompilers = (file: string): boolean => /\.a$|\/pkgconfig$/.test(file);
  cpSync(path.resolve(server, '../..'), path.join(to, 'native'), {
    ...{ recursive: true, verbatimSymlinks: true },
    filter: (file) => !isForCompilers(file),
  });
  cpSync(template, path.join(to, 'template'), { recursive: true });
  // Postgres made it for its own account alone.
  for (const entry of readdirSync(path.join(to, 'template'), {
    recursive: true,
    withFileTypes: true,
  }))
    chmodSync(path.join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  chmodSync(path.join(to, 'template'), 0o755);
}

/** Options of `stage`. */
export interface StageOptions {
  /** Leaves out the page, which takes a while to build. */
  withoutPage?: boolean;
}

/** What an image has besides what its entry point reaches. */
function dataOf({ data }: ImageContents, { withoutPage = false }: StageOptions): string[] {
  const wanted = data.filter((name) => !withoutPage || name !== 'web/dist');
  const missing = wanted.find((name) => !existsSync(path.join(root, name)));
  if (missing !== undefined)
    throw new Error(`there is no ${missing} in the tree; npm run build:web makes web/dist`);
  return wanted;
}

/**
 * Fills a folder with what an image has in `/app`. The tree has its packages installed, and for `signaling` the page built.
 *
 * @param out removed first when it is there
 * @throws Error naming what is not there
 */
export async function stage(
  name: ImageName,
  out: string,
  options: StageOptions = {},
): Promise<void> {
  const contents: ImageContents = images[name];
  const data = dataOf(contents, options);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true, mode: 0o755 });
  const { files, packages } = reach(root, [contents.entry, ...data]);
  const { direct, locations } = closureOf(root, packages);
  for (const file of [...files, 'LICENSE', ...locations.flatMap((at) => packageFiles(at))])
    copyFile(path.join(root, file), path.join(out, file));
  const { version, license } = packageFile.parse(
    JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')),
  );
  // In place of the tree's own, whose version a media node reports.
  const manifest = { name: `kube-sfu-${name}`, version, private: true, license, type: 'module' };
  writeFileSync(
    path.join(out, 'package.json'),
    `${JSON.stringify({ ...manifest, dependencies: direct }, null, 2)}\n`,
  );
  chmodSync(path.join(out, 'package.json'), 0o644);
  if (contents.native === 'mediasoup-worker') stageWorker(out);
  if (contents.native === 'postgres') await stagePostgres(out);
}

if (import.meta.main) {
  const [name, out] = process.argv.slice(2);
  if (out === undefined) throw new Error('expected an image and a folder');
  await stage(imageName.parse(name), path.resolve(out));
}

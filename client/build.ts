/**
 * Builds the package into `client/dist`: ES modules with their declarations. Prints its sizes, with and without
 * mediasoup-client, which an application's bundle has too.
 *
 * Usage: node client/build.ts
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

import { build } from 'vite';

import { withoutUnused } from './without-unused.ts';

const root = import.meta.dirname;
const dist = path.join(root, 'dist');

const bundle = (outDir: string, external: string[]) =>
  build({
    ...{ root, configFile: false, logLevel: 'warn' },
    plugins: [withoutUnused()],
    // mediasoup-client brings `debug`, which looks for Node's environment.
    define: { 'process.env.DEBUG': 'undefined' },
    build: {
      lib: {
        entry: { index: path.join(root, 'src/index.ts'), react: path.join(root, 'src/react.ts') },
        formats: ['es'],
      },
      ...{ outDir, emptyOutDir: true, target: 'es2022', minify: true, sourcemap: false },
      rolldownOptions: { external },
    },
  });

async function gzipSize(folder: string): Promise<number> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.js'));
  const sizes = files.map(async (name) => gzipSync(await readFile(path.join(folder, name))).length);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;

await bundle(dist, ['mediasoup-client']);
const alone = await gzipSize(dist);

const scratch = await mkdtemp(path.join(tmpdir(), 'kube-sfu-client-'));
try {
  await bundle(scratch, []);
  const whole = await gzipSize(scratch);
  console.log(`@kube-sfu/client: ${kilobytes(alone)} gzip`);
  console.log(`with mediasoup-client: ${kilobytes(whole)} gzip`);
} finally {
  await rm(scratch, { recursive: true, force: true });
}

const tsc = path.join(root, '../node_modules/typescript/bin/tsc');
await promisify(execFile)(process.execPath, [tsc, '--project', path.join(root, 'tsconfig.json')]);

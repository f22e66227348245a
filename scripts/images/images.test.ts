import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { closureOf, readLock } from './packages.ts';
import { dataFiles, reach, runtimeImports } from './reach.ts';
import { images, type ImageName } from './services.ts';
import { stage } from './stage.ts';

const tree = path.resolve(import.meta.dirname, '..', '..');
const read = (name: string): string => readFileSync(path.join(tree, name), 'utf8');

describe('what a module loads', () => {
  it.each([
    ['a value', `import { a } from './a.ts'; a();`, ['./a.ts']],
    ['a type', `import type { A } from './a.ts'; let a: A;`, []],
    ['a type beside a value', `import { a, type A } from 'a'; a as A;`, ['a']],
    [
      'what it passes on',
      `export { a } from './a.ts'; export type { B } from './b.ts';`,
      ['./a.ts'],
    ],
    ['what it loads later', `await import('./a.ts');`, ['./a.ts']],
  ])('follows %s as Node does', (_name, source, want) => {
    expect(runtimeImports(source)).toEqual(want);
  });

  it.each([
    ['a file', `new URL('../a.json', import.meta.url)`, ['../a.json']],
    [
      'a folder where the name varies',
      'new URL(`../crds/x_${y}.yaml`, import.meta.url)',
      ['../crds'],
    ],
    ['no address on the network', `new URL('/healthz', base)`, []],
  ])('finds %s beside the module', (_name, source, want) => {
    expect(dataFiles(source)).toEqual(want);
  });

  it('names a package that is imported and no dependency', () => {
    expect(() => closureOf(tree, ['typescript'])).toThrow('typescript is imported at run time');
  });
});

const names = Object.keys(images) as ImageName[];

describe.each(names)('the image of %s', (name) => {
  let app: string;

  beforeAll(async () => {
    app = mkdtempSync(path.join(tmpdir(), 'kube-sfu-image-'));
    await stage(name, app, { withoutPage: true });
  });
  afterAll(() => rmSync(app, { recursive: true, force: true }));

  it('has every file that its entry point reaches, and no test', () => {
    const { files } = reach(tree, [images[name].entry]);
    expect(files.length).toBeGreaterThan(3);
    expect(files.filter((file) => !existsSync(path.join(app, file)))).toEqual([]);
    expect(files.filter((file) => file.includes('.test.'))).toEqual([]);
  });

  it('has no code of another service', () => {
    const others = names.filter((other) => other !== name);
    expect(others.filter((other) => existsSync(path.join(app, other)))).toEqual([]);
  });

  it('has no package that is for development alone, nor one of another service', () => {
    const { packages } = readLock(tree);
    const { locations } = closureOf(tree, reach(tree, [images[name].entry]).packages);
    expect(locations.filter((at) => packages[at]?.dev)).toEqual([]);
    const own: Partial<Record<string, readonly string[]>> = {
      mediasoup: ['media-node'],
      '@kubernetes/client-node': ['operator', 'signaling'],
    };
    for (const [one, owners] of Object.entries(own))
      expect(existsSync(path.join(app, 'node_modules', one))).toBe(owners?.includes(name));
  });

  it('can be read by any account', () => {
    const entries = readdirSync(app, { recursive: true, withFileTypes: true });
    const closed = entries
      .filter((entry) => !entry.isSymbolicLink())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .filter((file) => (statSync(file).mode & 0o004) === 0);
    expect(closed).toEqual([]);
  });

  it('starts with what is in it, and says what its configuration lacks', () => {
    // Not below the tree, so nothing is found in the tree's own packages.
    const env = { PATH: process.env['PATH'], LANG: 'C' };
    const config = name === 'trial-postgres' ? [] : ['--config', 'package.json'];
    const run = spawnSync(process.execPath, [images[name].entry, ...config], {
      cwd: app,
      env,
      encoding: 'utf8',
    });
    expect(run.stderr).toMatch(
      name === 'trial-postgres'
        ? 'POSTGRES_PASSWORD: expected a password'
        : /^config: .*serviceAuth: /,
    );
    expect(run.status).toBe(1);
  });

  it('loads all its modules, those included that are only loaded on demand', () => {
    const { files } = reach(tree, [images[name].entry]);
    const modules = files.filter((file) => file.endsWith('.ts') && !file.endsWith('/main.ts'));
    const script = modules.map((file) => `await import('./${file}');`).join('\n');
    const args = ['--input-type=module', '--eval', `${script}\nprocess.exit(0);`];
    const run = spawnSync(process.execPath, args, { cwd: app, encoding: 'utf8' });
    expect(run.stderr).toBe('');
    expect(run.status).toBe(0);
  });
});

describe('the Dockerfile', () => {
  const dockerfile = read('Dockerfile');

  it('has a target for each image, which starts the entry point of the image', () => {
    for (const name of names) {
      const [, rest = ''] = dockerfile.split(`FROM base AS ${name}\n`);
      const [target = ''] = rest.split(/^FROM /m);
      expect(target).toContain(`COPY --from=build /trees/${name} /app\n`);
      expect(target).toContain(`ENTRYPOINT ["node", "${images[name].entry}"]`);
      expect(target).toContain(`CMD ["node", "${images[name].entry}", "healthcheck"`);
    }
  });

  it('has the versions that the tree has', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(dockerfile).toContain(`ARG NODE_VERSION=${read('.node-version').trim()}\n`);
    expect(dockerfile).toContain(`org.opencontainers.image.version="${version}"`);
  });
});

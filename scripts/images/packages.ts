import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { z } from 'zod';

const names = z.record(z.string(), z.string()).default({});

/** The parts of `package-lock.json` that tell what a package needs when it runs. */
export const packageLock = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      /** Whether it is for development alone. */
      dev: z.boolean().default(false),
      dependencies: names,
      optionalDependencies: names,
      peerDependencies: names,
      peerDependenciesMeta: z
        .record(z.string(), z.object({ optional: z.boolean().default(false) }))
        .default({}),
    }),
  ),
});
export type PackageLock = z.output<typeof packageLock>;

/** The npm packages of a service. */
export interface Closure {
  /** Those that the service's package file asks for, with the versions that are installed. */
  direct: Record<string, string>;
  /** Where all of them are, such as `node_modules/knex/node_modules/debug`, sorted. */
  locations: string[];
}

export const readLock = (root: string): PackageLock =>
  packageLock.parse(JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')));

/** Where Node finds a package from inside another one: the nearest `node_modules` that has it. */
function locate({ packages }: PackageLock, from: string, name: string): string | undefined {
  for (let base = from; ;) {
    const location = path.posix.join(base, 'node_modules', name);
    if (packages[location]) return location;
    if (base === '') return undefined;
    base = base.slice(0, Math.max(0, base.lastIndexOf('/node_modules/')));
  }
}

/** The packages that one asks for: `required` must be there. */
function neededBy(lock: PackageLock, location: string): { name: string; required: boolean }[] {
  const entry = lock.packages[location];
  if (!entry) return [];
  const isOptional = (name: string): boolean => entry.peerDependenciesMeta[name]?.optional ?? false;
  // An optional peer is wanted when the tree asks for it by itself, as it does for one of Knex' drivers.
  const wanted = lock.packages['']?.dependencies ?? {};
  const peers = [
    ...new Set([entry.peerDependencies, entry.peerDependenciesMeta].flatMap(Object.keys)),
  ]
    .filter((name) => !isOptional(name) || Object.hasOwn(wanted, name))
    .map((name) => ({ name, required: !isOptional(name) }));
  return [
    ...Object.keys(entry.dependencies)
      .filter((name) => !Object.hasOwn(entry.optionalDependencies, name))
      .map((name) => ({ name, required: true })),
    ...Object.keys(entry.optionalDependencies).map((name) => ({ name, required: false })),
    ...peers,
  ];
}

/**
 * Finds the packages that a service runs with.
 *
 * @param root a tree with `package-lock.json` and the installed `node_modules`
 * @param imported the packages that the service's own files import
 * @throws Error naming a package that is needed and not installed
 */
export function closureOf(root: string, imported: readonly string[]): Closure {
  const lock = readLock(root);
  const locations = new Set<string>();
  const open = imported.map((name) => ({ name, required: true, from: '' }));
  for (let next = open.pop(); next; next = open.pop()) {
    const { name, required, from } = next;
    const location = locate(lock, from, name);
    // Optional packages are for other systems too.
    if (location === undefined || !existsSync(path.join(root, location))) {
      if (!required) continue;
      throw new Error(`${from || 'the service'} needs the npm package ${name}: not installed`);
    }
    if (locations.has(location)) continue;
    locations.add(location);
    for (const needed of neededBy(lock, location)) open.push({ ...needed, from: location });
  }
  const asked = lock.packages['']?.dependencies ?? {};
  const direct = Object.keys(asked)
    .filter((name) => locations.has(`node_modules/${name}`))
    .map((name) => [name, lock.packages[`node_modules/${name}`]?.version ?? ''] as const);
  for (const name of imported)
    if (!Object.hasOwn(asked, name))
      throw new Error(`${name} is imported at run time, and no dependency of package.json`);
  return { direct: Object.fromEntries(direct), locations: [...locations].sort() };
}

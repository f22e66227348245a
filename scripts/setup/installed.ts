/**
 * Exits with 0 when, in the folder given as the argument, `node_modules` holds just what `package-lock.json` asks for, going by
 * npm's own record of what it installed. The record is missing when npm was interrupted. Runs before any package is there, so it imports none.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

interface LockedPackage {
  version?: string;
  integrity?: string;
  optional?: boolean;
  devOptional?: boolean;
}

const root = process.argv[2] ?? '.';

function packagesIn(file: string): Map<string, LockedPackage> {
  const lock = JSON.parse(readFileSync(path.join(root, file), 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  return new Map(Object.entries(lock.packages).filter(([name]) => name !== ''));
}

function matches(): boolean {
  const wanted = packagesIn('package-lock.json');
  const installed = packagesIn('node_modules/.package-lock.json');
  // Optional packages are for other platforms too.
  const missing = [...wanted].some(
    ([name, { optional, devOptional }]) => !installed.has(name) && !optional && !devOptional,
  );
  const other = [...installed].some(([name, { version, integrity }]) => {
    const entry = wanted.get(name);
    return entry?.version !== version || entry?.integrity !== integrity;
  });
  return !missing && !other;
}

try {
  process.exitCode = matches() ? 0 : 1;
} catch {
  process.exitCode = 1;
}

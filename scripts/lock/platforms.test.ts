import { describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { addMissingPlatforms, missingPlatforms } from './platforms.ts';
import type { Lock } from './platforms.ts';

const file = path.resolve(import.meta.dirname, '..', '..', 'package-lock.json');
const text = await readFile(file, 'utf8');
const lock = JSON.parse(text) as Lock;

describe('package-lock.json', () => {
  it('names no registry host', () => {
    const resolved = Object.values(lock.packages).flatMap((entry) => entry.resolved ?? []);
    expect(resolved).toEqual([]);
    expect(text).not.toMatch(/registry\./);
  });

  it('has an entry for each platform that a package names (else run "node scripts/lock/main.ts")', () => {
    expect(missingPlatforms(lock).map(({ name }) => name)).toEqual([]);
  });
});

describe('addMissingPlatforms', () => {
  const parent = { version: '1.2.0', dev: true, license: 'MIT' };

  it('adds what is missing with its platform, in the order of the names', () => {
    const incomplete: Lock = {
      packages: {
        'node_modules/tool': {
          ...parent,
          optionalDependencies: { 'tool-linux-x64-musl': '1.2.0', '@tool/darwin-arm64': '1.2.0' },
        },
      },
    };
    expect(addMissingPlatforms(incomplete)).toEqual(['tool-linux-x64-musl', '@tool/darwin-arm64']);
    const { packages } = incomplete;
    expect(Object.keys(packages)).toEqual([
      'node_modules/@tool/darwin-arm64',
      'node_modules/tool',
      'node_modules/tool-linux-x64-musl',
    ]);
    expect(packages['node_modules/tool-linux-x64-musl']).toEqual({
      ...parent,
      optional: true,
      os: ['linux'],
      cpu: ['x64'],
      libc: ['musl'],
    });
    expect(addMissingPlatforms(incomplete)).toEqual([]);
  });

  it('finds a package inside another one, and one further out', () => {
    const complete: Lock = {
      packages: {
        'node_modules/a/node_modules/tool': { optionalDependencies: { x: '1.0.0', y: '1.0.0' } },
        'node_modules/a/node_modules/x': { version: '1.0.0' },
        'node_modules/y': { version: '1.0.0' },
      },
    };
    expect(missingPlatforms(complete)).toEqual([]);
  });

  it('refuses a name that tells no platform, and a version that is a range', () => {
    const withOptional = (name: string, version: string): Lock => ({
      packages: { 'node_modules/tool': { ...parent, optionalDependencies: { [name]: version } } },
    });
    expect(() => addMissingPlatforms(withOptional('tool-native', '1.0.0'))).toThrow('tool-native');
    expect(() => addMissingPlatforms(withOptional('tool-linux-x64', '^1.0.0'))).toThrow(
      'names no version',
    );
  });
});

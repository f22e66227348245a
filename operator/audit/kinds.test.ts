import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { infoOf, kindNames } from './kinds.ts';

const text = readFileSync(new URL('../../docs/operations/audit.md', import.meta.url), 'utf8');

describe('docs/operations/audit.md', () => {
  it('explains each kind with its severity, and no other', () => {
    const rows = [...text.matchAll(/^\| `(\w+)` *\| (critical|warning) *\|/gm)];
    expect(rows.map(([, kind, severity]) => `${kind} ${severity}`)).toEqual(
      kindNames.map((kind) => `${kind} ${infoOf(kind).severity}`),
    );
  });

  it('gives a time where there is one', () => {
    const limits = new Proxy({}, { get: () => 1 }) as Parameters<
      NonNullable<ReturnType<typeof infoOf>['after']>
    >[0];
    for (const kind of kindNames) {
      const [, time] = new RegExp(`^\\| \`${kind}\` .*\\| (\\d+ s|–) *\\|$`, 'm').exec(text) ?? [];
      const want = infoOf(kind).after?.(limits) === undefined ? '–' : expect.stringMatching(/ s$/);
      expect({ kind, time }).toEqual({ kind, time: want });
    }
  });
});

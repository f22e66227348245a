import { describe, expect, it } from '@jest/globals';

import { pairwise } from './pairwise.ts';

const axes = { a: ['1', '2', '3'], b: ['x', 'y'], c: ['p', 'q'], d: ['m', 'n', 'o'] };

describe('combinations in pairs', () => {
  it('let any two choices of two axes meet', () => {
    const cases = pairwise(axes);
    const entries = Object.entries(axes);
    for (const [a, as] of entries)
      for (const [b, bs] of entries)
        if (a < b)
          for (const x of as)
            for (const y of bs)
              expect(cases.some((choice) => choice[a] === x && choice[b] === y)).toBe(true);
  });

  it('are fewer than all, and have a choice of each axis', () => {
    const cases = pairwise(axes);
    expect(cases.length).toBeLessThan(18);
    for (const choice of cases) expect(Object.keys(choice)).toEqual(Object.keys(axes));
  });
});

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { median, percentile } from './statistics.ts';

describe('percentile', () => {
  it.each([
    { percent: 0, want: 1 },
    { percent: 1, want: 1 },
    { percent: 50, want: 50 },
    { percent: 50.5, want: 51 },
    { percent: 99, want: 99 },
    { percent: 100, want: 100 },
  ])('is $want at $percent of one to a hundred', ({ percent, want }) => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(percentile(values, percent)).toBe(want);
  });

  it('is the only value of one, at every percentage', () => {
    expect([0, 50, 99, 100].map((percent) => percentile([7], percent))).toEqual([7, 7, 7, 7]);
  });

  it('orders by value, not by text', () => {
    expect(median([10, 9, 100])).toBe(10);
  });

  it('leaves its argument as it is', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  it('has at least its share of the values at or below it, and never more than that without it', () => {
    const values = fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 100 }), (given, percent) => {
        const found = percentile(given, percent);
        const rank = (percent / 100) * given.length;
        expect(given).toContain(found);
        expect(given.filter((value) => value <= found).length).toBeGreaterThanOrEqual(rank);
        expect(given.filter((value) => value < found).length).toBeLessThan(rank);
      }),
    );
  });

  it.each([-1, 101, Number.NaN])('refuses %d as a percentage', (percent) => {
    expect(() => percentile([1], percent)).toThrow(RangeError);
  });

  it('refuses no values', () => {
    expect(() => percentile([], 50)).toThrow('no values');
  });
});

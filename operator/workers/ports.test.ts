import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { allocateBlock, type PortBlock } from './ports.ts';

describe('allocateBlock', () => {
  it('takes the first ports in a row that nobody holds', () => {
    const range = { start: 100, end: 109 };
    expect(allocateBlock(range, 3, [])).toEqual({ start: 100, end: 102 });
    expect(allocateBlock(range, 3, [{ start: 101, end: 102 }])).toEqual({ start: 103, end: 105 });
    expect(allocateBlock(range, 1, [{ start: 101, end: 102 }])).toEqual({ start: 100, end: 100 });
    expect(allocateBlock(range, 10, [])).toEqual({ start: 100, end: 109 });
    expect(allocateBlock(range, 11, [])).toBeUndefined();
    expect(allocateBlock(range, 10, [{ start: 90, end: 99 }])).toEqual({ start: 100, end: 109 });
  });

  it('for any taken blocks gives a free block in the range, and none only when there is none', () => {
    const anyBlock = fc
      .record({ start: fc.integer({ min: 0, max: 60 }), size: fc.integer({ min: 1, max: 8 }) })
      .map(({ start, size }): PortBlock => ({ start, end: start + size - 1 }));
    fc.assert(
      fc.property(
        fc.array(anyBlock, { maxLength: 10 }),
        fc.integer({ min: 1, max: 6 }),
        (taken, size) => {
          const range = { start: 10, end: 50 };
          const isFree = (port: number): boolean =>
            taken.every(({ start, end }) => port < start || port > end);
          const fits = (start: number): boolean =>
            start + size - 1 <= range.end &&
            Array.from({ length: size }, (_, i) => start + i).every(isFree);
          const block = allocateBlock(range, size, taken);
          const first = Array.from({ length: 41 }, (_, i) => 10 + i).find(fits);
          expect(block?.start).toBe(first);
          if (block) expect(block.end - block.start + 1).toBe(size);
        },
      ),
    );
  });
});

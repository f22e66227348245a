import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { layoutGrid, layoutTiles, type Rect, type TileLayout } from './tile-layout.ts';

const wide = { width: 1200, height: 640 };
const phone = { width: 304, height: 460 };

const overlaps = (a: Rect, b: Rect): boolean =>
  a.left < b.left + b.width - 0.01 &&
  b.left < a.left + a.width - 0.01 &&
  a.top < b.top + b.height - 0.01 &&
  b.top < a.top + a.height - 0.01;

const columnsOf = ({ rects }: TileLayout): number =>
  new Set(rects.map(({ left }) => Math.round(left))).size;

describe('layoutGrid', () => {
  it('gives a single tile all the room that its shape allows', () => {
    const { rects } = layoutGrid(1, wide);
    expect(rects[0]?.height).toBeCloseTo(640);
    expect(rects[0]?.left).toBeCloseTo((1200 - (640 * 16) / 9) / 2);
  });

  it('puts two tiles side by side in a wide space and below each other in a narrow one', () => {
    expect(columnsOf(layoutGrid(2, wide))).toBe(2);
    expect(columnsOf(layoutGrid(2, phone))).toBe(1);
  });

  it('centres a last row that is not full', () => {
    const { rects } = layoutGrid(5, wide);
    const last = rects.filter(({ top }) => top > (rects[0]?.top ?? 0) + 1);
    const middle = last.reduce((sum, { left, width }) => sum + left + width / 2, 0) / last.length;
    expect(middle).toBeCloseTo(600);
  });

  it('scrolls rather than shrinking tiles below the size of their controls', () => {
    const layout = layoutGrid(40, phone);
    expect(layout.height).toBeGreaterThan(phone.height);
    for (const { width } of layout.rects) expect(width).toBeGreaterThanOrEqual(140);
  });

  it('places nothing where there is nothing to place or no room yet', () => {
    expect(layoutGrid(0, wide).rects).toEqual([]);
    expect(layoutGrid(3, { width: 0, height: 0 }).rects).toEqual([]);
  });
});

describe('layoutTiles', () => {
  it('makes a shared screen larger than any camera, beside them in a wide space', () => {
    const { rects } = layoutTiles(1, 4, wide);
    const [screen, ...cameras] = rects;
    for (const camera of cameras) {
      expect(camera.width).toBeLessThan(screen!.width);
      expect(camera.left).toBeGreaterThan(screen!.left + screen!.width);
    }
  });

  it('puts the cameras below a shared screen in a narrow space', () => {
    const [screen, ...cameras] = layoutTiles(1, 3, phone).rects;
    for (const camera of cameras) expect(camera.top).toBeGreaterThan(screen!.top + screen!.height);
  });

  it('shows shared screens alone where there is nothing else', () => {
    expect(layoutTiles(2, 0, wide)).toEqual(layoutGrid(2, wide));
  });

  it('keeps every tile inside its space and off the others, however many there are', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 304, max: 3000 }),
        fc.integer({ min: 200, max: 1800 }),
        (featured, others, width, height) => {
          const { rects, height: needed } = layoutTiles(featured, others, { width, height });
          expect(rects).toHaveLength(featured + others);
          rects.forEach((rect, index) => {
            expect(rect.left).toBeGreaterThanOrEqual(-0.01);
            expect(rect.left + rect.width).toBeLessThanOrEqual(width + 0.01);
            expect(rect.top).toBeGreaterThanOrEqual(-0.01);
            expect(rect.top + rect.height).toBeLessThanOrEqual(Math.max(height, needed) + 0.01);
            expect(rect.width / rect.height).toBeCloseTo(16 / 9);
            for (const other of rects.slice(index + 1)) expect(overlaps(rect, other)).toBe(false);
          });
        },
      ),
      { numRuns: 200 },
    );
  });
});

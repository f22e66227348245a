import { describe, expect, it } from '@jest/globals';

import { spatialLayerForHeight } from './layers.ts';

describe('spatialLayerForHeight', () => {
  it.each([
    ['a thumbnail', 100, 3, 0],
    ['a tile of a full grid', 220, 3, 0],
    ['half a screen', 400, 3, 1],
    ['a whole screen', 700, 3, 2],
    ['a screen of many pixels', 2000, 3, 2],
    ['a picture of a small camera', 300, 2, 1],
    ['a picture that has only one layer', 100, 1, 0],
    ['a picture of unknown size', Number.POSITIVE_INFINITY, 3, 2],
  ])('asks for the lowest sharp layer of %s', (_title, height, layers, want) => {
    expect(spatialLayerForHeight(height, layers)).toBe(want);
  });
});

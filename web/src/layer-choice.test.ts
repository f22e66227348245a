import { describe, expect, it } from '@jest/globals';

import { formatLayers, parseLayers } from './layer-choice.ts';

describe('a layer choice in a form', () => {
  it.each([
    ['2', { spatialLayer: 2, temporalLayer: undefined }],
    ['2-1', { spatialLayer: 2, temporalLayer: 1 }],
  ])('reads back %s', (value, layers) => {
    expect(parseLayers(value)).toEqual(layers);
    expect(formatLayers(layers)).toBe(value);
  });

  it.each(['auto', '', '2-', '-1', 'a-b', '10-1'])('takes %j for no choice', (value) => {
    expect(parseLayers(value)).toBeUndefined();
  });
});

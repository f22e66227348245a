import { describe, expect, it } from '@jest/globals';

import { cameraEncodings } from './encodings.ts';

describe('cameraEncodings', () => {
  it.each([
    ['a usual camera', { width: 1280, height: 720 }, [4, 2, 1]],
    ['a small camera', { width: 640, height: 480 }, [2, 1]],
    ['a tiny camera', { width: 320, height: 180 }, [1]],
    ['a camera that does not tell its size', {}, [4, 2, 1]],
  ])('has the layers that the browser will send of %s', (_title, size, want) => {
    expect(cameraEncodings(size).map((one) => one.scaleResolutionDownBy)).toEqual(want);
  });
});

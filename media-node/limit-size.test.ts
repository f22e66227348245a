import { describe, expect, it } from '@jest/globals';

import { limitSize } from './limit-size.ts';

describe('limitSize', () => {
  it('removes the oldest entries, and none that has room', () => {
    const cache = new Map(['a', 'b', 'c', 'd'].map((key) => [key, key]));
    limitSize(cache, 4);
    expect([...cache.keys()]).toEqual(['a', 'b', 'c', 'd']);
    limitSize(cache, 2);
    expect([...cache.keys()]).toEqual(['c', 'd']);
  });
});

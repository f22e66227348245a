import { describe, expect, it } from '@jest/globals';

import { flatten } from './stats-rows.ts';

describe('flatten', () => {
  it('gives nested fields dotted names', () => {
    expect(flatten({ type: 'inbound-rtp', score: 10, rid: { a: [1, 2] } })).toEqual([
      ['type', 'inbound-rtp'],
      ['score', '10'],
      ['rid.a.0', '1'],
      ['rid.a.1', '2'],
    ]);
  });
});

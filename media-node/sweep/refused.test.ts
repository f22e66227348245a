import { describe, expect, it } from '@jest/globals';

import { Refused } from './refused.ts';

describe('what a transport can’t consume', () => {
  it('keeps an earlier refusal when another one is added', () => {
    const refused = new Refused(100);
    refused.add('transport', ['a'], 1_000);
    refused.add('transport', ['b'], 1_050);
    expect(refused.has('transport', 'a', 1_060)).toBe(true);
    expect(refused.has('transport', 'b', 1_060)).toBe(true);
    expect(refused.has('other', 'a', 1_060)).toBe(false);
  });

  it('is listed while it counts', () => {
    const refused = new Refused(100);
    refused.add('media transport', ['a'], 1_000);
    refused.add('media transport', ['b'], 1_050);
    expect(refused.list(1_120)).toEqual([{ transport: 'media transport', producerId: 'b' }]);
  });

  it('is forgotten when its time is over', () => {
    const refused = new Refused(100);
    refused.add('transport', ['a', 'b'], 1_000);
    expect(refused.has('transport', 'a', 1_100)).toBe(false);
    refused.purge(1_100);
    expect(refused.size).toBe(0);
  });
});

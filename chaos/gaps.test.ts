import { describe, expect, it } from '@jest/globals';

import { percentilesOf, summarize, type StreamGap } from './gaps.ts';

describe('percentilesOf', () => {
  it('takes the nearest rank', () => {
    const numbers = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(percentilesOf(numbers)).toEqual({ count: 100, p50: 50, p90: 90, p99: 99, max: 100 });
  });

  it('is that number of one number', () => {
    expect(percentilesOf([7])).toEqual({ count: 1, p50: 7, p90: 7, p99: 7, max: 7 });
  });

  it('has nothing to say of no numbers', () => {
    expect(percentilesOf([])).toBeUndefined();
  });
});

describe('summarize', () => {
  const gap = (change: Partial<StreamGap>): StreamGap => ({
    ...{ kind: 'drain', event: 0, page: 'ada', watched: 'bert', ms: 100, hit: false },
    ...change,
  });

  it('counts the longest gap of each page in each event, those that were hit apart', () => {
    const gaps = [
      gap({ ms: 900, hit: true }),
      gap({ watched: 'cleo', ms: 1500 }),
      gap({ page: 'bert', watched: 'ada', ms: 200 }),
      gap({ event: 1, ms: 300, hit: true }),
    ];
    expect(summarize(gaps)).toEqual([
      {
        ...{ kind: 'drain', events: 2 },
        hit: { count: 2, p50: 300, p90: 900, p99: 900, max: 900 },
        all: { count: 3, p50: 300, p90: 1500, p99: 1500, max: 1500 },
      },
    ]);
  });

  it('keeps kinds apart, and says so where nobody was hit', () => {
    const summaries = summarize([gap({}), gap({ kind: 'scale', event: 1, hit: true })]);
    expect(summaries.map(({ kind, hit }) => [kind, hit?.count])).toEqual([
      ['drain', undefined],
      ['scale', 1],
    ]);
  });
});

import { describe, expect, it } from '@jest/globals';

import { mergeScore } from './scores.ts';

const origin = (...scores: number[]) =>
  scores.map((score, encodingIdx) => ({ encodingIdx, ssrc: encodingIdx + 1, score }));
const perfect = { score: 9, producerScore: 10, producerScores: [10, 10, 10] };

describe('mergeScore', () => {
  it.each([
    ['keeps the score without an origin', undefined, 0, perfect],
    ['keeps the score while the origin has none', [], 0, perfect],
    [
      'limits each stream by its origin',
      origin(10, 5, 0),
      0,
      { score: 9, producerScore: 10, producerScores: [10, 5, 0] },
    ],
    [
      'takes the producer’s score from the stream that is consumed',
      origin(10, 5, 0),
      1,
      { score: 9, producerScore: 5, producerScores: [10, 5, 0] },
    ],
    [
      'takes the first stream while none is chosen',
      origin(3, 5, 5),
      undefined,
      { score: 9, producerScore: 3, producerScores: [3, 5, 5] },
    ],
  ])('%s', (_name, scores, layer, want) => {
    expect(mergeScore(perfect, scores, layer)).toEqual(want);
  });

  it('takes the one stream of all spatial layers', () => {
    const svc = { score: 9, producerScore: 10, producerScores: [10] };
    expect(mergeScore(svc, origin(7), 2)).toEqual({
      ...svc,
      producerScore: 7,
      producerScores: [7],
    });
  });

  it('never says more than the pipe does', () => {
    const poor = { score: 9, producerScore: 2, producerScores: [2] };
    expect(mergeScore(poor, origin(10), 0)).toEqual(poor);
  });
});

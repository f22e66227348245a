import { describe, expect, it } from '@jest/globals';

import { createRandom } from '../testing/random.ts';
import { planRounds, type PlanRequest, type Round } from './plan.ts';

const kinds = ['drain', 'rollout', 'scale'] as const;
const plan = (seed: number, request: Partial<PlanRequest> = {}): Round[] =>
  planRounds({ kinds, rounds: 30, count: undefined, random: createRandom(seed), ...request });

describe('planRounds', () => {
  it('makes the same rounds of the same seed, and others of another', () => {
    expect(plan(7)).toEqual(plan(7));
    expect(plan(7)).not.toEqual(plan(8));
  });

  it('has faults alone and in pairs, the second soon after the first', () => {
    const rounds = plan(7);
    expect(rounds).toHaveLength(30);
    const pairs = rounds.filter((round) => round.kinds.length === 2);
    expect(pairs.length).toBeGreaterThan(3);
    expect(pairs.length).toBeLessThan(27);
    for (const { delayMs } of pairs) {
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThan(3000);
    }
  });

  it('takes every kind before one comes again', () => {
    const taken = plan(7).flatMap((round): string[] => round.kinds);
    for (let i = 0; i + 3 <= taken.length; i += 3)
      expect(taken.slice(i, i + 3).sort()).toEqual([...kinds]);
  });

  it('strikes each kind so often and alone where a count is given', () => {
    const rounds = plan(7, { count: 5 });
    expect(rounds.every((round) => round.kinds.length === 1)).toBe(true);
    for (const kind of kinds)
      expect(rounds.filter((round) => round.kinds[0] === kind)).toHaveLength(5);
  });
});

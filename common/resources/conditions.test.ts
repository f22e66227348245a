import { describe, expect, it } from '@jest/globals';

import { findCondition, isConditionTrue, setCondition } from './conditions.ts';

const ready = (status: 'True' | 'False', reason = 'Why') => ({
  type: 'Ready',
  status,
  reason,
  message: '',
  observedGeneration: 1,
});
const early = new Date('2026-01-01T00:00:00.000Z');
const late = new Date('2026-01-02T00:00:00.000Z');

describe('setCondition', () => {
  it('adds a condition that is new', () => {
    const conditions = setCondition(undefined, ready('True'), early);
    expect(conditions).toEqual([{ ...ready('True'), lastTransitionTime: early.toISOString() }]);
    expect(isConditionTrue(conditions, 'Ready')).toBe(true);
  });

  it('keeps the transition time while the status stays, and takes the new reason', () => {
    const conditions = setCondition(
      setCondition([], ready('True'), early),
      ready('True', 'Other'),
      late,
    );
    expect(findCondition(conditions, 'Ready')).toMatchObject({
      lastTransitionTime: early.toISOString(),
      reason: 'Other',
    });
  });

  it('moves the transition time when the status flips', () => {
    const conditions = setCondition(setCondition([], ready('True'), early), ready('False'), late);
    expect(findCondition(conditions, 'Ready')?.lastTransitionTime).toBe(late.toISOString());
  });

  it('leaves the order and the others as they were', () => {
    const other = { ...ready('True'), type: 'Other', lastTransitionTime: early.toISOString() };
    const before = setCondition([other], ready('True'), early);
    expect(setCondition(before, ready('True'), late)).toEqual(before);
  });
});

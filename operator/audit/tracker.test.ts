import { describe, expect, it } from '@jest/globals';

import type { Finding, Limits } from './kinds.ts';
import { DifferenceTracker } from './tracker.ts';

const limits = { sweepMs: 35_000, instanceMs: 50_000 } as Limits;
const finding = (id: string, kind: Finding['kind'] = 'RowWithoutObject'): Finding => ({
  kind,
  ids: { consumerId: id },
  foundIn: ['table media_consumer'],
  missingFrom: ['pod c-0'],
});

describe('what lasts', () => {
  it('is what two looks show that lie far enough apart', () => {
    const tracker = new DifferenceTracker(30_000);
    expect(tracker.note([finding('a')], 0, limits)).toEqual([]);
    expect(tracker.note([finding('a'), finding('b')], 29_999, limits)).toEqual([]);
    expect(tracker.note([finding('a'), finding('b')], 30_000, limits)).toEqual([
      {
        ...finding('a'),
        severity: 'warning',
        ageMs: 30_000,
        collector: 'the media node’s sweep',
        collectedAfterMs: 35_000,
        overdue: false,
      },
    ]);
  });

  it('is not what was right in between', () => {
    const tracker = new DifferenceTracker(30_000);
    tracker.note([finding('a')], 0, limits);
    tracker.note([], 20_000, limits);
    expect(tracker.note([finding('a')], 40_000, limits)).toEqual([]);
  });

  it('is not another fault of the same object', () => {
    const tracker = new DifferenceTracker(30_000);
    tracker.note([finding('a')], 0, limits);
    expect(tracker.note([finding('a', 'ObjectWithoutRow')], 30_000, limits)).toEqual([]);
  });

  it('is overdue when it has lasted longer than its collector takes', () => {
    const tracker = new DifferenceTracker(0);
    const overdueAt = (at: number) => tracker.note([finding('a')], at, limits)[0]?.overdue;
    expect([0, 35_000, 35_001].map(overdueAt)).toEqual([false, false, true]);
  });

  it('is never overdue where nobody collects it', () => {
    const tracker = new DifferenceTracker(0);
    const overlap = finding('a', 'PortBlockOverlap');
    tracker.note([overlap], 0, limits);
    const [difference] = tracker.note([overlap], 1e9, limits);
    expect(difference).toMatchObject({ overdue: false, severity: 'critical' });
    expect(difference).not.toHaveProperty('collectedAfterMs');
  });

  it('has the critical and the oldest first', () => {
    const tracker = new DifferenceTracker(0);
    tracker.note([finding('a')], 0, limits);
    const all = [finding('b'), finding('a'), finding('c', 'ConsumerMissing')];
    const order = tracker.note(all, 10, limits).map(({ ids }) => ids['consumerId']);
    expect(order).toEqual(['c', 'a', 'b']);
  });
});

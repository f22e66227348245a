import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { DrainTurns, type TurnRequest } from './turns.ts';

const makeRequest = (room: string, change: Partial<TurnRequest> = {}): TurnRequest => ({
  ...{ instanceId: 'i', room, total: 10, maxConcurrentRooms: 2 },
  ...{ since: 0, timeoutMs: 100_000, now: 0 },
  ...change,
});

describe('DrainTurns', () => {
  it('lets so many rooms of a node move at a time, and the next when one is done', () => {
    const turns = new DrainTurns();
    const woken: string[] = [];
    turns.onTurn((room) => woken.push(room));
    expect(turns.ask(makeRequest('a'))).toBe(0);
    expect(turns.ask(makeRequest('b'))).toBe(0);
    expect(turns.ask(makeRequest('c'))).toBeGreaterThan(0);
    expect(turns.ask(makeRequest('d'))).toBeGreaterThan(0);
    expect(turns.ask(makeRequest('a'))).toBe(0);
    // Another node has turns of its own.
    expect(turns.ask(makeRequest('d', { instanceId: 'j' }))).toBe(0);
    turns.keepOnly('a', new Set());
    expect(woken).toEqual(['c']);
    expect(turns.ask(makeRequest('c'))).toBe(0);
    expect(turns.ask(makeRequest('d'))).toBeGreaterThan(0);
  });

  it('lets all begin evenly over the first half of the time, although nobody leaves', () => {
    const turns = new DrainTurns();
    const rooms = Array.from({ length: 10 }, (_, i) => `room-${i}`);
    const begunAt = (now: number): number =>
      rooms.filter((room) => turns.ask(makeRequest(room, { now })) === 0).length;
    expect([0, 10_000, 20_000, 30_000, 49_999, 50_000].map(begunAt)).toEqual([2, 2, 4, 6, 10, 10]);
  });

  it('lets all begin at once where the drain has no time', () => {
    const turns = new DrainTurns();
    const all = ['a', 'b', 'c', 'd'].map((room) => turns.ask(makeRequest(room, { timeoutMs: 0 })));
    expect(all).toEqual([0, 0, 0, 0]);
  });

  it('never lets a room wait beyond the time that it was told, however many come and go', () => {
    const action = fc.record({
      room: fc.integer({ min: 0, max: 30 }),
      kind: fc.constantFrom('ask', 'ask', 'ask', 'done'),
      stepMs: fc.integer({ min: 0, max: 3000 }),
    });
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 200 }),
        fc.integer({ min: 1, max: 5 }),
        (actions, most) => {
          const turns = new DrainTurns();
          const dueAt = new Map<string, number>();
          let now = 0;
          for (const { room, kind, stepMs } of actions) {
            now += stepMs;
            const key = `room-${room}`;
            if (kind === 'done') turns.keepOnly(key, new Set());
            if (kind !== 'ask') {
              dueAt.delete(key);
              continue;
            }
            const waitMs = turns.ask(
              makeRequest(key, { now, total: 31, maxConcurrentRooms: most }),
            );
            if (waitMs === 0) dueAt.delete(key);
            else {
              expect(now).toBeLessThan(Math.max(50_000, dueAt.get(key) ?? Infinity));
              dueAt.set(key, Math.min(dueAt.get(key) ?? Infinity, now + waitMs));
              expect(now + waitMs).toBeLessThanOrEqual(50_000 + 1);
            }
          }
        },
      ),
    );
  });

  it('forgets nodes that are gone', () => {
    const turns = new DrainTurns();
    turns.ask(makeRequest('a'));
    turns.forget('i');
    expect(turns.size).toBe(0);
  });
});

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { decideSize, type ConsumerRouter, type SizeRequest } from './decide-size.ts';

const policy = { growAtPercent: 80, shrinkBelowPercent: 60, shrinkAfterMs: 60_000 };

const router = (routerId: string, change: Partial<ConsumerRouter> = {}): ConsumerRouter => ({
  ...{ routerId, mayGo: true, peers: 10, fullPercent: 50, emptyForMs: 0, settled: true },
  ...change,
});
const full = (id: string): ConsumerRouter => router(id, { fullPercent: 80 });
const emptyRouter = (id: string, emptyForMs: number): ConsumerRouter =>
  router(id, { peers: 0, fullPercent: 0, emptyForMs });

const request = (routers: ConsumerRouter[], change: Partial<SizeRequest> = {}): SizeRequest => ({
  min: 1,
  max: 32,
  routers,
  draining: 0,
  policy,
  ...change,
});

const keep = (wanted: number) => ({ change: 'none', wanted });
const grow = (wanted: number) => ({ change: 'grow', wanted });
const shrink = (wanted: number, leaving: string) => ({ change: 'shrink', wanted, leaving });

describe('decideSize', () => {
  it.each<[string, SizeRequest, unknown]>([
    ['wants what the spec wants of a new room', request([], { min: 2 }), keep(2)],
    ['keeps a room that is at ease', request([router('a')]), keep(1)],
    ['grows a room whose only router is on a full worker', request([full('a')]), grow(2)],
    ['grows a room by one, however full', request([router('a', { fullPercent: 300 })]), grow(2)],
    ['does not grow while one router has room', request([full('a'), router('b')]), keep(2)],
    ['does not grow past the most', request([full('a'), full('b')], { max: 2 }), keep(2)],
    [
      'does not grow for a worker that others have filled while nobody of the room is there',
      request([router('a', { peers: 0, fullPercent: 95 })]),
      keep(1),
    ],
    [
      'does not grow again before the new router is seen',
      request([full('a'), router('b', { settled: false, fullPercent: 100 })]),
      keep(2),
    ],
    [
      'does not grow again before the new router is used',
      request([full('a'), router('b', { peers: 0, fullPercent: 90 })]),
      keep(2),
    ],
    [
      'grows a room whose router for both sides is full',
      request([router('a', { mayGo: false, fullPercent: 80 })]),
      grow(2),
    ],
    [
      'shrinks by a router that has been empty for long enough',
      request([router('a'), emptyRouter('b', 60_000)]),
      shrink(1, 'b'),
    ],
    ['waits until it has', request([router('a'), emptyRouter('b', 59_999)]), keep(2)],
    [
      'takes the one that has been empty for longest',
      request([router('a'), emptyRouter('b', 70_000), emptyRouter('c', 80_000)]),
      shrink(2, 'c'),
    ],
    [
      'lets one go at a time',
      request([router('a'), emptyRouter('b', 70_000)], { draining: 1 }),
      keep(2),
    ],
    [
      'does not shrink below what the spec wants',
      request([router('a'), emptyRouter('b', 70_000)], { min: 2 }),
      keep(2),
    ],
    [
      'does not shrink while the others are nearly full',
      request([router('a', { fullPercent: 60 }), emptyRouter('b', 70_000)]),
      keep(2),
    ],
    [
      'does not take the router that publishers are on',
      request([router('a'), { ...emptyRouter('b', 70_000), mayGo: false }]),
      keep(2),
    ],
    ['drops to a lower most at once', request([full('a'), full('b')], { max: 1 }), keep(1)],
    ['rises to a higher least at once', request([router('a')], { min: 3 }), keep(3)],
    [
      'keeps what it has grown to while a router is being replaced',
      request([full('a'), router('b', { settled: false }), router('c')]),
      keep(3),
    ],
  ])('%s', (_name, given, want) => {
    expect(decideSize(given)).toEqual(want);
  });
});

const anyRouter = fc.record({
  mayGo: fc.boolean(),
  peers: fc.nat(3),
  fullPercent: fc.nat(120),
  emptyForMs: fc.constantFrom(0, 30_000, 60_000, 90_000),
  settled: fc.boolean(),
});
const anyRequest = fc
  .record({
    routers: fc.array(anyRouter, { maxLength: 6 }),
    min: fc.integer({ min: 1, max: 4 }),
    more: fc.nat(4),
    draining: fc.nat(2),
  })
  .map(({ routers, min, more, draining }) =>
    request(
      routers.map((given, i) => ({
        ...given,
        routerId: `r${i}`,
        emptyForMs: given.peers === 0 ? given.emptyForMs : 0,
      })),
      { min, max: min + more, draining },
    ),
  );

describe('decideSize, for any room', () => {
  it('stays within the bounds, and moves by one at a time within them', () => {
    fc.assert(
      fc.property(anyRequest, (given) => {
        const { wanted } = decideSize(given);
        const { min, max, routers } = given;
        expect(wanted).toBeGreaterThanOrEqual(min);
        expect(wanted).toBeLessThanOrEqual(max);
        if (routers.length >= min && routers.length <= max)
          expect(Math.abs(wanted - routers.length)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('never undoes its own step while the load stays as it is', () => {
    fc.assert(
      fc.property(anyRequest, fc.boolean(), (given, later) => {
        const first = decideSize(given);
        if (first.change === 'none') return;
        const emptyForMs = later ? 120_000 : 0;
        const routers =
          first.change === 'grow'
            ? [...given.routers, emptyRouter('new', emptyForMs)]
            : given.routers.filter(({ routerId }) => routerId !== first.leaving);
        const second = decideSize({ ...given, routers, draining: 0 });
        expect(second.change).not.toBe(first.change === 'grow' ? 'shrink' : 'grow');
        if (first.change === 'grow') expect(second.change).toBe('none');
      }),
    );
  });

  it('comes to rest', () => {
    fc.assert(
      fc.property(anyRequest, (given) => {
        let routers = [...given.routers];
        const changes: string[] = [];
        for (let i = 0; i < 20; i++) {
          const decision = decideSize({ ...given, routers, draining: 0 });
          changes.push(decision.change);
          if (decision.change === 'grow') routers = [...routers, emptyRouter(`new-${i}`, 120_000)];
          else if (decision.change === 'shrink') {
            const { leaving } = decision;
            routers = routers.filter(({ routerId }) => routerId !== leaving);
          }
        }
        expect(changes.at(-1)).toBe('none');
        expect(changes.includes('grow') && changes.includes('shrink')).toBe(false);
      }),
    );
  });
});

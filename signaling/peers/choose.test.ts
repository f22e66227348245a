import { describe, expect, it } from '@jest/globals';

import type { BindingCount } from '../../common/db/repositories/peers.ts';
import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import { roomNameOf } from '../placement/room-name.ts';
import { mapLimit } from '../map-limit.ts';
import { chooseAnew, chooseRouters } from './choose.ts';

const place = (
  routerId: string,
  role: Placement['role'],
  state: Placement['state'] = 'Ready',
): Placement => ({
  routerId,
  role,
  state,
  pool: 'p',
  podName: 'p-0',
  instanceId: 'i',
  url: 'http://h',
  generation: 1,
});
const room = (...placements: Placement[]): MediaRoom =>
  ({ metadata: { name: 'r' }, status: { placements } }) as unknown as MediaRoom;
const bound = (
  producerRouterId: string | null,
  consumerRouterId: string | null,
  peers: number,
): BindingCount => ({
  producerRouterId,
  consumerRouterId,
  peers,
});

const [p1, p2, c1, c2] = [
  place('p1', 'Producer'),
  place('p2', 'Producer'),
  place('c1', 'Consumer'),
  place('c2', 'Consumer'),
];
const [b1, b2] = [place('b1', 'Both'), place('b2', 'Both')];

describe('chooseRouters', () => {
  it.each([
    ['takes the first of an empty room', room(p1, p2, c1, c2), [], 'p1', 'c1'],
    [
      'takes the one with the fewest peers',
      room(p1, p2, c1, c2),
      [bound('p1', 'c1', 1)],
      'p2',
      'c2',
    ],
    [
      'counts each side by itself',
      room(p1, p2, c1, c2),
      [bound('p1', 'c1', 3), bound('p1', 'c2', 1), bound('p2', 'c1', 2)],
      'p2',
      'c2',
    ],
    [
      'has both sides on one router that serves both',
      room(b1, b2),
      [bound('b1', 'b1', 1)],
      'b2',
      'b2',
    ],
    [
      'gives watchers a Both router where it has fewer',
      room(p1, b1),
      [bound('b1', 'b1', 1)],
      'p1',
      'b1',
    ],
    [
      'lets a peer watch where it publishes when the others have no fewer',
      room(b1, place('a', 'Consumer')),
      [bound('b1', 'b1', 2), bound('b1', 'a', 2)],
      'b1',
      'b1',
    ],
    [
      'lets new peers watch on a router that was added to a full one for both sides',
      room(b1, c1),
      [bound('b1', 'b1', 50)],
      'b1',
      'c1',
    ],
    [
      'prefers those that stay to one that is about to drain',
      room({ ...p1, drainDeadline: '2026-01-01T00:00:00Z' }, p2, {
        ...c1,
        drainDeadline: '2026-01-01T00:00:00Z',
      }),
      [bound('p2', 'c1', 5)],
      'p2',
      'c1',
    ],
    ['takes none that drains', room(place('p1', 'Producer', 'Draining'), p2, c1), [], 'p2', 'c1'],
    [
      'takes none that is pending',
      room(p1, place('c1', 'Consumer', 'Pending'), c2),
      [],
      'p1',
      'c2',
    ],
  ])('%s', (...[, given, counts, producer, consumer]) => {
    const chosen = chooseRouters(given, counts);
    expect([chosen.producer.routerId, chosen.consumer.routerId]).toEqual([producer, consumer]);
  });

  it.each([
    ['no producer side', room(c1)],
    ['no consumer side', room(p1)],
    ['nothing', room()],
  ])('refuses a room with %s', (_name, given) => {
    expect(() => chooseRouters(given, [])).toThrow('no router');
  });
});

describe('chooseAnew', () => {
  it.each([
    ['one side, by its own load', room(p1, p2, c1, c2), ['consumer'], [bound('p1', 'c1', 1)], 'c2'],
    ['the router of the other side where loads are equal', room(b1, b2), ['consumer'], [], 'b2'],
  ] as [string, MediaRoom, ('producer' | 'consumer')[], BindingCount[], string][])(
    'chooses %s',
    (...[, given, sides, counts, consumer]) => {
      const chosen = chooseAnew(given, counts, sides, 'b2');
      expect(chosen.producer).toBeUndefined();
      expect(chosen.consumer?.routerId).toBe(consumer);
    },
  );

  it('chooses both sides on one router where it can', () => {
    const chosen = chooseAnew(room(b1, b2), [bound('b1', null, 1)], ['producer', 'consumer'], 'b1');
    expect([chosen.producer?.routerId, chosen.consumer?.routerId]).toEqual(['b2', 'b2']);
  });

  it('refuses where a side has no router', () => {
    expect(() => chooseAnew(room(p1), [], ['consumer'], 'p1')).toThrow('no router');
  });
});

describe('roomNameOf', () => {
  it.each(['a', 'room-1', 'x'.repeat(63), '0'])('keeps the label %s', (id) => {
    expect(roomNameOf(id)).toBe(id);
  });

  it.each(['Room', 'a b', 'a.b', '-a', 'a-', 'x'.repeat(64), 'zimmer-ü', '../etc', '日本'])(
    'hashes %s to a label',
    (id) => {
      expect(roomNameOf(id)).toMatch(/^r-[0-9a-f]{32}$/);
      expect(roomNameOf(id)).toBe(roomNameOf(id));
    },
  );

  it('lets no id stand for the room of another', () => {
    expect(roomNameOf(roomNameOf('A Room'))).not.toBe(roomNameOf('A Room'));
  });
});

describe('mapLimit', () => {
  it('keeps the order and the limit', async () => {
    let running = 0;
    let most = 0;
    const work = async (n: number): Promise<number> => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running -= 1;
      return n * 2;
    };
    expect(await mapLimit([1, 2, 3, 4, 5], 2, work)).toEqual([2, 4, 6, 8, 10]);
    expect(most).toBe(2);
    expect(await mapLimit([], 2, work)).toEqual([]);
  });
});

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { Placement } from '../../common/resources/types.ts';
import { makeNode, makeRequest, makeRoom, nextRequest as next } from '../../testing/placement.ts';
import { decidePlacements } from './decide.ts';
import { PlacementLedger } from './ledger.ts';
import { routerId } from './router-id.ts';
import type { NodeCandidate, Side } from './types.ts';

const summary = (placements: readonly Placement[]): string[] =>
  placements.map(({ role, podName, state }) => `${role} ${podName} ${state}`).sort();

describe('decidePlacements', () => {
  it('puts producers and consumers on nodes of their roles', () => {
    const nodes = [makeNode('p', { role: 'Producer' }), makeNode('c', { role: 'Consumer' })];
    const decision = decidePlacements(makeRequest({ nodes }));
    expect(summary(decision.placements)).toEqual(['Consumer c Pending', 'Producer p Pending']);
    expect(decision.generation).toBe(1);
    expect(decision.shortfalls).toEqual([]);
  });

  it('puts a small room on one router where a node can be both', () => {
    const decision = decidePlacements(makeRequest({ nodes: [makeNode('a'), makeNode('b')] }));
    expect(decision.placements).toHaveLength(1);
    expect(decision.placements[0]?.role).toBe('Both');
  });

  it('does not put a room of several routers on one', () => {
    const nodes = [makeNode('a'), makeNode('b'), makeNode('c')];
    const { placements } = decidePlacements(makeRequest({ nodes, ...makeRoom(1, 2) }));
    expect(placements.map(({ role }) => role).sort()).toEqual(['Consumer', 'Consumer', 'Producer']);
    expect(new Set(placements.map(({ podName }) => podName)).size).toBe(3);
  });

  it('uses only pools that the selector matches', () => {
    const nodes = [
      makeNode('a', { poolLabels: { zone: 'x' } }),
      makeNode('b', { poolLabels: { zone: 'y' } }),
    ];
    const { room } = makeRoom(1, 1);
    room.consumers.selector.matchLabels = { zone: 'y' };
    room.producers.selector.matchLabels = { zone: 'x' };
    const { placements } = decidePlacements(makeRequest({ nodes, room }));
    expect(summary(placements)).toEqual(['Consumer b Pending', 'Producer a Pending']);
  });

  it('takes the less loaded node, and a busy one only when no other fits', () => {
    const loaded = makeNode('a', {
      load: { routers: 5, producers: 0, consumers: 0, cpuPercent: 0 },
    });
    const busy = makeNode('b', {
      load: { routers: 0, producers: 0, consumers: 0, cpuPercent: 90 },
    });
    const place = (nodes: NodeCandidate[]) =>
      decidePlacements(makeRequest({ nodes })).placements[0]?.podName;
    expect(place([loaded, makeNode('c')])).toBe('c');
    expect(place([loaded, busy])).toBe('a');
    expect(place([busy])).toBe('b');
  });

  it.each([
    [
      'no node at all',
      [],
      /^Consumer: no node of a MediaWorker with role Consumer or Both has answered/,
    ],
    ['a node of another pool', [makeNode('x', { role: 'Producer' })], /spec\.consumers\.selector$/],
    [
      'a node that drains',
      [makeNode('c', { role: 'Consumer', state: 'Draining', pool: 'watchers' })],
      /^Consumer: no node of MediaWorker watchers is ready/,
    ],
    [
      'a full node',
      [
        makeNode('c', {
          role: 'Consumer',
          pool: 'watchers',
          capacity: { routers: 0, producers: 0, consumers: 0 },
        }),
      ],
      /^Consumer: no ready node of MediaWorker watchers has room for a router: raise spec\.replicas/,
    ],
    [
      'a node that has refused',
      [makeNode('refuser', { role: 'Consumer', instanceId: 'refusing' })],
      /every ready node has just refused a router: refuser$/,
    ],
  ])('says what is missing and what helps with %s', (_name, consumers, want) => {
    const nodes = [makeNode('p', { role: 'Producer' }), ...consumers];
    const refusing = new Set(['refusing']);
    const { shortfalls, placements } = decidePlacements(makeRequest({ nodes, refusing }));
    expect(placements).toHaveLength(1);
    expect(shortfalls).toEqual([
      { side: 'Consumer', wanted: 1, placed: 0, message: expect.stringMatching(want) },
    ]);
  });

  it('names the labels that no pool has', () => {
    const { room } = makeRoom(1, 1);
    room.consumers.selector.matchLabels = { zone: 'y' };
    const { shortfalls } = decidePlacements(makeRequest({ nodes: [makeNode('a')], room }));
    expect(shortfalls[0]?.message).toMatch(/and the labels zone=y/);
  });

  it('replaces a lost router with a new one of the next generation and leaves the others', () => {
    const nodes = ['a', 'b', 'c', 'd'].map((name) => makeNode(name));
    const request = makeRequest({ nodes, ...makeRoom(1, 2) });
    const first = decidePlacements(request);
    const [victim] = first.placements.filter(({ role }) => role === 'Consumer');
    const alive = nodes.filter(({ podName }) => podName !== victim?.podName);
    const lost = new Set([victim?.routerId ?? '']);
    const second = decidePlacements(next(request, first, { nodes: alive, lost }));
    const kept = new Set(first.placements.map(({ routerId: id }) => id));
    const fresh = second.placements.filter(({ routerId: id }) => !kept.has(id));
    expect(second.generation).toBe(2);
    expect(fresh).toHaveLength(1);
    expect(fresh[0]).toMatchObject({ role: 'Consumer', generation: 2, state: 'Pending' });
    expect(second.placements).toHaveLength(3);
  });

  it('drains what sits on a draining node once it is replaced, and lets it go when it is drained', () => {
    const nodes = [makeNode('a'), makeNode('b')];
    const request = makeRequest({ nodes });
    const first = decidePlacements(request);
    const before = first.placements[0]?.podName;
    const draining = nodes.map((node) =>
      node.podName === before ? { ...node, state: 'Draining' as const } : node,
    );
    const second = decidePlacements(next(request, first, { nodes: draining }));
    const after = before === 'a' ? 'b' : 'a';
    expect(summary(second.placements)).toEqual(
      [`Both ${before ?? ''} Draining`, `Both ${after} Pending`].sort(),
    );
    const drained = new Set(first.placements.map(({ routerId: id }) => id));
    const third = decidePlacements(next(request, second, { nodes: draining, drained }));
    expect(summary(third.placements)).toEqual([`Both ${after} Ready`]);
    expect(third.released.map(({ podName }) => podName)).toEqual([before]);
    expect(third.generation).toBe(second.generation);
  });

  it('drains the emptiest newest router when fewer are wanted', () => {
    const nodes = ['a', 'b', 'c'].map((name) => makeNode(name, { role: 'Consumer' }));
    const request = makeRequest({ nodes, ...makeRoom(0, 3) });
    const first = decidePlacements(request);
    const full = first.placements[2];
    const empty = new Set(first.placements.slice(0, 2).map(({ routerId: id }) => id));
    const second = decidePlacements(next(request, first, { ...makeRoom(0, 2), empty }));
    const draining = second.placements.filter(({ state }) => state === 'Draining');
    expect(draining).toHaveLength(1);
    expect(draining[0]?.routerId).not.toBe(full?.routerId);
    expect(second.generation).toBe(2);
  });

  it('keeps what is on a node that is silent or has not answered yet', () => {
    const nodes = [makeNode('a'), makeNode('b')];
    const request = makeRequest({ nodes });
    const first = decidePlacements(request);
    const silent = nodes.map((node) => ({ ...node, state: 'Unreachable' as const }));
    for (const known of [silent, []]) {
      const second = decidePlacements(next(request, first, { nodes: known }));
      expect(second.placements.map(({ state }) => state)).toEqual(['Ready']);
      expect(second.generation).toBe(1);
    }
  });

  it('leaves out an instance that refused', () => {
    const nodes = [makeNode('a'), makeNode('b')];
    const refusing = new Set(['instance-a']);
    expect(decidePlacements(makeRequest({ nodes, refusing })).placements[0]?.podName).toBe('b');
  });

  it('gives a side that has no router one on the worker of the other side, where there is no other place', () => {
    const node = makeNode('a');
    const full = { ...node, load: { ...node.load, consumers: node.capacity.consumers } };
    const request = makeRequest({ nodes: [full] });
    const half = decidePlacements(request);
    expect(half.placements.map(({ role }) => role)).toEqual(['Producer']);
    const later = { ...next(request, half), nodes: [node] };
    expect(decidePlacements(later).placements.map(({ role }) => role)).toEqual([
      'Producer',
      'Consumer',
    ]);
  });

  it('puts two routers of a room on one node only as long as each gets a worker', () => {
    const nodes = [makeNode('a', { workers: 2, role: 'Consumer' })];
    const { placements, shortfalls } = decidePlacements(makeRequest({ nodes, ...makeRoom(0, 3) }));
    expect(placements).toHaveLength(2);
    expect(new Set(placements.map(({ routerId: id }) => id)).size).toBe(2);
    expect(shortfalls[0]).toMatchObject({ side: 'Consumer', wanted: 3, placed: 2 });
  });
});

const arbitraryNodes = fc
  .array(
    fc.record({
      role: fc.constantFrom('Producer' as const, 'Consumer' as const, 'Both' as const),
      state: fc.constantFrom(
        ...(['Ready', 'Ready', 'Ready', 'Draining', 'Unreachable', 'Pending', 'Dead'] as const),
      ),
      zone: fc.constantFrom('x', 'y'),
      workers: fc.integer({ min: 1, max: 3 }),
      routers: fc.integer({ min: 0, max: 6 }),
      consumers: fc.integer({ min: 0, max: 12 }),
      cpuPercent: fc.integer({ min: 0, max: 100 }),
    }),
    { maxLength: 8 },
  )
  .map((specs) =>
    specs.map(({ role, state, zone, workers, routers, consumers, cpuPercent }, i) =>
      makeNode(`node-${i}`, {
        ...{ role, state, workers, poolLabels: { zone } },
        capacity: { routers: 5, producers: 10, consumers: 10 },
        load: { routers, consumers, producers: 0, cpuPercent },
      }),
    ),
  );

const arbitraryRoom = fc
  .record({
    uid: fc.uuid(),
    producers: fc.integer({ min: 1, max: 4 }),
    consumers: fc.integer({ min: 1, max: 4 }),
    zone: fc.constantFrom(undefined, 'x', 'y'),
  })
  .map(({ uid, producers, consumers, zone }) => {
    const room = makeRoom(producers, consumers, uid);
    if (zone) room.room.consumers.selector.matchLabels = { zone };
    return room;
  });

const serves = ({ role }: Placement, side: Side): boolean => role === 'Both' || role === side;

describe('decidePlacements, for any nodes and rooms', () => {
  const anyRequest = fc
    .tuple(arbitraryNodes, arbitraryRoom)
    .map(([nodes, room]) => makeRequest({ nodes, ...room }));

  it('never goes over capacity, nor on a node that is not ready or not selected', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const { placements } = decidePlacements(request);
        for (const node of request.nodes) {
          const here = placements.filter(({ instanceId }) => instanceId === node.instanceId);
          if (here.length === 0) continue;
          expect(node.state).toBe('Ready');
          expect(node.load.routers + here.length).toBeLessThanOrEqual(node.capacity.routers);
          // A worker is shared by two routers of the room only where one of them is all that its side has.
          const isOnly = (['Producer', 'Consumer'] as const).some(
            (side) =>
              placements.filter((p) => serves(p, side)).length === 1 &&
              here.some((p) => serves(p, side)),
          );
          expect(here.length).toBeLessThanOrEqual(node.workers + (isOnly ? 1 : 0));
          const { zone } = request.room.consumers.selector.matchLabels;
          if (here.some((p) => serves(p, 'Consumer'))) {
            expect(node.load.consumers).toBeLessThan(node.capacity.consumers);
            if (zone) expect(node.poolLabels['zone']).toBe(zone);
            expect(node.role).not.toBe('Producer');
          }
          if (here.some((p) => serves(p, 'Producer'))) expect(node.role).not.toBe('Consumer');
        }
      }),
    );
  });

  it('places exactly what is wanted, or says what is missing', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const { placements, shortfalls } = decidePlacements(request);
        for (const side of ['Producer', 'Consumer'] as const) {
          const wanted = request.wanted[side];
          const placed = placements.filter((p) => serves(p, side)).length;
          const short = shortfalls.find((shortfall) => shortfall.side === side);
          expect(placed + (short ? short.wanted - short.placed : 0)).toBe(wanted);
        }
        expect(new Set(placements.map(({ routerId: id }) => id)).size).toBe(placements.length);
      }),
    );
  });

  it('decides the same for the same input, in whatever order the nodes come', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const reversed = { ...request, nodes: [...request.nodes].reverse() };
        expect(decidePlacements(reversed)).toEqual(decidePlacements(request));
      }),
    );
  });

  it('changes nothing when nothing has changed', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const first = decidePlacements(request);
        const again = next(request, first);
        const second = decidePlacements(again);
        expect(second.placements).toEqual(again.current);
        expect(second.generation).toBe(first.generation);
        expect(second.released).toEqual([]);
      }),
    );
  });

  it('moves nothing when a node joins, and only what was there when a node goes', () => {
    fc.assert(
      fc.property(anyRequest, fc.nat(), (request, pick) => {
        const first = decidePlacements(request);
        const joined = next(request, first, { nodes: [...request.nodes, makeNode('new')] });
        const afterJoin = new Map(
          decidePlacements(joined).placements.map((p) => [p.routerId, p] as const),
        );
        for (const placement of joined.current)
          expect(afterJoin.get(placement.routerId)).toEqual(placement);

        const victim = request.nodes[pick % Math.max(1, request.nodes.length)];
        const isThere = ({ instanceId }: Placement): boolean => instanceId === victim?.instanceId;
        const left = next(request, first, {
          nodes: request.nodes.filter((node) => node !== victim),
          lost: new Set(first.placements.filter(isThere).map(({ routerId: id }) => id)),
        });
        const afterLeave = decidePlacements(left);
        const rest = new Map(afterLeave.placements.map((p) => [p.routerId, p] as const));
        for (const placement of left.current)
          expect(rest.get(placement.routerId)).toEqual(isThere(placement) ? undefined : placement);
      }),
    );
  });

  it('uses one node twice for a room only when every other usable node has as many', () => {
    fc.assert(
      fc.property(arbitraryNodes, fc.integer({ min: 1, max: 6 }), (all, consumers) => {
        const nodes = all.map((node) => ({ ...node, role: 'Consumer' as const }));
        const { placements } = decidePlacements(makeRequest({ nodes, ...makeRoom(0, consumers) }));
        const countOn = (node: NodeCandidate): number =>
          placements.filter(({ instanceId }) => instanceId === node.instanceId).length;
        const most = Math.max(0, ...nodes.map(countOn));
        for (const node of nodes) {
          const couldTakeMore =
            node.state === 'Ready' &&
            node.load.consumers < node.capacity.consumers &&
            node.load.routers + countOn(node) < node.capacity.routers &&
            countOn(node) < node.workers;
          if (couldTakeMore) expect(countOn(node)).toBeGreaterThanOrEqual(most - 1);
        }
      }),
    );
  });

  it('spreads many rooms evenly over equal nodes', () => {
    const ledger = new PlacementLedger();
    const names = ['a', 'b', 'c', 'd'];
    const capacity = { routers: 100, producers: 1000, consumers: 1000 };
    for (let i = 0; i < 200; i++) {
      const nodes = names.map((name) => {
        const routers = ledger.routersOn(`instance-${name}`);
        const load = { routers, producers: 0, consumers: 0, cpuPercent: 0 };
        return makeNode(name, { load, capacity });
      });
      const request = makeRequest({ nodes, ...makeRoom(1, 1, `uid-${i}`) });
      ledger.set(`room-${i}`, decidePlacements(request).placements);
    }
    const counts = names.map((name) => ledger.routersOn(`instance-${name}`));
    expect(counts.reduce((a, b) => a + b)).toBe(200);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(15);
  });
});

describe('routerId', () => {
  it('is readable, a path segment of at most 253 characters, and differs by room, instance, role, ordinal and generation', () => {
    const room = { name: 'stand-up.team', uid: 'a' };
    const name = { room, instanceId: 'i', role: 'Consumer', ordinal: 1, generation: 3 } as const;
    const id = routerId(name);
    expect(id).toMatch(/^stand-up\.team-c1-g3-[0-9a-f]{8}$/);
    expect(encodeURIComponent(id)).toBe(id);
    const long = { name: 'x'.repeat(253), uid: 'b' };
    expect(
      routerId({ ...name, room: long, ordinal: 31, generation: 2 ** 53 - 1 }).length,
    ).toBeLessThanOrEqual(253);
    const ids = [
      routerId({ ...name, room: { ...room, uid: 'other' } }),
      routerId({ ...name, instanceId: 'other' }),
      routerId({ ...name, role: 'Producer' }),
      routerId({ ...name, ordinal: 2 }),
      routerId({ ...name, generation: 4 }),
    ];
    expect(new Set([id, ...ids]).size).toBe(6);
  });
});

describe('PlacementLedger', () => {
  it('knows what is where, and forgets what a room no longer has', () => {
    const ledger = new PlacementLedger();
    const { placements } = decidePlacements(
      makeRequest({ nodes: [makeNode('a'), makeNode('b')], ...makeRoom(1, 2) }),
    );
    ledger.set('default/room', placements);
    const [first] = placements;
    expect(ledger.roomOf(first?.routerId ?? '')).toBe('default/room');
    expect(ledger.roomsOn(first?.podName ?? '')).toEqual(['default/room']);
    ledger.set('default/room', placements.slice(1));
    expect(ledger.has(first?.routerId ?? '')).toBe(false);
    ledger.delete('default/room');
    expect(ledger.roomsOn('a')).toEqual([]);
    expect(ledger.routersOn('instance-a')).toBe(0);
  });
});

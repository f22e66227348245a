import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { Placement } from '../../common/resources/types.ts';
import { makeNode, makeRequest, makeRoom, nextRequest } from '../../testing/placement.ts';
import { decidePlacements, maxPlacements } from './decide.ts';
import { PlacementLedger } from './ledger.ts';
import type { NodeCandidate, PlacementRequest } from './types.ts';

/** Nodes whose routers are counted by a ledger, as decisions that follow one another see them. */
const countedBy = (ledger: PlacementLedger, nodes: readonly NodeCandidate[]): NodeCandidate[] =>
  nodes.map((node) => {
    const unseen = ledger.routersOn(node.instanceId);
    return { ...node, unseen, load: { ...node.load, routers: node.load.routers + unseen } };
  });

const arbitraryNodes = fc
  .array(
    fc.record({
      role: fc.constantFrom('Producer' as const, 'Consumer' as const, 'Both' as const),
      state: fc.constantFrom(...(['Ready', 'Ready', 'Ready', 'Draining', 'Unreachable'] as const)),
      workers: fc.integer({ min: 1, max: 3 }),
      capacity: fc.integer({ min: 0, max: 6 }),
      cpuPercent: fc.integer({ min: 0, max: 100 }),
    }),
    { maxLength: 8 },
  )
  .map((specs) =>
    specs.map(({ role, state, workers, capacity, cpuPercent }, i) =>
      makeNode(`node-${i}`, {
        ...{ role, state, workers },
        capacity: { routers: capacity, producers: 10, consumers: 10 },
        load: { routers: 0, producers: 0, consumers: 0, cpuPercent },
      }),
    ),
  );
const arbitraryWants = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
  { maxLength: 15 },
);

describe('rooms that are decided one after another, before any node has been asked again', () => {
  it('are never over capacity together', () => {
    fc.assert(
      fc.property(arbitraryNodes, arbitraryWants, (nodes, wants) => {
        const ledger = new PlacementLedger();
        for (const [i, [producers, consumers]] of wants.entries()) {
          const request = makeRequest({
            nodes: countedBy(ledger, nodes),
            ...makeRoom(producers, consumers, `uid-${i}`),
          });
          ledger.set(`room-${i}`, decidePlacements(request).placements);
        }
        for (const { instanceId, capacity, state } of nodes) {
          expect(ledger.routersOn(instanceId)).toBeLessThanOrEqual(capacity.routers);
          if (state !== 'Ready') expect(ledger.routersOn(instanceId)).toBe(0);
        }
      }),
    );
  });

  it('fill every place before one of them is left without', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(5), { minLength: 1, maxLength: 6 }),
        fc.nat(40),
        (places, rooms) => {
          const ledger = new PlacementLedger();
          const nodes = places.map((routers, i) =>
            makeNode(`node-${i}`, { capacity: { routers, producers: 10, consumers: 10 } }),
          );
          const placed = Array.from({ length: rooms }, (_, i) => {
            const room = makeRoom(1, 1, `uid-${i}`);
            const decision = decidePlacements(
              makeRequest({ nodes: countedBy(ledger, nodes), ...room }),
            );
            ledger.set(`room-${i}`, decision.placements);
            return decision.placements.length;
          });
          const all = places.reduce((a, b) => a + b, 0);
          expect(placed.reduce((a, b) => a + b, 0)).toBe(Math.min(rooms, all));
        },
      ),
    );
  });

  it('spread evenly over equal nodes when one of them dies, and only its own move', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 8 }),
        fc.integer({ min: 1, max: 100 }),
        (size, perNode) => {
          const ledger = new PlacementLedger();
          const capacity = { routers: 1_000, producers: 1_000, consumers: 1_000 };
          const nodes = Array.from({ length: size }, (_, i) => makeNode(`node-${i}`, { capacity }));
          const requests = Array.from({ length: size * perNode }, (_, i) => {
            const request = makeRequest({
              nodes: countedBy(ledger, nodes),
              ...makeRoom(1, 1, `uid-${i}`),
            });
            const { placements } = decidePlacements(request);
            ledger.set(`room-${i}`, placements);
            return { ...request, current: placements, generation: 1 };
          });
          const [dead, ...alive] = nodes;
          const isDead = ({ instanceId }: Placement) => instanceId === dead?.instanceId;
          const moved = new Map(alive.map(({ instanceId }) => [instanceId, 0]));
          let lostRooms = 0;
          for (const [i, request] of requests.entries()) {
            const lost = new Set(request.current.filter(isDead).map(({ routerId }) => routerId));
            const { placements } = decidePlacements({
              ...{ ...request, lost, nodes: countedBy(ledger, alive) },
            });
            ledger.set(`room-${i}`, placements);
            if (lost.size === 0) expect(placements).toEqual(request.current);
            else lostRooms++;
            for (const { instanceId, routerId } of placements)
              if (!request.current.some((old) => old.routerId === routerId))
                moved.set(instanceId, (moved.get(instanceId) ?? 0) + 1);
          }
          const most = Math.max(...moved.values());
          expect([...moved.values()].reduce((a, b) => a + b, 0)).toBe(lostRooms);
          // A hash spreads them: as evenly as throws of dice.
          const mean = lostRooms / alive.length;
          expect(most).toBeLessThanOrEqual(mean + 5 * Math.sqrt(mean) + 3);
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe('decidePlacements for a room that grows', () => {
  const consumerNode = (name: string, consumers: number): NodeCandidate =>
    makeNode(name, {
      role: 'Consumer',
      load: { routers: 1, producers: 0, consumers, cpuPercent: 0 },
    });
  const grown = (nodes: NodeCandidate[]): PlacementRequest => {
    const first = makeRequest({
      nodes: [makeNode('p', { role: 'Producer' }), consumerNode('a', 0)],
      ...makeRoom(1, 1),
    });
    return nextRequest(first, decidePlacements(first), {
      nodes: [makeNode('p', { role: 'Producer' }), consumerNode('a', 90), ...nodes],
      wanted: { Producer: 1, Consumer: 2 },
      growBelowPercent: 80,
    });
  };

  it('adds a router on a node that is below the threshold, and leaves the others', () => {
    const request = grown([consumerNode('b', 80), consumerNode('c', 79)]);
    const { placements, generation } = decidePlacements(request);
    expect(placements.slice(0, 2)).toEqual(request.current);
    expect(placements[2]).toMatchObject({ podName: 'c', role: 'Consumer', generation });
    expect(generation).toBe(request.generation + 1);
  });

  it('adds none where every node is full, and says so without a change', () => {
    const request = grown([consumerNode('b', 80)]);
    const { placements, generation, shortfalls } = decidePlacements(request);
    expect(placements).toEqual(request.current);
    expect(generation).toBe(request.generation);
    expect(shortfalls).toMatchObject([{ side: 'Consumer', wanted: 2, placed: 1 }]);
  });

  it('lets the named router go when there is one too many', () => {
    const nodes = ['a', 'b', 'c'].map((name) => makeNode(name, { role: 'Consumer' }));
    const request = makeRequest({ nodes, ...makeRoom(0, 3) });
    const first = decidePlacements(request);
    for (const { routerId: leaving } of first.placements) {
      const shrunk = decidePlacements(nextRequest(request, first, { ...makeRoom(0, 2), leaving }));
      expect([...shrunk.draining]).toEqual([[leaving, 'Surplus']]);
    }
  });
});

describe('decidePlacements for a room with many routers on their way out', () => {
  it('lists no more than a status can hold, and cuts the oldest short', () => {
    const old = (i: number): Placement => ({
      ...{ routerId: `old-${i}`, role: 'Consumer', pool: 'pool', podName: `old-${i}` },
      ...{ instanceId: `old-${i}`, url: 'http://old', generation: i, state: 'Draining' },
    });
    const current = Array.from({ length: maxPlacements }, (_, i) => old(i));
    const nodes = ['a', 'b'].map((name) => makeNode(name, { role: 'Consumer' }));
    const { placements, released } = decidePlacements(
      makeRequest({ nodes, current, generation: 200, ...makeRoom(0, 2) }),
    );
    expect(placements).toHaveLength(maxPlacements);
    expect(released.map(({ routerId }) => routerId)).toEqual(['old-0', 'old-1']);
  });
});

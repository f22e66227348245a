import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { MediaWorker } from '../../common/resources/types.ts';
import { PlacementLedger } from '../placement/ledger.ts';
import type { NodeCandidate } from '../placement/types.ts';
import { drainingSinceAnnotation, poolLabel } from '../workers/labels.ts';
import { CandidateCache, buildCandidates } from './candidates.ts';
import type { ObservedNode } from './observe.ts';

const makePool = (name: string, namespace = 'default', consumersPerWorker = 100): MediaWorker =>
  ({
    metadata: { name, namespace, labels: { pool: name } },
    spec: {
      role: 'Consumer',
      capacity: { routersPerWorker: 10, producersPerWorker: 50, consumersPerWorker },
    },
  }) as unknown as MediaWorker;

interface NodeSpec {
  name: string;
  pool?: string;
  namespace?: string;
  consumers?: number;
  routers?: number;
  answered?: boolean;
  annotations?: Record<string, string>;
}

const makeObserved = ({ name, ...rest }: NodeSpec): ObservedNode => {
  const { pool = 'c', namespace = 'default', annotations = {} } = rest;
  const { consumers = 0, routers = 0, answered = true } = rest;
  const status = {
    workers: [{}, {}],
    routers: Array.from({ length: routers }, (_, i) => ({ routerId: `${name}-${i}` })),
    load: { consumers, producers: 0, cpuPercent: 0 },
  };
  return {
    pod: { metadata: { name, namespace, annotations, labels: { [poolLabel]: pool } } },
    ...{ url: `http://${name}`, state: 'Ready', misses: 0, silentSince: undefined },
    instance: answered ? { id: `i-${name}`, restartCount: 0, status, answeredAt: 0 } : undefined,
  } as unknown as ObservedNode;
};

class Source {
  readonly nodes = new Map<string, ObservedNode>();
  #listener: (before?: ObservedNode, after?: ObservedNode) => void = () => undefined;

  list = () => [...this.nodes.values()];
  onChange = (listener: (before?: ObservedNode, after?: ObservedNode) => void): void => {
    this.#listener = listener;
  };

  put(name: string, after: ObservedNode | undefined): void {
    const before = this.nodes.get(name);
    if (after) this.nodes.set(name, after);
    else this.nodes.delete(name);
    this.#listener(before, after);
  }
}

const plain = (candidates: readonly NodeCandidate[]) =>
  candidates
    .map(({ averageRouter: _, ...rest }) => ({ ...rest, load: { ...rest.load } }))
    .sort((a, b) => (a.podName < b.podName ? -1 : 1));

describe('CandidateCache', () => {
  it('always lists what building anew would', () => {
    const change = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      kind: fc.constantFrom('node', 'gone', 'pool', 'noPool', 'placed'),
      pool: fc.constantFrom('c', 'd'),
      namespace: fc.constantFrom('default', 'other'),
      consumers: fc.nat(50),
      routers: fc.nat(3),
      answered: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const source = new Source();
        const ledger = new PlacementLedger();
        const pools = new Map<string, MediaWorker>();
        const poolOf = ({ namespace, name }: { namespace: string; name: string }) =>
          pools.get(`${namespace}/${name}`);
        const cache = new CandidateCache(source, poolOf, ledger);
        for (const { kind, name, ...rest } of changes) {
          const { namespace, pool } = rest;
          if (kind === 'node') source.put(name, makeObserved({ name, ...rest }));
          if (kind === 'gone') source.put(name, undefined);
          if (kind === 'pool')
            pools.set(`${namespace}/${pool}`, makePool(pool, namespace, rest.consumers + 1));
          if (kind === 'noPool') pools.delete(`${namespace}/${pool}`);
          if (kind === 'placed')
            ledger.set(name, [
              { routerId: `r-${name}`, instanceId: `i-${name}`, podName: name } as never,
            ]);
          for (const where of ['default', 'other']) {
            const nodes = source.list().filter(({ pod }) => pod.metadata.namespace === where);
            expect(plain(cache.list(where))).toEqual(plain(buildCandidates(nodes, poolOf, ledger)));
          }
        }
      }),
    );
  });

  it('keeps the candidates of nodes that have not changed', () => {
    const source = new Source();
    const pool = makePool('c');
    const cache = new CandidateCache(source, () => pool, new PlacementLedger());
    for (const name of ['a', 'b']) source.put(name, makeObserved({ name }));
    const before = cache.list('default');
    expect(cache.list('default')).toBe(before);
    source.put('b', makeObserved({ name: 'b', consumers: 7 }));
    const after = cache.list('default');
    expect(after.find(({ podName }) => podName === 'a')).toBe(
      before.find(({ podName }) => podName === 'a'),
    );
    expect(after.find(({ podName }) => podName === 'b')?.load.consumers).toBe(7);
  });

  it('knows what routers carry on average, and which are still unseen', () => {
    const source = new Source();
    const ledger = new PlacementLedger();
    const pool = makePool('c');
    const cache = new CandidateCache(source, () => pool, ledger);
    source.put('a', makeObserved({ name: 'a', routers: 2, consumers: 30 }));
    source.put('b', makeObserved({ name: 'b', routers: 1, consumers: 30 }));
    const placed = ['r-1', 'r-2', 'r-3'].map((routerId) => ({
      routerId,
      instanceId: 'i-b',
      podName: 'b',
    }));
    ledger.set('default/room', placed as never);
    const b = cache.list('default').find(({ podName }) => podName === 'b');
    expect(b).toMatchObject({ unseen: 2, averageRouter: { consumers: 20 } });
    expect(b?.load.routers).toBe(3);
  });

  it('takes a node for draining as soon as its pod is chosen to go', () => {
    const source = new Source();
    const pool = makePool('c');
    const cache = new CandidateCache(source, () => pool, new PlacementLedger());
    const annotations = { [drainingSinceAnnotation]: '2026-01-01T00:00:00Z' };
    source.put('a', makeObserved({ name: 'a', annotations }));
    expect(cache.list('default')[0]?.state).toBe('Draining');
  });
});

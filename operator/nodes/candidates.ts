import type { MediaWorker } from '../../common/resources/types.ts';
import type { PlacementLedger } from '../placement/ledger.ts';
import type { NodeCandidate, Side } from '../placement/types.ts';
import { isLeaving, poolLabel } from '../workers/labels.ts';
import type { ObservedNode } from './observe.ts';

type PoolOf = (key: { namespace: string; name: string }) => MediaWorker | undefined;
type Ledger = Pick<PlacementLedger, 'routersOn'>;

/** The nodes as placement sees them: those that have answered, with their pool's capacity and what is decided for them. */
export function buildCandidates(
  nodes: readonly ObservedNode[],
  poolOf: PoolOf,
  ledger: Ledger,
): NodeCandidate[] {
  const averageRouter = { producers: 0, consumers: 0 };
  return nodes.flatMap((node) => {
    const { namespace, labels } = node.pod.metadata;
    const pool = poolOf({ namespace, name: labels?.[poolLabel] ?? '' });
    return pool ? (toCandidate(node, { pool, ledger, averageRouter }) ?? []) : [];
  });
}

interface Surroundings {
  pool: MediaWorker;
  ledger: Ledger;
  averageRouter: NodeCandidate['averageRouter'];
}

function toCandidate(
  { pod, state, instance, url }: ObservedNode,
  { pool, ledger, averageRouter }: Surroundings,
): NodeCandidate | undefined {
  if (!instance || !url) return undefined;
  const { id, status } = instance;
  const { capacity, role } = pool.spec;
  const workers = Math.max(1, status.workers.length);
  const leaves = pool.metadata.deletionTimestamp !== undefined || isLeaving(pod);
  const listed = status.routers.length;
  const { producers, consumers, cpuPercent } = status.load;
  return {
    podName: pod.metadata.name,
    instanceId: id,
    url,
    pool: pool.metadata.name,
    poolLabels: pool.metadata.labels ?? {},
    role,
    state: state === 'Ready' && leaves ? 'Draining' : state,
    workers,
    capacity: {
      routers: workers * capacity.routersPerWorker,
      producers: workers * capacity.producersPerWorker,
      consumers: workers * capacity.consumersPerWorker,
    },
    // What the ledger knows is read when it is asked for: it changes with every decision, and the rest does not.
    load: {
      get routers() {
        return Math.max(listed, ledger.routersOn(id));
      },
      ...{ producers, consumers, cpuPercent },
    },
    get unseen() {
      return Math.max(0, ledger.routersOn(id) - listed);
    },
    averageRouter,
  };
}

/** A pool's nodes by pod name, with the candidates that were made of them. */
interface PoolNodes {
  pool: MediaWorker | undefined;
  nodes: Map<string, ObservedNode>;
  candidates: Map<string, NodeCandidate>;
  /** Pods whose candidate is out of date. */
  changed: Set<string>;
}

interface Namespace {
  pools: Map<string, PoolNodes>;
  all: NodeCandidate[];
  averageRouter: { producers: number; consumers: number };
}

/** What tells the cache of nodes. */
export interface NodeSource {
  list(): readonly ObservedNode[];
  onChange(listener: (before?: ObservedNode, after?: ObservedNode) => void): void;
}

/**
 * The candidates of each namespace, kept from one decision to the next. A candidate is made anew when its node answers or
 * its pool changes; a decision costs a look at each pool and nothing for each node.
 */
export class CandidateCache {
  readonly #namespaces = new Map<string, Namespace>();
  readonly #poolOf: PoolOf;
  readonly #ledger: Ledger;

  constructor(source: NodeSource, poolOf: PoolOf, ledger: Ledger) {
    this.#poolOf = poolOf;
    this.#ledger = ledger;
    for (const node of source.list()) this.#note(undefined, node);
    source.onChange((before, after) => this.#note(before, after));
  }

  /** Valid until the next node or pool changes. */
  list(namespace: string): readonly NodeCandidate[] {
    const found = this.#namespaces.get(namespace);
    if (!found) return [];
    let changed = false;
    for (const [name, entry] of found.pools)
      if (this.#refresh(entry, { namespace, name }, found)) changed = true;
    if (changed) collect(found);
    if (found.pools.size === 0) this.#namespaces.delete(namespace);
    return found.all;
  }

  #note(before: ObservedNode | undefined, after: ObservedNode | undefined): void {
    if (before) {
      const { entry, name } = this.#entryOf(before);
      entry.nodes.delete(name);
      entry.changed.add(name);
    }
    if (!after) return;
    const { entry, name } = this.#entryOf(after);
    entry.nodes.set(name, after);
    entry.changed.add(name);
  }

  #entryOf({ pod }: ObservedNode): { entry: PoolNodes; name: string } {
    const { namespace, name, labels } = pod.metadata;
    const poolName = labels?.[poolLabel] ?? '';
    let found = this.#namespaces.get(namespace);
    if (!found) {
      found = { pools: new Map(), all: [], averageRouter: { producers: 0, consumers: 0 } };
      this.#namespaces.set(namespace, found);
    }
    let entry = found.pools.get(poolName);
    if (!entry) {
      entry = { pool: undefined, nodes: new Map(), candidates: new Map(), changed: new Set() };
      found.pools.set(poolName, entry);
    }
    return { entry, name };
  }

  /** @returns whether a candidate is another one now */
  #refresh(
    entry: PoolNodes,
    key: { namespace: string; name: string },
    { averageRouter, pools }: Namespace,
  ): boolean {
    const pool = this.#poolOf(key);
    if (pool !== entry.pool) for (const name of entry.nodes.keys()) entry.changed.add(name);
    entry.pool = pool;
    if (entry.changed.size === 0) return false;
    for (const name of entry.changed) {
      const node = entry.nodes.get(name);
      const surroundings = pool && { pool, ledger: this.#ledger, averageRouter };
      const candidate = node && surroundings && toCandidate(node, surroundings);
      if (candidate) entry.candidates.set(name, candidate);
      else entry.candidates.delete(name);
    }
    entry.changed.clear();
    if (entry.nodes.size === 0) pools.delete(key.name);
    return true;
  }
}

function collect(namespace: Namespace): void {
  const { pools, averageRouter } = namespace;
  namespace.all = [...pools.values()].flatMap(({ candidates }) => [...candidates.values()]);
  averageRouter.producers = averageOf(namespace.all, 'Producer');
  averageRouter.consumers = averageOf(namespace.all, 'Consumer');
}

/** Producers or consumers for each router that is on a node of this side. */
function averageOf(nodes: readonly NodeCandidate[], side: Side): number {
  let routers = 0;
  let carried = 0;
  for (const { role, load, unseen } of nodes) {
    if (role !== 'Both' && role !== side) continue;
    routers += load.routers - unseen;
    carried += side === 'Producer' ? load.producers : load.consumers;
  }
  return carried / Math.max(1, routers);
}

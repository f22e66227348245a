import { isDeepStrictEqual } from 'node:util';

import { isApiError } from '../../common/errors.ts';
import type { MediaWorker, MediaWorkerStatus } from '../../common/resources/types.ts';
import type { OperatorConfig } from '../config.ts';
import { buildCandidates } from '../nodes/candidates.ts';
import { specHash } from './build-pod.ts';
import type { Shortage } from './conditions.ts';
import { podsOf, record, type PoolContext } from './context.ts';
import { describeRefusal } from './create.ts';
import { buildWorkerStatus } from './status.ts';
import { describeTransitions } from './transitions.ts';
import { shapeOf } from './view.ts';

/** The status without what changes all the time. */
const withoutFigures = (status: MediaWorkerStatus): object => ({
  ...status,
  ...{ rooms: 0, peers: 0, loadPercent: 0 },
  nodes: (status.nodes ?? []).map((node) => ({
    ...node,
    ...{ rooms: 0, peers: 0, consumers: 0, cpuPercent: 0 },
  })),
});

/** Why no pod can be made of the pool's overrides. */
function problemOf(worker: MediaWorker, config: OperatorConfig['pods']): Shortage | undefined {
  try {
    specHash(worker, config);
    return undefined;
  } catch (error) {
    if (isApiError(error, 'invalid_request')) return describeRefusal(error, worker);
    throw error;
  }
}

function build(context: PoolContext, shortage: Shortage | undefined): MediaWorkerStatus {
  const { deps, memory, worker } = context;
  const { cluster, monitor, ledger, clock, config } = deps;
  const nodes = podsOf(context).flatMap((pod) => monitor.get(pod.metadata) ?? []);
  const shape = shapeOf(worker, config.pods);
  return buildWorkerStatus({
    ...{ worker, nodes, shape },
    // Overrides that can't be merged are told of even while no pod is to be made of them.
    shortage: shortage ?? (shape === undefined ? problemOf(worker, config.pods) : undefined),
    candidates: buildCandidates(nodes, (key) => cluster.workers.get(key), ledger),
    scaling: memory.scaling?.last,
    now: new Date(clock.now()),
  });
}

/**
 * Writes the pool's status where it has changed, and tells of what has become of the pool. Changed figures alone are
 * written once in a while.
 *
 * @returns after how long to write figures that were left out, in milliseconds
 */
export async function writeStatus(
  context: PoolContext,
  shortage: Shortage | undefined,
): Promise<number> {
  const { deps, memory, worker } = context;
  const before = worker.status;
  const status = build(context, shortage);
  if (isDeepStrictEqual(status, before)) return Infinity;
  const now = deps.clock.now();
  const isFigures =
    before !== undefined && isDeepStrictEqual(withoutFigures(status), withoutFigures(before));
  const nextAt = (memory.figuresAt ?? -Infinity) + deps.config.reconcile.statusIntervalMs;
  if (isFigures && now < nextAt) return nextAt - now;
  await deps.cluster.workers.setStatus(worker, status);
  memory.figuresAt = now;
  for (const event of describeTransitions(before, status)) record(context, event);
  return Infinity;
}

import { isApiError } from '../../common/errors.ts';
import type { MediaWorker } from '../../common/resources/types.ts';
import { parseKey } from '../cluster.ts';
import type { OperatorDeps } from '../deps.ts';
import type { Reconcile, ReconcileResult } from '../runtime/controller.ts';
import { protect } from './budget.ts';
import { podsOf, type PoolContext } from './context.ts';
import { createPods } from './create.ts';
import type { PodsDecision } from './decide-pods.ts';
import { reportDrains } from './drains.ts';
import { finalizer } from './labels.ts';
import { PoolMemories } from './memory.ts';
import { abandonPods, markDraining, markOccupied, removePods, tellDraining } from './pods.ts';
import type { PortAllocator } from './ports.ts';
import { scale } from './scale.ts';
import { decide } from './view.ts';
import { writeStatus } from './write-status.ts';

/** Brings a MediaWorker's pods to its spec: finalizer → scale → decide → drain → remove → create → finalize → status. */
export function createWorkerReconcile(deps: OperatorDeps, ports: PortAllocator): Reconcile {
  const memories = new PoolMemories();
  return async (key) => {
    const found = deps.cluster.workers.get(parseKey(key));
    if (!found) {
      memories.forget(key);
      return {};
    }
    const owned = await ensureFinalizer(deps, found);
    const shared = { deps, ports, memory: memories.of(owned) };
    const context = { ...shared, worker: await scale({ ...shared, worker: owned }) };
    const decision = decide(context);
    await markDraining(context, decision.drain);
    await removePods(context, decision.remove);
    await abandonPods(context, decision.abandon);
    const shortage = await createPods(context, decision.create);
    await markOccupied(context);
    await tellDraining(context);
    if (await finalize(context)) return {};
    // After a start of the operator, the status stays until all nodes were asked: they serve as they did before.
    const isKnown = !decision.unpolled || !isFirstLook(context);
    const figuresInMs = isKnown ? await writeStatus(context, shortage) : Infinity;
    await protect(context);
    return nextLook(context, decision, Math.min(figuresInMs, reportDrains(context)));
  };
}

async function ensureFinalizer(deps: OperatorDeps, worker: MediaWorker): Promise<MediaWorker> {
  const finalizers = worker.metadata.finalizers ?? [];
  if (worker.metadata.deletionTimestamp || finalizers.includes(finalizer)) return worker;
  return deps.cluster.workers.setFinalizers(worker, [...finalizers, finalizer]);
}

/** A deleted pool is let go once its pods are gone. @returns whether it was */
async function finalize(context: PoolContext): Promise<boolean> {
  const { deps, worker } = context;
  const { deletionTimestamp, finalizers = [] } = worker.metadata;
  if (!deletionTimestamp || podsOf(context).length > 0) return false;
  const rest = finalizers.filter((name) => name !== finalizer);
  if (rest.length < finalizers.length)
    await deps.cluster.workers.setFinalizers(worker, rest).catch((error: unknown) => {
      if (!isApiError(error, 'not_found')) throw error;
    });
  return true;
}

/** There is a status, and another operator wrote it. */
const isFirstLook = ({ memory, worker }: PoolContext): boolean =>
  worker.status !== undefined && memory.figuresAt === undefined;

function nextLook(
  { deps, memory, worker }: PoolContext,
  { nextDeadline = Infinity, unpolled }: PodsDecision,
  tellInMs: number,
): ReconcileResult {
  const { clock, config } = deps;
  const now = clock.now();
  const requeueAfterMs = Math.min(
    config.reconcile.resyncMs,
    nextDeadline - now,
    (memory.refusal?.retryAt ?? Infinity) - now,
    worker.spec.autoscaling ? config.autoscaling.intervalMs : Infinity,
    tellInMs,
    unpolled ? config.nodes.intervalMs : Infinity,
  );
  return { requeueAfterMs: Math.max(1, requeueAfterMs) };
}

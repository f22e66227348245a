import { isDeepStrictEqual } from 'node:util';

import { isApiError, messageOf } from '../../common/errors.ts';
import type { MediaWorker } from '../../common/resources/types.ts';
import { formatKey, parseKey, type Pod } from '../cluster.ts';
import type { OperatorDeps } from '../deps.ts';
import { buildCandidates } from '../nodes/candidates.ts';
import type { ObservedNode } from '../nodes/observe.ts';
import type { Reconcile, ReconcileResult } from '../runtime/controller.ts';
import { buildPod, specHash } from './build-pod.ts';
import { decidePods, type PodsDecision, type PodView } from './decide-pods.ts';
import {
  drainingSince,
  drainingSinceAnnotation,
  finalizer,
  ordinalOf,
  poolOf,
  specHashAnnotation,
} from './labels.ts';
import { allocateBlock, blockOf, blockSize } from './ports.ts';
import { buildWorkerStatus } from './status.ts';

/** One look at a pool. */
interface Context {
  deps: OperatorDeps;
  worker: MediaWorker;
  pods: Pod[];
}

/** Brings a MediaWorker's pods to its spec: finalizer → decide → drain → remove → create → status → finalize. */
export const createWorkerReconcile =
  (deps: OperatorDeps): Reconcile =>
  async (key) => {
    const found = deps.cluster.workers.get(parseKey(key));
    if (!found) return {};
    const worker = await ensureFinalizer(deps, found);
    const decision = decide({ deps, worker, pods: podsOf(deps, worker) });
    await markDraining({ deps, worker, pods: podsOf(deps, worker) }, decision.drain);
    await removePods({ deps, worker, pods: podsOf(deps, worker) }, decision.remove);
    const withoutPorts = await createPods(deps, worker, decision.create);
    await tellDraining({ deps, worker, pods: podsOf(deps, worker) });
    if (await finalize(deps, worker)) return {};
    await writeStatus(deps, worker, withoutPorts);
    return nextLook(deps, decision);
  };

function podsOf({ cluster }: OperatorDeps, worker: MediaWorker): Pod[] {
  const { name, namespace } = worker.metadata;
  return cluster.pods
    .list()
    .filter((pod) => pod.metadata.namespace === namespace && poolOf(pod) === name);
}

async function ensureFinalizer(deps: OperatorDeps, worker: MediaWorker): Promise<MediaWorker> {
  const finalizers = worker.metadata.finalizers ?? [];
  if (worker.metadata.deletionTimestamp || finalizers.includes(finalizer)) return worker;
  return deps.cluster.workers.setFinalizers(worker, [...finalizers, finalizer]);
}

function viewPod(pod: Pod, node: ObservedNode | undefined, hash: string): PodView {
  const status = node?.instance?.status;
  return {
    name: pod.metadata.name,
    ordinal: ordinalOf(pod),
    state: node?.state ?? 'Pending',
    failed: node?.state === 'Dead' || ['Failed', 'Succeeded'].includes(pod.status.phase),
    terminating: pod.metadata.deletionTimestamp !== undefined,
    drainingSince: drainingSince(pod),
    outdated: pod.metadata.annotations?.[specHashAnnotation] !== hash,
    peers: status?.load.peers ?? 0,
    routers: status?.routers.length ?? 0,
  };
}

function decide({ deps, worker, pods }: Context): PodsDecision {
  const hash = specHash(worker, deps.config.pods);
  const { spec, metadata } = worker;
  return decidePods({
    replicas: spec.replicas,
    pods: pods.map((pod) => viewPod(pod, deps.monitor.get(pod.metadata), hash)),
    deleting: metadata.deletionTimestamp !== undefined,
    drainTimeoutMs: spec.drain.timeoutSeconds * 1000,
    canSurge: findPorts(deps, worker) !== undefined,
    now: deps.clock.now(),
  });
}

/** Ports are unique over all pools, so that pools with one range can share a machine. */
function findPorts(
  { cluster }: OperatorDeps,
  worker: MediaWorker,
): ReturnType<typeof allocateBlock> {
  const taken = cluster.pods.list().flatMap((pod) => blockOf(pod) ?? []);
  return allocateBlock(worker.spec.network.portRange, blockSize(worker), taken);
}

async function markDraining({ deps, pods }: Context, names: string[]): Promise<void> {
  const since = new Date(deps.clock.now()).toISOString();
  for (const pod of pods.filter(({ metadata }) => names.includes(metadata.name))) {
    deps.logger.info({ pod: pod.metadata.name }, 'node chosen to drain');
    await deps.cluster.pods.updateMetadata(pod, {
      annotations: { [drainingSinceAnnotation]: since },
    });
  }
}

/** Tells each draining node; one that can't be told now is told again at the next look. */
async function tellDraining({ deps, pods }: Context): Promise<void> {
  const untold = pods
    .filter((pod) => drainingSince(pod) !== undefined && !pod.metadata.deletionTimestamp)
    .map((pod) => deps.monitor.get(pod.metadata))
    .filter((node) => node?.state === 'Ready');
  await Promise.all(
    untold.map(async (node) => {
      await deps.nodeClient.drain(node?.url ?? '').catch((error: unknown) => {
        deps.logger.warn(
          { pod: node?.pod.metadata.name, reason: messageOf(error) },
          'drain failed',
        );
      });
    }),
  );
}

async function removePods(
  { deps, pods }: Context,
  removals: PodsDecision['remove'],
): Promise<void> {
  for (const { name, reason } of removals) {
    const pod = pods.find(({ metadata }) => metadata.name === name);
    if (!pod) continue;
    deps.logger.info({ pod: name, reason }, 'removing a node');
    await deps.cluster.pods.delete(pod);
  }
}

/** @returns how many pods could not be made for want of ports */
async function createPods(
  deps: OperatorDeps,
  worker: MediaWorker,
  ordinals: number[],
): Promise<number> {
  for (const [i, ordinal] of ordinals.entries()) {
    const ports = findPorts(deps, worker);
    if (!ports) return ordinals.length - i;
    const manifest = buildPod(worker, { ordinal, ports, config: deps.config.pods });
    deps.logger.info({ pod: manifest.metadata.name, ports }, 'creating a node');
    await deps.cluster.pods.create(manifest);
  }
  return 0;
}

/** A deleted pool is let go once its pods are gone. @returns whether it was */
async function finalize(deps: OperatorDeps, worker: MediaWorker): Promise<boolean> {
  const { deletionTimestamp, finalizers = [] } = worker.metadata;
  if (!deletionTimestamp || podsOf(deps, worker).length > 0) return false;
  const rest = finalizers.filter((name) => name !== finalizer);
  if (rest.length < finalizers.length)
    await deps.cluster.workers.setFinalizers(worker, rest).catch((error: unknown) => {
      if (!isApiError(error, 'not_found')) throw error;
    });
  return true;
}

async function writeStatus(
  deps: OperatorDeps,
  worker: MediaWorker,
  withoutPorts: number,
): Promise<void> {
  const { cluster, monitor, ledger, clock } = deps;
  const nodes = podsOf(deps, worker).flatMap((pod) => monitor.get(pod.metadata) ?? []);
  const status = buildWorkerStatus({
    worker,
    nodes,
    candidates: buildCandidates(nodes, (key) => cluster.workers.get(key), ledger),
    withoutPorts,
    now: new Date(clock.now()),
  });
  if (isDeepStrictEqual(status, worker.status)) return;
  await cluster.workers.setStatus(worker, status);
  deps.logger.debug({ pool: formatKey(worker.metadata) }, 'status written');
}

function nextLook({ clock, config }: OperatorDeps, decision: PodsDecision): ReconcileResult {
  const untilDeadline = (decision.nextDeadline ?? Infinity) - clock.now();
  return { requeueAfterMs: Math.max(1, Math.min(config.reconcile.resyncMs, untilDeadline)) };
}

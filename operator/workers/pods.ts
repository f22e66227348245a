import { messageOf } from '../../common/errors.ts';
import { parseKey, type Pod } from '../cluster.ts';
import { isActive } from '../placement/draft.ts';
import { podsOf, record, type PoolContext } from './context.ts';
import type { DrainCause, PodsDecision, RemoveCause } from './decide-pods.ts';
import { describeOccupants, occupantsOf, recordOf, secondsOf } from './drains.ts';
import { drainingSince, drainingSinceAnnotation, occupiedLabel } from './labels.ts';
import type { PoolEvent } from './reasons.ts';

const drainCauses: Record<DrainCause, string> = {
  Outdated: 'the pool has another shape now',
  Cordoned: 'its machine takes no pods any more',
  ScaledDown: 'there are more nodes than wanted',
  PoolDeleted: 'the pool is deleted',
  NodeDrains: 'it takes no more rooms by itself',
};

/** Writes down which nodes are to go, so that the decision outlives the operator that made it. */
export async function markDraining(
  context: PoolContext,
  drains: PodsDecision['drain'],
): Promise<void> {
  const { deps, worker } = context;
  const since = new Date(deps.clock.now()).toISOString();
  for (const { pod, cause } of pair(context, drains)) {
    await deps.cluster.pods.updateMetadata(pod, {
      annotations: { [drainingSinceAnnotation]: since },
    });
    recordOf(context, pod);
    const limit = `within ${worker.spec.drain.timeoutSeconds} s`;
    const load = describeOccupants(occupantsOf(context, pod));
    record(context, {
      ...{ type: 'Normal', reason: 'DrainStarted', action: 'Drain' },
      note: `${pod.metadata.name} is to go ${limit}: ${drainCauses[cause]}; ${load} on it`,
    });
  }
}

function pair<Cause>(
  context: PoolContext,
  items: readonly { name: string; cause: Cause }[],
): { pod: Pod; cause: Cause }[] {
  const pods = new Map(podsOf(context).map((pod) => [pod.metadata.name, pod]));
  return items.flatMap(({ name, cause }) => {
    const pod = pods.get(name);
    return pod ? [{ pod, cause }] : [];
  });
}

/**
 * Tells each draining node whose rooms all have begun to move, since it takes no peers from then on; one that can't be told now
 * is told again at the next look.
 */
export async function tellDraining(context: PoolContext): Promise<void> {
  const { deps } = context;
  const untold = podsOf(context)
    .filter((pod) => drainingSince(pod) !== undefined && !pod.metadata.deletionTimestamp)
    .map((pod) => deps.monitor.get(pod.metadata))
    .filter((node) => node?.instance?.status.state === 'Ready' && node.state !== 'Dead')
    .filter((node) => node && !takesPeers(context, node.pod));
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

/** Whether peers may still be bound to a router on the pod. */
const takesPeers = ({ deps }: PoolContext, { metadata }: Pod): boolean =>
  deps.ledger
    .roomsOn(metadata.name)
    .flatMap((key) => deps.cluster.rooms.get(parseKey(key))?.status?.placements ?? [])
    .some((placement) => placement.podName === metadata.name && isActive(placement));

export async function removePods(
  context: PoolContext,
  removals: PodsDecision['remove'],
): Promise<void> {
  for (const { pod, cause } of pair(context, removals)) {
    const event = describeRemoval(context, pod, cause);
    await context.deps.cluster.pods.delete(pod);
    record(context, event);
  }
}

function describeRemoval(context: PoolContext, pod: Pod, cause: RemoveCause): PoolEvent {
  const { deps } = context;
  const { name } = pod.metadata;
  const { reason, message } = pod.status;
  const now = deps.clock.now();
  const silentForMs = now - (deps.monitor.get(pod.metadata)?.silentSince ?? now);
  const load = describeOccupants(occupantsOf(context, pod));
  const drain = recordOf(context, pod);
  const seconds = secondsOf(drain, now);
  const action = 'DeletePod';
  const events: Record<RemoveCause, PoolEvent> = {
    Drained: {
      ...{ type: 'Normal', reason: 'DrainCompleted', action },
      note: `removed ${name}: it is empty after ${seconds} s of draining, with ${describeOccupants(drain.atFirst)} at its beginning`,
    },
    DrainTimedOut: {
      ...{ type: 'Warning', reason: 'DrainDeadlineExceeded', action },
      note: `removed ${name} after ${seconds} s of draining, with ${load} on it of ${describeOccupants(drain.atFirst)}`,
    },
    Dead: {
      ...{ type: 'Warning', reason: 'NodeDead', action },
      note: `removed ${name}: it has not answered for ${Math.round(silentForMs / 1000)} s; ${load} on it`,
    },
    Failed: {
      ...{ type: 'Warning', reason: 'PodFailed', action },
      note: `removed ${name}: it has ended (${[reason ?? pod.status.phase, message].filter(Boolean).join(': ')})`,
    },
  };
  return events[cause];
}

/** Lets pods go that were deleted and do not end, as on a machine that is cut off. */
export async function abandonPods(context: PoolContext, names: string[]): Promise<void> {
  const { deps } = context;
  for (const pod of podsOf(context).filter(({ metadata }) => names.includes(metadata.name))) {
    await deps.cluster.pods.delete(pod, { force: true });
    const { name, deletionTimestamp = '' } = pod.metadata;
    const late = Math.round((deps.clock.now() - Date.parse(deletionTimestamp)) / 1000);
    record(context, {
      ...{ type: 'Warning', reason: 'PodAbandoned', action: 'DeletePod' },
      note: `gave up on ${name}: it has not ended ${late} s after its time; its process may still run on ${pod.spec.nodeName ?? 'its machine'}`,
    });
  }
}

/** Labels the pods that have rooms or peers, which is what the pool's disruption budget protects. */
export async function markOccupied(context: PoolContext): Promise<void> {
  const { deps } = context;
  for (const pod of podsOf(context)) {
    const status = deps.monitor.get(pod.metadata)?.instance?.status;
    if (!status || pod.metadata.deletionTimestamp) continue;
    const isOccupied = status.routers.length > 0 || status.load.peers > 0;
    const isMarked = pod.metadata.labels?.[occupiedLabel] === 'true';
    if (isOccupied === isMarked) continue;
    await deps.cluster.pods.updateMetadata(pod, {
      labels: { [occupiedLabel]: isOccupied ? 'true' : null },
    });
  }
}

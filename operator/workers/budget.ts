import { messageOf } from '../../common/errors.ts';
import { apiVersion, type MediaWorker } from '../../common/resources/types.ts';
import type { PodDisruptionBudget } from '../cluster.ts';
import { record, type PoolContext } from './context.ts';
import { managedBy, managedByLabel, occupiedLabel, poolLabel } from './labels.ts';

/**
 * More than there ever are, so that none of the selected pods may be evicted. Of `maxUnavailable: 0` and `100%` Kubernetes
 * takes the pool's `spec.replicas` for the number of pods: while nodes are replaced or drain there are more than that, and
 * as many could be evicted with their rooms.
 */
const unattainable = 1_000_000;

/** Nodes with rooms may not be evicted before their rooms have moved; empty and broken ones may at any time. */
export function buildBudget({ metadata, kind }: MediaWorker): PodDisruptionBudget {
  const { name, namespace, uid } = metadata;
  return {
    metadata: {
      ...{ name, namespace },
      labels: { [managedByLabel]: managedBy, [poolLabel]: name },
      ownerReferences: [
        { ...{ apiVersion, kind, name, uid }, ...{ controller: true, blockOwnerDeletion: true } },
      ],
    },
    spec: {
      minAvailable: unattainable,
      selector: { matchLabels: { [poolLabel]: name, [occupiedLabel]: 'true' } },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  };
}

/** Keeps the pool's disruption budget as it should be. */
export async function protect(context: PoolContext): Promise<void> {
  const { deps, worker } = context;
  if (worker.metadata.deletionTimestamp) return;
  try {
    await deps.cluster.budgets.apply(buildBudget(worker));
  } catch (error) {
    record(context, {
      ...{ type: 'Warning', reason: 'BudgetNotApplied', action: 'ProtectNodes' },
      note: `nodes with rooms are not protected from evictions: ${messageOf(error)}`,
    });
    throw error;
  }
}

import type { ApiError } from '../../common/errors.ts';
import { isApiError, messageOf } from '../../common/errors.ts';
import { isQuotaExceeded, KubernetesError } from '../../common/kubernetes/errors.ts';
import type { MediaWorker } from '../../common/resources/types.ts';
import { backoffDelay } from '../runtime/queue.ts';
import { buildPod } from './build-pod.ts';
import type { Shortage } from './conditions.ts';
import { record, type PoolContext } from './context.ts';
import { podName } from './labels.ts';
import { formatBlock } from './ports.ts';
import type { ShortageReason } from './reasons.ts';

/** Answers that say that the pod was not made, and will not be as it is. */
const refusals = ['invalid_request', 'forbidden', 'not_found', 'payload_too_large'] as const;

const hasOverrides = ({ spec: { podTemplate } }: MediaWorker): boolean =>
  [podTemplate.spec, podTemplate.metadata].some((part) => Object.keys(part).length > 0);

function reasonOf(error: ApiError, worker: MediaWorker): ShortageReason {
  if (isQuotaExceeded(error)) return 'QuotaExceeded';
  if (error.code === 'forbidden') return 'Forbidden';
  if (error.code === 'not_found') return 'NotFound';
  return hasOverrides(worker) ? 'InvalidPodTemplate' : 'InvalidPod';
}

export const describeRefusal = (error: ApiError, worker: MediaWorker): Shortage => ({
  reason: reasonOf(error, worker),
  message: error instanceof KubernetesError ? error.detail : error.message,
});

/**
 * Makes the pods that are wanted, as far as there are ports and the API server takes them. A refusal is not repeated before
 * its time, unless the pool was changed.
 *
 * @returns why pods are missing
 */
export async function createPods(
  context: PoolContext,
  ordinals: number[],
): Promise<Shortage | undefined> {
  const { deps, memory, worker } = context;
  if (ordinals.length === 0) delete memory.refusal;
  const { refusal } = memory;
  const isSame = refusal?.generation === worker.metadata.generation;
  if (refusal && isSame && deps.clock.now() < refusal.retryAt) return refusal.shortage;
  const created: string[] = [];
  try {
    for (const [i, ordinal] of ordinals.entries()) {
      const pod = await createPod(context, ordinal);
      if (!pod) return portsExhausted(worker, ordinals.length - i);
      created.push(pod);
    }
    delete memory.refusal;
    return undefined;
  } catch (error) {
    if (!isApiError(error, ...refusals)) throw error;
    return remember(context, describeRefusal(error, worker));
  } finally {
    if (created.length > 0)
      record(context, {
        ...{ type: 'Normal', reason: 'PodsCreated', action: 'CreatePods' },
        note: `created ${created.join(', ')}`,
      });
  }
}

const portsExhausted = ({ spec }: MediaWorker, missing: number): Shortage => ({
  reason: 'PortRangeExhausted',
  message: `spec.network.portRange ${formatBlock(spec.network.portRange)} has no free ports for ${missing} more nodes`,
});

function remember({ deps, memory, worker }: PoolContext, shortage: Shortage): Shortage {
  const { generation } = worker.metadata;
  const failures = memory.refusal?.generation === generation ? memory.refusal.failures + 1 : 0;
  const delay = backoffDelay(deps.config.reconcile.backoff, failures);
  memory.refusal = { shortage, generation, failures, retryAt: deps.clock.now() + delay };
  return shortage;
}

/** @returns the pod's name with its ports; undefined where there are no ports for it */
async function createPod(
  { deps, ports, worker }: PoolContext,
  ordinal: number,
): Promise<string | undefined> {
  const { name, namespace } = worker.metadata;
  const key = { namespace, name: podName(name, ordinal) };
  const block = ports.reserve(key, worker);
  if (!block) return undefined;
  try {
    const manifest = buildPod(worker, { ordinal, ports: block, config: deps.config.pods });
    await deps.cluster.pods.create(manifest);
    ports.settle(key, { block, outcome: 'Created' });
    return `${key.name} (ports ${formatBlock(block)})`;
  } catch (error) {
    const refused = isApiError(error, ...refusals);
    ports.settle(key, { block, outcome: refused ? 'Refused' : 'Unknown' });
    deps.logger.warn({ pod: key.name, reason: messageOf(error) }, 'pod not created');
    throw error;
  }
}

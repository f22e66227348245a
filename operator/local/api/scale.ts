import type { MediaWorker } from '../../../common/resources/types.ts';
import { StatusError } from './status.ts';

/** A pool as `autoscaling/v1` Scale. */
export function toScale({ metadata, spec, status }: MediaWorker): object {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: spec.replicas },
    status: {
      replicas: status?.replicas ?? 0,
      ...(status?.selector ? { selector: status.selector } : {}),
    },
  };
}

/** The pool with the replicas that a Scale asks for. @throws {StatusError} 422 */
export function fromScale(scale: unknown, worker: MediaWorker): MediaWorker {
  const { spec, metadata } = (scale ?? {}) as {
    spec?: { replicas?: unknown };
    metadata?: { resourceVersion?: string };
  };
  const replicas = spec?.replicas ?? 0;
  if (typeof replicas !== 'number')
    throw new StatusError(422, 'Invalid', 'spec.replicas: must be integer');
  const resourceVersion = metadata?.resourceVersion ?? '';
  return {
    ...worker,
    metadata: { ...worker.metadata, resourceVersion },
    spec: { ...worker.spec, replicas },
  };
}

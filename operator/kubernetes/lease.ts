import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';

import { isApiError } from '../../common/errors.ts';
import { KubernetesClient } from '../../common/kubernetes/client.ts';
import { Informer, type HasMeta } from '../../common/kubernetes/informer.ts';
import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { collectionSource } from '../../common/kubernetes/source.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { KubernetesConfig } from '../config.ts';
import type { Clock } from '../runtime/clock.ts';
import { LeaderElector, type LeaseClient } from '../runtime/leader-election.ts';
import type { LeaseRecord, StoredLease } from '../runtime/lease.ts';
import type { KubernetesMetrics } from './metrics.ts';

const type = resourceTypes.leases;

interface Lease extends HasMeta {
  spec?: LeaseRecord;
}

interface LeaseRef {
  namespace: string;
  name: string;
}

const stored = ({ metadata, spec = {} }: Lease): StoredLease => ({
  resourceVersion: metadata.resourceVersion,
  record: spec,
  metadata,
});

function createLeaseClient(client: KubernetesClient, ref: LeaseRef): LeaseClient {
  const bodyOf = (spec: LeaseRecord, metadata: object = {}) => ({
    apiVersion: type.apiVersion,
    kind: 'Lease',
    metadata: { ...metadata, ...ref },
    spec,
  });
  return {
    async get() {
      try {
        return stored(await client.call<Lease>({ method: 'GET', path: objectPath(type, ref) }));
      } catch (error) {
        if (isApiError(error, 'not_found')) return undefined;
        throw error;
      }
    },
    create: async (record) =>
      stored(
        await client.call<Lease>({
          method: 'POST',
          path: collectionPath(type, ref.namespace),
          body: bodyOf(record),
        }),
      ),
    update: async ({ resourceVersion, metadata }, record) =>
      stored(
        await client.call<Lease>({
          method: 'PUT',
          path: objectPath(type, ref),
          body: bodyOf(record, { ...metadata, resourceVersion }),
        }),
      ),
  };
}

export interface LeadershipDeps {
  config: KubernetesConfig;
  metrics: KubernetesMetrics;
  clock: Clock;
  logger: Logger;
  /** When this process may stand for leader: resolves once it could act. */
  candidateAfter: Promise<void>;
  onLost: (why: string) => void;
}

/** This process' part in the choice of the operator that acts. */
export interface Leadership {
  /** Resolves when this operator may act. */
  whenLeading: Promise<void>;
  fence(): void;
  /** Lets the lease go. Repeatable. */
  close(): Promise<void>;
}

/** Who needs no Lease is the leader from the start. */
export const soleLeadership: Leadership = {
  whenLeading: Promise.resolve(),
  fence: () => undefined,
  close: () => Promise.resolve(),
};

/** Connections of its own: a renewal must not wait behind other calls, and has another fence. */
function createClient({ config, metrics }: LeadershipDeps, fence: () => void): KubernetesClient {
  const { renewDeadlineMs } = config.leaderElection;
  return new KubernetesClient({
    // One attempt that hangs must leave time for another.
    config: {
      ...config,
      requestTimeoutMs: Math.min(config.requestTimeoutMs, Math.ceil(renewDeadlineMs / 2)),
    },
    observe: metrics.observeRequest,
    fence,
  });
}

/**
 * Takes part in the election. A standby watches the Lease, so that it takes over at once when it is released.
 *
 * @throws what keeps the kubeconfig from being read
 */
export function startLeadership(deps: LeadershipDeps): Leadership {
  const { config, metrics, clock, logger, onLost, candidateAfter } = deps;
  const { leaderElection } = config;
  const { name } = leaderElection;
  const client = createClient(deps, () => elector.checkAttempt());
  const namespace = leaderElection.namespace ?? client.namespace ?? 'default';
  const elector: LeaderElector = new LeaderElector({
    config: leaderElection,
    identity: leaderElection.identity ?? `${hostname()}_${randomUUID()}`,
    leases: createLeaseClient(client, { namespace, name }),
    monotonic: () => performance.now(),
    ...{ clock, logger },
    onLost(why) {
      metrics.leader.set({ name }, 0);
      onLost(why);
    },
  });
  const informer = new Informer<Lease>({
    what: 'leases',
    source: collectionSource<Lease>(client, {
      path: collectionPath(type, namespace),
      fieldSelector: `metadata.name=${name}`,
    }),
    timing: config,
    logger,
    observer: metrics.informerObserver('leases'),
  });
  const isFree = (lease: Lease | undefined): boolean => !lease?.spec?.holderIdentity;
  informer.onChange(({ object }) => {
    if (isFree(object)) elector.poke();
  });
  metrics.leader.set({ name }, 0);
  let closed = false;
  void candidateAfter.then(() => {
    if (closed) return;
    informer.start();
    elector.start();
  });
  return {
    whenLeading: elector.whenLeading.then(() => metrics.leader.set({ name }, 1)),
    fence: () => elector.fence(),
    async close() {
      closed = true;
      await elector.release();
      metrics.leader.set({ name }, 0);
      await informer.stop();
      await client.close();
    },
  };
}

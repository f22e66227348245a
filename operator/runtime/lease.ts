import { microTime } from '../../common/kubernetes/times.ts';

/** The spec of a Lease of `coordination.k8s.io/v1`. A holder of '' has released it. */
export interface LeaseRecord {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

export interface StoredLease {
  resourceVersion: string;
  record: LeaseRecord;
  /** What else it has, such as labels of whoever brought it; an update keeps them. */
  metadata?: object;
}

/** The Lease as it was last seen, and since when it is seen so, in milliseconds of the process' own monotonic clock. */
export interface Observation {
  lease: StoredLease | undefined;
  since: number;
}

/** Whether to write the Lease now: it is free, it is one's own, or its holder has been silent for as long as it may. */
export function decideTurn(
  { lease, since }: Observation,
  { identity, now }: { identity: string; now: number },
): 'write' | 'wait' {
  const { holderIdentity: holder, leaseDurationSeconds = 0 } = lease?.record ?? {};
  if (!holder || holder === identity) return 'write';
  return now >= since + leaseDurationSeconds * 1000 ? 'write' : 'wait';
}

/** The next state of the Lease when `identity` renews it or takes it over. */
export function buildRecord(
  old: LeaseRecord | undefined,
  { identity, config, now }: { identity: string; config: { leaseDurationMs: number }; now: number },
): LeaseRecord {
  const mine = old?.holderIdentity === identity;
  const time = microTime(now);
  return {
    holderIdentity: identity,
    // Whole seconds are all that a Lease knows.
    leaseDurationSeconds: Math.max(1, Math.ceil(config.leaseDurationMs / 1000)),
    acquireTime: (mine ? old.acquireTime : undefined) ?? time,
    renewTime: time,
    leaseTransitions: (old?.leaseTransitions ?? 0) + (mine || !old ? 0 : 1),
  };
}

/** As client-go leaves it: nobody's, and over in a second. */
export function releaseRecord(old: LeaseRecord, now: number): LeaseRecord {
  const time = microTime(now);
  return {
    ...old,
    holderIdentity: '',
    leaseDurationSeconds: 1,
    acquireTime: time,
    renewTime: time,
  };
}

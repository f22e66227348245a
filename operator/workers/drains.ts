import type { Pod } from '../cluster.ts';
import { podsOf, record, type PoolContext } from './context.ts';
import { drainingSince } from './labels.ts';
import type { DrainRecord } from './memory.ts';
import type { PoolEvent } from './reasons.ts';

/** What is on a node. */
export interface Occupants {
  peers: number;
  rooms: number;
}

/** @returns undefined while nothing is known of the node */
export function occupantsOf({ deps }: PoolContext, pod: Pod): Occupants | undefined {
  const status = deps.monitor.get(pod.metadata)?.instance?.status;
  if (!status) return undefined;
  const rooms = new Set(status.routers.map(({ roomId }) => roomId)).size;
  return { peers: status.load.peers, rooms };
}

export const describeOccupants = (occupants: Occupants | undefined): string =>
  occupants ? `${occupants.peers} peers in ${occupants.rooms} rooms` : 'nothing known';

/** The record of the pod's drain; one that began before this operator begins with what is on the node now. */
export function recordOf(context: PoolContext, pod: Pod): DrainRecord {
  const { deps, memory } = context;
  const { uid } = pod.metadata;
  const now = deps.clock.now();
  const drains = (memory.drains ??= new Map<string, DrainRecord>());
  let known = drains.get(uid);
  if (!known) {
    const atFirst = occupantsOf(context, pod);
    known = { startedAt: drainingSince(pod) ?? now, atFirst, told: atFirst, toldAt: now };
    drains.set(uid, known);
  }
  return known;
}

export const secondsOf = (record: DrainRecord, now: number): number =>
  Math.max(0, Math.round((now - record.startedAt) / 1000));

/**
 * Tells once in a while how far the pool's drains are, and forgets those of pods that are gone.
 *
 * @returns after how long to look again, in milliseconds; Infinity while none drains
 */
export function reportDrains(context: PoolContext): number {
  const { deps, memory } = context;
  const { drainProgressMs } = deps.config.pods;
  const now = deps.clock.now();
  const draining = podsOf(context).filter(
    (pod) => drainingSince(pod) !== undefined && !pod.metadata.deletionTimestamp,
  );
  for (const pod of draining) {
    const drain = recordOf(context, pod);
    if (now < drain.toldAt + drainProgressMs) continue;
    const event = describeProgress(context, pod, drain);
    drain.toldAt = now;
    if (event) record(context, event);
  }
  const uids = new Set(podsOf(context).map(({ metadata }) => metadata.uid));
  for (const uid of memory.drains?.keys() ?? []) if (!uids.has(uid)) memory.drains?.delete(uid);
  const toldAt = draining.map((pod) => recordOf(context, pod).toldAt);
  return Math.min(Infinity, ...toldAt.map((at) => at + drainProgressMs - now));
}

/** Nothing where nobody has moved since it was last told. */
function describeProgress(
  context: PoolContext,
  pod: Pod,
  drain: DrainRecord,
): PoolEvent | undefined {
  const { deps, worker } = context;
  const left = occupantsOf(context, pod);
  if (!left || (left.peers === drain.told?.peers && left.rooms === drain.told.rooms))
    return undefined;
  drain.told = left;
  const seconds = secondsOf(drain, deps.clock.now());
  const rest = Math.max(0, worker.spec.drain.timeoutSeconds - seconds);
  const before = drain.atFirst ? ` of ${describeOccupants(drain.atFirst)}` : '';
  return {
    ...{ type: 'Normal', reason: 'DrainProgress', action: 'Drain' },
    note: `${pod.metadata.name}: ${describeOccupants(left)}${before} are left after ${seconds} s, for ${rest} s more at most`,
  };
}

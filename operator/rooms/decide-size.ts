/** One active router of a room that sends to peers. */
export interface ConsumerRouter {
  routerId: string;
  /** Peers receive from it and none publishes to it, so that it may go when no peer is on it. */
  mayGo: boolean;
  peers: number;
  /** Consumers on its mediasoup worker, those of other rooms included, in percent of what the worker may carry. */
  fullPercent: number;
  /** For how long no peer has been on it, in milliseconds. */
  emptyForMs: number;
  /** It is ready, and its node is and has listed it: what it carries is known. */
  settled: boolean;
}

export interface SizeRequest {
  /** `spec.consumers.routers` and `spec.consumers.maxRouters`. */
  min: number;
  max: number;
  routers: readonly ConsumerRouter[];
  /** Consumer routers that are on their way out. */
  draining: number;
  policy: SizePolicy;
}

interface SizePolicy {
  growAtPercent: number;
  shrinkBelowPercent: number;
  shrinkAfterMs: number;
}

export type SizeDecision =
  | { change: 'none'; wanted: number }
  | { change: 'grow'; wanted: number }
  | { change: 'shrink'; wanted: number; leaving: string };

/**
 * How many consumer routers a room should have. The routers that it has are the state: a room keeps its size until all
 * of them are under pressure, or one too many is empty.
 *
 * It grows by one when each router is used by the room and on a full worker, and not again before the new router is seen
 * and used too. It shrinks by an empty router when one of the others is well below the threshold, so that the loss
 * doesn't make it grow again. While any router is not settled, the size stays.
 */
export function decideSize(request: SizeRequest): SizeDecision {
  const { min, max, routers } = request;
  const wanted = Math.min(max, Math.max(min, routers.length));
  if (wanted !== routers.length || !routers.every(({ settled }) => settled))
    return { change: 'none', wanted };
  if (wanted < max && routers.every((router) => isPressed(router, request.policy)))
    return { change: 'grow', wanted: wanted + 1 };
  const leaving = wanted > min ? findLeaving(request) : undefined;
  if (leaving === undefined) return { change: 'none', wanted };
  return { change: 'shrink', wanted: wanted - 1, leaving };
}

/** A full worker is no concern of a room that has nobody there. */
const isPressed = ({ peers, fullPercent }: ConsumerRouter, policy: SizePolicy): boolean =>
  peers > 0 && fullPercent >= policy.growAtPercent;

/** The router that has been empty for longest, where the rest can do without it. One goes at a time. */
function findLeaving({ routers, draining, policy }: SizeRequest): string | undefined {
  if (draining > 0) return undefined;
  const [longest] = routers
    .filter(({ mayGo, emptyForMs }) => mayGo && emptyForMs >= policy.shrinkAfterMs)
    .sort((a, b) => b.emptyForMs - a.emptyForMs || (a.routerId < b.routerId ? 1 : -1));
  const hasSpare = routers.some(
    (router) => router !== longest && router.fullPercent < policy.shrinkBelowPercent,
  );
  return hasSpare ? longest?.routerId : undefined;
}

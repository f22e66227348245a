import { isActive, serves } from '../placement/draft.ts';
import { percent } from '../placement/preference.ts';
import type { RoomContext } from './context.ts';
import { decideSize, type ConsumerRouter, type SizeDecision } from './decide-size.ts';
import { isEmpty, type PlacementView } from './view.ts';

/** A room's size on the consumer side, with what it was decided on. */
export interface Sizing {
  decision: SizeDecision;
  routers: readonly ConsumerRouter[];
}

/** Looks at the room's consumer routers and decides how many it should have. */
export function sizeConsumers(context: RoomContext, views: readonly PlacementView[]): Sizing {
  const { growAtPercent, shrinkBelowPercent, shrinkAfterMs } = context.deps.config.rooms;
  const { routers: min, maxRouters: max } = context.room.spec.consumers;
  const consumers = views.filter(({ placement }) => serves(placement, 'Consumer'));
  // One that is to go as soon as it is replaced has its successor beside it.
  const active = consumers.filter(
    ({ placement }) => isActive(placement) && placement.drainDeadline === undefined,
  );
  const routers = active.map((view) => viewRouter(context, view));
  const decision = decideSize({
    ...{ min, max, routers },
    draining: consumers.length - active.length,
    policy: { growAtPercent, shrinkBelowPercent, shrinkAfterMs },
  });
  return { decision, routers };
}

function viewRouter({ deps, notes, room }: RoomContext, view: PlacementView): ConsumerRouter {
  const { placement, router } = view;
  const { namespace } = room.metadata;
  const pool = deps.cluster.workers.get({ namespace, name: placement.pool });
  return {
    routerId: placement.routerId,
    mayGo: placement.role === 'Consumer',
    peers: router?.peers ?? 0,
    fullPercent: percent(consumersOf(view), pool?.spec.capacity.consumersPerWorker ?? 0),
    emptyForMs: notes.emptyFor(placement.routerId, isEmpty(view), deps.clock.now()),
    settled: pool !== undefined && isSettled(view),
  };
}

/** Consumers on the router's worker. Each figure is counted by itself, so either may be ahead. */
function consumersOf({ status, router }: PlacementView): number {
  const worker = status?.workers.find(({ index }) => index === router?.workerIndex);
  return Math.max(worker?.consumers ?? 0, router?.consumers ?? 0);
}

const isSettled = ({ placement, node, router }: PlacementView): boolean =>
  placement.state === 'Ready' && node?.state === 'Ready' && router !== undefined;

import { ApiError, isApiError, messageOf } from '../../common/errors.ts';
import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import type { RoomContext } from './context.ts';
import { isReachable, type PlacementView } from './view.ts';

const missing = ['not_found', 'room_not_found', 'router_not_found'] as const;

/** A reconcile comes back by itself, and one that waits for a silent node holds up others. */
const once = { retries: 0 };

/** Closes one router; one that is not there is closed already. */
async function closeRouter({ deps, room }: RoomContext, placement: Placement): Promise<void> {
  const params = { roomId: room.metadata.name, routerId: placement.routerId };
  await deps.nodeClient.deleteRouter(placement.url, params, once).catch((error: unknown) => {
    if (!isApiError(error, ...missing)) throw error;
  });
}

/** Closes routers; a node that is known to be silent is not asked. @returns those that could not be closed now */
export async function closeRouters(
  context: RoomContext,
  views: readonly PlacementView[],
): Promise<Placement[]> {
  const results = await Promise.all(
    views.map(async (view): Promise<Placement[]> => {
      const { placement } = view;
      if (!isReachable(view)) return [placement];
      try {
        await closeRouter(context, placement);
        return [];
      } catch (error) {
        const { routerId, podName } = placement;
        context.deps.logger.warn(
          { routerId, podName, reason: messageOf(error) },
          'router could not be closed',
        );
        return [placement];
      }
    }),
  );
  return results.flat();
}

/** A ready router that its node no longer lists, in an answer given after it was made, was lost with its worker. */
function vanished(
  { placement, status, router, answeredAt }: PlacementView,
  context: RoomContext,
): boolean {
  const madeAt = context.notes.madeAt(placement.routerId);
  return status?.state === 'Ready' && !router && (madeAt === undefined || answeredAt > madeAt);
}

const needsRouter = (view: PlacementView, context: RoomContext): boolean =>
  view.placement.state === 'Pending' ||
  (view.placement.state === 'Ready' && vanished(view, context));

async function makeRouter({ deps, notes, room }: RoomContext, placement: Placement): Promise<void> {
  const { routerId, url, instanceId, role, generation } = placement;
  try {
    await deps.nodeClient.putRouter(
      url,
      { roomId: room.metadata.name, routerId },
      { instanceId, role, generation, mediaCodecs: room.spec.mediaCodecs },
      once,
    );
    notes.noteMade(routerId, deps.clock.now());
  } catch (error) {
    if (isApiError(error, 'capacity_exhausted', 'node_draining'))
      notes.noteRefusal(instanceId, deps.clock.now() + deps.config.placement.refusalMs);
    throw error;
  }
}

export interface RoutersOutcome {
  placements: Placement[];
  /** Why routers are missing, if some are. */
  failure: ApiError | undefined;
}

/** Makes the routers that are not there; each call may be repeated. */
export async function ensureRouters(
  context: RoomContext,
  views: readonly PlacementView[],
): Promise<RoutersOutcome> {
  const failures: Failure[] = [];
  const placements = await Promise.all(
    views.map(async (view): Promise<Placement> => {
      const { placement } = view;
      if (!needsRouter(view, context)) return placement;
      try {
        if (!isReachable(view)) throw new ApiError('node_unavailable', 'the node does not answer');
        await makeRouter(context, placement);
        return { ...placement, state: 'Ready' };
      } catch (error) {
        failures.push({ placement, error });
        return { ...placement, state: 'Pending' };
      }
    }),
  );
  return {
    placements,
    failure: failures.length > 0 ? toFailure(context.room, failures) : undefined,
  };
}

interface Failure {
  placement: Placement;
  error: unknown;
}

function toFailure({ metadata }: MediaRoom, failures: readonly Failure[]): ApiError {
  const text = failures
    .map(({ placement, error }) => `${placement.role} on ${placement.podName}: ${messageOf(error)}`)
    .sort()
    .join('; ');
  const cause = failures[0]?.error;
  return new ApiError('room_not_ready', `room ${metadata.name}: ${text}`, { cause });
}

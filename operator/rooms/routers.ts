import { ApiError, isApiError, messageOf } from '../../common/errors.ts';
import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import type { RoomContext } from './decide.ts';
import type { PlacementView } from './view.ts';

const missing = ['not_found', 'room_not_found', 'router_not_found'] as const;

/** Closes one router; one that is not there is closed already. */
async function closeRouter(
  { deps, room, memory }: RoomContext,
  placement: Placement,
): Promise<void> {
  const params = { roomId: room.metadata.name, routerId: placement.routerId };
  await deps.nodeClient.deleteRouter(placement.url, params).catch((error: unknown) => {
    if (!isApiError(error, ...missing)) throw error;
  });
  memory.forgetRouter(placement.routerId);
}

/** Closes routers. @returns those that could not be closed now */
export async function closeRouters(
  context: RoomContext,
  placements: readonly Placement[],
): Promise<Placement[]> {
  const results = await Promise.all(
    placements.map((placement) =>
      closeRouter(context, placement).then(
        () => [],
        (error: unknown) => {
          const { routerId, podName } = placement;
          context.deps.logger.warn(
            { routerId, podName, reason: messageOf(error) },
            'router could not be closed',
          );
          return [placement];
        },
      ),
    ),
  );
  return results.flat();
}

/** A ready router that its node no longer lists, in an answer given after it was made, was lost with its worker. */
function vanished(
  { placement, status, router, answeredAt }: PlacementView,
  context: RoomContext,
): boolean {
  const madeAt = context.memory.madeAt(placement.routerId);
  return status?.state === 'Ready' && !router && (madeAt === undefined || answeredAt > madeAt);
}

const needsRouter = (view: PlacementView, context: RoomContext): boolean =>
  view.placement.state === 'Pending' ||
  (view.placement.state === 'Ready' && vanished(view, context));

async function makeRouter(
  { deps, memory, room }: RoomContext,
  placement: Placement,
): Promise<void> {
  const { routerId, url, instanceId, role, generation } = placement;
  try {
    await deps.nodeClient.putRouter(
      url,
      { roomId: room.metadata.name, routerId },
      { instanceId, role, generation, mediaCodecs: room.spec.mediaCodecs },
    );
    memory.noteMade(routerId, deps.clock.now());
  } catch (error) {
    if (isApiError(error, 'capacity_exhausted', 'node_draining'))
      memory.noteRefusal(
        room.metadata.uid,
        instanceId,
        deps.clock.now() + deps.config.placement.refusalMs,
      );
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
  const failures: unknown[] = [];
  const placements = await Promise.all(
    views.map(async (view): Promise<Placement> => {
      const { placement } = view;
      if (!needsRouter(view, context)) return placement;
      try {
        await makeRouter(context, placement);
        return { ...placement, state: 'Ready' };
      } catch (error) {
        failures.push(error);
        return { ...placement, state: 'Pending' };
      }
    }),
  );
  return {
    placements,
    failure: failures.length > 0 ? toFailure(context.room, failures) : undefined,
  };
}

function toFailure({ metadata }: MediaRoom, failures: unknown[]): ApiError {
  const text = failures.map(messageOf).join('; ');
  return new ApiError('room_not_ready', `room ${metadata.name}: ${text}`, { cause: failures[0] });
}

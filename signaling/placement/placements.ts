import { ApiError, isApiError } from '../../common/errors.ts';
import { Informer, type Change } from '../../common/kubernetes/informer.ts';
import { isConditionTrue } from '../../common/resources/conditions.ts';
import type { MediaRoom, MediaWorker, Placement } from '../../common/resources/types.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { Direction } from '../../common/wire/peer.ts';
import type { SignalingConfig } from '../config.ts';
import type { Kube, NewRoom } from './kube.ts';
import { roomIdAnnotation, roomNameOf } from './room-name.ts';

export interface PlacementsDeps {
  config: Pick<SignalingConfig, 'kubernetes' | 'rooms'>;
  kube: Kube;
  logger: Logger;
}

const servesProducers = ({ role }: Placement): boolean => role !== 'Consumer';
const servesConsumers = ({ role }: Placement): boolean => role !== 'Producer';

/** One that is about to drain, and has nowhere to go yet, takes peers where there is no other. */
function preferLasting(placements: Placement[]): Placement[] {
  const lasting = placements.filter(({ drainDeadline }) => drainDeadline === undefined);
  return lasting.length > 0 ? lasting : placements;
}

/** The room's routers that take peers now, by side. */
export function readyPlacements(room: MediaRoom): {
  producers: Placement[];
  consumers: Placement[];
} {
  const ready = (room.status?.placements ?? []).filter(({ state }) => state === 'Ready');
  return {
    producers: preferLasting(ready.filter(servesProducers)),
    consumers: preferLasting(ready.filter(servesConsumers)),
  };
}

/** Whether a router of the room takes this side of a peer now. */
export function hasPlace(room: MediaRoom, direction: Direction): boolean {
  const { producers, consumers } = readyPlacements(room);
  return (direction === 'producer' ? producers : consumers).length > 0;
}

/** Whether a peer can be bound on both sides. */
const isUsable = (room: MediaRoom): boolean =>
  hasPlace(room, 'producer') && hasPlace(room, 'consumer');

export const isDeleting = (room: MediaRoom): boolean =>
  room.metadata.deletionTimestamp !== undefined;

export const isRoomReady = (room: MediaRoom): boolean =>
  isConditionTrue(room.status?.conditions, 'Ready');

/** The id that clients know the room by. */
export const roomIdOf = (room: MediaRoom): string =>
  room.metadata.annotations?.[roomIdAnnotation] ?? room.metadata.name;

/** Rooms and pools as the Kubernetes API shows them, and the making of rooms on first join. */
export function createPlacements({ config, kube, logger }: PlacementsDeps) {
  const timing = config.kubernetes;
  const rooms = new Informer<MediaRoom>({
    what: 'mediarooms',
    source: kube.source<MediaRoom>('mediarooms'),
    timing,
    logger,
  });
  const pools = new Informer<MediaWorker>({
    what: 'mediaworkers',
    source: kube.source<MediaWorker>('mediaworkers'),
    timing,
    logger,
  });

  const { namespace } = config.kubernetes;
  const isSynced = (): boolean => rooms.synced && pools.synced;
  const whenSynced = Promise.all([rooms.whenSynced, pools.whenSynced]);
  const roomOf = (name: string): MediaRoom | undefined => rooms.get({ namespace, name });

  const mayCreate = (): boolean => pools.list().some(({ spec }) => spec.rooms.createOnJoin);

  /** Makes a room, which is known here from then on. @throws as {@link Kube.createRoom} */
  async function create(room: NewRoom): Promise<MediaRoom> {
    const made = await kube.createRoom(room);
    rooms.accept(made);
    return made;
  }

  async function createFor(roomId: string, name: string): Promise<void> {
    const { producerRouters, consumerRouters } = config.rooms.onJoin;
    try {
      await create({
        name,
        // Nobody asked for this room by itself: it goes when it is empty.
        spec: {
          idlePolicy: { action: 'Delete' },
          producers: { routers: producerRouters },
          consumers: { routers: consumerRouters },
        },
        annotations: { [roomIdAnnotation]: roomId },
      });
      logger.info({ room: name }, 'room made on first join');
    } catch (error) {
      // Another replica, or another join, was faster.
      if (!isApiError(error, 'conflict')) throw error;
    }
  }

  /** Resolves at the room's next change, or after `waitMs`. */
  const nextChange = (name: string, waitMs: number): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        off();
        offPools();
        resolve();
      };
      const timer = setTimeout(end, Math.max(0, waitMs));
      const off = rooms.onChange((change) => change.name === name && end());
      const offPools = pools.onChange(() => !roomOf(name) && end());
      // A list without this room is news too, but no change.
      if (!isSynced()) void whenSynced.then(end);
    });

  function notReady(name: string): ApiError {
    const room = roomOf(name);
    if (!isSynced())
      return new ApiError(
        'room_not_ready',
        'the rooms are not known yet: the Kubernetes API did not list them',
      );
    const condition = room?.status?.conditions?.find(({ type }) => type === 'Ready');
    const why = condition?.message ?? 'it was not placed in time';
    return new ApiError('room_not_ready', `room ${name} is not ready: ${why}`);
  }

  /** What is there of a room: nothing, not enough, enough for a peer, or all that was asked for. */
  function stateOf(name: string): 'missing' | 'waiting' | 'partial' | 'ready' {
    const room = roomOf(name);
    if (!room) return isSynced() ? 'missing' : 'waiting';
    if (isDeleting(room) || !isUsable(room)) return 'waiting';
    return isRoomReady(room) ? 'ready' : 'partial';
  }

  async function createOnJoin(roomId: string, name: string): Promise<void> {
    if (!mayCreate())
      throw new ApiError(
        'room_not_found',
        `room ${roomId} does not exist, and no pool lets a join make it`,
      );
    await createFor(roomId, name);
  }

  /**
   * The room that this id stands for, once peers can be bound to it. It is made where it does not exist and a pool allows
   * that. A room that is ready in part only takes peers after a short wait, so that its first peers spread over all of it.
   *
   * @throws {ApiError} `room_not_found`, `quota_exceeded`, or `room_not_ready` after the time-out
   */
  async function prepare(roomId: string): Promise<MediaRoom> {
    const name = roomNameOf(roomId);
    const deadline = Date.now() + config.rooms.readyTimeoutMs;
    const partialAt = Math.min(deadline, Date.now() + config.rooms.partialAfterMs);
    let created = false;
    for (;;) {
      const state = stateOf(name);
      // One that was here and went, as a room whose deletion was under way, is made anew.
      if (state !== 'missing') created = false;
      const room = roomOf(name);
      if (room && (state === 'ready' || (state === 'partial' && Date.now() >= partialAt)))
        return room;
      if (Date.now() >= deadline) throw notReady(name);
      if (state === 'missing' && !created) {
        created = true;
        await createOnJoin(roomId, name);
      }
      const until = state === 'partial' ? partialAt : deadline;
      // It may have come while it was being made.
      if (stateOf(name) === state) await nextChange(name, until - Date.now());
    }
  }

  return {
    start: (): void => {
      rooms.start();
      pools.start();
    },
    stop: async (): Promise<void> => {
      await Promise.all([rooms.stop(), pools.stop()]);
      await kube.close();
    },
    get synced(): boolean {
      return isSynced();
    },
    prepare,
    create,
    room: roomOf,
    rooms: () => rooms.list(),
    pools: () => pools.list(),
    /** A router of the room, whatever its state. */
    router: (roomName: string, routerId: string): Placement | undefined =>
      roomOf(roomName)?.status?.placements?.find((item) => item.routerId === routerId),
    onRoomChange: (listener: (change: Change<MediaRoom>) => void) => rooms.onChange(listener),
  };
}

export type Placements = ReturnType<typeof createPlacements>;

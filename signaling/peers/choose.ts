import type { BindingCount } from '../../common/db/repositories/peers.ts';
import { ApiError } from '../../common/errors.ts';
import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import type { Direction } from '../../common/wire/peer.ts';
import { readyPlacements } from '../placement/placements.ts';

export interface ChosenRouters {
  producer: Placement;
  consumer: Placement;
}

type Side = 'producerRouterId' | 'consumerRouterId';

/** The placement with the fewest peers on this side; of equal ones `preferred`, else the first by id. */
function leastLoaded(
  placements: Placement[],
  counts: BindingCount[],
  side: Side,
  preferred?: Placement,
): Placement | undefined {
  const load = ({ routerId }: Placement): number =>
    counts.filter((count) => count[side] === routerId).reduce((sum, { peers }) => sum + peers, 0);
  const rank = (placement: Placement): number => (placement === preferred ? 0 : 1);
  const [first] = placements
    .map((placement) => ({ placement, load: load(placement) }))
    .sort(
      (a, b) =>
        a.load - b.load ||
        rank(a.placement) - rank(b.placement) ||
        a.placement.routerId.localeCompare(b.placement.routerId),
    );
  return first?.placement;
}

const noRouter = (room: MediaRoom): ApiError =>
  new ApiError('room_not_ready', `room ${room.metadata.name} has no router for the peer`);

/**
 * Binds a peer to the routers with the fewest peers, so that a router that was added because the others fill is the one
 * that takes new peers. Where that makes no difference a router that serves both sides serves both for the same peer,
 * which needs no pipe for what it watches on it.
 *
 * @throws {ApiError} `room_not_ready` when a side has no router that takes peers
 */
export function chooseRouters(room: MediaRoom, counts: BindingCount[]): ChosenRouters {
  const { producers, consumers } = readyPlacements(room);
  const producer = leastLoaded(producers, counts, 'producerRouterId');
  const consumer = leastLoaded(consumers, counts, 'consumerRouterId', producer);
  if (!producer || !consumer) throw noRouter(room);
  return { producer, consumer };
}

/**
 * New routers for the given sides of a peer that is bound already, by the same rules.
 *
 * @param keptRouterId the router of the side that stays
 * @throws {ApiError} `room_not_ready` when a side has no router that takes peers
 */
export function chooseAnew(
  room: MediaRoom,
  counts: BindingCount[],
  sides: Direction[],
  keptRouterId: string | undefined,
): Partial<ChosenRouters> {
  const { producers, consumers } = readyPlacements(room);
  const kept = (placements: Placement[]) =>
    placements.find(({ routerId }) => routerId === keptRouterId);
  const chosen: Partial<ChosenRouters> = {};
  if (sides.includes('producer')) {
    const producer = leastLoaded(producers, counts, 'producerRouterId', kept(producers));
    if (!producer) throw noRouter(room);
    chosen.producer = producer;
  }
  if (sides.includes('consumer')) {
    const preferred = chosen.producer ?? kept(consumers);
    const consumer = leastLoaded(consumers, counts, 'consumerRouterId', preferred);
    if (!consumer) throw noRouter(room);
    chosen.consumer = consumer;
  }
  return chosen;
}

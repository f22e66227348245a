import type { RouterLocation } from '../../common/db/repositories/peers.ts';
import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import type { MoveReason } from '../../common/wire/peer.ts';

/** Why a side of a peer can't stay on a router. */
export interface Problem {
  reason: MoveReason;
  /** Whether media flows no more; else it flows until the node ends. */
  lost: boolean;
  /** When the node ends in any case, in milliseconds since 1970; undefined: nobody has said. */
  deadline: number | undefined;
}

const lostNode: Problem = { reason: 'NodeLost', lost: true, deadline: undefined };
const lostTransport: Problem = { reason: 'TransportLost', lost: true, deadline: undefined };

const deadlineOf = ({
  drainDeadline,
}: Placement & { drainDeadline?: string }): number | undefined =>
  drainDeadline === undefined ? undefined : Date.parse(drainDeadline);

/** What is wrong with a router that a peer is on, by what the operator says of the room. */
function problemOf(at: RouterLocation, room: MediaRoom): Problem | undefined {
  const now = room.status?.placements?.find(({ routerId }) => routerId === at.routerId);
  if (!now || now.instanceId !== at.instanceId || now.generation > at.generation) return lostNode;
  if (now.state !== 'Draining') return undefined;
  return { reason: 'NodeDraining', lost: false, deadline: deadlineOf(now) };
}

/** One side of a peer, as far as it matters for its moves. */
export interface SidePicture {
  /** The router that it is bound to; undefined: it is gone. */
  bound: RouterLocation | undefined;
  /** The transport that its client has, with the router that it is on, if that is there; undefined: it has none. */
  transport: { router: RouterLocation | undefined; lost: boolean } | undefined;
}

/** Whether the binding has to change. */
export const bindingProblem = ({ bound }: SidePicture, room: MediaRoom): Problem | undefined =>
  bound ? problemOf(bound, room) : lostNode;

/**
 * Why a side has to move, or undefined: its transport is where it can't stay, or is not where the peer is bound to now,
 * as after a move that its client has not finished.
 */
export function moveOf(side: SidePicture, room: MediaRoom): Problem | undefined {
  const { bound, transport } = side;
  if (!transport) return bindingProblem(side, room);
  const problem = transport.router ? problemOf(transport.router, room) : lostNode;
  if (problem) return problem;
  if (transport.lost) return lostTransport;
  const isWhereBound =
    bound?.routerId === transport.router?.routerId &&
    bound?.instanceId === transport.router?.instanceId;
  if (!isWhereBound) return { reason: 'RouterDraining', lost: false, deadline: undefined };
  return undefined;
}

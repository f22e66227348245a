import type { Change } from '../../common/kubernetes/informer.ts';
import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import { closeCodes } from '../connection/close-codes.ts';
import type { LocalPeer, Registry } from '../peers/registry.ts';
import { isDeleting } from './placements.ts';

/** Why a peer that was bound to this router can't stay, or undefined. */
function problemOf(bound: Placement, now: Placement | undefined): string | undefined {
  if (!now) return 'the router is gone';
  if (now.instanceId !== bound.instanceId) return 'the router is on another node';
  if (now.generation > bound.generation) return 'the router was placed anew';
  return undefined;
}

/** Why a peer of a room that still exists has to be closed, or undefined. */
function moveOf(peer: LocalPeer, room: MediaRoom): string | undefined {
  if (!peer.routers) return undefined;
  const { producer, consumer } = peer.routers;
  const now = ({ routerId }: Placement): Placement | undefined =>
    room.status?.placements?.find((item) => item.routerId === routerId);
  return problemOf(producer, now(producer)) ?? problemOf(consumer, now(consumer));
}

/**
 * Closes the peers whose routers are no longer where they were bound to, so that they come back and are bound anew; and
 * for good those of a room that is deleted.
 */
export function closeMovedPeers(registry: Registry, change: Change<MediaRoom>): void {
  const { name, object, previous } = change;
  const last = object ?? previous;
  // A room that is gone without a word of its deletion may come back.
  const deleted = change.deleted || (last !== undefined && isDeleting(last));
  for (const peer of registry.inRoom(name)) {
    if (deleted) peer.close(closeCodes.forGood, 'the room is deleted');
    else {
      const problem = object ? moveOf(peer, object) : 'the room is gone';
      if (problem !== undefined) peer.close(closeCodes.moved, problem);
    }
  }
}

import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import { closeCodes } from '../connection/close-codes.ts';
import type { Registry } from '../peers/registry.ts';
import type { Change } from './informer.ts';
import { isDeleting } from './placements.ts';

/** Why a peer that was bound to this router can't stay, or undefined. */
function problemOf(bound: Placement, now: Placement | undefined): string | undefined {
  if (!now) return 'the router is gone';
  if (now.instanceId !== bound.instanceId) return 'the router is on another node';
  if (now.generation > bound.generation) return 'the router was placed anew';
  return undefined;
}

/**
 * Closes the peers whose routers are no longer where they were bound to, so that they come back and are bound anew; and
 * for good those of a room that is deleted.
 */
export function closeMovedPeers(
  registry: Registry,
  { name, object, previous }: Change<MediaRoom>,
): void {
  const peers = registry.inRoom(name);
  if (peers.length === 0) return;
  if (!object || isDeleting(object)) {
    // Gone without a word of its deletion: the copy of the API may have been lost, and the room may come back.
    const last = object ?? previous;
    const deleted = last !== undefined && isDeleting(last);
    const code = deleted ? closeCodes.forGood : closeCodes.moved;
    for (const peer of peers) peer.close(code, 'the room is deleted');
    return;
  }
  const placements = new Map(object.status?.placements?.map((item) => [item.routerId, item]));
  for (const peer of peers) {
    if (!peer.routers) continue;
    const problem = [peer.routers.producer, peer.routers.consumer]
      .map((bound) => problemOf(bound, placements.get(bound.routerId)))
      .find((found) => found !== undefined);
    if (problem !== undefined) peer.close(closeCodes.moved, problem);
  }
}

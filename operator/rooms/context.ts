import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import type { OperatorDeps } from '../deps.ts';
import type { CandidateCache } from '../nodes/candidates.ts';
import type { RoomNotes } from './memory.ts';
import type { RoomEvent } from './reasons.ts';
import type { DrainTurns } from './turns.ts';
import { viewPlacement, type PlacementView } from './view.ts';

/** One look at a room. */
export interface RoomContext {
  deps: OperatorDeps;
  candidates: CandidateCache;
  notes: RoomNotes;
  turns: DrainTurns;
  room: MediaRoom;
}

export const viewPlacements = (
  { deps, room }: RoomContext,
  placements: readonly Placement[] = room.status?.placements ?? [],
): PlacementView[] =>
  placements.map((placement) => viewPlacement(placement, room.metadata.namespace, deps.monitor));

export function announce({ deps, room }: RoomContext, events: readonly RoomEvent[]): void {
  for (const event of events) deps.cluster.events.record(room, event);
}

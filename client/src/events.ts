import type { DataMessage } from './session/receive-side.ts';
import type { Moved } from './session/side.ts';
import type { EndReason, Publication } from './publication.ts';
import type { PeerInfo } from './signaling/messages.ts';
import type { RoomState } from './state.ts';
import type { Subscription, SwitchReason } from './subscription.ts';

/** What a room tells, with what. */
export interface RoomEvents {
  /** The connection: see {@link RoomState}. */
  connection: [state: Pick<RoomState, 'connection' | 'closeReason' | 'message' | 'retry'>];
  'peer-joined': [peer: PeerInfo];
  'peer-left': [peer: PeerInfo];
  /** A peer has another name. */
  'peer-updated': [peer: PeerInfo];
  'track-added': [subscription: Subscription];
  'track-removed': [subscription: Subscription];
  /** The publisher paused or resumed it. */
  'track-muted': [subscription: Subscription, muted: boolean];
  /** Another track took the place of the one in the subscription's stream. */
  'track-switched': [subscription: Subscription, reason: SwitchReason];
  /** A message of another peer's data channel. */
  data: [message: DataMessage];
  'active-speaker': [peerId: string | undefined];
  /** Several times a second while somebody speaks. */
  volumes: [volumes: Readonly<Record<string, number>>];
  /** An administrator paused what this peer publishes; only this peer can resume it. */
  moderation: [event: { type: 'muted'; publication: Publication }];
  'publication-ended': [publication: Publication, reason: EndReason, error: Error | undefined];
  /** Something failed that nothing else tells, such as a data channel that the server does not allow. */
  error: [error: Error];
  /** A transport moved to another node. */
  moved: [move: Moved];
}

import type { PublicationState } from './publication.ts';
import type { PeerInfo } from './signaling/messages.ts';
import type { SubscriptionState } from './subscription.ts';

/**
 * `connecting`: not joined yet. `reconnecting`: joined before, and lost; media may go on meanwhile. `closed`: over, for the
 * reason that the state tells.
 */
export type ConnectionState = 'connecting' | 'connected' | 'reconnecting' | 'closed';

/** How a room ended. */
export type CloseReason =
  /** By {@link Room.close}. */
  | 'left'
  /** The server ended it: removed, replaced by another connection of the same peer, or the room is gone. */
  | 'ended'
  /** It could not be reached, or joined. */
  | 'failed';

/** A room at one moment, as plain values: a view draws it, nothing in it changes in place. */
export interface RoomState {
  connection: ConnectionState;
  closeReason: CloseReason | undefined;
  /** In words, where the connection needs some: what was lost, or why it is over. */
  message: string;
  /** The try in progress while there is no connection. */
  retry: { attempt: number; tries: number } | undefined;
  peers: readonly PeerInfo[];
  subscriptions: readonly SubscriptionState[];
  publications: readonly PublicationState[];
  /** Volume in dBvo (−127 to 0) of those who are heard now, by peer. */
  volumes: Readonly<Record<string, number>>;
  activeSpeaker: string | undefined;
}

export const initialRoomState: RoomState = {
  connection: 'connecting',
  closeReason: undefined,
  message: '',
  retry: undefined,
  peers: [],
  subscriptions: [],
  publications: [],
  volumes: {},
  activeSpeaker: undefined,
};

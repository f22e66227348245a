import type { types } from 'mediasoup-client';

import type { PeerInfo } from '../../../common/wire/peer.ts';
import type { Source } from '../signaling/messages.ts';

export type { Source } from '../signaling/messages.ts';

/**
 * What is known about a room at one moment, as plain values: a view draws it, nothing in it changes in place.
 *
 * Terms. *producer*: something this peer publishes. *consumer*: something it receives from another peer.
 */
export interface RoomState {
  connection: Connection;
  /** Why, where the connection needs a word: what was lost, or why it is over. */
  reason: string;
  /** The try in progress while reconnecting. */
  retry: { attempt: number; tries: number } | undefined;
  peers: readonly PeerInfo[];
  consumers: readonly ConsumerState[];
  producers: readonly ProducerState[];
  /** Volume in dB (−80 to 0) of those who are heard now. */
  speaking: Readonly<Record<string, number>>;
  activeSpeaker: string | undefined;
  chat: readonly ChatMessage[];
  /** Whether a chat message can be sent now. */
  chatOpen: boolean;
  /** The newest things a person should be told, oldest first. */
  events: readonly RoomEvent[];
}

/** `left`: this peer went by itself. `closed`: the server ended it, or no try succeeded. */
export type Connection = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'left' | 'closed';

/** A simulcast or SVC layer; 0 is the lowest. */
export interface Layers {
  spatialLayer: number;
  temporalLayer?: number | undefined;
}

export interface ConsumerState {
  id: string;
  producerId: string;
  peerId: string;
  kind: types.MediaKind;
  source: Source;
  /** mediasoup's: simple, simulcast or svc. */
  type: string;
  /** Missing while the browser still sets it up. */
  track: MediaStreamTrack | undefined;
  /** Paused by us. */
  paused: boolean;
  /** Paused by the one who publishes it. */
  producerPaused: boolean;
  /** The layers that arrive now; `undefined`: none, or not layered. */
  layers: Layers | undefined;
  /** The layers asked for; `undefined`: chosen by the size of the picture. */
  preferred: Layers | undefined;
  spatialLayers: number;
  temporalLayers: number;
  /** mediasoup's measure of what arrives, 0 to 10. */
  score: number | undefined;
}

export interface ProducerState {
  source: Source;
  kind: types.MediaKind;
  track: MediaStreamTrack;
  muted: boolean;
  /** Missing while it is not published: before the join is through, and while reconnecting. */
  id: string | undefined;
  score: number | undefined;
}

export interface ChatMessage {
  id: number;
  peerId: string;
  displayName: string;
  text: string;
  /** Milliseconds since the epoch, by this page's clock. */
  at: number;
  self: boolean;
}

/** `problem` stays until it is dismissed; the others pass. */
export interface RoomEvent {
  id: number;
  kind: 'joined' | 'left' | 'note' | 'problem';
  text: string;
}

export const initialRoomState: RoomState = {
  connection: 'idle',
  reason: '',
  retry: undefined,
  peers: [],
  consumers: [],
  producers: [],
  speaking: {},
  activeSpeaker: undefined,
  chat: [],
  chatOpen: false,
  events: [],
};

/** Everything that belongs to one connection is gone; what this peer publishes and what was said stays. */
export const withoutConnection = (state: RoomState): RoomState => ({
  ...state,
  peers: [],
  consumers: [],
  producers: state.producers.map((producer) => ({ ...producer, id: undefined, score: undefined })),
  speaking: {},
  activeSpeaker: undefined,
  chatOpen: false,
});

import { resolveOptions, type ConnectOptions } from './options.ts';
import { Room } from './room.ts';

export type { ConnectOptions, Extension } from './options.ts';
export type { Room } from './room.ts';
export type { RoomEvents } from './events.ts';
export type { CloseReason, ConnectionState, RoomState } from './state.ts';
export type { PauseReason, Subscription, SubscriptionState, SwitchReason } from './subscription.ts';
export type { EncodingOptions, EndReason, Publication, PublicationState } from './publication.ts';
export type { PublishOptions } from './publications.ts';
export type { DataChannel, DataChannelOptions } from './data-channel.ts';
export type { DataMessage } from './session/receive-side.ts';
export type { Moved } from './session/side.ts';
export type { TransportReport } from './session/media-session.ts';
export type {
  DeviceInfo,
  Direction,
  Layers,
  MoveReason,
  PeerInfo,
  ServerStats,
} from './signaling/messages.ts';
export { captureProblem, type CaptureSource } from './media/capture.ts';
export { kilobitsPerSecond, type TrackStats, type TransportStats } from './media/stats.ts';
export { RequestError } from './signaling/request-error.ts';
export { defaultTiming, type Timing, type TimingOptions } from './timing.ts';

/**
 * Joins a room. What comes of it shows in {@link Room.state} and in the events; {@link Room.whenConnected} waits for the
 * first join.
 *
 * @throws TypeError naming an option that is not as it should be
 */
export const connect = (options: ConnectOptions): Room => new Room(resolveOptions(options));

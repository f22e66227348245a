import type {
  AudioLevelObserver,
  ActiveSpeakerObserver,
  Consumer,
  DataConsumer,
  DataProducer,
  PlainTransport,
  Producer,
  ProducerScore,
  Router,
  WebRtcTransport,
} from 'mediasoup/types';

import type { NodeRole, PeerRef } from '../../common/wire/media-node.ts';
import type { CloseReason, Direction } from '../../common/wire/peer.ts';

/**
 * The live mediasoup objects with what the platform knows about them.
 *
 * Terms. A *source* is something that can be consumed on a router under the id that its origin gave it: a producer of
 * this router, or one that a pipe brought here. A piped producer has an id of its own in mediasoup, since two routers of
 * one worker may both have it.
 */
export interface LiveRouter {
  readonly id: string;
  readonly roomId: string;
  readonly role: NodeRole;
  generation: number;
  readonly workerIndex: number;
  readonly router: Router;
  readonly createdAt: number;
  readonly transports: Map<string, LiveTransport>;
  /** Sides of peers whose transports have said that they are lost with the router, see {@link sideKey}. */
  readonly lostSides: Set<string>;
  readonly sources: Map<string, Source>;
  readonly dataSources: Map<string, DataSource>;
  readonly audioLevels?: AudioLevelObserver;
  readonly activeSpeaker?: ActiveSpeakerObserver;
}

interface Shared<P> {
  /** The origin's id, by which the whole platform knows it. */
  readonly id: string;
  readonly producer: P;
  readonly peerId: string;
  readonly mediaPeerId: string;
  readonly appData: Record<string, unknown>;
  /** The producer of the same peer that this one took the place of. */
  readonly replaces?: string | undefined;
  /** Set when it closes without its peer's doing. */
  closeReason?: CloseReason;
  /** Live and nascent consumers; a pipe lets go of what has none for long. */
  users: number;
  onUsersChange?: () => void;
}
export interface Source extends Shared<Producer> {
  readonly consumers: Set<LiveConsumer>;
  /** What the origin's own streams score; only for a piped producer, whose own score tells of the pipe alone. */
  originScore?: ProducerScore[];
}
export type DataSource = Shared<DataProducer>;

export interface LiveTransport {
  readonly id: string;
  readonly router: LiveRouter;
  readonly peer: PeerRef;
  readonly direction: Direction;
  readonly transport: WebRtcTransport | PlainTransport;
  readonly createdAt: number;
  /** Why it closes, from right before: its peer has asked for it, or its connection or router is gone. */
  ending?: 'Closed' | 'Lost';
  /** The parameters it was connected with, so that a repetition is told from a contradiction. */
  connecting?: { with: string; done: Promise<void> };
  /** What is produced here, or being produced, by what tells one produce call from another. */
  readonly producing: Map<string, Promise<LiveProducer>>;
  readonly producingData: Map<string, Promise<LiveDataProducer>>;
  /** What is consumed here, or going to be, by its source: one consumer for each, however many ask at once. */
  readonly consuming: Map<Source, Promise<LiveConsumer | undefined>>;
  readonly consumingData: Map<DataSource, Promise<LiveDataConsumer | undefined>>;
}

export interface LiveProducer {
  readonly id: string;
  readonly transport: LiveTransport;
  readonly source: Source;
}
export interface LiveDataProducer {
  readonly id: string;
  readonly transport: LiveTransport;
  readonly source: DataSource;
}
export interface LiveConsumer {
  readonly id: string;
  readonly transport: LiveTransport;
  readonly source: Source;
  readonly consumer: Consumer;
  readonly createdAt: number;
}
export interface LiveDataConsumer {
  readonly id: string;
  readonly transport: LiveTransport;
  readonly source: DataSource;
  readonly consumer: DataConsumer;
  readonly createdAt: number;
}

/** One side of a peer. */
export const sideKey = (mediaPeerId: string, direction: Direction): string =>
  `${direction} ${mediaPeerId}`;

/** Counts one more user of a source; the result takes it back, once. */
export function useSource(source: Source | DataSource): () => void {
  source.users++;
  source.onUsersChange?.();
  let used = true;
  return () => {
    if (!used) return;
    used = false;
    source.users--;
    source.onUsersChange?.();
  };
}

import type {
  Publication,
  PublicationState,
  RoomState,
  Subscription,
  SubscriptionState,
  TrackStats,
  TransportReport,
} from '../../client/src/index.ts';
import type { ChatMessage, Meeting } from './meeting.ts';

/** Something received with the browser's numbers for it; `id` is the server's present consumer. */
type ConsumerSnapshot = Omit<SubscriptionState, 'stream'> &
  TrackStats & { subscription: string; paused: boolean; bytesReceived: number };
/** Something published with the browser's numbers for it. */
type ProducerSnapshot = Omit<PublicationState, 'track'> &
  TrackStats & { id: string | undefined; bytesSent: number };

/** A room with the browser's statistics, as plain JSON. */
export interface RoomSnapshot {
  connection: RoomState['connection'];
  peers: { peerId: string; displayName: string }[];
  consumers: ConsumerSnapshot[];
  producers: ProducerSnapshot[];
  transports: TransportReport[];
  chatOpen: boolean;
  chat: ChatMessage[];
}

/** Without a value that is no JSON. */
const without = <T extends object, K extends keyof T & string>(value: T, key: K) =>
  Object.fromEntries(Object.entries(value).filter(([name]) => name !== key)) as Omit<T, K>;

async function consumerSnapshot(subscription: Subscription): Promise<ConsumerSnapshot> {
  const stats = await subscription.getStats();
  const { state } = subscription;
  return {
    ...without(state, 'stream'),
    ...stats,
    id: state.consumerId,
    subscription: state.id,
    paused: state.pausedFor.length > 0,
    bytesReceived: stats.bytes,
  };
}

async function producerSnapshot(publication: Publication): Promise<ProducerSnapshot> {
  const stats = await publication.getStats();
  const { state } = publication;
  return { ...without(state, 'track'), ...stats, id: state.producerId, bytesSent: stats.bytes };
}

/** Reads the state and the browser's statistics of everything in it. */
export async function takeSnapshot({ room, state }: Meeting): Promise<RoomSnapshot> {
  const [consumers, producers, transports] = await Promise.all([
    Promise.all(room.subscriptions.map(consumerSnapshot)),
    Promise.all(room.publications.map(producerSnapshot)),
    room.getStats(),
  ]);
  return {
    connection: state.connection,
    peers: state.peers.map(({ peerId, displayName }) => ({ peerId, displayName })),
    ...{ consumers, producers, transports },
    chatOpen: state.chatOpen,
    chat: [...state.chat],
  };
}

import type { RoomClient } from './room-client.ts';
import {
  summarizeTrack,
  summarizeTransport,
  type TrackStats,
  type TransportStats,
} from './stats.ts';
import type { ChatMessage, ConsumerState, ProducerState, RoomState } from './state.ts';

/** A consumer with the browser's numbers for it. */
type ConsumerSnapshot = Omit<ConsumerState, 'track'> & TrackStats & { bytesReceived: number };
/** A producer with the browser's numbers for it. */
type ProducerSnapshot = Omit<ProducerState, 'track'> &
  TrackStats & { paused: boolean; bytesSent: number };

/** A room with the browser's statistics, as plain JSON. */
export interface RoomSnapshot {
  connection: RoomState['connection'];
  peers: { peerId: string; displayName: string }[];
  consumers: ConsumerSnapshot[];
  producers: ProducerSnapshot[];
  transports: { send: TransportStats; receive: TransportStats };
  chatOpen: boolean;
  chat: ChatMessage[];
}

interface HasStats {
  closed: boolean;
  getStats(): Promise<RTCStatsReport>;
}

/** An empty report for what is not there, or goes while it is read. */
async function reportOf(source: HasStats | undefined): Promise<Iterable<unknown>> {
  if (!source || source.closed) return [];
  try {
    return Array.from(
      (await source.getStats()) as unknown as Map<string, unknown>,
      ([, value]) => value,
    );
  } catch {
    return [];
  }
}

async function consumerSnapshot(
  client: RoomClient,
  { track: _track, ...consumer }: ConsumerState,
): Promise<ConsumerSnapshot> {
  const stats = summarizeTrack(await reportOf(client.session?.consumers.get(consumer.id)));
  return { ...consumer, ...stats, bytesReceived: stats.bytes };
}

async function producerSnapshot(
  client: RoomClient,
  { track: _track, ...producer }: ProducerState,
): Promise<ProducerSnapshot> {
  const stats = summarizeTrack(await reportOf(client.session?.producers.get(producer.source)));
  return { ...producer, ...stats, paused: producer.muted, bytesSent: stats.bytes };
}

/** Reads the state and the browser's statistics of everything in it. */
export async function takeSnapshot(client: RoomClient): Promise<RoomSnapshot> {
  const state = client.store.get();
  const { send, receive } = client.session?.transports ?? {};
  const [consumers, producers, sendReport, receiveReport] = await Promise.all([
    Promise.all(state.consumers.map((consumer) => consumerSnapshot(client, consumer))),
    Promise.all(state.producers.map((producer) => producerSnapshot(client, producer))),
    reportOf(send),
    reportOf(receive),
  ]);
  return {
    connection: state.connection,
    peers: state.peers.map(({ peerId, displayName }) => ({ peerId, displayName })),
    consumers,
    producers,
    transports: {
      send: summarizeTransport(sendReport),
      receive: summarizeTransport(receiveReport),
    },
    chatOpen: state.chatOpen,
    chat: [...state.chat],
  };
}

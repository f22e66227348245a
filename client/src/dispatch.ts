import type { Room } from './room.ts';
import type { Roster } from './roster.ts';
import type { MediaSession } from './session/media-session.ts';
import type { ServerNotification, ServerNotifications } from './signaling/messages.ts';
import type { RoomState } from './state.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { Timing } from './timing.ts';

/** What the server's notifications are about. */
export interface Parts {
  session: MediaSession | undefined;
  roster: Roster;
  subscriptions: Subscriptions;
  linger: Timing['linger'];
  room: Room;
  speaking: (change: Pick<RoomState, 'volumes'> | Pick<RoomState, 'activeSpeaker'>) => void;
}

type Method = keyof ServerNotifications;
type Handlers = { [M in Method]?: (parts: Parts, data: ServerNotifications[M]) => void };

/** The best encoding that arrives at the server. */
const bestScore = (scores: readonly { score: number }[]): number =>
  Math.max(0, ...scores.map(({ score }) => score));

/** The publisher paused or resumed a consumer's producer. */
function muted(
  { session, subscriptions, room }: Parts,
  consumerId: string,
  isMuted: boolean,
): void {
  const feed = session?.receive.feed(consumerId);
  if (!feed || feed.producerPaused === isMuted) return;
  feed.producerPaused = isMuted;
  const subscription = subscriptions.withFeed(feed);
  subscription?.feedChanged();
  if (subscription?.state.consumerId === consumerId)
    room.emit('track-muted', subscription, isMuted);
}

const handlers: Handlers = {
  moveTransport: ({ session }, move) => void session?.move(move),
  newPeer: ({ roster }, { peer }) => roster.joined(peer),
  peerClosed: ({ roster }, { peerId }) => roster.left(peerId),
  peerDisplayNameChanged: ({ roster }, { peerId, displayName }) =>
    roster.renamed(peerId, displayName),
  producerScore: ({ session }, { producerId, score }) =>
    session?.send.publicationOf(producerId)?.scored(bestScore(score)),
  producerMuted({ session, room }, { producerId }) {
    const publication = session?.send.publicationOf(producerId);
    if (!publication) return;
    publication.pause();
    room.emit('moderation', { type: 'muted', publication });
  },
  producerClosed({ session }, { producerId }) {
    const publication = session?.send.publicationOf(producerId);
    if (publication) void session?.send.lost(publication);
  },
  consumerPaused: (parts, { consumerId }) => muted(parts, consumerId, true),
  consumerResumed: (parts, { consumerId }) => muted(parts, consumerId, false),
  consumerClosed({ session, subscriptions, linger }, { consumerId, reason }) {
    const feed = session?.receive.feed(consumerId);
    if (!session || !feed) return;
    // On a transport that is being left, the one on the new transport may only be to come.
    const mayComeBack = reason === 'ProducerLost' || feed.line?.retired === true;
    const subscription = subscriptions.withFeed(feed);
    if (subscription) subscription.feedGone(feed, mayComeBack ? linger.producerLostMs : 0);
    else {
      feed.close();
      session.receive.forget(feed);
    }
  },
  consumerScore({ session, subscriptions }, { consumerId, score }) {
    const feed = session?.receive.feed(consumerId);
    if (!feed) return;
    feed.scored(score);
    subscriptions.withFeed(feed)?.feedChanged();
  },
  consumerLayersChanged({ session, subscriptions }, { consumerId, layers }) {
    const feed = session?.receive.feed(consumerId);
    if (!feed) return;
    feed.layers = layers;
    subscriptions.withFeed(feed)?.feedChanged();
  },
  dataConsumerClosed: ({ session }, { dataConsumerId }) =>
    session?.receive.closeData(dataConsumerId),
  speakingPeers({ subscriptions, speaking, room }, { peerVolumes }) {
    const volumes = Object.fromEntries(peerVolumes.map(({ peerId, volume }) => [peerId, volume]));
    speaking({ volumes });
    subscriptions.heard(peerVolumes);
    room.emit('volumes', volumes);
  },
  activeSpeaker({ speaking, room }, { peerId }) {
    speaking({ activeSpeaker: peerId });
    room.emit('active-speaker', peerId);
  },
};

/** Does what a notification asks for. One that is not known, or about something that is not, does nothing. */
export function dispatch({ method, data }: ServerNotification, parts: Parts): void {
  if (!Object.hasOwn(handlers, method)) return;
  const handler = handlers[method] as (parts: Parts, data: unknown) => void;
  handler(parts, data);
}

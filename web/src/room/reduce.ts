import { parseScalabilityMode } from 'mediasoup-client';

import type { PeerInfo } from '../../../common/wire/peer.ts';
import type { NewConsumer, ServerNotification } from '../signaling/messages.ts';
import type { ConsumerState, ProducerState, RoomEvent, RoomState } from './state.ts';

/** How many messages and events are kept. */
const CHAT_LENGTH = 500;
const EVENTS_LENGTH = 30;

let lastId = 0;

/** An id that is unique in this page. */
const nextId = (): number => (lastId += 1);

export const addEvent = (state: RoomState, kind: RoomEvent['kind'], text: string): RoomState => ({
  ...state,
  events: [...state.events, { id: nextId(), kind, text }].slice(-EVENTS_LENGTH),
});

/** What a person is called; the id, until the name is known. */
export const displayNameOf = (state: RoomState, peerId: string): string =>
  state.peers.find((peer) => peer.peerId === peerId)?.displayName || peerId;

export function addChat(
  state: RoomState,
  message: { peerId: string; displayName: string; text: string; self: boolean },
): RoomState {
  const chat = [...state.chat, { ...message, id: nextId(), at: Date.now() }];
  return { ...state, chat: chat.slice(-CHAT_LENGTH) };
}

/** The peers that the join's answer names, besides those that were announced meanwhile. */
export function addPeers(state: RoomState, peers: PeerInfo[]): RoomState {
  const known = new Set(state.peers.map(({ peerId }) => peerId));
  return { ...state, peers: [...state.peers, ...peers.filter(({ peerId }) => !known.has(peerId))] };
}

const scoreOf = (score: Record<string, unknown> | undefined): number | undefined =>
  typeof score?.['score'] === 'number' ? score['score'] : undefined;

/** A consumer as it is when announced; its track follows. */
export function addConsumer(state: RoomState, data: NewConsumer): RoomState {
  const { spatialLayers, temporalLayers } = parseScalabilityMode(
    data.rtpParameters.encodings?.[0]?.scalabilityMode,
  );
  const consumer: ConsumerState = {
    id: data.consumerId,
    producerId: data.producerId,
    peerId: data.peerId,
    kind: data.kind,
    source: data.appData.source ?? data.kind,
    type: data.type,
    track: undefined,
    paused: false,
    producerPaused: data.producerPaused,
    layers: undefined,
    preferred: undefined,
    spatialLayers,
    temporalLayers,
    score: scoreOf(data.consumerScore),
  };
  return {
    ...state,
    consumers: [...state.consumers.filter(({ id }) => id !== consumer.id), consumer],
  };
}

export const patchConsumer = (
  state: RoomState,
  id: string,
  patch: Partial<ConsumerState>,
): RoomState => ({
  ...state,
  consumers: state.consumers.map((one) => (one.id === id ? { ...one, ...patch } : one)),
});

export const removeConsumer = (state: RoomState, id: string): RoomState => ({
  ...state,
  consumers: state.consumers.filter((one) => one.id !== id),
});

export const patchProducer = (
  state: RoomState,
  match: (producer: ProducerState) => boolean,
  patch: Partial<ProducerState>,
): RoomState => ({
  ...state,
  producers: state.producers.map((one) => (match(one) ? { ...one, ...patch } : one)),
});

function addPeer(state: RoomState, peer: PeerInfo): RoomState {
  const peers = [...state.peers.filter(({ peerId }) => peerId !== peer.peerId), peer];
  return addEvent({ ...state, peers }, 'joined', `${peer.displayName || peer.peerId} joined`);
}

function removePeer(state: RoomState, peerId: string): RoomState {
  if (!state.peers.some((peer) => peer.peerId === peerId)) return state;
  const named = addEvent(state, 'left', `${displayNameOf(state, peerId)} left`);
  return {
    ...named,
    peers: state.peers.filter((peer) => peer.peerId !== peerId),
    consumers: state.consumers.filter((consumer) => consumer.peerId !== peerId),
  };
}

const renamePeer = (state: RoomState, peerId: string, displayName: string): RoomState => ({
  ...state,
  peers: state.peers.map((peer) => (peer.peerId === peerId ? { ...peer, displayName } : peer)),
});

const hasId = (producerId: string) => (producer: ProducerState) => producer.id === producerId;

function muteProducer(state: RoomState, { producerId }: { producerId: string }): RoomState {
  const isMeant = hasId(producerId);
  if (!state.producers.some(isMeant)) return state;
  const muted = patchProducer(state, isMeant, { muted: true });
  return addEvent(muted, 'problem', 'An administrator muted you.');
}

const LOWEST_SCORE = 0;

/** The score of the best encoding that arrives at the server. */
const bestScore = (scores: readonly { score: number }[]): number =>
  Math.max(LOWEST_SCORE, ...scores.map(({ score }) => score));

type Data<M extends ServerNotification['method']> = Extract<
  ServerNotification,
  { method: M }
>['data'];

/** What each notification changes. One that has no entry changes nothing that is shown. */
const changes: {
  [M in ServerNotification['method']]?: (state: RoomState, data: Data<M>) => RoomState;
} = {
  newPeer: (state, { peer }) => addPeer(state, peer),
  peerClosed: (state, { peerId }) => removePeer(state, peerId),
  peerDisplayNameChanged: (state, { peerId, displayName }) =>
    renamePeer(state, peerId, displayName),
  speakingPeers: (state, { peerVolumes }) => ({
    ...state,
    speaking: Object.fromEntries(peerVolumes.map(({ peerId, volume }) => [peerId, volume])),
  }),
  activeSpeaker: (state, { peerId }) => ({ ...state, activeSpeaker: peerId }),
  producerScore: (state, { producerId, score }) =>
    patchProducer(state, hasId(producerId), { score: bestScore(score) }),
  producerMuted: muteProducer,
  producerClosed: (state, { producerId }) =>
    patchProducer(state, hasId(producerId), { id: undefined, score: undefined }),
  consumerPaused: (state, { consumerId }) =>
    patchConsumer(state, consumerId, { producerPaused: true }),
  consumerResumed: (state, { consumerId }) =>
    patchConsumer(state, consumerId, { producerPaused: false }),
  consumerClosed: (state, { consumerId }) => removeConsumer(state, consumerId),
  consumerScore: (state, { consumerId, score }) =>
    patchConsumer(state, consumerId, { score: scoreOf(score) }),
  consumerLayersChanged: (state, { consumerId, layers }) =>
    patchConsumer(state, consumerId, { layers }),
};

/** The state after a notification of the server. What it says about things unknown here changes nothing. */
export function applyNotification(
  state: RoomState,
  { method, data }: ServerNotification,
): RoomState {
  if (!Object.hasOwn(changes, method)) return state;
  const change = changes[method] as (state: RoomState, data: unknown) => RoomState;
  return change(state, data);
}

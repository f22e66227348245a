import type { types } from 'mediasoup-client';

/**
 * The messages of the client protocol's current dialect and its extensions, with mediasoup-client's types for what only it
 * reads. They are written down here rather than taken from the platform's schemas, since the package's declarations must
 * not need those; messages.test.ts holds both together.
 */

/** Which side of the room a transport is for: what this peer publishes, or what it watches. */
export type Direction = 'producer' | 'consumer';

/** The browser or program of a peer. */
export interface DeviceInfo {
  flag?: string | undefined;
  name?: string | undefined;
  version?: string | undefined;
}

/** One of those in the room. */
export interface PeerInfo {
  peerId: string;
  displayName: string;
  device: DeviceInfo;
  remoteAddress?: string | undefined;
}

/** A simulcast or SVC layer; 0 is the lowest. */
export interface Layers {
  spatialLayer: number;
  temporalLayer?: number | undefined;
}

/** Why a transport has to move. The last two: it does not work any more. */
export type MoveReason = 'NodeDraining' | 'RouterDraining' | 'NodeLost' | 'TransportLost';

interface TransportInfo extends Pick<
  types.TransportOptions,
  'iceParameters' | 'iceCandidates' | 'dtlsParameters'
> {
  transportId: string;
  sctpParameters?: types.SctpParameters;
}

/** What the server's own mediasoup says, a list for each of its streams. */
export type ServerStats = Record<string, unknown>[];

interface Stats {
  stats: ServerStats;
}

interface Ask<Data, Answer> {
  data: Data;
  answer: Answer;
}

/** What is alive in a session that was resumed. */
export interface Resumed {
  peers: PeerInfo[];
  producerIds: string[];
  dataProducerIds: string[];
  consumerIds: string[];
  dataConsumerIds: string[];
}

/** What the client may request. */
export interface ClientRequests {
  getRouterRtpCapabilities: Ask<undefined, { routerRtpCapabilities: types.RtpCapabilities }>;
  createWebRtcTransport: Ask<
    {
      forceTcp: boolean;
      appData: { direction: Direction };
      /** The transport that this one takes the place of. */
      replaces?: string;
    },
    TransportInfo
  >;
  connectWebRtcTransport: Ask<
    { transportId: string; dtlsParameters: types.DtlsParameters },
    object
  >;
  closeTransport: Ask<{ transportId: string }, object>;
  join: Ask<
    { displayName: string; device: DeviceInfo; rtpCapabilities: types.RtpCapabilities },
    { peers: PeerInfo[] }
  >;
  resumeSession: Ask<
    {
      consumerIds: string[];
      dataConsumerIds: string[];
      /** The newest of each side: one that is gone, or about to go, is to move. */
      transportIds: { producer?: string; consumer?: string };
    },
    Resumed
  >;
  leave: Ask<undefined, object>;
  restartIce: Ask<{ transportId: string }, { iceParameters: types.IceParameters }>;
  produce: Ask<
    {
      transportId: string;
      kind: types.MediaKind;
      rtpParameters: types.RtpParameters;
      paused: boolean;
      appData: types.AppData;
      /** The producer that this one takes the place of. */
      replaces?: string;
    },
    { producerId: string }
  >;
  produceData: Ask<
    {
      transportId: string;
      sctpStreamParameters: types.SctpStreamParameters;
      label: string;
      protocol: string;
      appData: types.AppData;
      replaces?: string;
    },
    { dataProducerId: string }
  >;
  getTransportStats: Ask<{ transportId: string }, Stats>;
  getProducerStats: Ask<{ producerId: string }, Stats>;
  getConsumerStats: Ask<{ consumerId: string }, Stats>;
  getDataProducerStats: Ask<{ dataProducerId: string }, Stats>;
  getDataConsumerStats: Ask<{ dataConsumerId: string }, Stats>;
}

/** What the client tells without waiting for an answer. */
interface ClientNotifications {
  closeProducer: { producerId: string };
  pauseProducer: { producerId: string };
  resumeProducer: { producerId: string };
  pauseConsumer: { consumerId: string };
  resumeConsumer: { consumerId: string };
  pauseConsumers: { consumerIds: string[] };
  resumeConsumers: { consumerIds: string[] };
  requestConsumerKeyFrame: { consumerId: string };
  setConsumerPreferredLayers: { consumerId: string; spatialLayer: number; temporalLayer?: number };
  setConsumerPriority: { consumerId: string; priority: number };
  changeDisplayName: { displayName: string };
}

export interface NewConsumer {
  peerId: string;
  transportId: string;
  consumerId: string;
  producerId: string;
  kind: types.MediaKind;
  rtpParameters: types.RtpParameters;
  /** mediasoup's: simple, simulcast or svc. */
  type: string;
  producerPaused: boolean;
  consumerScore?: Record<string, unknown>;
  appData: { source?: string };
  /** The producer that this one's takes the place of. */
  replaces?: string | undefined;
}

export interface NewDataConsumer {
  peerId?: string | undefined;
  transportId: string;
  dataConsumerId: string;
  dataProducerId: string;
  sctpStreamParameters?: types.SctpStreamParameters;
  label: string;
  protocol: string;
  appData: { channel?: string };
  replaces?: string | undefined;
}

export interface Move {
  transportId: string;
  direction: Direction;
  reason: MoveReason;
  overlapMs?: number | undefined;
}

/** What the server asks of the client: it answers once the consumer exists, and only then does media flow. */
export type ServerRequest =
  | { method: 'newConsumer'; data: NewConsumer }
  | { method: 'newDataConsumer'; data: NewDataConsumer };

interface Volume {
  peerId: string;
  /** In dBvo: 0 is the loudest, −127 silence. */
  volume: number;
}

/** What the server tells the client, by method. One that is not known here is ignored. */
export interface ServerNotifications {
  mediasoupVersion: { version: string };
  session: { resumeToken: string; resumeTimeoutMs: number };
  moveTransport: Move;
  newPeer: { peer: PeerInfo };
  peerClosed: { peerId: string };
  peerDisplayNameChanged: { peerId: string; displayName: string; oldDisplayName: string };
  producerScore: { producerId: string; score: { score: number }[] };
  producerMuted: { producerId: string };
  producerClosed: { producerId: string };
  consumerPaused: { consumerId: string };
  consumerResumed: { consumerId: string };
  consumerClosed: { consumerId: string; reason?: string | undefined };
  consumerScore: { consumerId: string; score?: Record<string, unknown> };
  consumerLayersChanged: { consumerId: string; layers?: Layers | undefined };
  dataConsumerClosed: { dataConsumerId: string; reason?: string | undefined };
  speakingPeers: { peerVolumes: Volume[] };
  activeSpeaker: { peerId?: string | undefined; volume?: number | undefined };
}

export type ServerNotification = {
  [M in keyof ServerNotifications]: { method: M; data: ServerNotifications[M] };
}[keyof ServerNotifications];

/** The connection as a typed channel. */
export interface Signaling {
  request<M extends keyof ClientRequests>(
    method: M,
    data: ClientRequests[M]['data'],
  ): Promise<ClientRequests[M]['answer']>;
  notify<M extends keyof ClientNotifications>(method: M, data: ClientNotifications[M]): void;
}

interface Channel {
  request(method: string, data: unknown): Promise<unknown>;
  notify(method: string, data: unknown): void;
}

/** The one place where what came over the wire is taken at its word: both ends share one schema, checked at the server. */
export const asSignaling = (channel: Channel): Signaling => ({
  request: async <M extends keyof ClientRequests>(method: M, data: ClientRequests[M]['data']) =>
    (await channel.request(method, data)) as ClientRequests[M]['answer'],
  notify: (method, data) => channel.notify(method, data),
});

import type { types } from 'mediasoup-client';

import type {
  ConsumerInfo,
  DataConsumerInfo,
  Device,
  PeerInfo,
  PeerMessage,
} from '../../../common/wire/peer.ts';
import type { ProtooSocket } from './protoo-socket.ts';

/** The messages of the client protocol's current dialect, with mediasoup-client's types for what only it reads. */

/** Which side of the room a transport is for: what this peer publishes, or what it watches. */
export type Direction = 'producer' | 'consumer';

/** What is published: the two of a camera and microphone, and a shared screen. */
export type Source = 'audio' | 'video' | 'screensharing';

interface TransportInfo extends Pick<
  types.TransportOptions,
  'iceParameters' | 'iceCandidates' | 'dtlsParameters'
> {
  transportId: string;
  sctpParameters?: types.SctpParameters;
}

interface Stats {
  stats: Record<string, unknown>[];
}

interface Ask<Data, Answer> {
  data: Data;
  answer: Answer;
}

/** What the client may request. */
export interface ClientRequests {
  getRouterRtpCapabilities: Ask<undefined, { routerRtpCapabilities: types.RtpCapabilities }>;
  createWebRtcTransport: Ask<
    { forceTcp: boolean; appData: { direction: Direction } },
    TransportInfo
  >;
  connectWebRtcTransport: Ask<
    { transportId: string; dtlsParameters: types.DtlsParameters },
    object
  >;
  join: Ask<
    { displayName: string; device: Device; rtpCapabilities: types.RtpCapabilities },
    { peers: PeerInfo[] }
  >;
  restartIce: Ask<{ transportId: string }, { iceParameters: types.IceParameters }>;
  produce: Ask<
    {
      transportId: string;
      kind: types.MediaKind;
      rtpParameters: types.RtpParameters;
      appData: types.AppData;
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
  setConsumerPreferredLayers: { consumerId: string; spatialLayer: number; temporalLayer?: number };
}

export interface NewConsumer extends Omit<ConsumerInfo, 'rtpParameters' | 'appData'> {
  rtpParameters: types.RtpParameters;
  appData: { source?: Source };
}

export interface NewDataConsumer extends Omit<
  DataConsumerInfo,
  'sctpStreamParameters' | 'appData'
> {
  sctpStreamParameters?: types.SctpStreamParameters;
  appData: { channel?: string };
}

/** What the server asks of the client: it answers once the consumer exists, and only then does media flow. */
export type ServerRequest =
  | { method: 'newConsumer'; data: NewConsumer }
  | { method: 'newDataConsumer'; data: NewDataConsumer };

/** What the server tells the client. One that is not known here is ignored. */
export type ServerNotification =
  | Exclude<PeerMessage, { method: ServerRequest['method'] }>
  | { method: 'mediasoupVersion'; data: { version: string } };

/** The connection as a typed channel. */
export interface Signaling {
  request<M extends keyof ClientRequests>(
    method: M,
    data: ClientRequests[M]['data'],
  ): Promise<ClientRequests[M]['answer']>;
  notify<M extends keyof ClientNotifications>(method: M, data: ClientNotifications[M]): void;
}

/** The one place where what came over the wire is taken at its word: both ends share one schema, checked at the server. */
export const asSignaling = (socket: ProtooSocket): Signaling => ({
  request: async <M extends keyof ClientRequests>(method: M, data: ClientRequests[M]['data']) =>
    (await socket.request(method, data)) as ClientRequests[M]['answer'],
  notify: (method, data) => socket.notify(method, data),
});

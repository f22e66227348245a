import { z } from 'zod';

import {
  dtlsParameters,
  fitsIn,
  mediaKind,
  opaque,
  rtpCapabilities,
  rtpParameters,
  sctpStreamParameters,
} from './rtp.ts';

/**
 * The platform's one message model between a peer and the platform. The signaling service translates both client
 * dialects into it; media nodes speak nothing else.
 *
 * Terms. *peerId*: the name that the client chose, unique in its room. *mediaPeerId*: one connection of that peer
 * (`media_peer.id`, a UUID); a reconnect makes a new one. *direction*: the pool side a transport belongs to, `producer`
 * for what the peer publishes, `consumer` for what it watches.
 */
export const peerId = z.string().min(1).max(128);
export const displayName = z.string().max(128);
export const device = z.object({
  flag: z.string().max(64).optional(),
  name: z.string().max(128).optional(),
  version: z.string().max(128).optional(),
});
const direction = z.enum(['producer', 'consumer']);

const peerInfo = z.object({
  peerId,
  displayName,
  device,
  remoteAddress: z.string().optional(),
});

/** As JSON; every watcher is sent it. */
const maxAppDataBytes = 4096;
const appDataFits = [fitsIn(maxAppDataBytes), `larger than ${maxAppDataBytes} bytes`] as const;

/** What the application says about a producer. `source` is the demo's: audio, video or screensharing. */
export const producerAppData = z
  .looseObject({ source: z.string().max(64).optional() })
  .refine(...appDataFits);
export const dataProducerAppData = z
  .looseObject({ channel: z.string().max(64).optional() })
  .refine(...appDataFits);

const id = z.uuid();
const empty = z.object({});
const stats = z.object({ stats: z.array(opaque) });
const ids = z.array(id).max(1000);
/** All that one peer watches. */
const manyIds = z.array(id).max(5000);

export const consumerLayers = z.object({
  spatialLayer: z.int().min(0).max(7),
  temporalLayer: z.int().min(0).max(7).optional(),
});
export const consumerPriority = z.int().min(1).max(255);
/** Where a plain transport sends to. */
export const plainAddress = z.object({
  ip: z.ipv4().or(z.ipv6()),
  port: z.int().min(1).max(65535),
  rtcpPort: z.int().min(1).max(65535).optional(),
});

export const iceServerParameters = z.object({
  transportId: id,
  iceParameters: opaque,
  iceCandidates: z.array(opaque),
  dtlsParameters: opaque,
  sctpParameters: opaque.optional(),
});

/**
 * The producer that this one takes the place of, of the same peer: its transport moved to another node. Who watches the
 * earlier one shows it until the new one is there.
 */
const replaces = id.optional();

export const consumerInfo = z.object({
  peerId,
  transportId: id,
  consumerId: id,
  producerId: id,
  kind: mediaKind,
  rtpParameters: opaque,
  type: z.string(),
  producerPaused: z.boolean(),
  consumerScore: opaque,
  appData: opaque,
  replaces,
});

export const dataConsumerInfo = z.object({
  peerId: peerId.optional(),
  transportId: id,
  dataConsumerId: id,
  dataProducerId: id,
  sctpStreamParameters: opaque.optional(),
  label: z.string(),
  protocol: z.string(),
  appData: opaque,
  replaces,
});

/** A peer's live objects, with the others of its room. What is not listed is gone. */
const aliveObjects = z.object({
  peers: z.array(peerInfo),
  transportIds: manyIds.default([]),
  producerIds: manyIds,
  dataProducerIds: manyIds,
  consumerIds: manyIds,
  dataConsumerIds: manyIds,
});

/**
 * What a peer may ask of its producer service, method → request and response. The signaling service forwards each as
 * `POST /rooms/:roomId/peers/:peerId/{method}`.
 */
export const peerMethods = {
  getRouterRtpCapabilities: {
    request: empty,
    response: z.object({ routerRtpCapabilities: opaque }),
  },
  createWebRtcTransport: {
    request: z.object({ direction, forceTcp: z.boolean().default(false) }),
    response: iceServerParameters,
  },
  connectWebRtcTransport: {
    request: z.object({ transportId: id, dtlsParameters }),
    response: empty,
  },
  restartIce: {
    request: z.object({ transportId: id }),
    response: z.object({ iceParameters: opaque }),
  },
  /** Closes a transport with all that is on it, wherever it is. One that is gone is no error. */
  closeTransport: { request: z.object({ transportId: id }), response: empty },
  /**
   * From the signaling service, which has bound a side of the peer anew: what the node knows of the peer is read again
   * from the table.
   */
  rebind: { request: empty, response: empty },
  /**
   * From the signaling service, after the client has come back on a new socket, maybe at another replica: which objects
   * live, and the consumers that the client did not name.
   */
  resumePeer: {
    request: z.object({ consumerIds: manyIds, dataConsumerIds: manyIds }),
    response: aliveObjects.extend({
      newConsumers: z.array(consumerInfo),
      newDataConsumers: z.array(dataConsumerInfo),
      /** Of the named consumers: those whose producer is paused. */
      pausedConsumerIds: manyIds.default([]),
    }),
  },
  join: {
    request: z.object({ displayName, device, rtpCapabilities: rtpCapabilities.optional() }),
    response: z.object({ peers: z.array(peerInfo) }),
  },
  produce: {
    request: z.object({
      transportId: id,
      kind: mediaKind,
      rtpParameters,
      paused: z.boolean().default(false),
      appData: producerAppData.default({}),
      replaces,
    }),
    response: z.object({ producerId: id }),
  },
  produceData: {
    request: z.object({
      transportId: id,
      sctpStreamParameters: sctpStreamParameters.optional(),
      label: z.string().max(255).default(''),
      protocol: z.string().max(255).default(''),
      appData: dataProducerAppData.default({}),
      replaces,
    }),
    response: z.object({ dataProducerId: id }),
  },
  closeProducer: { request: z.object({ producerId: id }), response: empty },
  pauseProducer: { request: z.object({ producerId: id }), response: empty },
  resumeProducer: { request: z.object({ producerId: id }), response: empty },
  pauseConsumers: { request: z.object({ consumerIds: ids }), response: empty },
  /** Also sent by the signaling service when the client has answered `newConsumer`. */
  resumeConsumers: { request: z.object({ consumerIds: ids }), response: empty },
  requestConsumerKeyFrame: { request: z.object({ consumerId: id }), response: empty },
  setConsumerPreferredLayers: {
    request: z.object({ consumerId: id }).extend(consumerLayers.shape),
    response: empty,
  },
  setConsumerPriority: {
    request: z.object({ consumerId: id, priority: consumerPriority }),
    response: empty,
  },
  changeDisplayName: { request: z.object({ displayName }), response: empty },
  getTransportStats: { request: z.object({ transportId: id }), response: stats },
  getProducerStats: { request: z.object({ producerId: id }), response: stats },
  getConsumerStats: { request: z.object({ consumerId: id }), response: stats },
  getDataProducerStats: { request: z.object({ dataProducerId: id }), response: stats },
  getDataConsumerStats: { request: z.object({ dataConsumerId: id }), response: stats },
  /** Moderation: pauses what the peer publishes, of the given sources (none given: all). */
  mutePeer: {
    request: z.object({ sources: z.array(z.string().max(64)).max(16).default([]) }),
    response: z.object({ producerIds: ids }),
  },
  /** Broadcasters (ffmpeg, GStreamer) send and receive plain RTP. */
  createPlainTransport: {
    request: z.object({
      direction,
      comedia: z.boolean().default(false),
      rtcpMux: z.boolean().default(true),
    }),
    response: z.object({
      transportId: id,
      ip: z.string(),
      port: z.int(),
      rtcpPort: z.int().optional(),
    }),
  },
  connectPlainTransport: {
    request: z.object({ transportId: id }).extend(plainAddress.shape),
    response: empty,
  },
  getPeerProducersInfos: {
    request: empty,
    response: z.object({
      peerProducersInfos: z.array(
        z.object({
          peerId,
          producers: z.array(z.object({ producerId: id, kind: mediaKind, appData: opaque })),
        }),
      ),
    }),
  },
  /** Consumes one producer on request; a browser's consumers are made by the platform instead. */
  consume: {
    request: z.object({
      transportId: id,
      producerId: id,
      rtpCapabilities: rtpCapabilities.optional(),
    }),
    response: consumerInfo,
  },
} as const satisfies Record<string, { request: z.ZodType; response: z.ZodType }>;

/**
 * What a client made with our own SDK asks of the signaling service itself, which keeps its session; no media node knows
 * these.
 */
export const sessionMethods = {
  /** First on a connection that continues a session: which of its consumers the client has. The answer is the truth. */
  resumeSession: {
    request: z.object({
      consumerIds: manyIds.default([]),
      dataConsumerIds: manyIds.default([]),
      /** The transports that it has, by side; absent: it does not say. */
      transportIds: z.object({ producer: id.optional(), consumer: id.optional() }).optional(),
    }),
    response: aliveObjects,
  },
  /** Ends the session at once; a socket that just closes may come back. */
  leave: { request: empty, response: empty },
} as const satisfies Record<string, { request: z.ZodType; response: z.ZodType }>;

/**
 * A client's `createWebRtcTransport` names the transport that the new one takes the place of, after `moveTransport`. The
 * signaling service binds that side of the peer to another node, and strips the field.
 */
export const replacedTransport = z.object({ replaces: id.optional() });

type SessionMethod = keyof typeof sessionMethods;
export type SessionRequest<M extends SessionMethod> = z.output<
  (typeof sessionMethods)[M]['request']
>;
export type SessionResponse<M extends SessionMethod> = z.output<
  (typeof sessionMethods)[M]['response']
>;

export type PeerMethod = keyof typeof peerMethods;
export type PeerRequest<M extends PeerMethod> = z.output<(typeof peerMethods)[M]['request']>;
export type PeerRequestInput<M extends PeerMethod> = z.input<(typeof peerMethods)[M]['request']>;
export type PeerResponse<M extends PeerMethod> = z.output<(typeof peerMethods)[M]['response']>;

export const isPeerMethod = (value: string): value is PeerMethod =>
  Object.hasOwn(peerMethods, value);

const score = z.object({
  encodingIdx: z.int(),
  ssrc: z.int(),
  rid: z.string().optional(),
  score: z.number(),
});
/** `ProducerLost`: its node or its transport was lost, not closed by its peer, which may publish it again elsewhere. */
const closeReason = z.enum(['ProducerLost']);
/** Why a client is asked to replace a transport. */
const moveReason = z.enum(['NodeDraining', 'NodeLost', 'RouterDraining', 'TransportLost']);
const message = <M extends string, T extends z.ZodType>(method: M, data: T) =>
  z.object({ method: z.literal(method), data });

/** What the platform tells a peer. The first two are requests to the client, which answers them; the rest notifications. */
export const peerMessage = z.discriminatedUnion('method', [
  message('newConsumer', consumerInfo),
  message('newDataConsumer', dataConsumerInfo),
  message('newPeer', z.object({ peer: peerInfo })),
  message('peerClosed', z.object({ peerId })),
  message('peerDisplayNameChanged', z.object({ peerId, displayName, oldDisplayName: displayName })),
  message('producerScore', z.object({ producerId: id, score: z.array(score) })),
  /** An administrator paused this producer. An addition of ours; clients that don't know it ignore it. */
  message('producerMuted', z.object({ producerId: id })),
  /** The producer is gone without the client's doing (its transport or worker died). An addition of ours. */
  message('producerClosed', z.object({ producerId: id })),
  message('consumerPaused', z.object({ consumerId: id })),
  message('consumerResumed', z.object({ consumerId: id })),
  message('consumerClosed', z.object({ consumerId: id, reason: closeReason.optional() })),
  message('consumerScore', z.object({ consumerId: id, score: opaque })),
  message(
    'consumerLayersChanged',
    z.object({
      consumerId: id,
      layers: z.object({ spatialLayer: z.int(), temporalLayer: z.int().optional() }).optional(),
    }),
  ),
  message('dataConsumerClosed', z.object({ dataConsumerId: id, reason: closeReason.optional() })),
  message(
    'speakingPeers',
    z.object({ peerVolumes: z.array(z.object({ peerId, volume: z.number() })) }),
  ),
  /** Nobody named: it is silent. `volume` is what the older dialect shows with the name, in dBvo. */
  message('activeSpeaker', z.object({ peerId: peerId.optional(), volume: z.number().optional() })),
  /**
   * For clients made with our own SDK, from the signaling service, when their peer is bound: with this token, which is
   * secret, another connection can continue the session for so long after this one has closed.
   */
  message(
    'session',
    z.object({ resumeToken: z.string().min(1).max(256), resumeTimeoutMs: z.int().positive() }),
  ),
  /**
   * For the same clients, from the signaling service: asks for another transport in the place of this one. The old one
   * may go on for `overlapMs` beside the new one, 0 when it is lost already. Repeating it is harmless.
   */
  message(
    'moveTransport',
    z.object({
      transportId: id,
      direction,
      reason: moveReason,
      overlapMs: z.int().nonnegative(),
    }),
  ),
]);

export type PeerMessage = z.infer<typeof peerMessage>;
export type PeerMessageMethod = PeerMessage['method'];
export type PeerInfo = z.infer<typeof peerInfo>;
export type Device = z.infer<typeof device>;
export type Direction = z.infer<typeof direction>;
export type CloseReason = z.infer<typeof closeReason>;
export type MoveReason = z.infer<typeof moveReason>;
export type ConsumerInfo = z.infer<typeof consumerInfo>;
export type DataConsumerInfo = z.infer<typeof dataConsumerInfo>;

/** What a room token allows its peer. `publish` and `subscribe` are for media, `data` for data channels both ways. */
export const grants = z.object({
  publish: z.boolean(),
  subscribe: z.boolean(),
  data: z.boolean(),
  admin: z.boolean(),
});
export type Grants = z.infer<typeof grants>;

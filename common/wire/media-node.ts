import { z } from 'zod';

import {
  consumerInfo,
  consumerLayers,
  consumerPriority,
  dataConsumerInfo,
  peerId,
  plainAddress,
  producerAppData,
  dataProducerAppData,
} from './peer.ts';
import {
  dtlsParameters,
  mediaCodec,
  mediaKind,
  opaque,
  rtpCapabilities,
  sctpStreamParameters,
  srtpParameters,
} from './rtp.ts';

/**
 * The media node's HTTP API between services, besides the peer methods (`peer.ts`). The endpoint names of the consume
 * flow are those of the product's flow document; where one takes a list, it is so that a step costs one call, not one
 * for each producer.
 *
 * Terms. *instance*: one run of a media-node process; its id is new at every start, and whoever calls with the id of an
 * earlier one is refused (`instance_mismatch`). *source*: the router that has the producers; *destination*: the router
 * that they are piped to.
 */
const id = z.uuid();
const ids = z.array(id).max(5000);
const routerId = z.string().min(1).max(253);

export const nodeRole = z.enum(['Producer', 'Consumer', 'Both']);
export type NodeRole = z.infer<typeof nodeRole>;

/** `PUT /rooms/:roomId/routers/:routerId`, by the operator. Repeating it changes nothing. */
export const putRouterRequest = z.object({
  /** Which instance the placement was decided for. */
  instanceId: id,
  role: nodeRole,
  /** The placement's generation; a lower one than the router has is refused (`conflict`). */
  generation: z.int().nonnegative(),
  /** Empty: the node's own default codecs. */
  mediaCodecs: z.array(mediaCodec).default([]),
});
export const putRouterResponse = z.object({
  routerId,
  instanceId: id,
  workerIndex: z.int().nonnegative(),
  rtpCapabilities: opaque,
});

/** Where a node's API is reached and which run of it is meant. */
const nodeAddress = z.object({ instanceId: id, url: z.url() });
export type NodeAddress = z.infer<typeof nodeAddress>;

/** A router on another node. */
const routerAddress = z.object({ routerId, node: nodeAddress });
export type RouterAddress = z.infer<typeof routerAddress>;

/** The peer that a transport belongs to, with the replica that holds its socket. */
const peerRef = z.object({
  mediaPeerId: id,
  peerId,
  roomId: z.string(),
  replicaUrl: z.url(),
});
export type PeerRef = z.infer<typeof peerRef>;

/** `POST /router/:routerId/destination_pipe_transport` on the consumer service. */
export const destinationPipeRequest = z.object({
  source: routerAddress,
  producerIds: ids.default([]),
  dataProducerIds: ids.default([]),
});
export const destinationPipeResponse = z.object({
  pipeTransportId: id,
  /** Those that are now on the destination router. One that closed meanwhile is missing: that is no error. */
  producerIds: ids,
  dataProducerIds: ids,
});

const pipeEndpoint = z.object({
  pipeTransportId: id,
  ip: z.string(),
  port: z.int().min(1).max(65535),
  srtpParameters: srtpParameters.optional(),
});

/** `POST /router/:routerId/source_pipe_transport` on the producer service. Repeating it returns the same transport. */
export const sourcePipeRequest = z.object({
  destination: routerAddress,
  endpoint: pipeEndpoint,
});
export const sourcePipeResponse = z.object({ endpoint: pipeEndpoint });

/**
 * Counts a destination's calls about one pipe. A release that arrives after a later consume of the same producer is
 * void, so that a call that was delayed on its way can't undo a newer one.
 */
const demandSequence = z.int().nonnegative().default(0);

/** `POST /pipe_transport/:transportId/consume` on the producer service. */
export const pipeConsumeRequest = z.object({ producerIds: ids, sequence: demandSequence });
export const pipeConsumeResponse = z.object({
  /** Which state update the answer is as new as, see {@link pipeStateRequest}. */
  stateSequence: z.int().nonnegative(),
  consumers: z.array(
    z.object({
      producerId: id,
      kind: mediaKind,
      rtpParameters: opaque,
      paused: z.boolean(),
      score: z.array(opaque),
      peerId,
      mediaPeerId: id,
      appData: producerAppData,
      replaces: id.optional(),
    }),
  ),
});

/** `POST /pipe_transport/:transportId/consume_data` on the producer service. */
export const pipeConsumeDataRequest = z.object({ dataProducerIds: ids, sequence: demandSequence });
export const pipeConsumeDataResponse = z.object({
  dataConsumers: z.array(
    z.object({
      dataProducerId: id,
      sctpStreamParameters: sctpStreamParameters.optional(),
      label: z.string(),
      protocol: z.string(),
      peerId,
      mediaPeerId: id,
      appData: dataProducerAppData,
      replaces: id.optional(),
    }),
  ),
});

/**
 * `PUT /pipe_transport/:transportId/state`, source to destination: what became of producers that go through the pipe.
 * A state, not an event: the newest one counts and repeating it is harmless.
 */
export const pipeStateRequest = z.object({
  sequence: z.int().nonnegative(),
  producers: z.array(
    z.object({
      producerId: id,
      closed: z.boolean(),
      /** With `closed`: not by its peer, its transport was lost. */
      lost: z.boolean().default(false),
      paused: z.boolean(),
      score: z.array(opaque),
    }),
  ),
  closedDataProducerIds: ids.default([]),
  /** Those of them that were lost. */
  lostDataProducerIds: ids.default([]),
  /** The source end is closed, with its router: so is all that went through the pipe. */
  pipeClosed: z.boolean().default(false),
});

/** `POST /pipe_transport/:transportId/release`, destination to source: nobody watches these there any more. */
export const pipeReleaseRequest = z.object({
  producerIds: ids.default([]),
  dataProducerIds: ids.default([]),
  sequence: demandSequence,
  /** The pipe itself is closed too. */
  closeTransport: z.boolean().default(false),
});

/**
 * `PUT /pipe_transport/:transportId/demand`, destination to source: all that the destination has from this pipe. What it
 * does not name and did not ask for later is closed at the source; a source that hears nothing for long closes its end.
 */
export const pipeDemandRequest = z.object({
  producerIds: ids,
  dataProducerIds: ids,
  sequence: demandSequence,
});

/** `POST /transports/:transportId/consumer` on the consumer service. */
export const consumerRequest = z.object({
  producerIds: ids,
  rtpCapabilities,
});
/** A producer that can't be consumed by these capabilities, or is gone, has no entry. Repeating it returns the same. */
export const consumerResponse = z.object({ consumers: z.array(consumerInfo) });

/** `POST /transports/:transportId/data_consumer` on the consumer service. */
export const dataConsumerRequest = z.object({ dataProducerIds: ids });
export const dataConsumerResponse = z.object({ dataConsumers: z.array(dataConsumerInfo) });

/**
 * `POST /router/:routerId/consumers` on the consumer service: the two calls above for many receiving transports at
 * once, for a new producer in a room full of watchers.
 */
export const routerConsumersRequest = z.object({
  /** Those of the receivers, each once: most clients of a room are alike. */
  capabilities: z.array(rtpCapabilities).max(5000).default([]),
  receivers: z
    .array(
      z.object({
        transportId: id,
        /** Which of `capabilities` it has; absent: it gets no media. */
        capabilities: z.int().nonnegative().optional(),
      }),
    )
    .max(5000),
  producerIds: ids.default([]),
  dataProducerIds: ids.default([]),
});
export const routerConsumersResponse = z.object({
  consumers: z.array(consumerInfo),
  dataConsumers: z.array(dataConsumerInfo),
});

/** `POST /consumer_transports/:transportId/consume` on the producer service: the whole consume flow. */
export const consumeRequest = z.object({
  producerIds: ids,
  /** Instead of the peer's own, for a broadcaster that consumes on request. */
  rtpCapabilities: rtpCapabilities.optional(),
});
/** `POST /consumer_transports/:transportId/consume_data` on the producer service. */
export const consumeDataRequest = z.object({ dataProducerIds: ids });

/**
 * `POST /router/:routerId/transports` on the node that has the router: the producer service asks for the peer's
 * receiving transport here, and for its sending one of itself.
 */
export const createTransportRequest = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('webrtc'),
    peer: peerRef,
    direction: z.enum(['producer', 'consumer']),
    forceTcp: z.boolean().default(false),
  }),
  z.object({
    kind: z.literal('plain'),
    peer: peerRef,
    direction: z.enum(['producer', 'consumer']),
    comedia: z.boolean().default(false),
    rtcpMux: z.boolean().default(true),
  }),
]);

/**
 * `POST /router/:routerId/close_consumers` on the consumer service: undoes a half-way failure, whose answer may have been
 * lost, so by producer and not by consumer.
 */
export const closeConsumersRequest = z.object({
  receivers: z
    .array(
      z.object({
        transportId: id,
        producerIds: ids.default([]),
        dataProducerIds: ids.default([]),
      }),
    )
    .max(5000),
});

/**
 * `PUT /peers/:mediaPeerId`, by the peer's producer service: its messages go to this replica from now on. The answer says
 * what the node has of the peer, with all about the consumers that the client does not name as known. Repeatable.
 */
export const putPeerRequest = z.object({
  replicaUrl: z.url(),
  consumerIds: ids.default([]),
  dataConsumerIds: ids.default([]),
});
export const putPeerResponse = z.object({
  transportIds: ids,
  producerIds: ids,
  dataProducerIds: ids,
  consumerIds: ids,
  dataConsumerIds: ids,
  newConsumers: z.array(consumerInfo),
  newDataConsumers: z.array(dataConsumerInfo),
  /** Of the consumers: those whose producer is paused. */
  pausedConsumerIds: ids,
});

/** Who a call on one object is made for; an object of another peer is not found. Absent: by the platform itself. */
export const objectRequest = z.object({ mediaPeerId: id.optional() });
export const connectTransportRequest = z.union([
  objectRequest.extend({ dtlsParameters }),
  objectRequest.extend(plainAddress.shape),
]);
export const objectsRequest = objectRequest.extend({ consumerIds: ids });
export const preferredLayersRequest = objectRequest.extend(consumerLayers.shape);
export const priorityRequest = objectRequest.extend({ priority: consumerPriority });

/** An IP address or host name, as `spec.network.announcedAddress` of a MediaWorker. */
export const announcedAddress = z
  .string()
  .max(253)
  .regex(/^[0-9A-Za-z:]([0-9A-Za-z.:-]*[0-9A-Za-z])?$/, 'expected an IP address or a host name');

/**
 * `PUT /announced_address`, by the operator, which knows the outside of the machine that the node runs on: ICE candidates
 * that are given from now on carry this address. Repeating it changes nothing.
 */
export const announcedAddressRequest = z.object({ address: announcedAddress });
export const announcedAddressResponse = z.object({ address: announcedAddress });

const load = z.object({
  peers: z.int(),
  producers: z.int(),
  consumers: z.int(),
  dataProducers: z.int(),
  dataConsumers: z.int(),
  /** The busiest worker's share of one CPU in percent over the last interval. */
  cpuPercent: z.int(),
});

/** `GET /status`: what the operator polls and the console shows. Asks no store. */
export const nodeStatus = z.object({
  instanceId: id,
  /** Of the node's own process. */
  pid: z.int(),
  podName: z.string(),
  pool: z.string(),
  role: nodeRole,
  version: z.string(),
  startedAt: z.iso.datetime(),
  state: z.enum(['Ready', 'Draining']),
  /** What ICE candidates carry; absent: the address that the RTC ports are bound to. */
  announcedAddress: z.string().optional(),
  load,
  workers: z.array(
    z.object({
      index: z.int(),
      pid: z.int(),
      /** The WebRtcServer's UDP and TCP port. */
      port: z.int(),
      cpuPercent: z.int(),
      routers: z.int(),
      consumers: z.int(),
    }),
  ),
  routers: z.array(
    z.object({
      routerId,
      roomId: z.string(),
      role: nodeRole,
      generation: z.int(),
      workerIndex: z.int(),
      peers: z.int(),
      transports: z.int(),
      producers: z.int(),
      consumers: z.int(),
      dataProducers: z.int(),
      dataConsumers: z.int(),
    }),
  ),
  pipes: z.array(
    z.object({
      pipeTransportId: id,
      end: z.enum(['source', 'destination']),
      routerId,
      remoteRouterId: routerId,
      remoteInstanceId: id,
      producers: z.int(),
      dataProducers: z.int(),
    }),
  ),
});
export type NodeStatus = z.infer<typeof nodeStatus>;
export type NodeLoad = z.infer<typeof load>;

/** `POST /drain`: the node takes no new router or transport; what it has flows on. Repeatable. */
export const drainResponse = z.object({ state: z.literal('Draining'), peers: z.int() });

/** `POST /rooms/:roomId/peers/:peerId/{method}`: a peer's request as the signaling service forwards it. */
export const forwardedRequest = <T extends z.ZodType>(data: T) =>
  z.object({ mediaPeerId: id, data });

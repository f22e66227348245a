import { z } from 'zod';

import * as wire from '../../common/wire/media-node.ts';
import { nodeObjects } from '../../common/wire/media-node-objects.ts';
import { iceServerParameters, peerMethods, type PeerMethod } from '../../common/wire/peer.ts';

/** One endpoint: what checks its bytes, and what the OpenAPI document says of it. */
export interface Endpoint {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  summary: string;
  body?: z.ZodType;
  response: z.ZodType;
}

const nothing = z.object({});
const stats = peerMethods.getTransportStats.response;
const produced = peerMethods.produce;
const producedData = peerMethods.produceData;
const createdTransport = z.union([iceServerParameters, peerMethods.createPlainTransport.response]);

/** Rooms and routers, for the operator. */
const administration = {
  putRouter: {
    method: 'PUT',
    path: '/rooms/:roomId/routers/:routerId',
    summary: 'Makes sure that a room’s router exists on this node',
    body: wire.putRouterRequest,
    response: wire.putRouterResponse,
  },
  deleteRouter: {
    method: 'DELETE',
    path: '/rooms/:roomId/routers/:routerId',
    summary: 'Closes a router with all that is on it',
    response: nothing,
  },
  deleteRoom: {
    method: 'DELETE',
    path: '/rooms/:roomId',
    summary: 'Closes all routers of a room on this node',
    response: nothing,
  },
  getStatus: {
    method: 'GET',
    path: '/status',
    summary: 'Tells what the node has and how loaded it is; asks no store',
    response: wire.nodeStatus,
  },
  getObjects: {
    method: 'GET',
    path: '/objects',
    summary: 'Lists every live object by its id; asks no store',
    response: nodeObjects,
  },
  drain: {
    method: 'POST',
    path: '/drain',
    summary: 'Takes no new router or transport from now on',
    response: wire.drainResponse,
  },
  announceAddress: {
    method: 'PUT',
    path: '/announced_address',
    summary: 'Sets the address that ICE candidates carry from now on',
    body: wire.announcedAddressRequest,
    response: wire.announcedAddressResponse,
  },
  putPeer: {
    method: 'PUT',
    path: '/peers/:mediaPeerId',
    summary: 'Sends a connection’s messages to another replica, and tells what the node has of it',
    body: wire.putPeerRequest,
    response: wire.putPeerResponse,
  },
  deletePeer: {
    method: 'DELETE',
    path: '/peers/:mediaPeerId',
    summary: 'Closes all that the node holds for a connection',
    response: nothing,
  },
} as const satisfies Record<string, Endpoint>;

/** The consume flow and the upkeep of pipes, between media nodes. */
const flow = {
  consume: {
    method: 'POST',
    path: '/consumer_transports/:transportId/consume',
    summary: 'Runs the consume flow for producers of this node and one receiving transport',
    body: wire.consumeRequest,
    response: wire.consumerResponse,
  },
  consumeData: {
    method: 'POST',
    path: '/consumer_transports/:transportId/consume_data',
    summary: 'The same for data producers',
    body: wire.consumeDataRequest,
    response: wire.dataConsumerResponse,
  },
  destinationPipeTransport: {
    method: 'POST',
    path: '/router/:routerId/destination_pipe_transport',
    summary: 'Brings producers of a router elsewhere to this router',
    body: wire.destinationPipeRequest,
    response: wire.destinationPipeResponse,
  },
  sourcePipeTransport: {
    method: 'POST',
    path: '/router/:routerId/source_pipe_transport',
    summary: 'Creates the source end of a pipe and connects it to the destination',
    body: wire.sourcePipeRequest,
    response: wire.sourcePipeResponse,
  },
  pipeConsume: {
    method: 'POST',
    path: '/pipe_transport/:transportId/consume',
    summary: 'Sends producers through a pipe',
    body: wire.pipeConsumeRequest,
    response: wire.pipeConsumeResponse,
  },
  pipeConsumeData: {
    method: 'POST',
    path: '/pipe_transport/:transportId/consume_data',
    summary: 'Sends data producers through a pipe',
    body: wire.pipeConsumeDataRequest,
    response: wire.pipeConsumeDataResponse,
  },
  pipeState: {
    method: 'PUT',
    path: '/pipe_transport/:transportId/state',
    summary: 'Tells a pipe’s destination what became of the producers',
    body: wire.pipeStateRequest,
    response: nothing,
  },
  pipeDemand: {
    method: 'PUT',
    path: '/pipe_transport/:transportId/demand',
    summary: 'Tells a pipe’s source all that its destination still needs',
    body: wire.pipeDemandRequest,
    response: nothing,
  },
  pipeRelease: {
    method: 'POST',
    path: '/pipe_transport/:transportId/release',
    summary: 'Tells a pipe’s source what nobody watches any more',
    body: wire.pipeReleaseRequest,
    response: nothing,
  },
  createConsumers: {
    method: 'POST',
    path: '/transports/:transportId/consumer',
    summary: 'Creates consumers on a receiving transport',
    body: wire.consumerRequest,
    response: wire.consumerResponse,
  },
  createDataConsumers: {
    method: 'POST',
    path: '/transports/:transportId/data_consumer',
    summary: 'Creates data consumers on a receiving transport',
    body: wire.dataConsumerRequest,
    response: wire.dataConsumerResponse,
  },
  createRouterConsumers: {
    method: 'POST',
    path: '/router/:routerId/consumers',
    summary: 'Creates consumers on many receiving transports of one router',
    body: wire.routerConsumersRequest,
    response: wire.routerConsumersResponse,
  },
  closeConsumers: {
    method: 'POST',
    path: '/router/:routerId/close_consumers',
    summary: 'Undoes the creation of consumers',
    body: wire.closeConsumersRequest,
    response: nothing,
  },
} as const satisfies Record<string, Endpoint>;

const object = (path: string, summary: string) =>
  ({ method: 'POST', path, summary, body: wire.objectRequest, response: nothing }) as const;
const statistics = (path: string, of: string) =>
  ({
    method: 'POST',
    path,
    summary: `Gives mediasoup’s statistics of ${of}`,
    body: wire.objectRequest,
    response: stats,
  }) as const;
const removal = (path: string, what: string) =>
  ({ method: 'DELETE', path, summary: `Closes ${what}`, response: nothing }) as const;
const peersRemoval = (path: string, what: string) =>
  ({ ...removal(path, what), body: wire.objectRequest }) as const;

/** Single live objects. */
const objects = {
  createTransport: {
    method: 'POST',
    path: '/router/:routerId/transports',
    summary: 'Creates a peer’s transport',
    body: wire.createTransportRequest,
    response: createdTransport,
  },
  connectTransport: {
    method: 'POST',
    path: '/transports/:transportId/connect',
    summary: 'Connects a transport',
    body: wire.connectTransportRequest,
    response: nothing,
  },
  restartIce: {
    method: 'POST',
    path: '/transports/:transportId/restart_ice',
    summary: 'Gives a transport new ICE credentials',
    body: wire.objectRequest,
    response: peerMethods.restartIce.response,
  },
  produce: {
    method: 'POST',
    path: '/transports/:transportId/produce',
    summary: 'Publishes on a transport of a joined peer',
    body: produced.request.omit({ transportId: true }),
    response: produced.response,
  },
  produceData: {
    method: 'POST',
    path: '/transports/:transportId/produce_data',
    summary: 'Publishes data on a transport of a joined peer',
    body: producedData.request.omit({ transportId: true }),
    response: producedData.response,
  },
  transportStats: statistics('/transports/:transportId/stats', 'a transport'),
  deleteTransport: peersRemoval('/transports/:transportId', 'a transport with all that is on it'),
  pauseProducer: object('/producers/:producerId/pause', 'Pauses a producer'),
  resumeProducer: object('/producers/:producerId/resume', 'Resumes a producer'),
  producerStats: statistics('/producers/:producerId/stats', 'a producer'),
  deleteProducer: peersRemoval('/producers/:producerId', 'a producer'),
  pauseConsumers: {
    method: 'POST',
    path: '/consumers/pause',
    summary: 'Pauses consumers',
    body: wire.objectsRequest,
    response: nothing,
  },
  resumeConsumers: {
    method: 'POST',
    path: '/consumers/resume',
    summary: 'Resumes consumers',
    body: wire.objectsRequest,
    response: nothing,
  },
  pauseConsumer: object('/consumers/:consumerId/pause', 'Pauses a consumer'),
  resumeConsumer: object('/consumers/:consumerId/resume', 'Resumes a consumer'),
  setPreferredLayers: {
    method: 'POST',
    path: '/consumers/:consumerId/preferred_layers',
    summary: 'Chooses the layers that a consumer gets',
    body: wire.preferredLayersRequest,
    response: nothing,
  },
  setPriority: {
    method: 'POST',
    path: '/consumers/:consumerId/priority',
    summary: 'Sets a consumer’s share where bandwidth is short',
    body: wire.priorityRequest,
    response: nothing,
  },
  requestKeyFrame: object(
    '/consumers/:consumerId/request_key_frame',
    'Asks the origin for a key frame',
  ),
  consumerStats: statistics('/consumers/:consumerId/stats', 'a consumer'),
  deleteConsumer: removal('/consumers/:consumerId', 'a consumer'),
  dataProducerStats: statistics('/data_producers/:dataProducerId/stats', 'a data producer'),
  deleteDataProducer: removal('/data_producers/:dataProducerId', 'a data producer'),
  dataConsumerStats: statistics('/data_consumers/:dataConsumerId/stats', 'a data consumer'),
  deleteDataConsumer: removal('/data_consumers/:dataConsumerId', 'a data consumer'),
} as const satisfies Record<string, Endpoint>;

/** All endpoints besides the peer methods, by name. */
export const contract = { ...administration, ...flow, ...objects };
export type Contract = typeof contract;
export type EndpointName = keyof Contract;

/** The peer methods' endpoints, one for each method. */
export const peerEndpoints = (Object.keys(peerMethods) as PeerMethod[]).map(
  (name): Endpoint & { name: PeerMethod } => ({
    name,
    method: 'POST',
    path: `/rooms/:roomId/peers/:peerId/${name}`,
    summary: `A peer’s request ${name}, as the signaling service forwards it`,
    body: wire.forwardedRequest(peerMethods[name].request),
    response: peerMethods[name].response,
  }),
);

import { z } from 'zod';

import {
  createHttpClient,
  instanceIdHeader,
  type Call,
  type HttpClientDeps,
} from '../http/client.ts';
import {
  announcedAddressResponse,
  consumerResponse,
  dataConsumerResponse,
  destinationPipeResponse,
  drainResponse,
  nodeStatus,
  pipeConsumeDataResponse,
  pipeConsumeResponse,
  putPeerResponse,
  putRouterResponse,
  routerConsumersResponse,
  sourcePipeResponse,
  type closeConsumersRequest,
  type consumeRequest,
  type consumerRequest,
  type createTransportRequest,
  type destinationPipeRequest,
  type pipeConsumeDataRequest,
  type pipeConsumeRequest,
  type pipeDemandRequest,
  type pipeReleaseRequest,
  type pipeStateRequest,
  type putPeerRequest,
  type putRouterRequest,
  type routerConsumersRequest,
  type sourcePipeRequest,
} from '../wire/media-node.ts';
import { nodeObjects } from '../wire/media-node-objects.ts';
import {
  iceServerParameters,
  peerMethods,
  type PeerMethod,
  type PeerRequestInput,
  type PeerResponse,
} from '../wire/peer.ts';

const nothing = z.object({});
const plainTransportParameters = peerMethods.createPlainTransport.response;

/** One retry policy note for all: every endpoint of a media node may be repeated without doing anything twice. */
type Options = Pick<Call<z.ZodType>, 'retries' | 'timeoutMs'>;

export interface ForwardTarget {
  roomId: string;
  peerId: string;
  mediaPeerId: string;
}

/**
 * The typed client of a media node's HTTP API; one instance serves all nodes, each call names the node by its URL.
 *
 * @param instanceId the run of the node that is meant: another one at the same URL answers `instance_mismatch`
 */
export function createMediaNodeClient(deps: HttpClientDeps, instanceId?: string) {
  const http = createHttpClient(
    'media-node',
    deps,
    instanceId === undefined ? {} : { [instanceIdHeader]: instanceId },
  );
  const post = <T extends z.ZodType>(
    baseUrl: string,
    route: string,
    rest: Pick<Call<T>, 'response' | 'params' | 'body'> & Options,
  ) => http.call<T>({ method: 'POST', baseUrl, route, ...rest });

  return {
    // For the operator.
    putRouter: (
      url: string,
      params: { roomId: string; routerId: string },
      body: z.input<typeof putRouterRequest>,
      options: Options = {},
    ) =>
      http.call({
        method: 'PUT',
        baseUrl: url,
        route: '/rooms/:roomId/routers/:routerId',
        params,
        body,
        response: putRouterResponse,
        ...options,
      }),
    deleteRouter: (
      url: string,
      params: { roomId: string; routerId: string },
      options: Options = {},
    ) =>
      http.call({
        method: 'DELETE',
        baseUrl: url,
        route: '/rooms/:roomId/routers/:routerId',
        params,
        response: nothing,
        ...options,
      }),
    deleteRoom: (url: string, roomId: string) =>
      http.call({
        method: 'DELETE',
        baseUrl: url,
        route: '/rooms/:roomId',
        params: { roomId },
        response: nothing,
      }),
    status: (url: string, options: Options = {}) =>
      http.call({
        method: 'GET',
        baseUrl: url,
        route: '/status',
        response: nodeStatus,
        retries: 0,
        ...options,
      }),
    /** Every live object of the node. */
    objects: (url: string, options: Options = {}) =>
      http.call({
        method: 'GET',
        baseUrl: url,
        route: '/objects',
        response: nodeObjects,
        ...options,
      }),
    drain: (url: string) => post(url, '/drain', { response: drainResponse }),
    /** @param address an IP address or host name that ICE candidates carry from now on */
    announceAddress: (url: string, address: string) =>
      http.call({
        method: 'PUT',
        baseUrl: url,
        route: '/announced_address',
        body: { address },
        response: announcedAddressResponse,
      }),

    // For the signaling service.
    forward: <M extends PeerMethod>(
      url: string,
      to: ForwardTarget,
      method: M,
      data: PeerRequestInput<M>,
    ): Promise<PeerResponse<M>> =>
      post(url, `/rooms/:roomId/peers/:peerId/${method}`, {
        params: { roomId: to.roomId, peerId: to.peerId },
        body: { mediaPeerId: to.mediaPeerId, data },
        // The table's value type is a union; its key ties request and response together.
        response: peerMethods[method].response as unknown as z.ZodType<PeerResponse<M>>,
      }),
    /** Closes everything that the node holds for this connection. A connection it does not know is no error. */
    deletePeer: (url: string, mediaPeerId: string) =>
      http.call({
        method: 'DELETE',
        baseUrl: url,
        route: '/peers/:mediaPeerId',
        params: { mediaPeerId },
        response: nothing,
      }),

    /** Closes a transport of this connection. One that is gone is no error. */
    closeTransport: (url: string, transportId: string, mediaPeerId: string) =>
      http.call({
        method: 'DELETE',
        baseUrl: url,
        route: '/transports/:transportId',
        params: { transportId },
        body: { mediaPeerId },
        response: nothing,
      }),

    // Between media nodes: the consume flow.
    consume: (url: string, transportId: string, body: z.input<typeof consumeRequest>) =>
      post(url, '/consumer_transports/:transportId/consume', {
        params: { transportId },
        body,
        response: consumerResponse,
      }),
    consumeData: (url: string, transportId: string, body: { dataProducerIds: string[] }) =>
      post(url, '/consumer_transports/:transportId/consume_data', {
        params: { transportId },
        body,
        response: dataConsumerResponse,
      }),
    destinationPipeTransport: (
      url: string,
      routerId: string,
      body: z.input<typeof destinationPipeRequest>,
    ) =>
      post(url, '/router/:routerId/destination_pipe_transport', {
        params: { routerId },
        body,
        response: destinationPipeResponse,
      }),
    sourcePipeTransport: (url: string, routerId: string, body: z.input<typeof sourcePipeRequest>) =>
      post(url, '/router/:routerId/source_pipe_transport', {
        params: { routerId },
        body,
        response: sourcePipeResponse,
      }),
    pipeConsume: (url: string, transportId: string, body: z.input<typeof pipeConsumeRequest>) =>
      post(url, '/pipe_transport/:transportId/consume', {
        params: { transportId },
        body,
        response: pipeConsumeResponse,
      }),
    pipeConsumeData: (
      url: string,
      transportId: string,
      body: z.input<typeof pipeConsumeDataRequest>,
    ) =>
      post(url, '/pipe_transport/:transportId/consume_data', {
        params: { transportId },
        body,
        response: pipeConsumeDataResponse,
      }),
    pipeState: (url: string, transportId: string, body: z.input<typeof pipeStateRequest>) =>
      http.call({
        method: 'PUT',
        baseUrl: url,
        route: '/pipe_transport/:transportId/state',
        params: { transportId },
        body,
        response: nothing,
      }),
    pipeRelease: (url: string, transportId: string, body: z.input<typeof pipeReleaseRequest>) =>
      post(url, '/pipe_transport/:transportId/release', {
        params: { transportId },
        body,
        response: nothing,
      }),
    pipeDemand: (url: string, transportId: string, body: z.input<typeof pipeDemandRequest>) =>
      http.call({
        method: 'PUT',
        baseUrl: url,
        route: '/pipe_transport/:transportId/demand',
        params: { transportId },
        body,
        response: nothing,
      }),
    putPeer: (url: string, mediaPeerId: string, body: z.input<typeof putPeerRequest>) =>
      http.call({
        method: 'PUT',
        baseUrl: url,
        route: '/peers/:mediaPeerId',
        params: { mediaPeerId },
        body,
        response: putPeerResponse,
        // A client waits for the answer, and a node that is silent is taken for gone.
        retries: 1,
      }),
    closeConsumers: (url: string, routerId: string, body: z.input<typeof closeConsumersRequest>) =>
      post(url, '/router/:routerId/close_consumers', {
        params: { routerId },
        body,
        response: nothing,
      }),
    createConsumers: (url: string, transportId: string, body: z.input<typeof consumerRequest>) =>
      post(url, '/transports/:transportId/consumer', {
        params: { transportId },
        body,
        response: consumerResponse,
      }),
    createDataConsumers: (url: string, transportId: string, body: { dataProducerIds: string[] }) =>
      post(url, '/transports/:transportId/data_consumer', {
        params: { transportId },
        body,
        response: dataConsumerResponse,
      }),
    createRouterConsumers: (
      url: string,
      routerId: string,
      body: z.input<typeof routerConsumersRequest>,
    ) =>
      post(url, '/router/:routerId/consumers', {
        params: { routerId },
        body,
        response: routerConsumersResponse,
      }),
    createWebRtcTransport: (
      url: string,
      routerId: string,
      body: z.input<typeof createTransportRequest>,
    ) =>
      post(url, '/router/:routerId/transports', {
        params: { routerId },
        body,
        response: iceServerParameters,
      }),
    createPlainTransport: (
      url: string,
      routerId: string,
      body: z.input<typeof createTransportRequest>,
    ) =>
      post(url, '/router/:routerId/transports', {
        params: { routerId },
        body,
        response: plainTransportParameters,
      }),
    /** Further calls on one live object, for which the answer's schema is the peer method's own. */
    object: <T extends z.ZodType>(
      url: string,
      call: Pick<Call<T>, 'method' | 'route' | 'params' | 'body' | 'response'>,
    ) => http.call<T>({ baseUrl: url, ...call }),
  };
}

export type MediaNodeClient = ReturnType<typeof createMediaNodeClient>;

import type { z } from 'zod';

import { createMediaNodeClient } from '../../common/clients/media-node.ts';
import type { HttpClientDeps } from '../../common/http/client.ts';
import type * as wire from '../../common/wire/media-node.ts';
import type { NodeAddress } from '../../common/wire/media-node.ts';
import type { PeerResponse } from '../../common/wire/peer.ts';
import { limitSize } from '../limit-size.ts';
import { remoteNode } from './remote.ts';

type Out<T extends z.ZodType> = z.output<T>;
type Stats = PeerResponse<'getTransportStats'>;
/** Who a call is made for; absent: the platform itself. */
type For = Out<typeof wire.objectRequest>;

/**
 * What one media node asks of another. This node is one of them, without HTTP, so that the flow is the same whether a
 * peer's two sides live on one node or on two.
 */
export interface MediaNode {
  // The consume flow.
  consume(
    transportId: string,
    body: Out<typeof wire.consumeRequest>,
  ): Promise<Out<typeof wire.consumerResponse>>;
  consumeData(
    transportId: string,
    body: Out<typeof wire.consumeDataRequest>,
  ): Promise<Out<typeof wire.dataConsumerResponse>>;
  destinationPipeTransport(
    routerId: string,
    body: Out<typeof wire.destinationPipeRequest>,
  ): Promise<Out<typeof wire.destinationPipeResponse>>;
  sourcePipeTransport(
    routerId: string,
    body: Out<typeof wire.sourcePipeRequest>,
  ): Promise<Out<typeof wire.sourcePipeResponse>>;
  pipeConsume(
    transportId: string,
    body: Out<typeof wire.pipeConsumeRequest>,
  ): Promise<Out<typeof wire.pipeConsumeResponse>>;
  pipeConsumeData(
    transportId: string,
    body: Out<typeof wire.pipeConsumeDataRequest>,
  ): Promise<Out<typeof wire.pipeConsumeDataResponse>>;
  createConsumers(
    transportId: string,
    body: Out<typeof wire.consumerRequest>,
  ): Promise<Out<typeof wire.consumerResponse>>;
  createDataConsumers(
    transportId: string,
    body: Out<typeof wire.dataConsumerRequest>,
  ): Promise<Out<typeof wire.dataConsumerResponse>>;
  createRouterConsumers(
    routerId: string,
    body: Out<typeof wire.routerConsumersRequest>,
  ): Promise<Out<typeof wire.routerConsumersResponse>>;
  closeConsumers(routerId: string, body: Out<typeof wire.closeConsumersRequest>): Promise<unknown>;

  // The upkeep of a pipe.
  pipeState(transportId: string, body: Out<typeof wire.pipeStateRequest>): Promise<unknown>;
  pipeDemand(transportId: string, body: Out<typeof wire.pipeDemandRequest>): Promise<unknown>;
  pipeRelease(transportId: string, body: Out<typeof wire.pipeReleaseRequest>): Promise<unknown>;

  // A peer that moves, or comes back.
  putPeer(
    mediaPeerId: string,
    body: Out<typeof wire.putPeerRequest>,
  ): Promise<Out<typeof wire.putPeerResponse>>;
  closeTransport(transportId: string, body: For): Promise<unknown>;
  closeProducer(producerId: string, body: For): Promise<unknown>;
  pauseProducer(producerId: string, body: For): Promise<unknown>;
  resumeProducer(producerId: string, body: For): Promise<unknown>;
  producerStats(producerId: string, body: For): Promise<Stats>;

  // A peer's receiving side, which its producer service relays to.
  createWebRtcTransport(
    routerId: string,
    body: Out<typeof wire.createTransportRequest>,
  ): Promise<PeerResponse<'createWebRtcTransport'>>;
  createPlainTransport(
    routerId: string,
    body: Out<typeof wire.createTransportRequest>,
  ): Promise<PeerResponse<'createPlainTransport'>>;
  connectTransport(
    transportId: string,
    body: Out<typeof wire.connectTransportRequest>,
  ): Promise<unknown>;
  restartIce(transportId: string, body: For): Promise<PeerResponse<'restartIce'>>;
  transportStats(transportId: string, body: For): Promise<Stats>;
  pauseConsumers(body: Out<typeof wire.objectsRequest>): Promise<unknown>;
  resumeConsumers(body: Out<typeof wire.objectsRequest>): Promise<unknown>;
  setPreferredLayers(
    consumerId: string,
    body: Out<typeof wire.preferredLayersRequest>,
  ): Promise<unknown>;
  setPriority(consumerId: string, body: Out<typeof wire.priorityRequest>): Promise<unknown>;
  requestKeyFrame(consumerId: string, body: For): Promise<unknown>;
  consumerStats(consumerId: string, body: For): Promise<Stats>;
  dataConsumerStats(dataConsumerId: string, body: For): Promise<Stats>;
}

/** Clients of nodes; one that is made anew costs nothing, and earlier runs of a node leave theirs behind. */
const maxRemotes = 1_000;

/** Finds the node that an address names: this one, or a client of another. */
export class Nodes {
  readonly #ownInstanceId: string;
  readonly #local: MediaNode;
  readonly #deps: HttpClientDeps;
  readonly #remotes = new Map<string, MediaNode>();

  constructor(ownInstanceId: string, local: MediaNode, deps: HttpClientDeps) {
    this.#ownInstanceId = ownInstanceId;
    this.#local = local;
    this.#deps = deps;
  }

  at({ instanceId, url }: NodeAddress): MediaNode {
    if (instanceId === this.#ownInstanceId) return this.#local;
    const key = `${instanceId} ${url}`;
    const known = this.#remotes.get(key);
    if (known) return known;
    const remote = remoteNode(createMediaNodeClient(this.#deps, instanceId), url);
    this.#remotes.set(key, remote);
    limitSize(this.#remotes, maxRemotes);
    return remote;
  }
}

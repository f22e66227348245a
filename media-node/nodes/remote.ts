import { z } from 'zod';

import type { MediaNodeClient } from '../../common/clients/media-node.ts';
import { peerMethods } from '../../common/wire/peer.ts';
import type { MediaNode } from './nodes.ts';

const nothing = z.object({});
const stats = peerMethods.getTransportStats.response;

/** Another node, over HTTP. */
export function remoteNode(client: MediaNodeClient, url: string): MediaNode {
  const object = <T extends z.ZodType>(
    route: string,
    params: Record<string, string>,
    body: unknown,
    response: T,
  ) => client.object<T>(url, { method: 'POST', route, params, body, response });
  const remove = (route: string, params: Record<string, string>, body: unknown) =>
    client.object(url, { method: 'DELETE', route, params, body, response: nothing });

  return {
    consume: (id, body) => client.consume(url, id, body),
    consumeData: (id, body) => client.consumeData(url, id, body),
    destinationPipeTransport: (id, body) => client.destinationPipeTransport(url, id, body),
    sourcePipeTransport: (id, body) => client.sourcePipeTransport(url, id, body),
    pipeConsume: (id, body) => client.pipeConsume(url, id, body),
    pipeConsumeData: (id, body) => client.pipeConsumeData(url, id, body),
    createConsumers: (id, body) => client.createConsumers(url, id, body),
    createDataConsumers: (id, body) => client.createDataConsumers(url, id, body),
    createRouterConsumers: (id, body) => client.createRouterConsumers(url, id, body),
    closeConsumers: (id, body) => client.closeConsumers(url, id, body),
    pipeState: (id, body) => client.pipeState(url, id, body),
    pipeDemand: (id, body) => client.pipeDemand(url, id, body),
    pipeRelease: (id, body) => client.pipeRelease(url, id, body),
    putPeer: (id, body) => client.putPeer(url, id, body),
    closeTransport: (transportId, body) =>
      remove('/transports/:transportId', { transportId }, body),
    closeProducer: (producerId, body) => remove('/producers/:producerId', { producerId }, body),
    pauseProducer: (producerId, body) =>
      object('/producers/:producerId/pause', { producerId }, body, nothing),
    resumeProducer: (producerId, body) =>
      object('/producers/:producerId/resume', { producerId }, body, nothing),
    producerStats: (producerId, body) =>
      object('/producers/:producerId/stats', { producerId }, body, stats),
    createWebRtcTransport: (id, body) => client.createWebRtcTransport(url, id, body),
    createPlainTransport: (id, body) => client.createPlainTransport(url, id, body),
    connectTransport: (transportId, body) =>
      object('/transports/:transportId/connect', { transportId }, body, nothing),
    restartIce: (transportId, body) =>
      object(
        '/transports/:transportId/restart_ice',
        { transportId },
        body,
        peerMethods.restartIce.response,
      ),
    transportStats: (transportId, body) =>
      object('/transports/:transportId/stats', { transportId }, body, stats),
    pauseConsumers: (body) => object('/consumers/pause', {}, body, nothing),
    resumeConsumers: (body) => object('/consumers/resume', {}, body, nothing),
    setPreferredLayers: (consumerId, body) =>
      object('/consumers/:consumerId/preferred_layers', { consumerId }, body, nothing),
    setPriority: (consumerId, body) =>
      object('/consumers/:consumerId/priority', { consumerId }, body, nothing),
    requestKeyFrame: (consumerId, body) =>
      object('/consumers/:consumerId/request_key_frame', { consumerId }, body, nothing),
    consumerStats: (consumerId, body) =>
      object('/consumers/:consumerId/stats', { consumerId }, body, stats),
    dataConsumerStats: (dataConsumerId, body) =>
      object('/data_consumers/:dataConsumerId/stats', { dataConsumerId }, body, stats),
  };
}

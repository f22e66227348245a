import type { z } from 'zod';

import type { NodeContext } from '../context.ts';
import type { ConsumeFlow } from '../flow/consume.ts';
import { produceDataPeer, producePeer } from '../flow/produce.ts';
import { closePeer, type Session } from '../flow/sessions.ts';
import { askMediasoup } from '../mediasoup/errors.ts';
import type { Routers } from '../mediasoup/routers.ts';
import { createTransport } from '../mediasoup/transports.ts';
import type { MediaNode } from '../nodes/nodes.ts';
import { nodeObjects } from '../objects.ts';
import { nodeStatus } from '../status.ts';
import type { Sweep } from '../sweep/sweep.ts';
import type { Contract, EndpointName } from './contract.ts';

type Body<N extends EndpointName> = Contract[N] extends { body: infer B extends z.ZodType }
  ? z.output<B>
  : Record<string, never>;
/** `undefined` is answered as an empty object. */
type Answer<N extends EndpointName> =
  z.output<Contract[N]['response']> extends Record<string, never>
    ? unknown
    : z.output<Contract[N]['response']>;
type Params = Record<string, string>;

export type EndpointHandlers = {
  [N in EndpointName]: (params: Params, body: Body<N>) => Promise<Answer<N>>;
};

export interface HandlerParts {
  routers: Routers;
  flow: ConsumeFlow;
  local: MediaNode;
  sweep: Sweep;
}

const param = (params: Params, name: string): string => params[name] ?? '';

/** What each endpoint does. */
export function createHandlers(ctx: NodeContext, parts: HandlerParts): EndpointHandlers {
  return {
    ...administration(ctx, parts),
    ...flowSteps(parts),
    ...transportObjects(ctx, parts),
    ...mediaObjects(ctx, parts),
  };
}

type AdministrationNames =
  | 'putRouter'
  | 'deleteRouter'
  | 'deleteRoom'
  | 'getStatus'
  | 'getObjects'
  | 'drain'
  | 'announceAddress'
  | 'putPeer'
  | 'deletePeer';

function administration(
  ctx: NodeContext,
  { routers, sweep, local }: HandlerParts,
): Pick<EndpointHandlers, AdministrationNames> {
  const nameOf = (params: Params) => ({
    roomId: param(params, 'roomId'),
    routerId: param(params, 'routerId'),
  });
  return {
    putRouter: (params, body) => routers.put(nameOf(params), body),
    deleteRouter: (params) => routers.delete(nameOf(params)),
    deleteRoom: (params) => routers.deleteRoom(param(params, 'roomId')),
    getStatus: () => Promise.resolve(nodeStatus(ctx)),
    getObjects: () => Promise.resolve(nodeObjects(ctx, sweep.refused)),
    drain: () => {
      ctx.draining = true;
      return Promise.resolve({ state: 'Draining', peers: ctx.registry.peers.length });
    },
    announceAddress: (_params, { address }) => {
      if (ctx.announcedAddress !== address)
        ctx.logger.info({ address, before: ctx.announcedAddress }, 'announced address set');
      ctx.announcedAddress = address;
      return Promise.resolve({ address });
    },
    putPeer: (params, body) => local.putPeer(param(params, 'mediaPeerId'), body),
    deletePeer: async (params) => {
      closePeer(ctx, param(params, 'mediaPeerId'));
      await ctx.rows.settle();
    },
  };
}

type FlowNames =
  | 'consume'
  | 'consumeData'
  | 'destinationPipeTransport'
  | 'sourcePipeTransport'
  | 'pipeConsume'
  | 'pipeConsumeData'
  | 'pipeState'
  | 'pipeDemand'
  | 'pipeRelease'
  | 'createConsumers'
  | 'createDataConsumers'
  | 'createRouterConsumers'
  | 'closeConsumers';

function flowSteps({ local }: HandlerParts): Pick<EndpointHandlers, FlowNames> {
  const transportId = (params: Params): string => param(params, 'transportId');
  const routerId = (params: Params): string => param(params, 'routerId');
  return {
    consume: (params, body) => local.consume(transportId(params), body),
    consumeData: (params, body) => local.consumeData(transportId(params), body),
    destinationPipeTransport: (params, body) =>
      local.destinationPipeTransport(routerId(params), body),
    sourcePipeTransport: (params, body) => local.sourcePipeTransport(routerId(params), body),
    pipeConsume: (params, body) => local.pipeConsume(transportId(params), body),
    pipeConsumeData: (params, body) => local.pipeConsumeData(transportId(params), body),
    pipeState: (params, body) => local.pipeState(transportId(params), body),
    pipeDemand: (params, body) => local.pipeDemand(transportId(params), body),
    pipeRelease: (params, body) => local.pipeRelease(transportId(params), body),
    createConsumers: (params, body) => local.createConsumers(transportId(params), body),
    createDataConsumers: (params, body) => local.createDataConsumers(transportId(params), body),
    createRouterConsumers: (params, body) => local.createRouterConsumers(routerId(params), body),
    closeConsumers: (params, body) => local.closeConsumers(routerId(params), body),
  };
}

type TransportNames =
  | 'createTransport'
  | 'connectTransport'
  | 'restartIce'
  | 'produce'
  | 'produceData'
  | 'transportStats'
  | 'deleteTransport';

function transportObjects(
  ctx: NodeContext,
  { flow, local }: HandlerParts,
): Pick<EndpointHandlers, TransportNames> {
  const transportId = (params: Params): string => param(params, 'transportId');
  const sessionOf = (params: Params): Promise<Session> =>
    ctx.sessions.get(ctx.registry.transport(transportId(params)).peer);
  return {
    createTransport: (params, body) => createTransport(ctx, param(params, 'routerId'), body),
    connectTransport: (params, body) => local.connectTransport(transportId(params), body),
    restartIce: (params, body) => local.restartIce(transportId(params), body),
    produce: async (params, body) =>
      producePeer(ctx, flow, await sessionOf(params), {
        ...body,
        transportId: transportId(params),
      }),
    produceData: async (params, body) =>
      produceDataPeer(ctx, flow, await sessionOf(params), {
        ...body,
        transportId: transportId(params),
      }),
    transportStats: (params, body) => local.transportStats(transportId(params), body),
    deleteTransport: (params, body) => local.closeTransport(transportId(params), body),
  };
}

type MediaNames = Exclude<EndpointName, AdministrationNames | FlowNames | TransportNames>;

function mediaObjects(
  ctx: NodeContext,
  { local }: HandlerParts,
): Pick<EndpointHandlers, MediaNames> {
  const { registry, rows } = ctx;
  const consumerId = (params: Params): string => param(params, 'consumerId');
  const dataConsumerId = (params: Params): string => param(params, 'dataConsumerId');
  const producerId = (params: Params): string => param(params, 'producerId');
  const dataProducerId = (params: Params): string => param(params, 'dataProducerId');
  /** Closing what is gone is no error. */
  const close = async (object: { close(): void } | undefined): Promise<void> => {
    object?.close();
    await rows.settle();
  };
  return {
    pauseProducer: (params, body) => local.pauseProducer(producerId(params), body),
    resumeProducer: (params, body) => local.resumeProducer(producerId(params), body),
    producerStats: (params, body) => local.producerStats(producerId(params), body),
    deleteProducer: (params, body) => local.closeProducer(producerId(params), body),
    pauseConsumers: (_params, body) => local.pauseConsumers(body),
    resumeConsumers: (_params, body) => local.resumeConsumers(body),
    pauseConsumer: (params, body) =>
      local.pauseConsumers({ ...body, consumerIds: [consumerId(params)] }),
    resumeConsumer: (params, body) =>
      local.resumeConsumers({ ...body, consumerIds: [consumerId(params)] }),
    setPreferredLayers: (params, body) => local.setPreferredLayers(consumerId(params), body),
    setPriority: (params, body) => local.setPriority(consumerId(params), body),
    requestKeyFrame: (params, body) => local.requestKeyFrame(consumerId(params), body),
    consumerStats: (params, body) => local.consumerStats(consumerId(params), body),
    deleteConsumer: (params) => close(registry.consumers.get(consumerId(params))?.consumer),
    dataProducerStats: async (params, { mediaPeerId }) => {
      const { source } = registry.dataProducer(dataProducerId(params), mediaPeerId);
      return { stats: await askMediasoup('stats', () => source.producer.getStats()) };
    },
    deleteDataProducer: (params) =>
      close(registry.dataProducers.get(dataProducerId(params))?.source.producer),
    dataConsumerStats: (params, body) => local.dataConsumerStats(dataConsumerId(params), body),
    deleteDataConsumer: (params) =>
      close(registry.dataConsumers.get(dataConsumerId(params))?.consumer),
  };
}

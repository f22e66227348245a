import type { RtpCapabilities } from 'mediasoup/types';

import type { RtpCapabilities as WireRtpCapabilities } from '../../common/wire/rtp.ts';
import type { CloseReason, ConsumerInfo, DataConsumerInfo } from '../../common/wire/peer.ts';
import { tell, type NodeContext } from '../context.ts';
import { makeOn } from './errors.ts';
import { watchFirstFrames } from './first-frames.ts';
import {
  useSource,
  type DataSource,
  type LiveConsumer,
  type LiveDataConsumer,
  type LiveTransport,
  type Source,
} from './objects.ts';
import { mergeScore } from './scores.ts';

/**
 * The consumer of a source on a transport of this node: made paused where the capabilities allow it, once however many
 * ask at once.
 *
 * @returns undefined when the source or the transport is gone, or the source can't be consumed
 */
export async function createConsumer(
  ctx: NodeContext,
  transport: LiveTransport,
  producerId: string,
  rtpCapabilities: WireRtpCapabilities,
): Promise<LiveConsumer | undefined> {
  const source = transport.router.sources.get(producerId);
  if (!source || source.producer.closed) return undefined;
  return flight(transport.consuming, source, () =>
    makeConsumer(ctx, transport, source, rtpCapabilities as RtpCapabilities),
  );
}

/** Joins a flight that another caller has begun, or begins one. Empty results and failures are forgotten. */
async function flight<K, T>(
  flights: Map<K, Promise<T | undefined>>,
  key: K,
  make: () => Promise<T | undefined>,
): Promise<T | undefined> {
  const begun = flights.get(key);
  if (begun) return begun;
  const made = make();
  flights.set(key, made);
  let result: T | undefined;
  try {
    result = await made;
  } finally {
    if (result === undefined && flights.get(key) === made) flights.delete(key);
  }
  return result;
}

async function makeConsumer(
  ctx: NodeContext,
  transport: LiveTransport,
  source: Source,
  rtpCapabilities: RtpCapabilities,
): Promise<LiveConsumer | undefined> {
  const { router } = transport.router;
  const producerId = source.producer.id;
  if (!router.canConsume({ producerId, rtpCapabilities })) return undefined;
  const leave = useSource(source);
  try {
    const consumer = await makeOn(transport.transport, 'rtpCapabilities', () =>
      transport.transport.consume({
        producerId,
        rtpCapabilities,
        paused: true,
        enableRtx: true,
        ignoreDtx: true,
      }),
    );
    const live = { id: consumer.id, transport, source, consumer, createdAt: Date.now() };
    if (source.producer.closed) {
      consumer.close();
      leave();
      return undefined;
    }
    source.consumers.add(live);
    ctx.registry.consumers.set(live.id, live);
    ctx.metrics.consumersCreated.inc({ kind: consumer.kind });
    consumer.observer.once('close', () => {
      source.consumers.delete(live);
      ctx.registry.consumers.delete(live.id);
      transport.consuming.delete(source);
      leave();
      if (!transport.transport.closed) ctx.rows.forget('media_consumer', live.id);
    });
    watchConsumer(ctx, live);
    // Before its transport is connected, nothing can be sent.
    watchFirstFrames(ctx, consumer, () => (transport.connecting ? [0] : []));
    return live;
  } catch (error) {
    leave();
    if (source.producer.closed || transport.transport.closed) return undefined;
    throw error;
  }
}

function watchConsumer(ctx: NodeContext, live: LiveConsumer): void {
  const { consumer, transport } = live;
  const data = { consumerId: live.id };
  const say = (message: Parameters<typeof tell>[2]): void => tell(ctx, transport.peer, message);
  consumer.on('producerclose', () =>
    say({ method: 'consumerClosed', data: { ...data, ...reasonOf(live) } }),
  );
  consumer.on('producerpause', () => say({ method: 'consumerPaused', data }));
  consumer.on('producerresume', () => say({ method: 'consumerResumed', data }));
  consumer.on('score', () => tellScore(ctx, live));
  consumer.on('layerschange', (layers) =>
    say({
      method: 'consumerLayersChanged',
      data: layers ? { ...data, layers } : data,
    }),
  );
}

const reasonOf = ({ source }: LiveConsumer | LiveDataConsumer): { reason?: CloseReason } =>
  source.closeReason ? { reason: source.closeReason } : {};

const replacesOf = ({ replaces }: Source | DataSource): { replaces?: string } =>
  replaces === undefined ? {} : { replaces };

const scoreOf = ({ consumer, source }: LiveConsumer) =>
  mergeScore(consumer.score, source.originScore, consumer.currentLayers?.spatialLayer);

/** Tells the watcher what it gets now; also when the origin's score has changed. */
export function tellScore(ctx: Pick<NodeContext, 'outbox'>, live: LiveConsumer): void {
  tell(ctx, live.transport.peer, {
    method: 'consumerScore',
    data: { consumerId: live.id, score: scoreOf(live) },
  });
}

export function consumerInfo(live: LiveConsumer): ConsumerInfo {
  const { consumer, source, transport } = live;
  return {
    peerId: source.peerId,
    transportId: transport.id,
    consumerId: live.id,
    producerId: source.id,
    kind: consumer.kind,
    rtpParameters: consumer.rtpParameters,
    type: consumer.type,
    producerPaused: consumer.producerPaused,
    consumerScore: scoreOf(live),
    appData: { ...source.appData, peerId: source.peerId },
    ...replacesOf(source),
  };
}

/** The same for data. */
export async function createDataConsumer(
  ctx: NodeContext,
  transport: LiveTransport,
  dataProducerId: string,
): Promise<LiveDataConsumer | undefined> {
  const source = transport.router.dataSources.get(dataProducerId);
  if (!source || source.producer.closed) return undefined;
  return flight(transport.consumingData, source, () => makeDataConsumer(ctx, transport, source));
}

async function makeDataConsumer(
  ctx: NodeContext,
  transport: LiveTransport,
  source: LiveDataConsumer['source'],
): Promise<LiveDataConsumer | undefined> {
  const leave = useSource(source);
  try {
    const consumer = await makeOn(transport.transport, 'consumeData', () =>
      transport.transport.consumeData({ dataProducerId: source.producer.id }),
    );
    const live = { id: consumer.id, transport, source, consumer, createdAt: Date.now() };
    if (source.producer.closed) {
      consumer.close();
      leave();
      return undefined;
    }
    ctx.registry.dataConsumers.set(live.id, live);
    ctx.metrics.consumersCreated.inc({ kind: 'data' });
    consumer.observer.once('close', () => {
      ctx.registry.dataConsumers.delete(live.id);
      transport.consumingData.delete(source);
      leave();
      if (!transport.transport.closed) ctx.rows.forget('media_data_consumer', live.id);
    });
    consumer.on('dataproducerclose', () =>
      tell(ctx, transport.peer, {
        method: 'dataConsumerClosed',
        data: { dataConsumerId: live.id, ...reasonOf(live) },
      }),
    );
    return live;
  } catch (error) {
    leave();
    if (source.producer.closed || transport.transport.closed) return undefined;
    throw error;
  }
}

export function dataConsumerInfo(live: LiveDataConsumer): DataConsumerInfo {
  const { consumer, source, transport } = live;
  return {
    peerId: source.peerId,
    transportId: transport.id,
    dataConsumerId: live.id,
    dataProducerId: source.id,
    ...(consumer.sctpStreamParameters
      ? { sctpStreamParameters: consumer.sctpStreamParameters }
      : {}),
    label: consumer.label,
    protocol: consumer.protocol,
    appData: { ...source.appData, peerId: source.peerId },
    ...replacesOf(source),
  };
}

/** Closes the consumers of these producers on a transport, as the undoing of a step that failed half-way. */
export async function closeConsumers(
  transport: LiveTransport,
  { producerIds, dataProducerIds }: { producerIds: string[]; dataProducerIds: string[] },
): Promise<void> {
  const media = [...transport.consuming].filter(([source]) => producerIds.includes(source.id));
  const data = [...transport.consumingData].filter(([source]) =>
    dataProducerIds.includes(source.id),
  );
  // One that failed on its own has nothing to close.
  const made = await Promise.allSettled([...media, ...data].map(([, consumer]) => consumer));
  for (const result of made) if (result.status === 'fulfilled') result.value?.consumer.close();
}

import type { DataProducer, Producer, RtpParameters, SctpStreamParameters } from 'mediasoup/types';

import { isForeignKeyViolation } from '../../common/db/knex.ts';
import { ApiError } from '../../common/errors.ts';
import type { PeerRequest } from '../../common/wire/peer.ts';
import { tell, type NodeContext } from '../context.ts';
import { makeOn } from './errors.ts';
import type {
  DataSource,
  LiveDataProducer,
  LiveProducer,
  LiveTransport,
  Source,
} from './objects.ts';

type ProduceRequest = Omit<PeerRequest<'produce'>, 'transportId'>;
type ProduceDataRequest = Omit<PeerRequest<'produceData'>, 'transportId'>;

/**
 * Makes one of what several equal calls ask for: a call whose answer was lost is repeated without producing twice.
 * A failure is forgotten, so that the next call tries again.
 */
function once<T>(flights: Map<string, Promise<T>>, key: string, make: () => Promise<T>) {
  const existing = flights.get(key);
  if (existing) return { result: existing, isNew: false };
  const flight = make();
  flights.set(key, flight);
  flight.catch(() => flights.delete(key));
  return { result: flight, isNew: true };
}

const gone = (error: unknown): unknown =>
  isForeignKeyViolation(error)
    ? new ApiError('transport_not_found', 'the transport or its peer is gone', { cause: error })
    : error;

/**
 * Publishes on a transport, and records it.
 *
 * @returns `isNew` false for a repetition
 * @throws {ApiError} `invalid_request` when mediasoup refuses the parameters, `transport_not_found`, `store_unavailable`
 */
export async function produce(
  ctx: NodeContext,
  transport: LiveTransport,
  request: ProduceRequest,
): Promise<{ producer: LiveProducer; isNew: boolean }> {
  const key = JSON.stringify([request.kind, request.rtpParameters]);
  const { result, isNew } = once(transport.producing, key, () =>
    makeProducer(ctx, transport, request, key),
  );
  return { producer: await result, isNew };
}

async function makeProducer(
  ctx: NodeContext,
  transport: LiveTransport,
  { kind, rtpParameters, paused, appData, replaces }: ProduceRequest,
  key: string,
): Promise<LiveProducer> {
  const { peer, router } = transport;
  const producer = await makeOn(transport.transport, 'rtpParameters', () =>
    transport.transport.produce({
      kind,
      rtpParameters: rtpParameters as RtpParameters,
      paused,
      keyFrameRequestDelay: ctx.config.rtc.keyFrameRequestDelayMs,
    }),
  );
  const source: Source = {
    id: producer.id,
    producer,
    peerId: peer.peerId,
    mediaPeerId: peer.mediaPeerId,
    appData,
    replaces,
    users: 0,
    consumers: new Set(),
  };
  const live: LiveProducer = { id: producer.id, transport, source };
  producer.observer.once('close', () => {
    if (isLost(transport)) source.closeReason = 'ProducerLost';
    transport.producing.delete(key);
    router.sources.delete(live.id);
    ctx.registry.producers.delete(live.id);
    if (!transport.transport.closed) ctx.rows.forget('media_producer', live.id);
  });
  try {
    await ctx.repository.insertProducer({
      id: live.id,
      transportId: transport.id,
      mediaPeerId: peer.mediaPeerId,
      routerId: router.id,
      kind,
      appData,
      replaces: replaces ?? null,
    });
    if (producer.closed) throw new ApiError('transport_not_found', 'the transport was closed');
  } catch (error) {
    producer.close();
    throw gone(error);
  }
  router.sources.set(live.id, source);
  ctx.registry.producers.set(live.id, live);
  watchProducer(ctx, live, producer);
  return live;
}

function watchProducer(ctx: NodeContext, live: LiveProducer, producer: Producer): void {
  const { transport } = live;
  const { peer, router } = transport;
  producer.on('score', (score) => {
    tell(ctx, peer, { method: 'producerScore', data: { producerId: live.id, score } });
  });
  producer.on('transportclose', () => {
    // A peer that has left or has closed it knows, and one whose router is gone is told of that.
    if (router.router.closed || ctx.registry.isPeerClosed(peer.mediaPeerId)) return;
    if (transport.ending !== 'Closed') tellProducerClosed(ctx, live);
  });
  if (producer.kind !== 'audio') return;
  for (const observer of [router.audioLevels, router.activeSpeaker])
    // The producer may close meanwhile; then there is nothing to observe.
    observer?.addProducer({ producerId: producer.id }).catch(() => undefined);
}

/** Tells the peer that its producer is gone without its doing. */
export function tellProducerClosed(ctx: NodeContext, live: LiveProducer): void {
  tell(ctx, live.transport.peer, { method: 'producerClosed', data: { producerId: live.id } });
}

/** Whether what was on the transport is lost, and not closed by its peer. A router closes what is on it first. */
const isLost = ({ ending, router: { router } }: LiveTransport): boolean =>
  ending === 'Lost' || router.closed;

/** The same for data. */
export async function produceData(
  ctx: NodeContext,
  transport: LiveTransport,
  request: ProduceDataRequest,
): Promise<{ producer: LiveDataProducer; isNew: boolean }> {
  const key = JSON.stringify([request.sctpStreamParameters, request.label, request.protocol]);
  const { result, isNew } = once(transport.producingData, key, () =>
    makeDataProducer(ctx, transport, request, key),
  );
  return { producer: await result, isNew };
}

async function makeDataProducer(
  ctx: NodeContext,
  transport: LiveTransport,
  { sctpStreamParameters, label, protocol, appData, replaces }: ProduceDataRequest,
  key: string,
): Promise<LiveDataProducer> {
  const { peer, router } = transport;
  const producer: DataProducer = await makeOn(transport.transport, 'sctpStreamParameters', () =>
    transport.transport.produceData({
      sctpStreamParameters: sctpStreamParameters as SctpStreamParameters,
      label,
      protocol,
    }),
  );
  const source: DataSource = {
    id: producer.id,
    producer,
    peerId: peer.peerId,
    mediaPeerId: peer.mediaPeerId,
    appData,
    replaces,
    users: 0,
  };
  const live: LiveDataProducer = { id: producer.id, transport, source };
  producer.observer.once('close', () => {
    if (isLost(transport)) source.closeReason = 'ProducerLost';
    transport.producingData.delete(key);
    router.dataSources.delete(live.id);
    ctx.registry.dataProducers.delete(live.id);
    if (!transport.transport.closed) ctx.rows.forget('media_data_producer', live.id);
  });
  try {
    await ctx.repository.insertDataProducer({
      id: live.id,
      transportId: transport.id,
      mediaPeerId: peer.mediaPeerId,
      routerId: router.id,
      label,
      protocol,
      appData,
      replaces: replaces ?? null,
    });
    if (producer.closed) throw new ApiError('transport_not_found', 'the transport was closed');
  } catch (error) {
    producer.close();
    throw gone(error);
  }
  router.dataSources.set(live.id, source);
  ctx.registry.dataProducers.set(live.id, live);
  return live;
}

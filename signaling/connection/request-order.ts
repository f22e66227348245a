import type { Direction, PeerMethod } from '../../common/wire/peer.ts';

/** Pausing, resuming and the rest of one peer's consumers must reach the node in the order that the client asked. */
export const consumersKey = 'consumers';

const concurrent = new Set<PeerMethod>([
  'getTransportStats',
  'getProducerStats',
  'getConsumerStats',
  'getDataProducerStats',
  'getDataConsumerStats',
]);

/** Which side of a peer a request is about. */
export function sideOf(method: PeerMethod, data: object): Direction {
  const fields = data as { direction?: Direction };
  if (method === 'createWebRtcTransport') return fields.direction ?? 'producer';
  const isOfConsumers = ['consumerId', 'consumerIds', 'dataConsumerId'].some((key) => key in data);
  return isOfConsumers && method !== 'resumePeer' ? 'consumer' : 'producer';
}

/** Which requests of one peer must keep their order: those about the same object, or of the same method. */
export function queueKeyOf(method: PeerMethod, data: object): string | undefined {
  if (concurrent.has(method)) return undefined;
  if ('consumerId' in data || 'consumerIds' in data) return consumersKey;
  const { producerId, transportId } = data as { producerId?: string; transportId?: string };
  return producerId ?? transportId ?? method;
}

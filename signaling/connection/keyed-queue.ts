import type { PeerMethod } from '../../common/wire/peer.ts';

/** Runs tasks of the same key one after another, and those of different keys, or none, at once. */
export function createKeyedQueue() {
  const tails = new Map<string, Promise<unknown>>();
  return {
    run<T>(key: string | undefined, task: () => Promise<T>): Promise<T> {
      if (key === undefined) return task();
      const result = (tails.get(key) ?? Promise.resolve()).then(task);
      const tail = result.catch(() => undefined);
      tails.set(key, tail);
      void tail.then(() => tails.get(key) === tail && tails.delete(key));
      return result;
    },
  };
}

/** Pausing, resuming and the rest of one peer's consumers must reach the node in the order that the client asked. */
export const consumersKey = 'consumers';

const concurrent = new Set<PeerMethod>([
  'getTransportStats',
  'getProducerStats',
  'getConsumerStats',
  'getDataProducerStats',
  'getDataConsumerStats',
]);

/** Which requests of one peer must keep their order: those about the same object, or of the same method. */
export function queueKeyOf(method: PeerMethod, data: object): string | undefined {
  if (concurrent.has(method)) return undefined;
  if ('consumerId' in data || 'consumerIds' in data) return consumersKey;
  const { producerId, transportId } = data as { producerId?: string; transportId?: string };
  return producerId ?? transportId ?? method;
}

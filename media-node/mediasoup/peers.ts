import type { z } from 'zod';

import type { putPeerRequest, putPeerResponse } from '../../common/wire/media-node.ts';
import type { NodeContext } from '../context.ts';
import { consumerInfo, dataConsumerInfo } from './consumers.ts';
import type { LiveTransport } from './objects.ts';

/**
 * Sends a connection's messages to another replica from now on, and says what this node has of it. A transport that is
 * being made is waited for. Repeatable; a connection that is not known here has nothing.
 */
export async function putPeer(
  ctx: NodeContext,
  mediaPeerId: string,
  request: z.output<typeof putPeerRequest>,
): Promise<z.output<typeof putPeerResponse>> {
  const { registry, sessions } = ctx;
  const session = await sessions.find(mediaPeerId)?.catch(() => undefined);
  const { replicaUrl } = request;
  session?.moveTo(replicaUrl);
  return registry.creating.runAll([mediaPeerId], () => {
    const transports = registry.transportsOf(mediaPeerId);
    for (const { peer } of transports) peer.replicaUrl = replicaUrl;
    return Promise.resolve(holdings(ctx, new Set(transports), request));
  });
}

function holdings(
  { registry }: NodeContext,
  transports: ReadonlySet<LiveTransport>,
  known: Pick<z.output<typeof putPeerRequest>, 'consumerIds' | 'dataConsumerIds'>,
): z.output<typeof putPeerResponse> {
  const on = <T extends { transport: LiveTransport }>(objects: Map<string, T>): T[] =>
    [...objects.values()].filter(({ transport }) => transports.has(transport));
  const consumers = on(registry.consumers);
  const dataConsumers = on(registry.dataConsumers);
  return {
    transportIds: idsOf([...transports]),
    producerIds: idsOf(on(registry.producers)),
    dataProducerIds: idsOf(on(registry.dataProducers)),
    consumerIds: idsOf(consumers),
    dataConsumerIds: idsOf(dataConsumers),
    newConsumers: without(known.consumerIds, consumers).map(consumerInfo),
    pausedConsumerIds: idsOf(consumers.filter(({ consumer }) => consumer.producerPaused)),
    newDataConsumers: without(known.dataConsumerIds, dataConsumers).map(dataConsumerInfo),
  };
}

const idsOf = (objects: { id: string }[]): string[] => objects.map(({ id }) => id);

function without<T extends { id: string }>(ids: string[], objects: T[]): T[] {
  const known = new Set(ids);
  return objects.filter(({ id }) => !known.has(id));
}

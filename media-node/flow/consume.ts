import type { Receiver } from '../../common/db/repositories/media.ts';
import { ApiError, isApiError, messageOf } from '../../common/errors.ts';
import type { RouterAddress } from '../../common/wire/media-node.ts';
import type { ConsumerInfo, DataConsumerInfo } from '../../common/wire/peer.ts';
import type { RtpCapabilities } from '../../common/wire/rtp.ts';
import type { NodeContext } from '../context.ts';
import type { LiveDataProducer, LiveProducer } from '../mediasoup/objects.ts';
import type { MediaNode } from '../nodes/nodes.ts';
import { KeyedMutex } from './keyed-mutex.ts';

/** What of this node's is to be consumed. */
export interface Offer {
  producers: LiveProducer[];
  dataProducers: LiveDataProducer[];
}
interface Made {
  consumers: ConsumerInfo[];
  dataConsumers: DataConsumerInfo[];
}

/**
 * The consume flow's owner: the node that has the producers. It has consumers made at the node of each receiving
 * transport, records them, and tells the receiving peer. What concerns one receiving transport happens one after
 * another here, so that undoing one call can't take away what another has just made.
 */
export class ConsumeFlow {
  readonly #ctx: NodeContext;
  readonly #locks = new KeyedMutex();

  constructor(ctx: NodeContext) {
    this.#ctx = ctx;
  }

  /**
   * `POST /consumer_transports/:transportId/consume`: the whole flow for one receiving transport and producers of this
   * node. Those that are gone, or that it can't or may not consume, are left out.
   *
   * @throws {ApiError} `transport_not_found`; what the consumer service answered; `store_unavailable`
   */
  async consume(
    transportId: string,
    producerIds: string[],
    rtpCapabilities?: RtpCapabilities,
  ): Promise<ConsumerInfo[]> {
    const receiver = await this.#receiver(transportId);
    const offer = { producers: this.#ownProducers(receiver, producerIds), dataProducers: [] };
    const capable = rtpCapabilities ? { ...receiver, rtpCapabilities } : receiver;
    return (await this.#connect(receiver.router, [capable], offer)).consumers;
  }

  /** The same for data. */
  async consumeData(transportId: string, dataProducerIds: string[]): Promise<DataConsumerInfo[]> {
    const receiver = await this.#receiver(transportId);
    const dataProducers = dataProducerIds.flatMap((id) => {
      const live = this.#ctx.registry.dataProducers.get(id);
      return live && live.transport.peer.mediaPeerId !== receiver.mediaPeerId ? [live] : [];
    });
    const offer = { producers: [], dataProducers: ofRoom(receiver.roomId, dataProducers) };
    return (await this.#connect(receiver.router, [receiver], offer)).dataConsumers;
  }

  /** Gives something new to every peer of the room: one call for each node that they watch from. */
  async offerToRoom(roomId: string, fromMediaPeerId: string, offer: Offer): Promise<void> {
    const receivers = await this.#ctx.repository.receiversOfRoom(roomId, fromMediaPeerId);
    const results = await Promise.allSettled(
      [...byRouter(receivers)].map(([router, group]) => this.#connect(router, group, offer)),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #receiver(transportId: string): Promise<Receiver> {
    const receiver = await this.#ctx.repository.findReceiver(transportId);
    if (!receiver)
      throw new ApiError('transport_not_found', `no receiving transport ${transportId}`);
    return receiver;
  }

  #ownProducers(receiver: Receiver, producerIds: string[]): LiveProducer[] {
    const live = producerIds.flatMap((id) => this.#ctx.registry.producers.get(id) ?? []);
    const others = live.filter(
      ({ transport }) => transport.peer.mediaPeerId !== receiver.mediaPeerId,
    );
    return ofRoom(receiver.roomId, others);
  }

  async #connect(router: RouterAddress, all: Receiver[], offer: Offer): Promise<Made> {
    const receivers = all.filter((receiver) => mayReceive(receiver, offer));
    if (receivers.length === 0 || offer.producers.length + offer.dataProducers.length === 0)
      return { consumers: [], dataConsumers: [] };
    return this.#locks.runAll(
      receivers.map(({ transportId }) => transportId),
      async () => {
        // When this fails, nothing is made yet that would have to be undone.
        await this.#pipe(this.#ctx.nodes.at(router.node), router, offer);
        const made: Made = { consumers: [], dataConsumers: [] };
        for (const part of chunks(receivers, this.#ctx.config.consume.maxReceivers)) {
          const { consumers, dataConsumers } = await this.#make(router, part, offer);
          made.consumers.push(...consumers);
          made.dataConsumers.push(...dataConsumers);
        }
        return made;
      },
    );
  }

  /** Steps 3 and 4. */
  async #make(router: RouterAddress, receivers: Receiver[], offer: Offer): Promise<Made> {
    const node = this.#ctx.nodes.at(router.node);
    try {
      const made = await createAt(node, router.routerId, receivers, offer);
      await this.#record(receivers, made);
      return made;
    } catch (error) {
      await this.#undo(router, receivers, offer);
      throw error;
    }
  }

  /** Step 2: what is on another router goes through the pipe of the two routers, once. */
  async #pipe(node: MediaNode, router: RouterAddress, offer: Offer): Promise<void> {
    const { self } = this.#ctx;
    const sources = new Set(
      [...offer.producers, ...offer.dataProducers].map(({ transport }) => transport.router.id),
    );
    sources.delete(router.routerId);
    await Promise.all(
      [...sources].map((routerId) =>
        node.destinationPipeTransport(router.routerId, {
          source: { routerId, node: { instanceId: self.instanceId, url: self.url } },
          producerIds: idsOn(offer.producers, routerId),
          dataProducerIds: idsOn(offer.dataProducers, routerId),
        }),
      ),
    );
  }

  /** Step 4: the rows that are new here decide what the peers are told, so that each hears of a consumer once. */
  async #record(receivers: Receiver[], { consumers, dataConsumers }: Made): Promise<void> {
    const { repository } = this.#ctx;
    const [media, data] = await Promise.all([
      repository.insertConsumers('media', consumers),
      repository.insertConsumers(
        'data',
        dataConsumers.map(({ dataConsumerId, dataProducerId, transportId }) => ({
          consumerId: dataConsumerId,
          producerId: dataProducerId,
          transportId,
        })),
      ),
    ]);
    const of = new Map(receivers.map((receiver) => [receiver.transportId, receiver]));
    for (const info of consumers)
      if (media.has(info.consumerId)) this.#tellConsumer(of.get(info.transportId), info);
    for (const info of dataConsumers)
      if (data.has(info.dataConsumerId)) this.#tellDataConsumer(of.get(info.transportId), info);
  }

  #tellConsumer(receiver: Receiver | undefined, data: ConsumerInfo): void {
    const { registry } = this.#ctx;
    this.#whenAnnounced(receiver, registry.producers.get(data.producerId), ({ replicaUrl, to }) =>
      this.#ctx.outbox.send(replicaUrl, to, { method: 'newConsumer', data }),
    );
  }

  #tellDataConsumer(receiver: Receiver | undefined, data: DataConsumerInfo): void {
    const { registry } = this.#ctx;
    const live = registry.dataProducers.get(data.dataProducerId);
    this.#whenAnnounced(receiver, live, ({ replicaUrl, to }) =>
      this.#ctx.outbox.send(replicaUrl, to, { method: 'newDataConsumer', data }),
    );
  }

  /**
   * A client hears of a consumer only after it has heard of the peer, and not of one whose producer is closed already.
   * A broadcaster asks for what it consumes and is not told.
   */
  #whenAnnounced(
    receiver: Receiver | undefined,
    live: LiveProducer | LiveDataProducer | undefined,
    send: (target: { replicaUrl: string; to: { mediaPeerIds: string[] } }) => void,
  ): void {
    if (!receiver || !live || receiver.peerKind !== 'WebSocket') return;
    const { replicaUrl, mediaPeerId } = receiver;
    this.#ctx.background('consume: tell', async () => {
      await (
        await this.#ctx.sessions.find(live.transport.peer.mediaPeerId)
      )?.announced;
      if (!live.source.producer.closed) send({ replicaUrl, to: { mediaPeerIds: [mediaPeerId] } });
    });
  }

  /** The far side may have made consumers although its answer was lost. What can't be undone now, the sweep finds. */
  async #undo(router: RouterAddress, receivers: Receiver[], offer: Offer): Promise<void> {
    try {
      const pairs = await this.#ctx.repository.unrecorded(
        receivers.map(({ transportId }) => transportId),
        offer.producers.map(({ id }) => id),
        offer.dataProducers.map(({ id }) => id),
      );
      await this.#ctx.nodes.at(router.node).closeConsumers(router.routerId, { receivers: pairs });
    } catch (error) {
      this.#ctx.logger.warn({ why: messageOf(error) }, 'a failed consume is not undone yet');
    }
  }
}

const ofRoom = <T extends LiveProducer | LiveDataProducer>(roomId: string, live: T[]): T[] =>
  live.filter(({ transport }) => transport.router.roomId === roomId);

const idsOn = (live: (LiveProducer | LiveDataProducer)[], routerId: string): string[] =>
  live.filter(({ transport }) => transport.router.id === routerId).map(({ id }) => id);

const mayReceive = ({ grants, rtpCapabilities }: Receiver, offer: Offer): boolean =>
  (offer.producers.length > 0 && grants.subscribe && rtpCapabilities !== null) ||
  (offer.dataProducers.length > 0 && grants.data);

function byRouter(receivers: Receiver[]): Map<RouterAddress, Receiver[]> {
  const groups = new Map<string, Receiver[]>();
  for (const receiver of receivers) {
    const key = `${receiver.router.routerId} ${receiver.router.node.instanceId}`;
    groups.set(key, [...(groups.get(key) ?? []), receiver]);
  }
  return new Map(
    [...groups.values()].flatMap((group) => (group[0] ? [[group[0].router, group]] : [])),
  );
}

/** Step 3: one receiver by the flow's own calls, several in one batch. */
async function createAt(
  node: MediaNode,
  routerId: string,
  receivers: Receiver[],
  { producers, dataProducers }: Offer,
): Promise<Made> {
  const producerIds = producers.map(({ id }) => id);
  const dataProducerIds = dataProducers.map(({ id }) => id);
  const [only, ...more] = receivers;
  if (!only) return { consumers: [], dataConsumers: [] };
  if (more.length > 0)
    return node.createRouterConsumers(routerId, {
      ...withCapabilities(receivers),
      producerIds,
      dataProducerIds,
    });
  const { transportId, rtpCapabilities } = only;
  const { consumers } =
    producerIds.length > 0 && rtpCapabilities && only.grants.subscribe
      ? await node.createConsumers(transportId, { producerIds, rtpCapabilities })
      : { consumers: [] };
  const { dataConsumers } =
    dataProducerIds.length > 0 && only.grants.data
      ? await node.createDataConsumers(transportId, { dataProducerIds })
      : { dataConsumers: [] };
  return { consumers, dataConsumers };
}

/** The receivers as they are sent: what their clients can receive is large, and the same for most. */
function withCapabilities(receivers: Receiver[]) {
  const indices = new Map<string, number>();
  const capabilities: RtpCapabilities[] = [];
  const indexOf = (rtpCapabilities: RtpCapabilities): number => {
    const key = JSON.stringify(rtpCapabilities);
    const index = indices.get(key) ?? capabilities.push(rtpCapabilities) - 1;
    indices.set(key, index);
    return index;
  };
  return {
    receivers: receivers.map(({ transportId, grants, rtpCapabilities }) => ({
      transportId,
      ...(grants.subscribe && rtpCapabilities ? { capabilities: indexOf(rtpCapabilities) } : {}),
    })),
    capabilities,
  };
}

const chunks = <T>(items: T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, n) =>
    items.slice(n * size, (n + 1) * size),
  );

/** Whether a failure only says that the receiver has left meanwhile. */
export const receiverGone = (error: unknown): boolean =>
  isApiError(error, 'transport_not_found', 'peer_not_found');

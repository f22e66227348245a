import { pino } from 'pino';

import type { MediaNodeClient } from '../../common/clients/media-node.ts';
import { isApiError, messageOf } from '../../common/errors.ts';
import type { NodeAddress } from '../../common/wire/media-node.ts';
import type {
  PeerMessage,
  PeerMethod,
  PeerRequestInput,
  PeerResponse,
} from '../../common/wire/peer.ts';
import { createResumer } from '../../signaling/fanout/resumer.ts';
import { newUuid } from './ids.ts';
import type { SimulatedStore } from './media-store.ts';
import type { SimulatedProcess } from './process.ts';
import { time } from './time.ts';

export type Track = 'audio' | 'video' | 'chat';

/** A router that a peer can be bound to. */
export interface Place extends NodeAddress {
  routerId: string;
}

export interface ClientSurroundings {
  store: SimulatedStore;
  nodes: MediaNodeClient;
  /** The signaling replica, which speaks for the client. */
  replica: SimulatedProcess;
  replicaUrl: string;
  placesOf: (room: string) => { producer: Place | undefined; consumer: Place | undefined };
}

const everything = { publish: true, subscribe: true, data: true, admin: true };
const pauseMs = 500;
const logger = pino({ level: 'silent' });

/** One connection of a client. */
interface Connection {
  mediaPeerId: string;
  producer: Place;
  consumer: Place;
  sendingId: string;
  /** Receiving transport. */
  receivingId: string;
  joined: boolean;
  resumer: ReturnType<typeof createResumer>;
  /** What it was told of: the producer of each consumer. */
  consumers: Map<string, string>;
  published: Map<Track, string>;
}

/**
 * A person with a client that knows no moves: what it loses it gets by joining anew. It asks by the signaling service, which
 * is as short here as it can be.
 */
export class SimulatedPerson {
  readonly name: string;
  readonly room: string;
  /** What the person wants to be heard and seen of. */
  readonly tracks = new Set<Track>();
  readonly paused = new Set<Track>();
  /** What cannot be, since a client was told otherwise. */
  readonly violations: string[] = [];
  /** Why the last attempt to be so failed. */
  trouble = '';
  readonly #around: ClientSurroundings;
  #wantsIn = true;
  #connection: Connection | undefined;
  #working = false;
  /** Something has changed since the work began. */
  #again = false;

  constructor(name: string, room: string, around: ClientSurroundings) {
    this.name = name;
    this.room = room;
    this.#around = around;
    this.#work();
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Whether the person is as they want to be, as far as the client knows. */
  get settled(): boolean {
    const { published, joined } = this.#connection ?? {};
    if (!this.#wantsIn) return this.#connection === undefined && !this.#working;
    if (!joined || this.#working) return false;
    return this.tracks.size === published?.size;
  }

  come(): void {
    this.#wantsIn = true;
    this.#work();
  }

  leave(): void {
    this.#wantsIn = false;
    this.#work();
  }

  set(track: Track, on: boolean): void {
    if (on) this.tracks.add(track);
    else this.tracks.delete(track);
    this.#work();
  }

  async setPaused(track: Track, paused: boolean): Promise<void> {
    const connection = this.#connection;
    const producerId = connection?.published.get(track);
    if (track === 'chat' || !connection || producerId === undefined) return;
    const method = paused ? 'pauseProducer' : 'resumeProducer';
    await this.#ask(connection, method, { producerId }).then(
      () => (paused ? this.paused.add(track) : this.paused.delete(track)),
      () => undefined,
    );
  }

  /** The connection is lost: the client joins anew. */
  lose(mediaPeerId: string): void {
    const connection = this.#connection;
    if (connection?.mediaPeerId !== mediaPeerId) return;
    this.#connection = undefined;
    this.paused.clear();
    void this.#end(connection);
    this.#work();
  }

  hear(mediaPeerId: string, { method, data }: PeerMessage): void {
    const connection = this.#connection;
    if (connection?.mediaPeerId !== mediaPeerId) return;
    const { consumers } = connection;
    if (method === 'newConsumer') {
      if (consumers.has(data.consumerId)) this.violations.push(`${this.name}: told twice`);
      consumers.set(data.consumerId, data.producerId);
      connection.resumer.add(data.consumerId);
    } else if (method === 'newDataConsumer')
      consumers.set(data.dataConsumerId, data.dataProducerId);
    else if (method === 'consumerClosed') consumers.delete(data.consumerId);
    else if (method === 'dataConsumerClosed') consumers.delete(data.dataConsumerId);
    else if (method === 'producerClosed')
      for (const [track, id] of connection.published)
        if (id === data.producerId) {
          connection.published.delete(track);
          this.#work();
        }
  }

  /** Where the client's media is, as the places of its room are now. */
  check(): void {
    const connection = this.#connection;
    if (!connection) return;
    const { producer, consumer } = this.#around.placesOf(this.room);
    const hasMoved =
      producer?.routerId !== connection.producer.routerId ||
      consumer?.routerId !== connection.consumer.routerId;
    if (hasMoved) this.lose(connection.mediaPeerId);
  }

  /** Brings the connection to what the person wants; tries again until that is so. */
  #work(): void {
    this.#again = true;
    if (this.#working) return;
    this.#working = true;
    void this.#run().finally(() => {
      this.#working = false;
    });
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      try {
        if (this.#wantsIn) await this.#beIn();
        else await this.#beOut();
      } catch (error) {
        this.trouble = messageOf(error);
        if (isApiError(error) && !error.retryable && this.#connection)
          this.lose(this.#connection.mediaPeerId);
        this.#again = true;
        await pause();
      }
    }
  }

  async #beOut(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection) await this.#end(connection);
  }

  async #beIn(): Promise<void> {
    const connection = this.#connection ?? (await this.#connect());
    if (!connection.joined) await this.#join(connection);
    for (const track of this.tracks)
      if (!connection.published.has(track)) await this.#publish(connection, track);
    for (const [track, id] of connection.published)
      if (!this.tracks.has(track)) await this.#unpublish(connection, track, id);
  }

  async #connect(): Promise<Connection> {
    const { store, placesOf, replicaUrl } = this.#around;
    const { producer, consumer } = placesOf(this.room);
    if (!producer || !consumer) throw new Error('the room has no place');
    const mediaPeerId = newUuid();
    const connection: Connection = {
      ...{ mediaPeerId, producer, consumer, sendingId: '', receivingId: '', joined: false },
      ...{ consumers: new Map(), published: new Map() },
      resumer: createResumer({
        ...{ retryMs: pauseMs, logger },
        resume: (consumerIds) => this.#ask(connection, 'resumeConsumers', { consumerIds }),
      }),
    };
    await store.query(() => {
      if (!store.rooms.has(this.room)) throw new Error('the room has no row');
      store.peers.set(mediaPeerId, {
        ...{ id: mediaPeerId, roomId: this.room, peerId: this.name, replicaUrl },
        ...{ producerRouterId: producer.routerId, consumerRouterId: consumer.routerId },
        ...{ grants: everything, displayName: '', joinedAt: null, rtpCapabilities: null },
        createdAt: store.stamp(),
      });
    });
    this.#connection = connection;
    return connection;
  }

  async #join(connection: Connection): Promise<void> {
    for (const direction of ['producer', 'consumer'] as const) {
      if (connection[direction === 'producer' ? 'sendingId' : 'receivingId'] !== '') continue;
      const { transportId } = await this.#createTransport(connection, direction);
      if (direction === 'producer') connection.sendingId = transportId;
      else connection.receivingId = transportId;
      await this.#ask(connection, 'connectWebRtcTransport', {
        ...{
          transportId,
          dtlsParameters: { fingerprints: [{ algorithm: 'sha-256', value: 'AA:BB' }] },
        },
      } as unknown as PeerRequestInput<'connectWebRtcTransport'>);
    }
    await this.#ask(connection, 'join', {
      ...{ displayName: this.name, device: {} },
      rtpCapabilities: { codecs: [], headerExtensions: [] },
    });
    connection.joined = true;
  }

  /**
   * An attempt without an answer is not repeated on this connection: were it handled after its repetition, it would take the
   * place of a transport that is in use. A known gap.
   */
  async #createTransport(connection: Connection, direction: 'producer' | 'consumer') {
    try {
      return await this.#ask(connection, 'createWebRtcTransport', { direction });
    } catch (error) {
      this.lose(connection.mediaPeerId);
      throw error;
    }
  }

  async #publish(connection: Connection, track: Track): Promise<void> {
    const { sendingId: transportId, published } = connection;
    if (track === 'chat') {
      const { dataProducerId } = await this.#ask(connection, 'produceData', {
        ...{ transportId, label: track, appData: { channel: track } },
        sctpStreamParameters: { streamId: 1, ordered: true },
      });
      published.set(track, dataProducerId);
    } else {
      const { producerId } = await this.#ask(connection, 'produce', {
        ...{ transportId, kind: track, appData: { source: track } },
        rtpParameters: {
          ...{ mid: track, encodings: [{ ssrc: track.length }] },
          codecs: [{ mimeType: `${track}/any`, clockRate: 90_000, payloadType: 96 }],
        },
      });
      published.set(track, producerId);
    }
  }

  async #unpublish(connection: Connection, track: Track, producerId: string): Promise<void> {
    if (track === 'chat') {
      // Chat ends with the connection alone.
      this.tracks.add(track);
      return;
    }
    await this.#ask(connection, 'closeProducer', { producerId });
    connection.published.delete(track);
  }

  /** Closed by the signaling service, which forgets the row in any case; what a node could not be told it finds out. */
  async #end({ mediaPeerId, producer, consumer, resumer }: Connection): Promise<void> {
    resumer.close();
    const { store, nodes, replica } = this.#around;
    for (let done = false; !done;) {
      done = await replica
        .receive(store.query(() => store.deletePeer(mediaPeerId)))
        .then(() => true)
        .catch(() => false);
      if (!done) await pause();
    }
    for (const url of new Set([producer.url, consumer.url]))
      await nodes.deletePeer(url, mediaPeerId).catch(() => undefined);
  }

  #ask<M extends PeerMethod>(
    { mediaPeerId, producer }: Connection,
    method: M,
    data: PeerRequestInput<M>,
  ): Promise<PeerResponse<M>> {
    const name = { roomId: this.room, peerId: this.name, mediaPeerId };
    return this.#around.nodes.forward(producer.url, name, method, data);
  }
}

const pause = (): Promise<void> =>
  new Promise((resolve) => {
    time.schedule(pauseMs, resolve);
  });

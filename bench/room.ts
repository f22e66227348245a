import { LoadPeer } from '../testing/load-peer/load-peer.ts';
import { sum } from './statistics.ts';

export interface RoomOptions {
  /** The signaling service. */
  url: string;
  roomId: string;
  /** RTP packets a second of each producer. Every one of them goes to every other peer, and all of them to this process. */
  packetsPerSecond: number;
}

/** What one join took, in milliseconds from the moment the request was sent. */
export interface JoinTimes {
  answered: number;
  /** Until the request for the last consumer of audio or video had come. */
  lastConsumer: number;
  /** Consumers that the join made, with those for data. */
  consumers: number;
}

/** What each peer of the room publishes: audio, video, and a data channel. */
const published = { audio: true, video: true, data: true };
const mediaProducers = 2;
/** How many peers come in at once while the room is filled. */
const fillConcurrency = 2;

/** A room of load peers that all publish, and that further peers join and leave again. */
export class Room {
  readonly #options: RoomOptions;
  readonly #peers: LoadPeer[] = [];
  #lastId = 0;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** How many publishing peers are in the room. */
  get peers(): number {
    return this.#peers.length;
  }

  /**
   * Adds publishing peers until there are `size`, and waits until everybody has a consumer of everybody else.
   *
   * @returns how many consumers that made, and the time in milliseconds
   */
  async fill(size: number): Promise<{ consumers: number; milliseconds: number }> {
    const before = this.#consumers();
    const start = performance.now();
    const come = async (): Promise<void> => {
      while (this.#lastId < size) {
        const peer = await this.connect(`peer-${++this.#lastId}`);
        this.#peers.push(peer);
        await peer.join();
        await peer.publish(published);
      }
    };
    await Promise.all(Array.from({ length: fillConcurrency }, come));
    const others = size - 1;
    for (const peer of this.#peers) await this.#waitForOthers(peer, others);
    return { consumers: this.#consumers() - before, milliseconds: performance.now() - start };
  }

  /** One more peer connects, and has its transports, but has not joined. */
  connect(peerId: string): Promise<LoadPeer> {
    return LoadPeer.connect({ ...this.#options, peerId });
  }

  /** The connected peer joins, and waits for all its consumers. */
  async join(peer: LoadPeer): Promise<JoinTimes> {
    const start = performance.now();
    await peer.join();
    const answered = performance.now() - start;
    await this.#waitForOthers(peer, this.#peers.length);
    const announced = [...peer.consumers.values()].map(({ announcedAt }) => announcedAt);
    const { consumers, dataConsumers } = peer.stats();
    return {
      answered,
      lastConsumer: Math.max(start, ...announced) - start,
      consumers: consumers + dataConsumers,
    };
  }

  /** The peer leaves, and the others have heard of it. */
  async leave(peer: LoadPeer): Promise<void> {
    const heard = this.#peers.map((other) =>
      other.waitFor(`peerClosed of ${peer.peerId}`, () => other.hasLeft(peer.peerId)),
    );
    await peer.close();
    await Promise.all(heard);
  }

  /** What went wrong in the background of any peer. */
  errors(): string[] {
    return this.#peers.flatMap((peer) => [
      ...peer.stats().errors.map((error) => `${peer.peerId}: ${error}`),
      ...(peer.closed ? [`${peer.peerId}: its socket closed`] : []),
    ]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#peers.splice(0).map((peer) => peer.close()));
  }

  #consumers(): number {
    return sum(this.#peers.map((peer) => peer.stats()).map((s) => s.consumers + s.dataConsumers));
  }

  #waitForOthers(peer: LoadPeer, others: number): Promise<void> {
    return peer.waitFor(`consumers of ${others} others`, () => {
      const { consumers, dataConsumers } = peer.stats();
      return consumers >= others * mediaProducers && dataConsumers >= others;
    });
  }
}

import { z } from 'zod';

import { consumerInfo, dataConsumerInfo, peerMethods } from '../../common/wire/peer.ts';
import { rtpCapabilities, rtpParameters, type RtpCapabilities } from '../../common/wire/rtp.ts';
import { MediaSource } from './media-source.ts';
import { ProtooClient } from './protoo-client.ts';
import { RtpStream, payloadTypeOf, reduceCapabilities } from './rtp-stream.ts';
import { SecureTransport, localDtlsParameters, type ServerTransport } from './secure-transport.ts';

export interface LoadPeerOptions {
  /** The signaling service, `ws://host:port/`. */
  url: string;
  roomId: string;
  peerId: string;
  /** A room token, where the service wants one. */
  token?: string;
  /** RTP packets a second of each producer; 1 when left out. */
  packetsPerSecond?: number;
  /** Bytes of an RTP packet's payload; 100 when left out. */
  payloadBytes?: number;
  /** Announces that it can move transports, and does so when it is asked. */
  moves?: boolean;
}

export interface PublishOptions {
  audio?: boolean;
  video?: boolean;
  /** Registers a data producer. No SCTP association is made and no message flows. */
  data?: boolean;
}

/** A consumer that the platform made for this peer. */
export interface LoadConsumer {
  consumerId: string;
  producerId: string;
  /** Whose media it is. */
  peerId: string;
  kind: 'audio' | 'video';
  ssrc: number;
  /** `performance.now()` when its `newConsumer` request came. */
  announcedAt: number;
  /** RTP packets received, decrypted and authenticated. */
  packets: number;
}

/** A transport to receive by, which its first consumer connects, as in a browser. */
interface Receiving {
  announced: Announced;
  connected: Promise<void> | undefined;
  transport: SecureTransport | undefined;
}

interface Published {
  kind: 'audio' | 'video';
  producerId: string;
}

/** `moveTransport`: what is on this transport is to come over another one. */
const moveTransport = z.object({
  transportId: z.string(),
  direction: z.enum(['producer', 'consumer']),
  overlapMs: z.number(),
});
type Move = z.infer<typeof moveTransport>;

export interface LoadPeerStats {
  packetsSent: number;
  packetsReceived: number;
  /** Packets that could not be decrypted or authenticated. */
  packetsFailed: number;
  consumers: number;
  dataConsumers: number;
  /** What went wrong in the background: the receiving transport's ICE or DTLS. */
  errors: string[];
}

const serverTransport = z.object({
  transportId: z.string(),
  iceParameters: z.object({ usernameFragment: z.string(), password: z.string() }),
  iceCandidates: z.array(
    z.object({
      protocol: z.string(),
      address: z.string().optional(),
      ip: z.string().optional(),
      port: z.number(),
    }),
  ),
  dtlsParameters: z.object({
    fingerprints: z.array(z.object({ algorithm: z.string(), value: z.string() })),
  }),
});
type Announced = z.infer<typeof serverTransport>;

const asServerTransport = ({ iceCandidates, ...rest }: Announced): ServerTransport => ({
  ...rest,
  iceCandidates: iceCandidates.map(({ protocol, address, ip, port }) => {
    const host = address ?? ip;
    return { protocol, port, ...(host === undefined ? {} : { address: host }) };
  }),
});

/** What a client needs of the answer to `createWebRtcTransport`. */
export const readServerTransport = (answer: unknown): ServerTransport & { transportId: string } => {
  const announced = serverTransport.parse(answer);
  return { ...asServerTransport(announced), transportId: announced.transportId };
};

const defaults = { packetsPerSecond: 1, payloadBytes: 100 };
const device = { flag: 'node', name: 'load peer' };

/**
 * A peer without a browser: it speaks the client protocol's current dialect, and does ICE, DTLS and SRTP for real. Light
 * enough for a hundred in one process.
 */
export class LoadPeer {
  readonly #options: LoadPeerOptions;
  readonly #consumers = new Map<string, LoadConsumer>();
  readonly #bySsrc = new Map<number, LoadConsumer>();
  readonly #receivers = new Map<string, Receiving>();
  /** Consumers by the transport that they are on. */
  readonly #transportOf = new Map<string, string>();
  readonly #moving = new Set<string>();
  readonly #published: Published[] = [];
  #moved = 0;
  readonly #dataConsumers = new Set<string>();
  readonly #left = new Set<string>();
  readonly #errors: string[] = [];
  readonly #watchers = new Set<() => void>();
  #protoo!: ProtooClient;
  #capabilities: RtpCapabilities = {};
  #sending!: Announced;
  #source: Promise<MediaSource> | undefined;
  #sentBy: MediaSource | undefined;
  #closed = false;

  private constructor(options: LoadPeerOptions) {
    this.#options = options;
  }

  /**
   * Opens the WebSocket and makes both transports on the server, as a client does before `join`.
   *
   * @throws Error when the service refuses it
   */
  static async connect(options: LoadPeerOptions): Promise<LoadPeer> {
    const peer = new LoadPeer(options);
    const url = new URL(options.url);
    url.searchParams.set('roomId', options.roomId);
    url.searchParams.set('peerId', options.peerId);
    if (options.token) url.searchParams.set('token', options.token);
    if (options.moves) url.searchParams.set('extensions', 'move');
    peer.#protoo = await ProtooClient.connect({
      url: url.href,
      onRequest: (method, data) => peer.#onRequest(method, data),
      onNotification: (method, data) => peer.#onNotification(method, data),
    });
    try {
      await peer.#prepare();
    } catch (error) {
      await peer.close();
      throw error;
    }
    return peer;
  }

  get peerId(): string {
    return this.#options.peerId;
  }

  get consumers(): ReadonlyMap<string, LoadConsumer> {
    return this.#consumers;
  }

  /** Whether a peer of this name has left since this one joined. */
  hasLeft(peerId: string): boolean {
    return this.#left.has(peerId);
  }

  /** How many transports it has moved. */
  get moved(): number {
    return this.#moved;
  }

  get closed(): boolean {
    return this.#closed || this.#protoo.closed;
  }

  /** @returns the peers that were there before */
  async join(): Promise<string[]> {
    const answer = await this.#protoo.request('join', {
      displayName: this.#options.peerId,
      device,
      rtpCapabilities: this.#capabilities,
    });
    return peerMethods.join.response.parse(answer).peers.map(({ peerId }) => peerId);
  }

  /**
   * Publishes what is asked for; media starts to flow once ICE and DTLS are done.
   *
   * @returns the ids of the producers, audio first
   */
  async publish({ audio, video, data }: PublishOptions): Promise<string[]> {
    const ids: string[] = [];
    if (audio) ids.push(await this.#produce('audio'));
    if (video) ids.push(await this.#produce('video'));
    if (data) await this.#produceData();
    return ids;
  }

  /** Any other request of the client protocol. */
  request(method: string, data: unknown = {}): Promise<unknown> {
    return this.#protoo.request(method, data);
  }

  /** Any notification of the client protocol, such as `closeProducer`. */
  notify(method: string, data: unknown): void {
    this.#protoo.notify(method, data);
  }

  /**
   * Waits until the condition holds; it is looked at again after every message and RTP packet.
   *
   * @throws Error with the name of what did not come
   */
  waitFor(what: string, condition: () => boolean, timeoutMs = 20_000): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const done = (how: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        how();
      };
      const watcher = (): void => {
        if (condition()) done(resolve);
      };
      const timer = setTimeout(
        () => done(() => reject(new Error(`${this.peerId}: no ${what} in ${timeoutMs} ms`))),
        timeoutMs,
      );
      this.#watchers.add(watcher);
    });
  }

  stats(): LoadPeerStats {
    return {
      packetsSent: this.#sentBy?.packetsSent ?? 0,
      packetsReceived: [...this.#consumers.values()].reduce((sum, { packets }) => sum + packets, 0),
      packetsFailed: [...this.#receivers.values()].reduce(
        (sum, { transport }) => sum + (transport?.failedPackets ?? 0),
        0,
      ),
      consumers: this.#consumers.size,
      dataConsumers: this.#dataConsumers.size,
      errors: [...this.#errors],
    };
  }

  /** Leaves: closes the socket and the transports. Repeatable. */
  async close(): Promise<void> {
    this.#closeMedia();
    await this.#protoo.close();
  }

  /** Goes away without a word, as a browser that crashed: the TCP connection ends with no closing handshake. */
  cut(): void {
    this.#closeMedia();
    this.#protoo.cut();
  }

  #closeMedia(): void {
    this.#closed = true;
    this.#sentBy?.close();
    for (const { transport } of this.#receivers.values()) transport?.close();
  }

  async #prepare(): Promise<void> {
    const answer = await this.#protoo.request('getRouterRtpCapabilities');
    const { routerRtpCapabilities } = peerMethods.getRouterRtpCapabilities.response.parse(answer);
    this.#capabilities = reduceCapabilities(rtpCapabilities.parse(routerRtpCapabilities));
    this.#sending = await this.#createTransport('producer');
    this.#receiveBy(await this.#createTransport('consumer'));
  }

  #receiveBy(announced: Announced): void {
    const receiving = { announced, connected: undefined, transport: undefined };
    this.#receivers.set(announced.transportId, receiving);
  }

  async #createTransport(direction: 'producer' | 'consumer', replaces?: string) {
    return serverTransport.parse(
      await this.#protoo.request('createWebRtcTransport', {
        ...{ forceTcp: false, appData: { direction } },
        ...(replaces === undefined ? {} : { replaces }),
      }),
    );
  }

  async #connectTransport({ transportId }: Announced): Promise<void> {
    await this.#protoo.request('connectWebRtcTransport', {
      transportId,
      dtlsParameters: await localDtlsParameters(),
    });
  }

  /** As soon as the server knows the fingerprint, the caller may go on: ICE and DTLS run meanwhile. */
  async #startSending(): Promise<MediaSource> {
    await this.#connectTransport(this.#sending);
    const transport = await SecureTransport.connect({ server: asServerTransport(this.#sending) });
    const rate = this.#options.packetsPerSecond ?? defaults.packetsPerSecond;
    this.#sentBy = new MediaSource(transport, rate);
    if (this.#closed) this.#sentBy.close();
    return this.#sentBy;
  }

  async #produce(kind: 'audio' | 'video', replaces?: string): Promise<string> {
    this.#source ??= this.#startSending();
    const source = await this.#source;
    const stream = new RtpStream({
      kind,
      payloadType: payloadTypeOf(this.#capabilities, kind),
      payloadBytes: this.#options.payloadBytes ?? defaults.payloadBytes,
    });
    const answer = await this.#protoo.request('produce', {
      transportId: this.#sending.transportId,
      kind,
      rtpParameters: stream.rtpParameters(),
      appData: { source: kind },
      ...(replaces === undefined ? {} : { replaces }),
    });
    source.add(stream);
    const { producerId } = peerMethods.produce.response.parse(answer);
    this.#published.push({ kind, producerId });
    return producerId;
  }

  async #produceData(): Promise<void> {
    await this.#protoo.request('produceData', {
      transportId: this.#sending.transportId,
      sctpStreamParameters: { streamId: 0, ordered: true },
      label: 'chat',
      protocol: '',
      appData: { channel: 'chat' },
    });
  }

  async #onRequest(method: string, data: unknown): Promise<void> {
    if (method === 'newConsumer') await this.#addConsumer(data);
    else if (method === 'newDataConsumer') {
      this.#dataConsumers.add(dataConsumerInfo.parse(data).dataConsumerId);
    } else throw new Error(`unknown request ${method}`);
    this.#look();
  }

  async #addConsumer(data: unknown): Promise<void> {
    const announcedAt = performance.now();
    const info = consumerInfo.parse(data);
    const ssrc = rtpParameters.parse(info.rtpParameters).encodings?.[0]?.ssrc ?? 0;
    const { consumerId, producerId, peerId, kind } = info;
    const consumer = { consumerId, producerId, peerId, kind, ssrc, announcedAt, packets: 0 };
    this.#consumers.set(consumerId, consumer);
    this.#bySsrc.set(ssrc, consumer);
    this.#transportOf.set(consumerId, info.transportId);
    const receiving = this.#receivers.get(info.transportId);
    if (!receiving) throw new Error(`no transport ${info.transportId}`);
    // A browser's first consumer connects the transport, and is answered when the server knows the fingerprint.
    receiving.connected ??= this.#startReceiving(receiving);
    await receiving.connected;
  }

  async #startReceiving(receiving: Receiving): Promise<void> {
    await this.#connectTransport(receiving.announced);
    SecureTransport.connect({ server: asServerTransport(receiving.announced) }).then(
      (transport) => this.#receiveFrom(receiving, transport),
      (error: unknown) => this.#fail(error),
    );
  }

  #receiveFrom(receiving: Receiving, transport: SecureTransport): void {
    receiving.transport = transport;
    if (this.#closed || !this.#receivers.has(receiving.announced.transportId)) transport.close();
    transport.onRtp = ({ ssrc }) => {
      const consumer = this.#bySsrc.get(ssrc);
      if (consumer) consumer.packets++;
      if (this.#watchers.size > 0) this.#look();
    };
  }

  #fail(error: unknown): void {
    this.#errors.push(error instanceof Error ? error.message : String(error));
  }

  /** Once for each transport, however often it is asked. */
  #startMove(move: Move): void {
    if (this.#moving.has(move.transportId)) return;
    this.#moving.add(move.transportId);
    const moved =
      move.direction === 'consumer' ? this.#moveReceiving(move) : this.#moveSending(move);
    moved.then(
      () => {
        this.#moved++;
        this.#look();
      },
      (error: unknown) => {
        this.#moving.delete(move.transportId);
        if (!this.closed) this.#fail(error);
      },
    );
  }

  /** What is consumed comes over the new transport as well, before the old one is closed. */
  async #moveReceiving({ transportId, overlapMs }: Move): Promise<void> {
    this.#receiveBy(await this.#createTransport('consumer', transportId));
    const on = (there: boolean): LoadConsumer[] =>
      [...this.#consumers.values()].filter(
        ({ consumerId }) => (this.#transportOf.get(consumerId) === transportId) === there,
      );
    const isThere = ({ producerId }: LoadConsumer): boolean =>
      on(false).some((other) => other.producerId === producerId && other.packets > 0);
    await this.waitFor(
      'media over the new transport',
      () => on(true).every(isThere),
      overlapMs,
    ).catch(() => undefined);
    for (const { consumerId } of on(true)) this.#removeConsumer(consumerId);
    this.#receivers.get(transportId)?.transport?.close();
    this.#receivers.delete(transportId);
    await this.#protoo.request('closeTransport', { transportId });
  }

  /** What is published goes over the new transport as well, before the old one is closed. */
  async #moveSending({ transportId, overlapMs }: Move): Promise<void> {
    const old = this.#sentBy;
    this.#sending = await this.#createTransport('producer', transportId);
    this.#source = undefined;
    for (const { kind, producerId } of this.#published.splice(0))
      await this.#produce(kind, producerId);
    await new Promise((resolve) => setTimeout(resolve, overlapMs).unref());
    old?.close();
    await this.#protoo.request('closeTransport', { transportId });
  }

  #removeConsumer(consumerId: string): void {
    const consumer = this.#consumers.get(consumerId);
    if (consumer) this.#bySsrc.delete(consumer.ssrc);
    this.#consumers.delete(consumerId);
    this.#transportOf.delete(consumerId);
  }

  #onNotification(method: string, data: unknown): void {
    if (method === 'consumerClosed') {
      const { consumerId } = z.object({ consumerId: z.string() }).parse(data);
      this.#removeConsumer(consumerId);
    } else if (method === 'moveTransport') this.#startMove(moveTransport.parse(data));
    else if (method === 'peerClosed') {
      this.#left.add(z.object({ peerId: z.string() }).parse(data).peerId);
    } else if (method === 'dataConsumerClosed') {
      this.#dataConsumers.delete(
        z.object({ dataConsumerId: z.string() }).parse(data).dataConsumerId,
      );
    }
    this.#look();
  }

  #look(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

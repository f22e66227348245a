import { Device, type types } from 'mediasoup-client';

import type { Device as DeviceInfo, PeerInfo } from '../../../common/wire/peer.ts';
import type { NewConsumer, NewDataConsumer, Signaling } from '../signaling/messages.ts';
import { encodingOptions } from './encodings.ts';
import type { Source } from './state.ts';
import { openTransport } from './transports.ts';

/** The label and channel that carry the room's chat. */
const CHAT_CHANNEL = 'chat';

export interface SessionOptions {
  signaling: Signaling;
  forceTcp: boolean;
  /** Media cannot be had on this connection any more. */
  onLost: (reason: string) => void;
  onChat: (peerId: string, text: string) => void;
  onChatOpen: (open: boolean) => void;
}

/**
 * The media of one connection: mediasoup-client's device, the two transports, and what goes through them. It lives from
 * a join to the loss of its socket; a rejoin makes a new one.
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #producers = new Map<Source, types.Producer>();
  readonly #consumers = new Map<string, types.Consumer>();
  readonly #dataConsumers = new Map<string, types.DataConsumer>();
  /** Consumers being made, by id: an announcement that is repeated meanwhile waits for the same one. */
  readonly #making = new Map<string, Promise<types.Consumer>>();
  #device: Device | undefined;
  #send: types.Transport | undefined;
  #receive: types.Transport | undefined;
  #chat: types.DataProducer | undefined;
  #joined = false;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the join is through: only then can anything be published. */
  get joined(): boolean {
    return this.#joined;
  }

  get producers(): ReadonlyMap<Source, types.Producer> {
    return this.#producers;
  }

  get consumers(): ReadonlyMap<string, types.Consumer> {
    return this.#consumers;
  }

  get dataConsumers(): ReadonlyMap<string, types.DataConsumer> {
    return this.#dataConsumers;
  }

  get chat(): types.DataProducer | undefined {
    return this.#chat;
  }

  get transports(): { send: types.Transport | undefined; receive: types.Transport | undefined } {
    return { send: this.#send, receive: this.#receive };
  }

  /** Loads the device, makes both transports and joins. Consumers may be announced before it resolves. */
  async join(displayName: string, deviceInfo: DeviceInfo): Promise<PeerInfo[]> {
    const { signaling, forceTcp, onLost } = this.#options;
    const { routerRtpCapabilities } = await signaling.request(
      'getRouterRtpCapabilities',
      undefined,
    );
    const device = await Device.factory();
    await device.load({ routerRtpCapabilities });
    this.#device = device;
    const common = { device, signaling, forceTcp, onLost };
    this.#send = this.#keep(await openTransport({ ...common, direction: 'producer' }));
    this.#receive = this.#keep(await openTransport({ ...common, direction: 'consumer' }));
    const { peers } = await signaling.request('join', {
      displayName,
      device: deviceInfo,
      rtpCapabilities: device.recvRtpCapabilities,
    });
    this.#joined = !this.#closed;
    return peers;
  }

  /** Publishes a track. The track stays the caller's: closing the producer does not stop it. */
  async produce(source: Source, track: MediaStreamTrack, muted: boolean): Promise<types.Producer> {
    if (!this.#send || !this.#device) throw new Error('not joined');
    const codecs = this.#device.sendRtpCapabilities.codecs ?? [];
    const producer = await this.#send.produce({
      track,
      stopTracks: false,
      appData: { source },
      ...encodingOptions(source, track, codecs),
    });
    this.#producers.set(source, producer);
    producer.observer.on('close', () => {
      if (this.#producers.get(source) === producer) this.#producers.delete(source);
    });
    if (muted) this.setMuted(source, true);
    return producer;
  }

  closeProducer(source: Source): void {
    const producer = this.#producers.get(source);
    if (!producer) return;
    producer.close();
    this.#options.signaling.notify('closeProducer', { producerId: producer.id });
  }

  setMuted(source: Source, muted: boolean): void {
    const producer = this.#producers.get(source);
    if (!producer) return;
    if (muted) producer.pause();
    else producer.resume();
    this.#options.signaling.notify(muted ? 'pauseProducer' : 'resumeProducer', {
      producerId: producer.id,
    });
  }

  /** Makes a consumer that the server announced. Announced again, it is the same one. */
  consume(data: NewConsumer): Promise<types.Consumer> {
    const id = data.consumerId;
    const existing = this.#consumers.get(id);
    if (existing) return Promise.resolve(existing);
    const making = this.#making.get(id) ?? this.#makeConsumer(data);
    this.#making.set(id, making);
    return making.finally(() => this.#making.delete(id));
  }

  async #makeConsumer(data: NewConsumer): Promise<types.Consumer> {
    if (!this.#receive) throw new Error('no receiving transport');
    const consumer = await this.#receive.consume({
      id: data.consumerId,
      producerId: data.producerId,
      kind: data.kind,
      rtpParameters: data.rtpParameters,
      // A stream for each peer and source: its audio and video are kept in step, its screen apart from them.
      streamId: `${data.peerId}-${data.appData.source === 'screensharing' ? 'screen' : 'camera'}`,
      appData: { peerId: data.peerId, source: data.appData.source },
    });
    this.#consumers.set(consumer.id, consumer);
    consumer.observer.on('close', () => this.#consumers.delete(consumer.id));
    return consumer;
  }

  closeConsumer(consumerId: string): void {
    this.#consumers.get(consumerId)?.close();
  }

  setConsumerPaused(consumerId: string, paused: boolean): void {
    const consumer = this.#consumers.get(consumerId);
    if (!consumer) return;
    if (paused) consumer.pause();
    else consumer.resume();
    this.#options.signaling.notify(paused ? 'pauseConsumer' : 'resumeConsumer', { consumerId });
  }

  /** Makes the data consumer of another peer's chat. */
  async consumeData(data: NewDataConsumer): Promise<void> {
    if (this.#dataConsumers.has(data.dataConsumerId)) return;
    if (!this.#receive) throw new Error('no receiving transport');
    const consumer = await this.#receive.consumeData({
      id: data.dataConsumerId,
      dataProducerId: data.dataProducerId,
      sctpStreamParameters: data.sctpStreamParameters ?? {},
      label: data.label,
      protocol: data.protocol,
      appData: { peerId: data.peerId, channel: data.appData.channel },
    });
    this.#dataConsumers.set(consumer.id, consumer);
    consumer.observer.on('close', () => this.#dataConsumers.delete(consumer.id));
    const { peerId } = data;
    if (data.appData.channel !== CHAT_CHANNEL || peerId === undefined) return;
    consumer.on('message', (message: unknown) => this.#options.onChat(peerId, textOf(message)));
  }

  closeDataConsumer(dataConsumerId: string): void {
    this.#dataConsumers.get(dataConsumerId)?.close();
  }

  /** Opens this peer's side of the chat. */
  async openChat(): Promise<void> {
    if (!this.#send) throw new Error('not joined');
    const { onChatOpen } = this.#options;
    const chat = await this.#send.produceData({
      ordered: true,
      label: CHAT_CHANNEL,
      appData: { channel: CHAT_CHANNEL },
    });
    this.#chat = chat;
    chat.on('open', () => onChatOpen(true));
    chat.observer.on('close', () => onChatOpen(false));
    chat.on('close', () => onChatOpen(false));
    if (chat.readyState === 'open') onChatOpen(true);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#joined = false;
    this.#send?.close();
    this.#receive?.close();
  }

  /** A transport that was still being made when the session closed is closed too. */
  #keep(transport: types.Transport): types.Transport {
    if (this.#closed) {
      transport.close();
      throw new Error('the connection was closed');
    }
    return transport;
  }
}

/** Chat is text; clients that are no browser send it as bytes. */
const textOf = (message: unknown): string =>
  message instanceof ArrayBuffer ? new TextDecoder().decode(message) : String(message);

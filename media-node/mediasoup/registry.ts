import { ApiError } from '../../common/errors.ts';
import { KeyedMutex } from '../flow/keyed-mutex.ts';
import type {
  LiveConsumer,
  LiveDataConsumer,
  LiveDataProducer,
  LiveProducer,
  LiveRouter,
  LiveTransport,
} from './objects.ts';

interface Owned {
  readonly transport: LiveTransport;
}

/** All live objects of this instance, by id. Whoever makes an object adds it; whatever closes it removes it. */
export class Registry {
  readonly routers = new Map<string, LiveRouter>();
  readonly transports = new Map<string, LiveTransport>();
  readonly producers = new Map<string, LiveProducer>();
  readonly dataProducers = new Map<string, LiveDataProducer>();
  readonly consumers = new Map<string, LiveConsumer>();
  readonly dataConsumers = new Map<string, LiveDataConsumer>();
  /** Held while a transport of a connection is being made, by the connection. */
  readonly creating = new KeyedMutex();
  readonly #transportsOfPeer = new Map<string, Set<LiveTransport>>();
  readonly #closedPeers = new Map<string, number>();
  readonly #closedMemoryMs: number;

  /** @param closedMemoryMs how long a closed peer is remembered, in milliseconds */
  constructor({ closedMemoryMs }: { closedMemoryMs: number }) {
    this.#closedMemoryMs = closedMemoryMs;
  }

  router(id: string): LiveRouter {
    const router = this.routers.get(id);
    if (!router) throw new ApiError('router_not_found', `no router ${id} on this node`);
    return router;
  }

  /** @param mediaPeerId whose it must be; absent: the platform's own business */
  transport(id: string, mediaPeerId?: string): LiveTransport {
    const transport = this.transports.get(id);
    if (!transport || (mediaPeerId !== undefined && transport.peer.mediaPeerId !== mediaPeerId))
      throw new ApiError('transport_not_found', `no transport ${id}`);
    return transport;
  }

  producer(id: string, mediaPeerId?: string): LiveProducer {
    return owned(this.producers, id, mediaPeerId, 'producer');
  }
  dataProducer(id: string, mediaPeerId?: string): LiveDataProducer {
    return owned(this.dataProducers, id, mediaPeerId, 'producer');
  }
  consumer(id: string, mediaPeerId?: string): LiveConsumer {
    return owned(this.consumers, id, mediaPeerId, 'consumer');
  }
  dataConsumer(id: string, mediaPeerId?: string): LiveDataConsumer {
    return owned(this.dataConsumers, id, mediaPeerId, 'consumer');
  }

  addTransport(transport: LiveTransport): void {
    this.transports.set(transport.id, transport);
    transport.router.transports.set(transport.id, transport);
    const { mediaPeerId } = transport.peer;
    const ofPeer = this.#transportsOfPeer.get(mediaPeerId) ?? new Set();
    this.#transportsOfPeer.set(mediaPeerId, ofPeer.add(transport));
  }

  removeTransport(transport: LiveTransport): void {
    this.transports.delete(transport.id);
    transport.router.transports.delete(transport.id);
    const { mediaPeerId } = transport.peer;
    const ofPeer = this.#transportsOfPeer.get(mediaPeerId);
    ofPeer?.delete(transport);
    if (ofPeer?.size === 0) this.#transportsOfPeer.delete(mediaPeerId);
  }

  transportsOf(mediaPeerId: string): LiveTransport[] {
    return [...(this.#transportsOfPeer.get(mediaPeerId) ?? [])];
  }

  /** The connections that have a transport here. */
  get peers(): string[] {
    return [...this.#transportsOfPeer.keys()];
  }

  /** Nothing may be made for this connection any more. */
  markPeerClosed(mediaPeerId: string, now = Date.now()): void {
    for (const [id, at] of this.#closedPeers)
      if (now - at > this.#closedMemoryMs) this.#closedPeers.delete(id);
    this.#closedPeers.set(mediaPeerId, now);
  }

  isPeerClosed(mediaPeerId: string): boolean {
    return this.#closedPeers.has(mediaPeerId);
  }

  /** @throws {ApiError} `peer_not_found` */
  requireOpenPeer(mediaPeerId: string): void {
    if (this.isPeerClosed(mediaPeerId))
      throw new ApiError('peer_not_found', `connection ${mediaPeerId} is closed`);
  }
}

function owned<T extends Owned>(
  objects: Map<string, T>,
  id: string,
  mediaPeerId: string | undefined,
  what: 'producer' | 'consumer',
): T {
  const object = objects.get(id);
  if (!object || (mediaPeerId !== undefined && object.transport.peer.mediaPeerId !== mediaPeerId))
    throw new ApiError(`${what}_not_found`, `no ${what} ${id}`);
  return object;
}

import type { PeerBinding, PeerSides, PeerTransport } from '../../common/db/repositories/media.ts';
import { ApiError, isApiError } from '../../common/errors.ts';
import type { NodeAddress, PeerRef, RouterAddress } from '../../common/wire/media-node.ts';
import type { NodeContext } from '../context.ts';
import type { LiveRouter } from '../mediasoup/objects.ts';

/** How a peer's request names the peer. */
export interface PeerName {
  roomId: string;
  peerId: string;
  mediaPeerId: string;
}

/** What the tables say of a connection. */
interface Found {
  binding: PeerBinding;
  /** The oldest first. */
  receiving: PeerTransport[];
}

/** One connection of a peer at its producer service. */
export class Session {
  joined: boolean;
  /** Resolves once the others were told of the peer: before that, no client may hear of what it publishes. */
  readonly announced: Promise<void>;
  readonly markAnnounced: () => void;
  #binding: PeerBinding;
  #receiving: PeerTransport[];
  #closed = false;

  constructor({ binding, receiving }: Found) {
    this.#binding = binding;
    this.#receiving = receiving;
    this.joined = binding.joined;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.announced = promise;
    this.markAnnounced = () => resolve(undefined);
    // One that had joined before this node knew of it was announced then.
    if (binding.joined) this.markAnnounced();
  }

  get binding(): PeerBinding {
    return this.#binding;
  }

  /** The peer's transports to receive on. It has one from before its join, and two while its watching side moves. */
  get receiving(): readonly PeerTransport[] {
    return this.#receiving;
  }

  /** The one that consumers are made on: the newest. */
  get receivingTransportId(): string | undefined {
    return this.#receiving.at(-1)?.transportId;
  }

  /** Consumers are made on this one from now on. */
  setNewest(transport: PeerTransport): void {
    this.forgetReceiving(transport.transportId);
    this.#receiving.push(transport);
  }

  forgetReceiving(transportId: string): void {
    this.#receiving = this.#receiving.filter((one) => one.transportId !== transportId);
  }

  /** The peer's socket is at another replica now. */
  moveTo(replicaUrl: string): void {
    this.#binding = { ...this.#binding, replicaUrl };
  }

  /** Takes over what the tables say now. */
  renew({ binding, receiving }: Found): void {
    this.#binding = binding;
    this.#receiving = receiving;
    if (!binding.joined || this.joined) return;
    this.joined = true;
    this.markAnnounced();
  }

  /** A method, since the peer may leave during any await. */
  isClosed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    this.markAnnounced();
  }

  get ref(): PeerRef {
    const { mediaPeerId, peerId, roomId, replicaUrl } = this.binding;
    return { mediaPeerId, peerId, roomId, replicaUrl };
  }

  /** @throws {ApiError} `not_joined` */
  requireJoined(): void {
    if (!this.joined) throw new ApiError('not_joined', 'join comes first');
  }

  /** @throws {ApiError} `forbidden` */
  requireGrant(grant: 'publish' | 'subscribe' | 'data'): void {
    if (!this.binding.grants[grant])
      throw new ApiError('forbidden', `the peer may not ${grant === 'data' ? 'use data' : grant}`);
  }
}

/**
 * The connections whose home this node is, read from the table once and kept while they last. Whoever binds a side of a
 * peer anew says so, see {@link Sessions.renew}. A peer's home is its producer service; where it has none at the moment, its
 * consumer service.
 */
export class Sessions {
  readonly #ctx: NodeContext;
  readonly #sessions = new Map<string, Promise<Session>>();

  constructor(ctx: NodeContext) {
    this.#ctx = ctx;
  }

  /**
   * @throws {ApiError} `peer_not_found`; `router_not_found` when the peer's home is elsewhere; `room_not_ready` when it has
   *   none; `store_unavailable`
   */
  async get(name: PeerName): Promise<Session> {
    const { mediaPeerId } = name;
    this.#ctx.registry.requireOpenPeer(mediaPeerId);
    let loading = this.#sessions.get(mediaPeerId);
    if (!loading) {
      loading = this.#read(mediaPeerId).then((found) => new Session(found));
      this.#sessions.set(mediaPeerId, loading);
      loading.catch(() => this.#forget(mediaPeerId, loading));
    }
    const session = await loading;
    this.#ctx.registry.requireOpenPeer(mediaPeerId);
    const { binding } = session;
    if (binding.roomId !== name.roomId || binding.peerId !== name.peerId)
      throw new ApiError('peer_not_found', `connection ${mediaPeerId} is not of that peer`);
    return session;
  }

  /** The session as the table has it now. Throws as {@link get} does. */
  async renew(name: PeerName): Promise<Session> {
    const known = this.#sessions.get(name.mediaPeerId);
    const session = await known?.catch(() => undefined);
    if (!session) return this.get(name);
    try {
      session.renew(await this.#read(name.mediaPeerId));
    } catch (error) {
      if (isApiError(error, 'router_not_found')) this.#forget(name.mediaPeerId, known);
      throw error;
    }
    return this.get(name);
  }

  /** The session if it is known here. */
  find(mediaPeerId: string): Promise<Session> | undefined {
    return this.#sessions.get(mediaPeerId);
  }

  get ids(): string[] {
    return [...this.#sessions.keys()];
  }

  close(mediaPeerId: string): void {
    const session = this.#sessions.get(mediaPeerId);
    this.#sessions.delete(mediaPeerId);
    session?.then(
      (live) => live.close(),
      () => undefined,
    );
  }

  /** Forgets, soon, the session of a peer that has moved away, when nothing of the peer is left here. */
  leaveBehind(mediaPeerId: string): void {
    if (!this.#sessions.has(mediaPeerId)) return;
    this.#ctx.background('sessions: leave behind', async () => {
      const { repository } = this.#ctx;
      this.forgetMoved(await repository.existingPeers([mediaPeerId]));
    });
  }

  /** @param peers what the table says of peers, by their connection */
  forgetMoved(peers: ReadonlyMap<string, PeerSides>): void {
    const { registry } = this.#ctx;
    for (const [mediaPeerId, { producer, consumer }] of peers) {
      const home = producer ?? consumer;
      const isElsewhere = home !== null && !registry.routers.has(home);
      if (isElsewhere && registry.transportsOf(mediaPeerId).length === 0)
        this.#sessions.delete(mediaPeerId);
    }
  }

  #forget(mediaPeerId: string, session: Promise<Session> | undefined): void {
    if (this.#sessions.get(mediaPeerId) === session) this.#sessions.delete(mediaPeerId);
  }

  async #read(mediaPeerId: string): Promise<Found> {
    const { repository, registry, self } = this.#ctx;
    const [binding, transports] = await Promise.all([
      repository.findPeer(mediaPeerId),
      repository.transportsOfPeer(mediaPeerId),
    ]);
    if (!binding) throw new ApiError('peer_not_found', `no connection ${mediaPeerId}`);
    const home = binding.producerRouter ?? binding.consumerRouter;
    if (!home) throw unbound('either side');
    if (home.node.instanceId !== self.instanceId)
      throw new ApiError('router_not_found', `router ${home.routerId} is on another node`);
    registry.router(home.routerId);
    return { binding, receiving: transports.filter(({ direction }) => direction === 'consumer') };
  }
}

const unbound = (side: string): ApiError =>
  new ApiError('room_not_ready', `the peer is bound to no router on ${side} at the moment`);

/**
 * The router that the peer publishes to.
 *
 * @throws {ApiError} `room_not_ready` when that side is bound to none; `router_not_found`
 */
export function producerRouterOf(ctx: NodeContext, { binding }: Session): LiveRouter {
  if (!binding.producerRouter) throw unbound('its publishing side');
  return ctx.registry.router(binding.producerRouter.routerId);
}

/** The router that the peer watches from. @throws {ApiError} `room_not_ready` when that side is bound to none */
function consumerRouterOf({ binding }: Session): RouterAddress {
  if (!binding.consumerRouter) throw unbound('its watching side');
  return binding.consumerRouter;
}

/** The nodes that the peer receives from, or will: two while its watching side moves. Never empty. */
export function receivingNodes(session: Session): NodeAddress[] {
  const byInstance = new Map(session.receiving.map(({ node }) => [node.instanceId, node]));
  return byInstance.size > 0 ? [...byInstance.values()] : [consumerRouterOf(session).node];
}

/**
 * Closes all that this node holds for a connection, and lets nothing new be made for it. Repeatable.
 */
export function closePeer(ctx: NodeContext, mediaPeerId: string): void {
  ctx.registry.markPeerClosed(mediaPeerId);
  ctx.sessions.close(mediaPeerId);
  for (const { transport } of ctx.registry.transportsOf(mediaPeerId)) transport.close();
}

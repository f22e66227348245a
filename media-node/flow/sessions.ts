import type { PeerBinding } from '../../common/db/repositories/media.ts';
import { ApiError } from '../../common/errors.ts';
import type { PeerRef } from '../../common/wire/media-node.ts';
import type { NodeContext } from '../context.ts';
import type { MediaNode } from '../nodes/nodes.ts';
import type { LiveRouter } from '../mediasoup/objects.ts';

/** How a peer's request names the peer. */
export interface PeerName {
  roomId: string;
  peerId: string;
  mediaPeerId: string;
}

/** One connection of a peer at its producer service. */
export class Session {
  readonly binding: PeerBinding;
  joined: boolean;
  /** Resolves once the others were told of the peer: before that, no client may hear of what it publishes. */
  readonly announced: Promise<void>;
  readonly markAnnounced: () => void;
  #closed = false;
  /** The browser transport that the peer's consumers are made on; it exists before the join. */
  receivingTransportId: string | undefined;

  constructor(binding: PeerBinding) {
    this.binding = binding;
    this.joined = binding.joined;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.announced = promise;
    this.markAnnounced = () => resolve(undefined);
    // One that had joined before this node knew of it was announced then.
    if (binding.joined) this.markAnnounced();
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

/** The connections whose producer service this node is, read from the table once and kept while they last. */
export class Sessions {
  readonly #ctx: NodeContext;
  readonly #sessions = new Map<string, Promise<Session>>();

  constructor(ctx: NodeContext) {
    this.#ctx = ctx;
  }

  /** @throws {ApiError} `peer_not_found`, `router_not_found` when the peer publishes elsewhere, `store_unavailable` */
  async get(name: PeerName): Promise<Session> {
    const { mediaPeerId } = name;
    this.#ctx.registry.requireOpenPeer(mediaPeerId);
    let loading = this.#sessions.get(mediaPeerId);
    if (!loading) {
      loading = this.#load(mediaPeerId);
      this.#sessions.set(mediaPeerId, loading);
      loading.catch(() => this.#sessions.delete(mediaPeerId));
    }
    const session = await loading;
    this.#ctx.registry.requireOpenPeer(mediaPeerId);
    const { binding } = session;
    if (binding.roomId !== name.roomId || binding.peerId !== name.peerId)
      throw new ApiError('peer_not_found', `connection ${mediaPeerId} is not of that peer`);
    return session;
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

  async #load(mediaPeerId: string): Promise<Session> {
    const binding = await this.#ctx.repository.findPeer(mediaPeerId);
    if (!binding) throw new ApiError('peer_not_found', `no connection ${mediaPeerId}`);
    const { routerId, node } = binding.producerRouter;
    if (node.instanceId !== this.#ctx.self.instanceId)
      throw new ApiError('router_not_found', `router ${routerId} is on another node`);
    this.#ctx.registry.router(routerId);
    return new Session(binding);
  }
}

/** The router that the peer publishes to. */
export const producerRouterOf = (ctx: NodeContext, { binding }: Session): LiveRouter =>
  ctx.registry.router(binding.producerRouter.routerId);

/** The node that the peer watches from. */
export const consumerNodeOf = (ctx: NodeContext, { binding }: Session): MediaNode =>
  ctx.nodes.at(binding.consumerRouter.node);

/**
 * Closes all that this node holds for a connection, and lets nothing new be made for it. Repeatable.
 */
export function closePeer(ctx: NodeContext, mediaPeerId: string): void {
  ctx.registry.markPeerClosed(mediaPeerId);
  ctx.sessions.close(mediaPeerId);
  for (const { transport } of ctx.registry.transportsOf(mediaPeerId)) transport.close();
}

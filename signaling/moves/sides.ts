import type { MediaNodeClient } from '../../common/clients/media-node.ts';
import type { PeersRepository, RouterLocation } from '../../common/db/repositories/peers.ts';
import { ApiError, isApiError } from '../../common/errors.ts';
import type { MediaRoom } from '../../common/resources/types.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { Direction, PeerMethod, PeerRequest, PeerResponse } from '../../common/wire/peer.ts';
import type { AnyResponse } from '../dialects/dialect.ts';
import { createKeyedQueue } from '../keyed-queue.ts';
import type { SignalingMetrics } from '../metrics.ts';
import { chooseAnew, type ChosenRouters } from '../peers/choose.ts';
import type { Placements } from '../placement/placements.ts';
import { bindingProblem, type SidePicture } from './problem.ts';

export const directions = ['producer', 'consumer'] as const satisfies Direction[];

export interface SidesDeps {
  nodes: Pick<MediaNodeClient, 'forward'>;
  peers: Pick<PeersRepository, 'rebind'>;
  placements: Pick<Placements, 'room'>;
  metrics: Pick<SignalingMetrics, 'forwardDuration'>;
  logger: Logger;
}

/** Whose sides they are, and as which of the session's owners this connection acts. */
export interface SidesOwner {
  mediaPeerId: string;
  peerId: string;
  roomName: string;
  ownerEpoch: number;
}

interface KnownTransport {
  direction: Direction;
  /** Undefined: it went with its router before this connection began. */
  router: RouterLocation | undefined;
}

/** What is known of a peer when its connection begins. */
export interface SidesStart {
  producer: RouterLocation | undefined;
  consumer: RouterLocation | undefined;
  /** Oldest first. */
  transports: { id: string; direction: Direction; router: RouterLocation }[];
}

interface Side {
  bound: RouterLocation | undefined;
  /** The transport that its client was given last. */
  transportId: string | undefined;
  /** Transports that a media node has reported as lost, or that are in no table. */
  lost: Set<string>;
  /** By the transport that was to be replaced: the one that was made in its place, of which the client may not know. */
  made: Map<string, string>;
}

const locationOf = ({ routerId, generation, instanceId, url }: RouterLocation): RouterLocation => ({
  routerId,
  generation,
  instanceId,
  url,
});

/** Answers that mean that there is nothing to close. */
const nothingThere = ['transport_not_found', 'peer_not_found', 'router_not_found'] as const;
const unreachable = ['node_unavailable', 'timed_out', 'instance_mismatch'] as const;

/**
 * Where the two sides of one peer are: the routers that it is bound to and its transports, which during a move are on
 * other routers. It brings the peer's requests to the media node that they are for, and binds a side anew.
 */
export class PeerSides {
  readonly #deps: SidesDeps;
  readonly #owner: SidesOwner;
  readonly #sides: Record<Direction, Side>;
  readonly #transports = new Map<string, KnownTransport>();
  /** Bindings change one after another. */
  readonly #queue = createKeyedQueue();
  /** The producer service does not know of the last binding yet. */
  #isStale = false;

  constructor(deps: SidesDeps, owner: SidesOwner, start: SidesStart) {
    this.#deps = deps;
    this.#owner = owner;
    const sideOf = (bound: RouterLocation | undefined): Side => ({
      bound: bound && locationOf(bound),
      transportId: undefined,
      lost: new Set(),
      made: new Map(),
    });
    this.#sides = { producer: sideOf(start.producer), consumer: sideOf(start.consumer) };
    for (const { id, direction, router } of start.transports) this.#add(id, direction, router);
  }

  /** Every node that may hold something of the peer. */
  get nodeUrls(): string[] {
    const bound = directions.flatMap((direction) => this.#sides[direction].bound ?? []);
    const used = [...this.#transports.values()].flatMap(({ router }) => router ?? []);
    return [...new Set([...bound, ...used].map(({ url }) => url))];
  }

  /** What decides whether a side has to move. */
  picture(direction: Direction): SidePicture {
    const { bound, transportId, lost } = this.#sides[direction];
    const known = transportId === undefined ? undefined : this.#transports.get(transportId);
    return {
      bound,
      transport:
        known && transportId !== undefined
          ? { router: known.router, lost: lost.has(transportId) }
          : undefined,
    };
  }

  /** The transport that the client has on this side. */
  transportOf(direction: Direction): string | undefined {
    return this.#sides[direction].transportId;
  }

  hasTransport(transportId: string): boolean {
    return this.#transports.has(transportId);
  }

  /** A media node has lost this transport. */
  markLost(direction: Direction, transportId: string): void {
    if (this.#transports.has(transportId)) this.#sides[direction].lost.add(transportId);
  }

  /**
   * What the client says it has, after it came back: a transport of which no table knows is lost, and one that it does
   * not name was made without its knowing.
   */
  restore(named: Partial<Record<Direction, string | undefined>>): void {
    for (const direction of directions) {
      const side = this.#sides[direction];
      const newest = side.transportId;
      const has = named[direction];
      side.transportId = has;
      if (has === undefined || has === newest) continue;
      if (newest !== undefined) side.made.set(has, newest);
      if (this.#transports.has(has)) continue;
      side.lost.add(has);
      this.#transports.set(has, { direction, router: side.bound });
    }
  }

  /**
   * Asks the media node that a request is for, which is the producer service but for what names an earlier transport.
   *
   * @throws {ApiError} the node's; `router_not_found` while the producing side is bound to nothing
   */
  async forward<M extends PeerMethod>(method: M, data: object): Promise<PeerResponse<M>> {
    try {
      return await this.#ask(this.#urlFor(data), method, data);
    } catch (error) {
      // The producer may be one that its client has not replaced yet.
      const former = isApiError(error, 'producer_not_found') ? this.#formerProducerUrls() : [];
      for (const url of former) {
        const answer = await this.#ask(url, method, data).catch(() => undefined);
        if (answer) return answer;
      }
      throw error;
    }
  }

  /**
   * Makes a transport. In the place of another one where `replaces` names it: the side, if it can't stay where it is, is
   * bound to another router first, and so is the other side if it is lost. Repeatable: what an earlier call has made for
   * the same transport is closed, unless it is given again.
   *
   * @throws {ApiError} `room_not_ready` when no router takes the peer
   */
  createTransport(
    request: PeerRequest<'createWebRtcTransport'>,
    replaces?: string,
  ): Promise<PeerResponse<'createWebRtcTransport'>> {
    if (replaces === undefined) return this.#create(request);
    return this.#queue.run('sides', async () => {
      await this.#ensure(request.direction);
      const answer = await this.#create(request);
      const { made } = this.#sides[request.direction];
      const unused = made.get(replaces);
      made.set(replaces, answer.transportId);
      if (unused !== undefined && unused !== answer.transportId) this.#closeUnused(unused);
      return answer;
    });
  }

  async #create(
    request: PeerRequest<'createWebRtcTransport'>,
  ): Promise<PeerResponse<'createWebRtcTransport'>> {
    const answer = await this.forward('createWebRtcTransport', request);
    const { bound } = this.#sides[request.direction];
    if (bound) this.#add(answer.transportId, request.direction, bound);
    return answer;
  }

  /** Closes a transport wherever it is; one that is gone, or whose node is, is closed. */
  async closeTransport(transportId: string): Promise<void> {
    const known = this.#transports.get(transportId);
    try {
      await this.#ask(known?.router?.url ?? this.#producerUrl(), 'closeTransport', { transportId });
    } catch (error) {
      const gone =
        isApiError(error, ...nothingThere) ||
        (isApiError(error, ...unreachable) && this.#isLost(known));
      if (!gone) throw error;
    }
    this.#transports.delete(transportId);
    for (const direction of directions) {
      const side = this.#sides[direction];
      side.lost.delete(transportId);
      side.made.delete(transportId);
      if (side.transportId === transportId) side.transportId = undefined;
    }
  }

  /** Binds a side anew if it can't stay, and the other one if it is lost, and has the producer service know of it. */
  settle(direction: Direction): Promise<void> {
    return this.#queue.run('sides', () => this.#ensure(direction));
  }

  /** The same for what is lost alone. */
  settleLost(): Promise<void> {
    return this.#queue.run('sides', () => this.#ensure(undefined));
  }

  /** The side that a transport of the peer is of. */
  directionOf(transportId: string): Direction | undefined {
    return this.#transports.get(transportId)?.direction;
  }

  /** Asks something harmless of the node that a side is on, by way of the producer service. @throws what it says */
  async probe(direction: Direction): Promise<void> {
    const { transportId } = this.#sides[direction];
    if (transportId === undefined) await this.forward('getRouterRtpCapabilities', {});
    else await this.forward('getTransportStats', { transportId });
  }

  async #ensure(direction: Direction | undefined): Promise<void> {
    const room = this.#room();
    const moving = directions.filter((side) => {
      const problem = bindingProblem(this.picture(side), room);
      return problem !== undefined && (side === direction || problem.lost);
    });
    if (moving.length > 0) await this.#bind(room, moving);
    if (!this.#isStale) return;
    await this.forward('rebind', {});
    this.#isStale = false;
  }

  async #bind(room: MediaRoom, moving: Direction[]): Promise<void> {
    const { mediaPeerId: id, roomName: roomId, ownerEpoch } = this.#owner;
    const staying = directions.find((side) => !moving.includes(side));
    const kept = staying && this.#sides[staying].bound?.routerId;
    let chosen: Partial<ChosenRouters> = {};
    const isOurs = await this.#deps.peers.rebind({
      id,
      ownerEpoch,
      roomId,
      choose: (counts) => {
        chosen = chooseAnew(room, counts, moving, kept);
        return {
          ...(chosen.producer && { producerRouterId: chosen.producer.routerId }),
          ...(chosen.consumer && { consumerRouterId: chosen.consumer.routerId }),
        };
      },
    });
    if (!isOurs) throw new ApiError('peer_not_found', 'the session is over, or goes on elsewhere');
    for (const side of moving) {
      const placement = chosen[side];
      if (placement) this.#sides[side].bound = locationOf(placement);
      this.#deps.logger.info({ side, router: placement?.routerId }, 'bound anew');
    }
    this.#isStale = true;
  }

  #room(): MediaRoom {
    const room = this.#deps.placements.room(this.#owner.roomName);
    if (!room) throw new ApiError('room_not_ready', 'the room is not known now');
    return room;
  }

  #add(id: string, direction: Direction, router: RouterLocation): void {
    this.#transports.set(id, { direction, router });
    this.#sides[direction].transportId = id;
  }

  #closeUnused(transportId: string): void {
    this.closeTransport(transportId).catch((error: unknown) =>
      this.#deps.logger.info({ err: error, transportId }, 'an unused transport was not closed'),
    );
  }

  /** Whether the operator says that the node of a transport is gone. */
  #isLost(transport: KnownTransport | undefined): boolean {
    const room = this.#deps.placements.room(this.#owner.roomName);
    if (!room || !transport?.router) return true;
    return bindingProblem({ bound: transport.router, transport: undefined }, room)?.lost === true;
  }

  #producerUrl(): string {
    const { bound } = this.#sides.producer;
    if (!bound) throw new ApiError('router_not_found', 'the peer’s producing side is lost');
    return bound.url;
  }

  #urlFor(data: object): string {
    const { transportId } = data as { transportId?: string };
    const known = transportId === undefined ? undefined : this.#transports.get(transportId);
    const own = known?.direction === 'producer' ? known.router?.url : undefined;
    return own ?? this.#producerUrl();
  }

  #formerProducerUrls(): string[] {
    const present = this.#sides.producer.bound?.url;
    const urls = [...this.#transports.values()]
      .filter(({ direction }) => direction === 'producer')
      .flatMap(({ router }) => router?.url ?? []);
    return [...new Set(urls)].filter((url) => url !== present);
  }

  async #ask<M extends PeerMethod>(url: string, method: M, data: object): Promise<PeerResponse<M>> {
    const { roomName: roomId, peerId, mediaPeerId } = this.#owner;
    const end = this.#deps.metrics.forwardDuration.startTimer({ method });
    try {
      // `data` was checked against this method's schema.
      const answer: AnyResponse = await this.#deps.nodes.forward(
        url,
        { roomId, peerId, mediaPeerId },
        method,
        data as never,
      );
      end({ code: 'ok' });
      return answer as PeerResponse<M>;
    } catch (error) {
      end({ code: isApiError(error) ? error.code : 'internal' });
      throw error;
    }
  }
}

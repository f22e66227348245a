import { randomUUID } from 'node:crypto';

import { ApiError, isApiError } from '../../common/errors.ts';
import { withRequestId, type Logger } from '../../common/service/logger.ts';
import { toApiError } from '../../common/service/http.ts';
import { parseOrThrow } from '../../common/validate.ts';
import {
  peerMethods,
  type PeerMessage,
  type PeerMethod,
  type PeerRequest,
  type PeerResponse,
} from '../../common/wire/peer.ts';
import { knownClientMethods, toModel } from '../dialects/client-messages.ts';
import { detect, dialectOf, undetected } from '../dialects/detect.ts';
import type { AnyResponse, DialectName } from '../dialects/dialect.ts';
import { createConsumerFilter } from '../fanout/consumer-filter.ts';
import { createResumer } from '../fanout/resumer.ts';
import { createKeyedQueue } from '../keyed-queue.ts';
import { bindPeer } from '../peers/bind.ts';
import type { ChosenRouters } from '../peers/choose.ts';
import type { LocalPeer } from '../peers/registry.ts';
import { toPublicError } from '../public-error.ts';
import type { Services } from '../services.ts';
import { closeCodes } from './close-codes.ts';
import type { NotificationFrame, RequestFrame } from './frames.ts';
import type { Admission } from './handshake.ts';
import { mediasoupVersion } from './mediasoup-version.ts';
import { PeerSocket, type Answer, type ClientConnection } from './peer-socket.ts';
import { consumersKey, queueKeyOf } from './request-order.ts';
import { requireGrant, withoutReceiving } from './grants.ts';

/** Answers of the producer service that mean that this connection is of no use any more; a new one gets new routers. */
const fatalCodes = ['peer_not_found', 'router_not_found', 'instance_mismatch'] as const;

/**
 * One connection of a peer: it is bound to its routers, its requests go to its producer service, and the platform's
 * messages come out in its dialect. *connected*: no join asked yet; *joining*: asked and not answered.
 */
export class Session implements LocalPeer {
  readonly mediaPeerId: string = randomUUID();
  readonly roomName: string;
  readonly peerId: string;
  readonly ended: Promise<void>;
  readonly #services: Services;
  readonly #admission: Admission;
  readonly #logger: Logger;
  readonly #socket: PeerSocket;
  readonly #queue = createKeyedQueue();
  readonly #consumers;
  readonly #resumer;
  readonly #joinTimer: NodeJS.Timeout;
  readonly #bound: Promise<ChosenRouters>;
  #routers: ChosenRouters | undefined;
  #detection = undetected;
  #state: 'connected' | 'joining' | 'joined' = 'connected';
  #held: PeerMessage[] = [];
  #countedAs: DialectName | undefined;
  #resolveEnded: () => void = () => undefined;

  constructor(services: Services, client: ClientConnection, admission: Admission) {
    const { config, metrics, logger } = services;
    this.#services = services;
    this.#admission = admission;
    this.roomName = admission.room.metadata.name;
    this.peerId = admission.peerId;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.#logger = logger.child({
      room: this.roomName,
      peerId: this.peerId,
      mediaPeerId: this.mediaPeerId,
    });
    this.#consumers = createConsumerFilter(config.fanout.tombstones);
    this.#resumer = createResumer({
      resume: (consumerIds) => this.#forward('resumeConsumers', { consumerIds }, consumersKey),
      retryMs: config.fanout.resumeRetryMs,
      logger: this.#logger,
    });
    this.#socket = new PeerSocket(
      { ...client, config, metrics, logger: this.#logger },
      {
        request: (frame) => this.#request(frame),
        notification: (frame) => void this.#notification(frame),
        closed: (code) => void this.#end(code),
      },
    );
    this.#joinTimer = setTimeout(
      () => this.close(closeCodes.joinTimeout, 'no join in time'),
      config.websocket.joinTimeoutMs,
    );
    services.registry.add(this);
    metrics.connections.inc();
    this.#socket.push({
      kind: 'notification',
      method: 'mediasoupVersion',
      data: { version: mediasoupVersion },
    });
    this.#bound = this.#bind();
    // Whoever waits for it gets the error; the socket is closed whether or not anybody does.
    this.#bound.catch(() => undefined);
  }

  get inRoom(): boolean {
    return this.#state !== 'connected';
  }

  get routers(): ChosenRouters | undefined {
    return this.#routers;
  }

  close(code: number, reason: string): void {
    this.#logger.info({ code, reason }, 'closing the connection');
    this.#socket.close(code, reason);
  }

  /** Brings a message to the client, after the answer to its join. */
  deliver(message: PeerMessage): void {
    if (this.#state === 'joined') {
      this.#send(message);
      return;
    }
    this.#held.push(message);
    if (this.#held.length > this.#services.config.websocket.maxQueued)
      this.close(closeCodes.tryAgainLater, 'too many messages wait for the join');
  }

  async #bind(): Promise<ChosenRouters> {
    const { room, peerId, grants, remoteAddress } = this.#admission;
    try {
      this.#routers = await bindPeer(this.#services, room, {
        id: this.mediaPeerId,
        peerId,
        kind: 'WebSocket',
        remoteAddress,
        grants,
      });
      return this.#routers;
    } catch (error) {
      const apiError = toPublicError(toApiError(error, this.#logger), this.#logger);
      this.close(closeCodes.notBound, `${apiError.code}: ${apiError.message}`);
      throw apiError;
    }
  }

  async #request(frame: RequestFrame): Promise<Answer> {
    const { metrics } = this.#services;
    const method = knownClientMethods.has(frame.method) ? frame.method : 'other';
    metrics.messages.inc({ direction: 'in', kind: 'request', method });
    const end = metrics.requestDuration.startTimer({ method });
    return withRequestId(randomUUID(), async () => {
      try {
        const answer = await this.#handle(frame.method, frame.data);
        end({ code: 'ok' });
        return answer;
      } catch (error) {
        const apiError = toPublicError(toApiError(error, this.#logger), this.#logger);
        end({ code: apiError.code });
        metrics.errors.inc({ code: apiError.code });
        this.#logger.info({ method, code: apiError.code }, apiError.message);
        throw apiError;
      }
    });
  }

  async #notification({ method, data }: NotificationFrame): Promise<void> {
    const { metrics } = this.#services;
    const known = knownClientMethods.has(method);
    const label = known ? method : 'other';
    metrics.messages.inc({ direction: 'in', kind: 'notification', method: label });
    if (!known) {
      metrics.unknownNotifications.inc();
      return;
    }
    await withRequestId(randomUUID(), async () => {
      try {
        (await this.#handle(method, data)).sent?.();
      } catch (error) {
        const { code, message } = toApiError(error, this.#logger);
        this.#logger.info({ method, code }, message);
      }
    });
  }

  async #handle(method: string, data: unknown): Promise<Answer> {
    this.#detection = detect(this.#detection, method, data);
    const model = toModel(method, data);
    if (!model) throw new UnknownMethodError(method);
    if (model.kind === 'answer') return { data: model.data };
    const request = parseOrThrow(peerMethods[model.method].request, model.data, method);
    requireGrant(this.#admission.grants, model.method);
    if (model.method === 'join') return this.#join(request as PeerRequest<'join'>);
    if (model.method === 'pauseConsumers')
      this.#resumer.drop((request as PeerRequest<'pauseConsumers'>).consumerIds);
    const response = await this.#forward(model.method, request, queueKeyOf(model.method, request));
    return { data: dialectOf(this.#detection).answer(model.method, response) };
  }

  async #join(request: PeerRequest<'join'>): Promise<Answer> {
    if (this.#state !== 'connected')
      throw new ApiError('already_joined', 'this connection has joined already');
    const { metrics } = this.#services;
    const end = metrics.joinDuration.startTimer();
    const begun = Date.now();
    this.#state = 'joining';
    try {
      const data = withoutReceiving(this.#admission.grants, request);
      const response = (await this.#forward('join', data, 'join')) as PeerResponse<'join'>;
      const dialect = dialectOf(this.#detection);
      const present = new Set(response.peers.map(({ peerId }) => peerId));
      this.#logger.info({ ms: Date.now() - begun, others: present.size }, 'join answered');
      return {
        data: dialect.answer('join', response),
        sent: () => {
          end();
          this.#joined(present);
        },
      };
    } catch (error) {
      this.#joinFailed(error);
      throw error;
    }
  }

  /**
   * Whether a join happened whose answer was lost nobody knows, so the connection ends as one that has joined. After a
   * refusal the client may ask again.
   */
  #joinFailed(error: unknown): void {
    if (isApiError(error) && error.retryable) {
      // The error goes out first.
      setImmediate(() => this.close(closeCodes.moved, `join: ${error.code}`));
      return;
    }
    this.#state = 'connected';
    this.#held = [];
  }

  /** Sends what came while the join was under way; a peer that the answer named is not announced again. */
  #joined(present: Set<string>): void {
    clearTimeout(this.#joinTimer);
    if (!this.#socket.open) return;
    this.#state = 'joined';
    this.#countedAs = dialectOf(this.#detection).name;
    this.#services.metrics.peers.inc({ dialect: this.#countedAs });
    const held = this.#held;
    this.#held = [];
    for (const message of held) {
      if (message.method === 'newPeer' && present.has(message.data.peer.peerId)) continue;
      if (message.method === 'peerClosed') present.delete(message.data.peerId);
      this.#send(message);
    }
  }

  async #forward(method: PeerMethod, data: object, key: string | undefined): Promise<AnyResponse> {
    const { producer } = await this.#bound;
    return this.#queue.run(key, async () => {
      if (!this.#socket.open) throw new ApiError('peer_not_found', 'the connection is closed');
      const { nodes, metrics } = this.#services;
      const end = metrics.forwardDuration.startTimer({ method });
      const to = { roomId: this.roomName, peerId: this.peerId, mediaPeerId: this.mediaPeerId };
      try {
        // `data` was checked against this method's schema.
        const response = await nodes.forward(producer.url, to, method, data);
        end({ code: 'ok' });
        return response;
      } catch (error) {
        end({ code: isApiError(error) ? error.code : 'internal' });
        if (isApiError(error, ...fatalCodes))
          this.close(closeCodes.moved, `the media node says ${error.code}`);
        throw error;
      }
    });
  }

  #send(message: PeerMessage): void {
    const admitted = this.#consumers.admit(message);
    const worded = admitted && dialectOf(this.#detection).message(admitted);
    if (!worded) return;
    if (admitted.method === 'newConsumer') {
      const { consumerId } = admitted.data;
      this.#socket.push(worded, (ok) => ok && this.#resumer.add(consumerId));
    } else this.#socket.push(worded);
  }

  async #end(code: number): Promise<void> {
    const { registry, metrics, leaver, dispatcher } = this.#services;
    clearTimeout(this.#joinTimer);
    this.#resumer.close();
    this.#held = [];
    registry.remove(this);
    if (registry.inRoom(this.roomName).length === 0) dispatcher.forgetRoom(this.roomName);
    metrics.connections.dec();
    metrics.closes.inc({ code: String(code) });
    if (this.#countedAs) metrics.peers.dec({ dialect: this.#countedAs });
    this.#logger.info({ code }, 'connection closed');
    const routers = await this.#bound.catch(() => undefined);
    if (routers)
      await leaver.leave({
        mediaPeerId: this.mediaPeerId,
        roomName: this.roomName,
        peerId: this.peerId,
        joined: this.inRoom,
        nodeUrls: [routers.producer.url, routers.consumer.url],
      });
    this.#resolveEnded();
  }
}

/** The protocol answers a method that does not exist with 500. */
class UnknownMethodError extends ApiError {
  constructor(method: string) {
    super('unsupported_method', `unknown method "${method}"`);
  }

  override get status(): number {
    return 500;
  }
}

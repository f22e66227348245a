import { randomUUID } from 'node:crypto';

import { ApiError, isApiError } from '../../common/errors.ts';
import { toApiError } from '../../common/service/http.ts';
import { withRequestId, type Logger } from '../../common/service/logger.ts';
import { parseOrThrow } from '../../common/validate.ts';
import {
  peerMethods,
  replacedTransport,
  sessionMethods,
  type Direction,
  type PeerMethod,
  type PeerRequest,
  type PeerResponse,
  type SessionRequest,
  type SessionResponse,
} from '../../common/wire/peer.ts';
import { knownClientMethods, toModel } from '../dialects/client-messages.ts';
import { detect, dialectOf, undetected } from '../dialects/detect.ts';
import type { AnyResponse, Dialect, ModelRequest } from '../dialects/dialect.ts';
import { createKeyedQueue } from '../keyed-queue.ts';
import type { PeerSides } from '../moves/sides.ts';
import { fatalCodes, isSuspicious } from '../moves/suspicions.ts';
import { hasJoined, type LocalPeer } from '../peers/registry.ts';
import { toPublicError } from '../public-error.ts';
import type { Services } from '../services.ts';
import { closeCodes } from './close-codes.ts';
import type { NotificationFrame, RequestFrame } from './frames.ts';
import { requireGrant, withoutReceiving } from './grants.ts';
import type { Admission } from './handshake.ts';
import type { Answer } from './peer-socket.ts';
import { queueKeyOf, sideOf } from './request-order.ts';

/** What a client has and what lives: the answer of `resumePeer`, with what the client said. */
export interface Truth {
  had: SessionRequest<'resumeSession'>;
  alive: PeerResponse<'resumePeer'>;
}

/** The connection whose requests these are. */
export interface RequestHost extends LocalPeer {
  stage: LocalPeer['stage'];
  readonly admission: Pick<Admission, 'grants' | 'extensions'>;
  readonly logger: Logger;
  readonly isOpen: boolean;
  /** Its sides, once it is bound or has taken its session over. Rejects when that failed. */
  readonly attached: Promise<PeerSides>;
  /** The join was refused: it may be asked for again. */
  joinFailed: () => void;
  /** The answer to the join is out; it named these. */
  joined: (present: Iterable<string>) => void;
  /** The answer to `resumeSession` is out. */
  resumed: (truth: Truth) => void;
  /** The client wants to end the session: it is over when this resolves. */
  leave: () => Promise<void>;
  /** The client pauses these itself. */
  paused: (consumerIds: string[]) => void;
}

type Model<K extends ModelRequest['kind']> = Extract<ModelRequest, { kind: K }>;

/** What one client asks: checked, brought to the media node that it is for or answered here, and worded in its dialect. */
export class ClientRequests {
  readonly #services: Services;
  readonly #host: RequestHost;
  readonly #queue = createKeyedQueue();
  #detection = undetected;

  constructor(services: Services, host: RequestHost) {
    this.#services = services;
    this.#host = host;
  }

  /** How the client words the protocol, as far as is known. */
  get dialect(): Dialect {
    return dialectOf(this.#detection);
  }

  async request(frame: RequestFrame): Promise<Answer> {
    const { metrics } = this.#services;
    const { logger } = this.#host;
    const method = knownClientMethods.has(frame.method) ? frame.method : 'other';
    metrics.messages.inc({ direction: 'in', kind: 'request', method });
    const end = metrics.requestDuration.startTimer({ method });
    return withRequestId(randomUUID(), async () => {
      try {
        const answer = await this.#handle(frame.method, frame.data);
        end({ code: 'ok' });
        return answer;
      } catch (error) {
        const apiError = toPublicError(toApiError(error, logger), logger);
        end({ code: apiError.code });
        metrics.errors.inc({ code: apiError.code });
        logger.info({ method, code: apiError.code }, apiError.message);
        throw apiError;
      }
    });
  }

  async notification({ method, data }: NotificationFrame): Promise<void> {
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
        const { code, message } = toApiError(error, this.#host.logger);
        this.#host.logger.info({ method, code }, message);
      }
    });
  }

  /** Asks a media node in the order of the requests with the same key. */
  async forward<M extends PeerMethod>(
    method: M,
    data: object,
    key: string | undefined,
  ): Promise<PeerResponse<M>> {
    return this.#inOrder(key, { method, data }, (sides) => sides.forward(method, data));
  }

  async #handle(method: string, data: unknown): Promise<Answer> {
    this.#detection = detect(this.#detection, method, data);
    const model = toModel(method, data, this.#host.admission.extensions);
    if (!model) throw new UnknownMethodError(method);
    switch (model.kind) {
      case 'answer':
        return { data: model.data };
      case 'session':
        return this.#ofSession(model);
      case 'forward':
        return this.#forwarded(model);
    }
  }

  async #forwarded({ method, data, replaces }: Model<'forward'>): Promise<Answer> {
    const { admission } = this.#host;
    const request = parseOrThrow(peerMethods[method].request, data, method);
    requireGrant(admission.grants, method);
    if (method === 'join') return this.#join(request as PeerRequest<'join'>);
    if (method === 'pauseConsumers')
      this.#host.paused((request as PeerRequest<'pauseConsumers'>).consumerIds);
    const response =
      method === 'createWebRtcTransport'
        ? await this.#createTransport(request as PeerRequest<typeof method>, replaces)
        : await this.forward(method, request, queueKeyOf(method, request));
    return { data: this.dialect.answer(method, response) };
  }

  async #createTransport(
    request: PeerRequest<'createWebRtcTransport'>,
    replaces: unknown,
  ): Promise<AnyResponse> {
    const named = parseOrThrow(replacedTransport, { replaces }, 'createWebRtcTransport');
    // Moves of the two sides go by themselves: one must not wait for a node that the other has left.
    const key =
      named.replaces === undefined ? 'createWebRtcTransport' : `move ${request.direction}`;
    const call = { method: 'createWebRtcTransport' as const, data: request };
    const made = await this.#inOrder(key, call, (sides) =>
      sides.createTransport(request, named.replaces),
    );
    this.#services.mover.consider(this.#host);
    return made;
  }

  #ofSession({ method, data }: Model<'session'>): Promise<Answer> {
    switch (method) {
      case 'leave':
        return this.#host.leave().then(() => ({ data: {} }));
      case 'resumeSession':
        return this.#resume(parseOrThrow(sessionMethods.resumeSession.request, data, method));
      case 'closeTransport':
        return this.#closeTransport(
          parseOrThrow(peerMethods.closeTransport.request, data, method).transportId,
        );
    }
  }

  async #closeTransport(transportId: string): Promise<Answer> {
    const call = { method: 'closeTransport' as const, data: { transportId } };
    await this.#inOrder(transportId, call, (sides) => sides.closeTransport(transportId));
    this.#services.mover.consider(this.#host);
    return { data: {} };
  }

  async #join(request: PeerRequest<'join'>): Promise<Answer> {
    const host = this.#host;
    if (host.stage !== 'connected')
      throw new ApiError('already_joined', 'this connection has joined already');
    const end = this.#services.metrics.joinDuration.startTimer();
    const begun = Date.now();
    host.stage = 'joining';
    try {
      const data = withoutReceiving(host.admission.grants, request);
      const response = await this.forward('join', data, 'join');
      const present = response.peers.map(({ peerId }) => peerId);
      host.logger.info({ ms: Date.now() - begun, others: present.length }, 'join answered');
      return {
        data: this.dialect.answer('join', response),
        sent: () => {
          end();
          host.joined(present);
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
    if (isApiError(error) && error.retryable)
      // The error goes out first.
      setImmediate(() => this.#host.close(closeCodes.moved, `join: ${error.code}`));
    else this.#host.joinFailed();
  }

  /** Repeatable until it succeeds. A side that was lost meanwhile is bound anew first, for who else could tell? */
  async #resume(had: SessionRequest<'resumeSession'>): Promise<Answer> {
    const host = this.#host;
    if (host.stage !== 'resuming')
      throw new ApiError('already_joined', 'this connection has nothing to resume');
    const { consumerIds, dataConsumerIds, transportIds } = had;
    const ids = { consumerIds, dataConsumerIds };
    const call = { method: 'resumePeer' as const, data: ids };
    const alive = await this.#inOrder('resume', call, async (sides) => {
      if (transportIds) sides.restore(transportIds);
      await sides.settleLost();
      return sides.forward('resumePeer', ids);
    });
    const data: SessionResponse<'resumeSession'> = {
      peers: alive.peers,
      transportIds: alive.transportIds,
      producerIds: alive.producerIds,
      dataProducerIds: alive.dataProducerIds,
      consumerIds: alive.consumerIds,
      dataConsumerIds: alive.dataConsumerIds,
    };
    return { data, sent: () => host.resumed({ had, alive }) };
  }

  async #inOrder<T>(
    key: string | undefined,
    call: { method: PeerMethod; data: object },
    work: (sides: PeerSides) => Promise<T>,
  ): Promise<T> {
    const sides = await this.#host.attached;
    return this.#queue.run(key, async () => {
      if (!this.#host.isOpen) throw new ApiError('peer_not_found', 'the connection is closed');
      try {
        return await work(sides);
      } catch (error) {
        throw await this.#failed(error, call);
      }
    });
  }

  /** What a media node's failure means for the connection. @returns what the client is told */
  async #failed(
    error: unknown,
    { method, data }: { method: PeerMethod; data: object },
  ): Promise<unknown> {
    const host = this.#host;
    const isFatal = isApiError(error, ...fatalCodes);
    if (!host.movable || !hasJoined(host)) {
      if (isFatal) host.close(closeCodes.moved, `the media node says ${error.code}`);
      return error;
    }
    if (!isSuspicious(error)) return error;
    const { suspicions } = this.#services;
    if (isApiError(error, 'peer_not_found') && (await suspicions.closeIfOver(host))) return error;
    suspicions.raise(host, this.#sideOf(error, method, data));
    if (!isFatal) return error;
    return new ApiError('node_unavailable', `the media node says ${error.code}`, { cause: error });
  }

  /** Which side a failed request casts doubt on. */
  #sideOf(error: unknown, method: PeerMethod, data: object): Direction {
    if (isUnreached(error)) return 'producer';
    const { transportId } = data as { transportId?: string };
    const side = transportId === undefined ? undefined : this.#host.sides?.directionOf(transportId);
    return side ?? sideOf(method, data);
  }
}

/** Whether the media node that was asked gave no answer at all: what it says itself has no cause here. */
const isUnreached = (error: unknown): boolean => isApiError(error) && error.cause !== undefined;

/** The protocol answers a method that does not exist with 500. */
class UnknownMethodError extends ApiError {
  constructor(method: string) {
    super('unsupported_method', `unknown method "${method}"`);
  }

  override get status(): number {
    return 500;
  }
}

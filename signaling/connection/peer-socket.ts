import type { Writable } from 'node:stream';

import type { RawData, WebSocket } from 'ws';

import { ApiError } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { SignalingConfig } from '../config.ts';
import type { ClientMessage } from '../dialects/dialect.ts';
import type { SignalingMetrics } from '../metrics.ts';
import { closeCodes, closeReason } from './close-codes.ts';
import {
  formatAnswer,
  formatError,
  formatNotification,
  formatRequest,
  parseFrame,
  type Frame,
  type NotificationFrame,
  type RequestFrame,
  type ResponseFrame,
} from './frames.ts';
import { createTokenBucket } from './token-bucket.ts';

/** What a request is answered with. `sent` runs when the answer's frame went out, before anything else is sent. */
export interface Answer {
  data: unknown;
  sent?: () => void;
}

export interface SocketHandlers {
  /** Rejects with an {@link ApiError} only. */
  request: (frame: RequestFrame) => Promise<Answer>;
  notification: (frame: NotificationFrame) => void;
  closed: (code: number) => void;
}

/** A client's WebSocket and the TCP or TLS stream below it. */
export interface ClientConnection {
  socket: WebSocket;
  stream: Pick<Writable, 'cork' | 'uncork'>;
}

export interface PeerSocketOptions extends ClientConnection {
  config: Pick<SignalingConfig, 'websocket' | 'limits'>;
  metrics: SignalingMetrics;
  logger: Logger;
}

interface Outgoing {
  message: ClientMessage;
  answered: ((ok: boolean) => void) | undefined;
}

interface Unanswered {
  timer: NodeJS.Timeout;
  method: string;
  answered: ((ok: boolean) => void) | undefined;
}

/**
 * One client's WebSocket as a channel of requests, answers and notifications. It keeps the order of what is sent, bounds
 * what waits in either direction, and counts refusals; a client that goes over a bound for good is closed.
 */
export class PeerSocket {
  readonly #options: PeerSocketOptions;
  readonly #handlers: SocketHandlers;
  readonly #bucket;
  readonly #queue: Outgoing[] = [];
  readonly #unanswered = new Map<number, Unanswered>();
  readonly #pingTimer: NodeJS.Timeout;
  #closeTimer: NodeJS.Timeout | undefined;
  #nextId = 1;
  #pending = 0;
  #refusals = 0;
  #missedPings = 0;
  #closing = false;
  #gathering = false;

  constructor(options: PeerSocketOptions, handlers: SocketHandlers) {
    const { socket, config } = options;
    this.#options = options;
    this.#handlers = handlers;
    this.#bucket = createTokenBucket({
      perSecond: config.limits.messagesPerSecond,
      burst: config.limits.messageBurst,
    });
    this.#pingTimer = setInterval(() => this.#ping(), config.websocket.pingIntervalMs);
    socket.on('message', (data, isBinary) => this.#received(data, isBinary));
    socket.on('pong', () => (this.#missedPings = 0));
    socket.on('error', (error) => options.logger.debug({ err: error }, 'socket error'));
    socket.once('close', (code) => this.#closed(code));
  }

  get open(): boolean {
    return !this.#closing;
  }

  /** Sends in order; `answered` is called once for a request, with false when no good answer came. */
  push(message: ClientMessage, answered?: (ok: boolean) => void): void {
    if (this.#closing) return;
    this.#queue.push({ message, answered });
    this.#drain();
    if (this.#queue.length > this.#options.config.websocket.maxQueued)
      this.close(closeCodes.tryAgainLater, 'too many messages wait for this client');
  }

  /** Starts the closing handshake; a client that does not answer it is cut off. Repeatable. */
  close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    const { socket, config, logger } = this.#options;
    logger.debug({ code, reason }, 'closing the socket');
    socket.close(code, closeReason(reason));
    this.#closeTimer = setTimeout(() => socket.terminate(), config.websocket.closeTimeoutMs);
  }

  #ping(): void {
    const { socket, config } = this.#options;
    // The client is gone, and a closing handshake would wait for nobody.
    if (this.#missedPings >= config.websocket.missedPings) {
      socket.terminate();
      return;
    }
    this.#missedPings += 1;
    if (socket.readyState === socket.OPEN) socket.ping();
  }

  #closed(code: number): void {
    this.#closing = true;
    clearInterval(this.#pingTimer);
    clearTimeout(this.#closeTimer);
    this.#queue.length = 0;
    for (const { timer, answered } of this.#unanswered.values()) {
      clearTimeout(timer);
      answered?.(false);
    }
    this.#unanswered.clear();
    this.#handlers.closed(code);
  }

  #received(data: RawData, isBinary: boolean): void {
    if (this.#closing) return;
    if (isBinary) {
      this.close(closeCodes.unsupportedData, 'binary frames are not part of the protocol');
      return;
    }
    // With the library's default binary type a text frame is one Buffer.
    const frame = parseFrame((data as Buffer).toString());
    // Answers that were asked for are bounded by the requests; all else is by the rate.
    if (frame.type === 'response' && this.#unanswered.has(frame.id)) this.#settle(frame);
    else if (!this.#bucket.take()) this.#refuse(frame, rateLimited());
    else this.#accept(frame);
  }

  #accept(frame: Frame): void {
    const { metrics } = this.#options;
    if (frame.type === 'malformed') {
      metrics.malformedFrames.inc();
      this.#refuse(frame, new ApiError('invalid_request', frame.reason));
      return;
    }
    // An answer that came too late, or that nobody asked for.
    if (frame.type === 'response') return;
    this.#refusals = Math.max(0, this.#refusals - 1);
    if (frame.type === 'notification') this.#handlers.notification(frame);
    else if (this.#pending >= this.#options.config.limits.pendingRequests)
      this.#refuse(frame, new ApiError('rate_limited', 'too many requests wait for their answers'));
    else void this.#answer(frame);
  }

  #refuse(frame: Frame, error: ApiError): void {
    const { metrics, config, logger } = this.#options;
    if (error.code === 'rate_limited') metrics.refusals.inc({ limit: 'messages' });
    logger.debug({ type: frame.type, reason: error.message }, 'message refused');
    const answerable = frame.type === 'request' || frame.type === 'malformed';
    if (answerable && frame.id !== undefined) this.#send(formatError(frame.id, error));
    this.#refusals += 1;
    if (this.#refusals > config.limits.refusalsBeforeClose)
      this.close(closeCodes.policyViolation, 'too many refused messages');
  }

  async #answer(frame: RequestFrame): Promise<void> {
    this.#pending += 1;
    try {
      const { data, sent } = await this.#handlers.request(frame);
      this.#send(formatAnswer(frame.id, data));
      sent?.();
    } catch (error) {
      // The handlers reject with nothing else.
      this.#send(formatError(frame.id, error as ApiError));
    } finally {
      this.#pending -= 1;
    }
  }

  /** Sends what may go: a request waits for its turn while too many are unanswered, and what follows waits behind it. */
  #drain(): void {
    const { maxUnanswered } = this.#options.config.websocket;
    for (let next = this.#queue[0]; next && !this.#closing; next = this.#queue[0]) {
      if (next.message.kind === 'request' && this.#unanswered.size >= maxUnanswered) return;
      this.#queue.shift();
      this.#sendMessage(next);
    }
  }

  #sendMessage({ message: { kind, method, data }, answered }: Outgoing): void {
    this.#options.metrics.messages.inc({ direction: 'out', kind, method });
    if (kind === 'notification') {
      this.#send(formatNotification(method, data));
      return;
    }
    const id = this.#nextId++;
    const timer = setTimeout(() => {
      this.#options.logger.info({ method }, 'the client did not answer in time');
      this.#settle({ type: 'response', id, ok: false, errorReason: 'no answer in time' });
    }, this.#options.config.websocket.clientTimeoutMs);
    this.#unanswered.set(id, { timer, method, answered });
    this.#send(formatRequest(id, method, data));
  }

  #settle({ id, ok, errorReason }: ResponseFrame): void {
    const waiting = this.#unanswered.get(id);
    if (!waiting) return;
    this.#unanswered.delete(id);
    clearTimeout(waiting.timer);
    if (!ok)
      this.#options.logger.info({ method: waiting.method, errorReason }, 'the client refused');
    waiting.answered?.(ok);
    this.#drain();
  }

  /** What one turn of the event loop sends goes out in one write: a join in a large room is hundreds of frames. */
  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    const { stream } = this.#options;
    stream.cork();
    process.nextTick(() => {
      this.#gathering = false;
      stream.uncork();
    });
  }

  #send(text: string): void {
    const { socket, config } = this.#options;
    if (socket.readyState !== socket.OPEN) return;
    this.#gather();
    socket.send(text);
    if (socket.bufferedAmount > config.websocket.maxBufferedBytes)
      this.close(closeCodes.tryAgainLater, 'the network of this client is too slow');
  }
}

const rateLimited = (): ApiError =>
  new ApiError('rate_limited', 'this connection sends messages too fast');

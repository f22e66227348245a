import { formatFrame, parseFrame, type Frame } from './frames.ts';
import { RequestError } from './request-error.ts';
import { retryDelay, type RetryPolicy } from './retry.ts';

/** The server closes with this code when the client must not come back; a client that leaves uses it as well. */
export const CLOSE_FOR_GOOD = 4000;
/** What either side closes with when the client is to come back as a new connection. */
export const CLOSE_TO_REJOIN = 4001;
/** What a client closes a connection with that is of no use. */
const CLOSE_BROKEN = 4900;
const SUBPROTOCOL = 'protoo';

export interface SocketTimings {
  /** How long an answer may take. */
  requestTimeoutMs: number;
  /** How long a connection may take to open. */
  connectTimeoutMs: number;
  /** After how long without a word of the server it is asked for one. */
  keepAliveMs: number;
  /** How long it may stay silent then, before the connection counts as lost. */
  keepAliveTimeoutMs: number;
  retry: RetryPolicy;
}

/** A try to come: the `attempt`-th of `tries`, after `delayMs`. `code` and `reason` say what ended the last connection. */
export interface Retry {
  attempt: number;
  tries: number;
  delayMs: number;
  code: number;
  reason: string;
}

export interface SocketHandlers {
  /** A connection is open: the first one, or one after a loss. */
  open(): void;
  /** The connection is lost, or a try failed; the next one follows by itself. */
  retrying(retry: Retry): void;
  /** It is over: no try follows. Called once. */
  closed(end: { code: number; reason: string }): void;
  /** A server's request. What it resolves with is the answer; a rejection is answered as an error. */
  request(method: string, data: unknown): Promise<unknown>;
  notification(method: string, data: unknown): void;
}

export interface SocketOptions {
  /** The address for a try: 0 is the first connection, then 1, 2, … since the last connection that lasted. */
  url: (attempt: number) => string | Promise<string>;
  handlers: SocketHandlers;
  timings: SocketTimings;
}

interface Pending {
  method: string;
  timer: ReturnType<typeof setTimeout>;
  resolve: (data: unknown) => void;
  reject: (error: RequestError) => void;
}

/** A `protoo` connection that comes back after a loss. It connects at once when made. */
export class ProtooSocket {
  readonly #options: SocketOptions;
  readonly #timings: SocketTimings;
  readonly #pending = new Map<number, Pending>();
  #socket: WebSocket | undefined;
  /** The address that is waited for: another try makes an older one void. */
  #address: Promise<string> | undefined;
  #nextId = 1;
  #attempt = 0;
  #closed = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #stableTimer: ReturnType<typeof setTimeout> | undefined;
  #silenceTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SocketOptions) {
    this.#options = options;
    this.#timings = options.timings;
    this.#connect();
  }

  get connected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Sends a request and resolves with the answer's data.
   *
   * @throws RequestError when the server refuses, does not answer in time, or the connection is lost
   */
  request(method: string, data?: unknown): Promise<unknown> {
    const socket = this.#socket;
    if (!socket || !this.connected) {
      return Promise.reject(new RequestError(method, 'not connected'));
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new RequestError(method, `${method}: no answer in time`));
      }, this.#timings.requestTimeoutMs);
      this.#pending.set(id, { method, timer, resolve, reject });
      socket.send(formatFrame({ type: 'request', id, method, data }));
    });
  }

  /** Sends a notification. Without a connection it is dropped: a rejoin starts from the whole state anyway. */
  notify(method: string, data?: unknown): void {
    if (!this.connected) return;
    this.#socket?.send(formatFrame({ type: 'notification', method, data }));
  }

  /** Gives the present connection up and makes a new one, as after a loss. */
  reconnect(reason: string, code = CLOSE_BROKEN): void {
    if (this.#socket) this.#drop(this.#socket, code, reason);
  }

  /** Skips the pause before the next try. */
  retryNow(): void {
    if (this.#retryTimer === undefined) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#connect();
  }

  /** Closes for good. `reason` is for the handler. */
  close(reason = 'closed by the client'): void {
    this.#end(CLOSE_FOR_GOOD, reason);
  }

  #connect(): void {
    const url = this.#options.url(this.#attempt);
    if (typeof url === 'string') {
      this.#open(url);
      return;
    }
    this.#address = url;
    url.then(
      (address) => {
        if (this.#address === url) this.#open(address);
      },
      (error: unknown) => {
        if (this.#address !== url) return;
        this.#lost(CLOSE_BROKEN, error instanceof Error ? error.message : String(error));
      },
    );
  }

  #open(url: string): void {
    this.#address = undefined;
    let socket: WebSocket;
    try {
      socket = new WebSocket(url, SUBPROTOCOL);
    } catch (error) {
      this.#lost(CLOSE_BROKEN, error instanceof Error ? error.message : String(error));
      return;
    }
    this.#socket = socket;
    const connectTimer = setTimeout(
      () => this.#drop(socket, CLOSE_BROKEN, 'no connection in time'),
      this.#timings.connectTimeoutMs,
    );
    socket.addEventListener('open', () => {
      clearTimeout(connectTimer);
      if (this.#socket === socket) this.#opened(socket);
    });
    socket.addEventListener('message', (event) => {
      if (this.#socket === socket) this.#received(socket, event.data);
    });
    socket.addEventListener('close', (event) => {
      clearTimeout(connectTimer);
      if (this.#socket === socket) this.#lost(event.code, event.reason);
    });
  }

  #opened(socket: WebSocket): void {
    this.#heard(socket);
    this.#stableTimer = setTimeout(() => {
      this.#attempt = 0;
    }, this.#timings.retry.stableAfterMs);
    this.#options.handlers.open();
  }

  /** A proxy may hold this side's connection open long after the server behind it is gone: silence is the only sign. */
  #heard(socket: WebSocket): void {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => this.#probe(socket), this.#timings.keepAliveMs);
  }

  /** Any request will do that the server answers by itself. */
  #probe(socket: WebSocket): void {
    this.request('getRtcStatsUrl').catch(() => undefined);
    this.#silenceTimer = setTimeout(
      () => this.#drop(socket, CLOSE_BROKEN, 'the server is silent'),
      this.#timings.keepAliveTimeoutMs,
    );
  }

  /** Does not wait for the other side to agree: a dead network would let a closing handshake hang for minutes. */
  #drop(socket: WebSocket, code: number, reason: string): void {
    if (this.#socket !== socket) return;
    this.#lost(code, reason);
    socket.close(code, reason);
  }

  #lost(code: number, reason: string): void {
    if (code === CLOSE_FOR_GOOD) {
      this.#end(code, reason);
      return;
    }
    this.#release(reason || 'connection lost');
    const { retry } = this.#timings;
    if (this.#attempt >= retry.tries) {
      this.#end(code, reason || 'the server cannot be reached, or refuses the connection');
      return;
    }
    this.#attempt += 1;
    const delayMs = retryDelay(this.#attempt, retry, Math.random());
    this.#retryTimer = setTimeout(() => this.retryNow(), delayMs);
    this.#options.handlers.retrying({
      attempt: this.#attempt,
      tries: retry.tries,
      delayMs,
      code,
      reason,
    });
  }

  #end(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const socket = this.#socket;
    this.#release(reason);
    socket?.close(CLOSE_FOR_GOOD, 'closed by the client');
    this.#options.handlers.closed({ code, reason });
  }

  /** Forgets the connection and fails what waits for an answer on it. */
  #release(reason: string): void {
    this.#socket = undefined;
    this.#address = undefined;
    clearTimeout(this.#stableTimer);
    clearTimeout(this.#silenceTimer);
    for (const { method, timer, reject } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new RequestError(method, `${method}: ${reason}`));
    }
    this.#pending.clear();
  }

  #received(socket: WebSocket, text: unknown): void {
    this.#heard(socket);
    const frame = parseFrame(text);
    if (frame?.type === 'response') this.#settle(frame);
    else if (frame?.type === 'notification') {
      this.#options.handlers.notification(frame.method, frame.data);
    } else if (frame) void this.#answer(socket, frame);
  }

  #settle(frame: Extract<Frame, { type: 'response' }>): void {
    const pending = this.#pending.get(frame.id);
    // An answer that came after its time-out, or to nothing that was asked.
    if (!pending) return;
    this.#pending.delete(frame.id);
    clearTimeout(pending.timer);
    if (frame.ok) pending.resolve(frame.data);
    else pending.reject(new RequestError(pending.method, frame.errorReason, frame.errorCode));
  }

  /** The answer goes to the connection that asked, or nowhere: ids of another connection are not ours. */
  async #answer(socket: WebSocket, { id, method, data }: Extract<Frame, { type: 'request' }>) {
    const answer = await this.#options.handlers.request(method, data).then(
      (result): Frame => ({ type: 'response', id, ok: true, data: result }),
      (error: unknown): Frame => ({
        type: 'response',
        id,
        ok: false,
        errorCode: 500,
        errorReason: error instanceof Error ? error.message : String(error),
      }),
    );
    if (socket.readyState === WebSocket.OPEN) socket.send(formatFrame(answer));
  }
}

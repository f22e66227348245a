import type { Timing } from '../timing.ts';
import {
  asSignaling,
  type ServerNotification,
  type ServerRequest,
  type Signaling,
} from './messages.ts';
import { CLOSE_TO_REJOIN, ProtooSocket, type Retry } from './protoo-socket.ts';
import { isRetryable, messageOf, RequestError } from './request-error.ts';

/** The session is gone at the server: nothing can be resumed. */
const CLOSE_SESSION_LOST = 4004;
/**
 * Closes after which there is no session to come back to: what was sent was not understood, the peer is to be bound anew,
 * it did not join in time, or its session is gone.
 */
const ENDS_SESSION: ReadonlySet<number> = new Set([
  ...[1003, 1008],
  ...[CLOSE_TO_REJOIN, 4002, CLOSE_SESSION_LOST],
]);

/** How the reason of an end begins when the server does not take the peer. */
export const COULD_NOT_JOIN = 'the room could not be joined';

export interface ConnectionOptions {
  /** The address for a try, with the token to resume with. */
  url: (attempt: number, resumeToken: string | undefined) => string | Promise<string>;
  timing: Pick<
    Timing,
    'requestTimeoutMs' | 'connectTimeoutMs' | 'keepAliveMs' | 'keepAliveTimeoutMs' | 'reconnect'
  >;
  handlers: ConnectionHandlers;
}

interface ConnectionHandlers {
  /**
   * A new session: join the room by this channel. Resolves with what follows once requests are taken. A rejection that is
   * retryable connects again, another ends it all.
   */
  join(channel: Signaling): Promise<() => void>;
  /** The same session by another socket, likewise. Rejected for good, it is joined anew. */
  resume(channel: Signaling): Promise<() => void>;
  /** The session is gone; a join follows. */
  sessionLost(): void;
  retrying(retry: Retry): void;
  closed(end: { code: number; reason: string }): void;
  request(message: ServerRequest): Promise<unknown>;
  notification(message: ServerNotification): void;
}

interface Waiting {
  run: () => void;
  fail: (reason: string) => void;
}

/**
 * One session over as many sockets as it takes. *Ready*: joined or resumed. A request that is made meanwhile waits for
 * that, as long as a request may take.
 */
export class Connection implements Signaling {
  readonly #options: ConnectionOptions;
  readonly #socket: ProtooSocket;
  /** Requests by the present socket, whether or not it is ready. */
  readonly #channel: Signaling;
  readonly #waiting = new Set<Waiting>();
  #resumeToken: string | undefined;
  /** Whether the present socket was opened to resume. */
  #resuming = false;
  #ready = false;
  /** Counts the sockets: what one of them started is void on the next. */
  #epoch = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { handlers, timing } = options;
    this.#socket = new ProtooSocket({
      url: (attempt) => {
        this.#resuming = this.#resumeToken !== undefined;
        return options.url(attempt, this.#resumeToken);
      },
      timings: { ...timing, retry: timing.reconnect },
      handlers: {
        open: () => void this.#start(),
        retrying: (retry) => this.#retrying(retry),
        closed: (end) => this.#ended(end),
        request: (method, data) => handlers.request({ method, data } as ServerRequest),
        notification: (method, data) => this.#notified({ method, data } as ServerNotification),
      },
    });
    this.#channel = asSignaling(this.#socket);
  }

  /** Whether a lost socket leaves the session as it is. */
  get resumable(): boolean {
    return this.#resumeToken !== undefined;
  }

  request: Signaling['request'] = async (method, data) => {
    if (!this.#ready) await this.#untilReady(method);
    return this.#channel.request(method, data);
  };

  /** Without a ready connection it is dropped: what it would change is told again once there is one. */
  notify: Signaling['notify'] = (method, data) => {
    if (this.#ready) this.#channel.notify(method, data);
  };

  /** Gives the session up and joins anew. */
  rejoin(reason: string): void {
    if (this.#socket.connected) this.#socket.reconnect(reason, CLOSE_TO_REJOIN);
    else this.#dropSession();
  }

  retryNow(): void {
    this.#socket.retryNow();
  }

  /** Tells the server that the peer leaves, and closes for good. */
  leave(): void {
    // Its answer is not waited for: a page that is being closed could not.
    if (this.#socket.connected) this.#channel.request('leave', undefined).catch(() => undefined);
    this.#socket.close();
  }

  async #start(): Promise<void> {
    const epoch = (this.#epoch += 1);
    const isPresent = () => this.#epoch === epoch && this.#socket.connected;
    const { handlers } = this.#options;
    const resuming = this.#resuming;
    let proceed: () => void;
    try {
      proceed = await (resuming ? handlers.resume(this.#channel) : handlers.join(this.#channel));
    } catch (error) {
      if (isPresent()) this.#failed(error, resuming);
      return;
    }
    if (!isPresent()) return;
    this.#ready = true;
    proceed();
    for (const { run } of this.#waiting) run();
  }

  #failed(error: unknown, resuming: boolean): void {
    if (isRetryable(error)) this.#socket.reconnect(messageOf(error));
    else if (resuming) this.#socket.reconnect(messageOf(error), CLOSE_SESSION_LOST);
    else this.#socket.close(`${COULD_NOT_JOIN}: ${messageOf(error)}`);
  }

  #notified(message: ServerNotification): void {
    if (message.method === 'session') this.#resumeToken = message.data.resumeToken;
    else this.#options.handlers.notification(message);
  }

  #retrying(retry: Retry): void {
    this.#unready();
    const joined = this.#resumeToken !== undefined;
    if (!joined || ENDS_SESSION.has(retry.code)) this.#dropSession();
    this.#options.handlers.retrying(retry);
  }

  #dropSession(): void {
    this.#resumeToken = undefined;
    this.#options.handlers.sessionLost();
  }

  #ended(end: { code: number; reason: string }): void {
    this.#unready();
    for (const { fail } of this.#waiting) fail(end.reason);
    this.#options.handlers.closed(end);
  }

  #unready(): void {
    this.#ready = false;
    this.#epoch += 1;
  }

  #untilReady(method: string): Promise<void> {
    if (this.#socket.closed) return Promise.reject(new RequestError(method, `${method}: closed`));
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting = {
        run: () => {
          settle();
          resolve();
        },
        fail: (reason) => {
          settle();
          reject(new RequestError(method, `${method}: ${reason}`));
        },
      };
      const timer = setTimeout(
        () => waiting.fail('no connection in time'),
        this.#options.timing.requestTimeoutMs,
      );
      this.#waiting.add(waiting);
    });
  }
}

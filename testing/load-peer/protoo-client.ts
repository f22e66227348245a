import { once } from 'node:events';
import { WebSocket, type RawData } from 'ws';
import { z } from 'zod';

const id = z.int();
const frame = z.union([
  z.object({ request: z.literal(true), id, method: z.string(), data: z.unknown() }),
  z.object({ response: z.literal(true), id, ok: z.literal(true), data: z.unknown() }),
  z.object({
    response: z.literal(true),
    id,
    errorCode: z.number(),
    errorReason: z.string().optional(),
  }),
  z.object({ notification: z.literal(true), method: z.string(), data: z.unknown() }),
]);

export interface ProtooOptions {
  url: string;
  /** Answers a request of the server; what it throws is answered as an error. */
  onRequest: (method: string, data: unknown) => Promise<void>;
  onNotification: (method: string, data: unknown) => void;
}

interface PendingRequest {
  resolve: (data: unknown) => void;
  reject: (error: Error) => void;
}

/** As mediasoup-client's demo application waits, in milliseconds. */
const requestTimeoutMs = 22_000;
const closeTimeoutMs = 2_000;

/** A protoo client over one WebSocket that never reconnects. */
export class ProtooClient {
  readonly #socket: WebSocket;
  readonly #options: ProtooOptions;
  readonly #pending = new Map<number, PendingRequest>();
  #lastId = 0;

  private constructor(socket: WebSocket, options: ProtooOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('message', (data) => this.#onMessage(data));
    socket.on('close', (code, reason) =>
      this.#failAll(`closed with ${code} ${reason.toString()}`.trim()),
    );
    socket.on('error', ({ message }) => this.#failAll(message));
  }

  /** @throws Error when the server refuses the connection */
  static async connect(options: ProtooOptions): Promise<ProtooClient> {
    const socket = new WebSocket(options.url, 'protoo', { perMessageDeflate: false });
    const client = new ProtooClient(socket, options);
    await once(socket, 'open');
    return client;
  }

  get closed(): boolean {
    return this.#socket.readyState !== WebSocket.OPEN;
  }

  /** @throws Error when it is refused, not answered in time, or the socket closes */
  request(method: string, data: unknown = {}): Promise<unknown> {
    const requestId = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(new Error(`${method}: the socket is closed`));
        return;
      }
      const timer = setTimeout(
        () => settle(() => reject(new Error(`${method}: no answer in ${requestTimeoutMs} ms`))),
        requestTimeoutMs,
      );
      const settle = (how: () => void): void => {
        clearTimeout(timer);
        this.#pending.delete(requestId);
        how();
      };
      this.#pending.set(requestId, {
        resolve: (answer) => settle(() => resolve(answer)),
        reject: ({ message }) => settle(() => reject(new Error(`${method}: ${message}`))),
      });
      this.#send({ request: true, id: requestId, method, data });
    });
  }

  notify(method: string, data: unknown): void {
    this.#send({ notification: true, method, data });
  }

  /** Resolves when the socket is gone. */
  async close(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.#socket, 'close');
    this.#socket.close(1000);
    const killer = setTimeout(() => this.#socket.terminate(), closeTimeoutMs);
    await closed;
    clearTimeout(killer);
  }

  cut(): void {
    this.#socket.terminate();
  }

  #send(message: object): void {
    if (!this.closed) this.#socket.send(JSON.stringify(message));
  }

  #failAll(reason: string): void {
    for (const { reject } of [...this.#pending.values()]) reject(new Error(reason));
  }

  #onMessage(raw: RawData): void {
    const text = Array.isArray(raw)
      ? Buffer.concat(raw).toString()
      : Buffer.from(raw as Buffer).toString();
    const message = frame.parse(JSON.parse(text));
    if ('request' in message) this.#answer(message);
    else if ('notification' in message) this.#options.onNotification(message.method, message.data);
    else if ('ok' in message) this.#pending.get(message.id)?.resolve(message.data);
    else {
      const reason = `${message.errorCode} ${message.errorReason ?? ''}`.trim();
      this.#pending.get(message.id)?.reject(new Error(reason));
    }
  }

  #answer(request: { id: number; method: string; data: unknown }): void {
    this.#options.onRequest(request.method, request.data).then(
      () => this.#send({ response: true, id: request.id, ok: true, data: {} }),
      (error: unknown) =>
        this.#send({
          response: true,
          id: request.id,
          errorCode: 500,
          errorReason: error instanceof Error ? error.message : String(error),
        }),
    );
  }
}

import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';

import { closeServer, listen } from '../common/service/http.ts';

/** An answer in place of the server's, which never sees the call. */
export interface Refusal {
  status: number;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
}

/**
 * What happens to a call: `refuse` answers with an error and does not pass it on, as any {@link Refusal}; `drop` passes it on
 * and loses the answer; `hang` passes it on and never answers.
 */
export type Fault = 'refuse' | 'drop' | 'hang' | Refusal;

export interface Call {
  method: string;
  /** With the query. */
  path: string;
}

interface Rule {
  matches: (method: string, path: string) => boolean;
  fault: Fault;
  times: number;
}

export interface FaultProxyOptions {
  /** The certificate of a server behind HTTPS. */
  ca?: string;
  /** Asked for each call that no rule is for. */
  decide?: (call: Call) => Promise<Fault | undefined>;
  /** Passes a body on, where that is not simply all of it. */
  relay?: (call: Call, answer: IncomingMessage, response: ServerResponse) => void;
}

const unavailable: Refusal = { status: 503 };

function refuse(response: ServerResponse, { status, headers = {}, body }: Refusal): void {
  if (body === undefined) response.writeHead(status, headers).end();
  else
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify(body));
}

/** Stands in front of a server, as its advertised address, and breaks the calls that it is told to. Speaks plain HTTP itself. */
export class FaultProxy {
  /** Since the last healing, as `METHOD /path`. */
  calls: string[] = [];
  /** Connections that were refused since the last healing. */
  refusedConnections = 0;
  url = '';
  target = '';
  readonly #options: FaultProxyOptions;
  readonly #agent: Agent | undefined;
  #rules: Rule[] = [];
  #cut = false;
  readonly #server = createServer((request, response) => void this.#handle(request, response));

  constructor(options: FaultProxyOptions = {}) {
    this.#options = options;
    this.#agent = options.ca ? new Agent({ ca: options.ca, keepAlive: true }) : undefined;
    this.#server.on('connection', (socket: Socket) => {
      if (!this.#cut) return;
      this.refusedConnections += 1;
      socket.destroy();
    });
  }

  async start(): Promise<void> {
    const port = await listen(this.#server, { host: '127.0.0.1', port: 0 });
    this.url = `http://127.0.0.1:${port}`;
  }

  /** @param path a part of the path that the fault is for, or a pattern for `METHOD /path` */
  inject(fault: Fault, path: string | RegExp, times = Number.POSITIVE_INFINITY): void {
    const matches = (method: string, url: string): boolean =>
      typeof path === 'string' ? url.includes(path) : path.test(`${method} ${url}`);
    this.#rules.push({ matches, fault, times });
  }

  /** Ends all connections and refuses new ones. */
  cut(): void {
    this.#cut = true;
    this.#server.closeAllConnections();
  }

  heal(): void {
    this.#cut = false;
    this.#rules = [];
    this.calls = [];
    this.refusedConnections = 0;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await closeServer(this.#server);
    this.#agent?.destroy();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = { method: request.method ?? '', path: request.url ?? '' };
    this.calls.push(`${call.method} ${call.path}`);
    const fault = this.#takeRule(call) ?? (await this.#options.decide?.(call));
    if (fault === 'refuse' || typeof fault === 'object') {
      request.resume();
      refuse(response, fault === 'refuse' ? unavailable : fault);
      return;
    }
    this.#forward(request, response, (answer) => {
      if (fault === 'drop') {
        answer.resume();
        response.destroy();
      } else if (fault === 'hang') answer.resume();
      else if (response.destroyed) answer.destroy();
      else {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        if (this.#options.relay) this.#options.relay(call, answer, response);
        else answer.pipe(response);
      }
    });
  }

  #takeRule({ method, path }: Call): Fault | undefined {
    const rule = this.#rules.find(({ matches, times }) => times > 0 && matches(method, path));
    if (rule) rule.times--;
    return rule?.fault;
  }

  #forward(
    request: IncomingMessage,
    response: ServerResponse,
    onAnswer: (answer: IncomingMessage) => void,
  ): void {
    const { method, headers, url = '' } = request;
    const target = new URL(url, this.target);
    const forwarded =
      target.protocol === 'https:'
        ? httpsRequest(target, { method, headers, agent: this.#agent }, onAnswer)
        : httpRequest(target, { method, headers }, onAnswer);
    forwarded.on('error', () => response.destroy());
    // A call that was not wholly made can't be passed on; one that was is done even if its caller is gone.
    request.once('close', () => {
      if (!request.complete) forwarded.destroy();
    });
    request.pipe(forwarded);
  }
}

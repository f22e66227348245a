import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { FaultProxy, type Call, type Fault, type Refusal } from '../fault-proxy.ts';
import { createRandom } from '../random.ts';
import type { ControlPlane } from './control-plane.ts';

const reasons: Record<number, string> = {
  409: 'Conflict',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

const statusBody = (code: number): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code,
  reason: reasons[code] ?? '',
  message: 'as the test asked',
});

/** A refusal in the API server's own form. */
export const refusal = (status: number): Refusal => ({
  status,
  body: statusBody(status),
  ...(status === 429 ? { headers: { 'retry-after': '1' } } : {}),
});

export interface ErrorShare {
  /** Of all calls, between 0 and 1. */
  share: number;
  statuses: number[];
  seed: number;
}

export interface LostShare {
  /** Of all writes, between 0 and 1. */
  share: number;
  seed: number;
}

const isWatch = ({ path }: Call): boolean => /[?&]watch=(true|1)(&|$)/.test(path);
const collectionOf = ({ path }: Call): string => path.replace(/\?.*/, '');

/** One watch that is passed on, line by line. */
class WatchStream {
  readonly #response: ServerResponse;
  readonly #answer: IncomingMessage;
  #rest = '';

  constructor(answer: IncomingMessage, response: ServerResponse, onEnd: () => void) {
    this.#answer = answer;
    this.#response = response;
    response.flushHeaders();
    answer.setEncoding('utf8');
    answer.on('data', (chunk: string) => {
      const text = this.#rest + chunk;
      const end = text.lastIndexOf('\n') + 1;
      this.#rest = text.slice(end);
      if (end > 0 && response.writable) response.write(text.slice(0, end));
    });
    answer.once('end', () => response.end());
    answer.once('error', () => response.destroy());
    response.once('close', () => {
      answer.destroy();
      onEnd();
    });
  }

  reset(): void {
    this.#response.destroy();
  }

  /** Passes nothing on any more; the connection stays. */
  stall(): void {
    this.#answer.pause();
  }

  /** As the API server does when its history no longer goes back so far. */
  expire(): void {
    this.#response.end(`${JSON.stringify({ type: 'ERROR', object: statusBody(410) })}\n`);
  }
}

/**
 * A real API server that behaves badly: stands in front of it, on plain HTTP, and passes on who calls. {@link heal} ends every
 * fault.
 */
export class ApiProxy {
  readonly #controlPlane: ControlPlane;
  readonly #proxy: FaultProxy;
  readonly #watches = new Set<WatchStream>();
  /** Collections of which no list was asked for since their versions expired. */
  readonly #expired = new Set<string>();
  readonly #listed = new Set<string>();
  #resets: NodeJS.Timeout | undefined;
  #delayMs = 0;
  #fail: (call: Call) => Fault | undefined = () => undefined;
  #stalled = false;

  private constructor(controlPlane: ControlPlane) {
    this.#controlPlane = controlPlane;
    this.#proxy = new FaultProxy({
      ca: controlPlane.ca,
      decide: (call) => this.#decide(call),
      relay: (call, answer, response) => this.#relay(call, answer, response),
    });
    this.#proxy.target = controlPlane.url;
  }

  static async start(controlPlane: ControlPlane): Promise<ApiProxy> {
    const proxy = new ApiProxy(controlPlane);
    await proxy.#proxy.start();
    return proxy;
  }

  get url(): string {
    return this.#proxy.url;
  }

  /** Since the last healing, as `METHOD /path?query`. */
  get calls(): readonly string[] {
    return this.#proxy.calls;
  }

  /** Connections that were refused since the last healing. */
  get refusedConnections(): number {
    return this.#proxy.refusedConnections;
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  /** A user's kubeconfig that leads here. Returns its path. */
  kubeconfig(user?: string): Promise<string> {
    return this.#controlPlane.kubeconfigAt(this.url, user);
  }

  /**
   * Breaks calls: a {@link refusal} answers in place of the server; `drop` and `hang` lose the answer after the server acted.
   *
   * @param path a part of the path with its query, or a pattern for `METHOD /path?query`
   */
  inject(fault: Fault, path: string | RegExp, times?: number): void {
    this.#proxy.inject(fault, path, times);
  }

  /** Ends all connections and refuses new ones. */
  cut(): void {
    this.#proxy.cut();
  }

  /** Lets every call wait before it is passed on, in milliseconds. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Refuses a share of all calls, the same ones for the same seed and order. */
  failShare({ share, statuses, seed }: ErrorShare): void {
    const random = createRandom(seed);
    this.#fail = () =>
      random() < share
        ? refusal(statuses[Math.floor(random() * statuses.length)] ?? 500)
        : undefined;
  }

  /** Loses the answers to a share of all writes after the server acted, by a reset or by silence. */
  loseAnswers({ share, seed }: LostShare): void {
    const random = createRandom(seed);
    this.#fail = ({ method }) => {
      if (method === 'GET' || random() >= share) return undefined;
      return random() < 0.5 ? 'drop' : 'hang';
    };
  }

  /** Cuts every open watch in the middle of its stream; with a time, again and again after it. */
  resetWatches(everyMs?: number): void {
    for (const watch of this.#watches) watch.reset();
    if (everyMs === undefined) return;
    clearInterval(this.#resets);
    this.#resets = setInterval(() => this.resetWatches(), everyMs);
  }

  /**
   * Lets open and new watches fall silent without an end.
   *
   * @param options.open the open ones alone, as when a firewall forgets their connections: nothing heals them
   */
  stallWatches({ open = false } = {}): void {
    this.#stalled ||= !open;
    for (const watch of this.#watches) watch.stall();
  }

  /** Ends every watch by an expired version, and answers new ones so until their collection is listed again. */
  expireVersions(): void {
    for (const path of this.#listed) this.#expired.add(path);
    for (const watch of this.#watches) watch.expire();
  }

  /** Ends every fault; a watch that has stalled is reset, since what it missed is lost. */
  heal(): void {
    this.#proxy.heal();
    this.#delayMs = 0;
    this.#fail = () => undefined;
    clearInterval(this.#resets);
    this.#expired.clear();
    if (this.#stalled) this.resetWatches();
    this.#stalled = false;
  }

  async close(): Promise<void> {
    this.heal();
    await this.#proxy.close();
  }

  async #decide(call: Call): Promise<Fault | undefined> {
    if (this.#delayMs > 0) await sleep(this.#delayMs);
    const fault = this.#fail(call);
    if (fault !== undefined || call.method !== 'GET') return fault;
    const path = collectionOf(call);
    if (isWatch(call)) return this.#expired.has(path) ? refusal(410) : undefined;
    this.#listed.add(path);
    this.#expired.delete(path);
    return undefined;
  }

  #relay(call: Call, answer: IncomingMessage, response: ServerResponse): void {
    if (!isWatch(call) || answer.statusCode !== 200) {
      answer.pipe(response);
      return;
    }
    const watch = new WatchStream(answer, response, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    if (this.#stalled) watch.stall();
  }
}

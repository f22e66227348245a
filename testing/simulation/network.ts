import { ApiError, isApiError, messageOf } from '../../common/errors.ts';
import type { SimulatedProcess } from './process.ts';
import { time } from './time.ts';

export interface Request {
  method: string;
  /** As it is on the wire, without a query. */
  path: string;
  headers: Record<string, string>;
  body: unknown;
}

/** Answers with the body of a 200; an {@link ApiError} that it throws becomes the answer of its code. */
type Handler = (request: Request) => Promise<unknown>;

interface Server {
  process: SimulatedProcess;
  handle: Handler;
}

/** What happens to a call on its way. */
export type Mishap = 'lost request' | 'lost answer' | 'twice' | 'late request' | 'late answer';

export interface MishapRule {
  /** Names of processes; absent: any. */
  from?: string;
  to?: string;
  /** Part of `METHOD path`. */
  route?: string;
  mishap: Mishap;
  /** How many calls it happens to. */
  times: number;
  /** By how much something comes late, in milliseconds. */
  lateMs?: number;
}

interface Wire {
  request: Request;
  from: SimulatedProcess;
  url: string;
  fail: (error: Error) => void;
  answer: (status: number, text: string) => void;
}

/** How long a message is on its way where all is well, in milliseconds. */
const latency = (): number => time.between(0, 4);
const defaultLateMs = 3_000;

/**
 * Calls between the processes of a simulation, in place of `fetch`: each way takes a moment, can be cut, and calls can have
 * mishaps. Bodies cross as JSON text, as they do on a real wire.
 */
export class SimulatedNetwork {
  readonly #processes = new Map<string, SimulatedProcess>();
  readonly #servers = new Map<string, Server>();
  readonly #cuts = new Set<string>();
  #mishaps: MishapRule[] = [];
  /** Handlers throw coded errors alone; any other is a mistake of theirs. */
  readonly bugs: unknown[] = [];
  /** Told of each answer that arrived. */
  onAnswer: (from: SimulatedProcess, url: string, request: Request) => void = () => undefined;

  /** @returns the token by which the process is known as a caller */
  join(process: SimulatedProcess): string {
    const token = `${process.name}#${this.#processes.size}`;
    this.#processes.set(token, process);
    return token;
  }

  listen(url: string, server: Server): void {
    this.#servers.set(url, server);
  }

  /** Lets nothing pass from one process to another until {@link mend}; `*` is everyone. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
  }

  mend(from: string, to: string): void {
    this.#cuts.delete(`${from} ${to}`);
  }

  disturb(rule: MishapRule): void {
    this.#mishaps.push({ ...rule });
  }

  heal(): void {
    this.#cuts.clear();
    this.#mishaps = [];
  }

  isCut(from: string, to: string): boolean {
    return [`${from} ${to}`, `${from} *`, `* ${to}`].some((way) => this.#cuts.has(way));
  }

  /** Takes the place of the global `fetch`; the bearer token says who calls. */
  readonly fetch = (target: URL | string, init: RequestInit): Promise<unknown> => {
    const url = new URL(target);
    const headers = init.headers as Record<string, string>;
    const from = this.#processes.get((headers['authorization'] ?? '').replace('Bearer ', ''));
    if (!from) throw new Error(`a call to ${url.href} by nobody`);
    const request: Request = {
      ...{ method: init.method ?? 'GET', path: url.pathname, headers },
      body: typeof init.body === 'string' ? JSON.parse(init.body) : undefined,
    };
    return new Promise((resolve, reject) => {
      let over = false;
      const once = (work: () => void): void =>
        from.deliver(() => {
          if (over) return;
          over = true;
          work();
        });
      const { signal } = init;
      signal?.addEventListener('abort', () => once(() => reject(signal.reason as Error)));
      // One that is stopped sends nothing.
      from.deliver(() =>
        this.#send({
          ...{ request, from, url: url.origin },
          fail: (error) => once(() => reject(error)),
          answer: (status, text) =>
            once(() => {
              this.onAnswer(from, url.origin, request);
              resolve(responseOf(status, text));
            }),
        }),
      );
    });
  };

  /**
   * Holds a connection: it breaks when the far process ends, as long as the way from there is open.
   *
   * @returns how to end it without being told
   */
  openLine(from: SimulatedProcess, url: string, onClose: () => void): () => void {
    let open = true;
    const breakLine = (): void => {
      const to = this.#servers.get(url)?.process.name ?? url;
      time.schedule(latency(), () => {
        if (this.isCut(to, from.name)) return;
        from.deliver(() => {
          if (!open) return;
          open = false;
          onClose();
        });
      });
    };
    const process = this.#servers.get(url)?.process;
    if (!process || process.ended) breakLine();
    else process.onEnd(breakLine);
    return () => {
      open = false;
    };
  }

  #send(wire: Wire): void {
    const { request, from, url } = wire;
    const rule = this.#nextMishap(wire);
    const lateMs = rule?.lateMs ?? defaultLateMs;
    const arrive = (): void => this.#arrive(wire, rule);
    time.schedule(latency() + (rule?.mishap === 'late request' ? lateMs : 0), () => {
      const to = this.#servers.get(url)?.process.name ?? url;
      if (rule?.mishap === 'lost request' || this.isCut(from.name, to)) return;
      arrive();
      if (rule?.mishap === 'twice')
        time.schedule(latency(), () => {
          this.#arrive({ ...wire, request, fail: () => undefined, answer: () => undefined });
        });
    });
  }

  #arrive(wire: Wire, rule?: MishapRule): void {
    const server = this.#servers.get(wire.url);
    const back = (work: () => void, extraMs = 0): void => {
      time.schedule(latency() + extraMs, () => {
        if (!this.isCut(server?.process.name ?? wire.url, wire.from.name)) work();
      });
    };
    const broken = (code: string): void => {
      const cause = Object.assign(new Error(code), { code });
      back(() => wire.fail(new TypeError('fetch failed', { cause })));
    };
    if (!server || server.process.ended) {
      broken('ECONNREFUSED');
      return;
    }
    const { process, handle } = server;
    const lost = rule?.mishap === 'lost answer';
    if (!lost) process.onEnd(() => broken('ECONNRESET'));
    process.deliver(() => {
      handle(wire.request).then(
        (body) => answer(200, body),
        (error: unknown) => {
          const known = this.#errorOf(error);
          answer(known.status, known.toBody());
        },
      );
    });
    const answer = (status: number, body: unknown): void => {
      if (lost || process.ended) return;
      const text = JSON.stringify(body ?? {});
      const lateMs = rule?.mishap === 'late answer' ? (rule.lateMs ?? defaultLateMs) : 0;
      back(() => wire.answer(status, text), lateMs);
    };
  }

  #errorOf(error: unknown): ApiError {
    if (isApiError(error)) return error;
    this.bugs.push(error);
    return new ApiError('internal', messageOf(error));
  }

  #nextMishap({ from, url, request }: Wire): MishapRule | undefined {
    const to = this.#servers.get(url)?.process.name;
    const route = `${request.method} ${request.path}`;
    const rule = this.#mishaps.find(
      (one) =>
        (one.from === undefined || one.from === from.name) &&
        (one.to === undefined || one.to === to) &&
        route.includes(one.route ?? ''),
    );
    if (!rule) return undefined;
    rule.times--;
    if (rule.times <= 0) this.#mishaps = this.#mishaps.filter((one) => one !== rule);
    return rule;
  }
}

const responseOf = (status: number, text: string) => ({
  status,
  ok: status < 300,
  text: () => Promise.resolve(text),
  json: () => Promise.resolve(JSON.parse(text) as unknown),
});

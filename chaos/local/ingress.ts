import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import type { Ingress } from '../platform.ts';

export interface Upstream {
  port: number;
  /** Answers 200 while the upstream takes connections. */
  readinessUrl: string;
}

/** Pause between two looks at an upstream, and how long an answer may take, in milliseconds: as a readiness probe. */
const probe = { intervalMs: 1000, timeoutMs: 1000 };

/** What clients connect to: each connection goes to the next replica that is ready and accepts it. */
export class LocalIngress implements Ingress {
  readonly #upstreams: readonly Upstream[];
  readonly #ready: Set<Upstream>;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#accept(socket));
  readonly #timer: NodeJS.Timeout;
  #next = 0;
  #silent = false;

  private constructor(upstreams: readonly Upstream[]) {
    this.#upstreams = upstreams;
    this.#ready = new Set(upstreams);
    this.#timer = setInterval(() => void this.#probeAll(), probe.intervalMs);
  }

  static async start(port: number, upstreams: readonly Upstream[]): Promise<LocalIngress> {
    const ingress = new LocalIngress(upstreams);
    ingress.#server.listen(port, '127.0.0.1');
    await once(ingress.#server, 'listening');
    return ingress;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  silence(): void {
    this.#silent = true;
    for (const socket of this.#sockets) socket.pause();
  }

  heal(): void {
    this.#silent = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#server.close();
    this.reset();
    await once(this.#server, 'close');
  }

  async #probeAll(): Promise<void> {
    await Promise.all(
      this.#upstreams.map(async (upstream) => {
        const signal = AbortSignal.timeout(probe.timeoutMs);
        const ok = await fetch(upstream.readinessUrl, { signal }).then(
          (answer) => answer.ok,
          () => false,
        );
        if (ok) this.#ready.add(upstream);
        else this.#ready.delete(upstream);
      }),
    );
  }

  #accept(client: Socket): void {
    this.#sockets.add(client);
    client.on('error', () => client.destroy());
    client.on('close', () => this.#sockets.delete(client));
    if (this.#silent) client.pause();
    const start = this.#next++;
    const order = this.#upstreams.map(
      (_, i) => this.#upstreams[(start + i) % this.#upstreams.length],
    );
    const ready = order.filter((one) => one !== undefined && this.#ready.has(one));
    this.#forward(client, ready.length > 0 ? ready : order);
  }

  /** Tries one after the other. */
  #forward(client: Socket, [upstream, ...others]: (Upstream | undefined)[]): void {
    if (!upstream) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ port: upstream.port, host: '127.0.0.1' });
    server.once('error', () => {
      this.#ready.delete(upstream);
      this.#forward(client, others);
    });
    server.once('connect', () => {
      server.removeAllListeners('error');
      this.#join(client, server);
    });
  }

  #join(client: Socket, server: Socket): void {
    this.#sockets.add(server);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      // Not by a pipe: that would resume a socket by itself which is to be silent.
      from.on('data', (data) => {
        if (!to.destroyed) to.write(data);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      if (this.#silent) from.pause();
    }
    if (client.destroyed) server.destroy();
  }
}

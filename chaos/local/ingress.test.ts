import { once } from 'node:events';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { LocalIngress } from './ingress.ts';

/** Says its name to whoever connects, then what it is told. */
class Replica {
  readonly #server: Server;
  readonly #readiness: HttpServer;
  readonly #sockets = new Set<Socket>();
  ready = true;

  constructor(name: string) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.write(name);
      socket.pipe(socket);
    });
    this.#readiness = createHttpServer((_, response) => {
      response.writeHead(this.ready ? 200 : 503).end();
    });
  }

  async start(): Promise<this> {
    for (const server of [this.#server, this.#readiness]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    return this;
  }

  get upstream() {
    const portOf = (server: Server | HttpServer): number => (server.address() as AddressInfo).port;
    const readinessUrl = `http://127.0.0.1:${portOf(this.#readiness)}/readyz`;
    return { port: portOf(this.#server), readinessUrl };
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#readiness.closeAllConnections();
    for (const server of [this.#server, this.#readiness]) {
      if (!server.listening) continue;
      const closed = once(server, 'close');
      server.close();
      await closed;
    }
  }
}

describe('the local ingress', () => {
  let replicas: [Replica, Replica];
  let ingress: LocalIngress;
  const clients: Socket[] = [];

  beforeEach(async () => {
    replicas = [await new Replica('one').start(), await new Replica('two').start()];
    ingress = await LocalIngress.start(
      0,
      replicas.map(({ upstream }) => upstream),
    );
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await ingress.close();
    for (const replica of replicas) await replica.stop();
  });

  interface Client {
    socket: Socket;
    heard: () => string;
    failed: () => boolean;
  }

  function open(): Client {
    const socket = connect(ingress.port, '127.0.0.1');
    clients.push(socket);
    let text = '';
    let failed = false;
    socket.on('data', (data) => (text += data.toString()));
    socket.on('error', () => (failed = true));
    return { socket, heard: () => text, failed: () => failed };
  }

  const greeted = async (client: Client): Promise<string> =>
    until('a greeting', () => client.heard());

  it('takes the replicas in turn', async () => {
    expect([await greeted(open()), await greeted(open())].sort()).toEqual(['one', 'two']);
  });

  it('goes past a replica that does not listen', async () => {
    await replicas[0].stop();
    expect([await greeted(open()), await greeted(open())]).toEqual(['two', 'two']);
  });

  it('goes past a replica that is not ready', async () => {
    replicas[1].ready = false;
    await until('only the first to be used', async () => {
      const names = [await greeted(open()), await greeted(open())];
      return names.every((name) => name === 'one');
    });
  });

  it('resets all connections', async () => {
    const client = open();
    await greeted(client);
    ingress.reset();
    await until('the connection to be reset', () => client.failed());
  });

  it('lets nothing through while it is silent, and all of it after', async () => {
    const before = open();
    const name = await greeted(before);
    ingress.silence();
    before.socket.write(' hello');
    const meanwhile = open();
    await once(meanwhile.socket, 'connect');
    expect([before.heard(), meanwhile.heard()]).toEqual([name, '']);
    ingress.heal();
    await until('the answer', () => before.heard() === `${name} hello`);
    await greeted(meanwhile);
  });
});

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { WebSocketServer, type WebSocket as ServerSocket } from 'ws';

import {
  CLOSE_FOR_GOOD,
  ProtooSocket,
  type Retry,
  type SocketHandlers,
  type SocketTimings,
} from './protoo-socket.ts';
import { RequestError } from './request-error.ts';

type Message = Record<string, unknown>;

/** What waits for the next of something, in the order in which it comes. */
function queue<T>() {
  const items: T[] = [];
  const waiting: ((item: T) => void)[] = [];
  return {
    items,
    push(item: T) {
      const next = waiting.shift();
      if (next) next(item);
      else items.push(item);
    },
    next: () => {
      const item = items.shift();
      return item === undefined
        ? new Promise<T>((resolve) => waiting.push(resolve))
        : Promise.resolve(item);
    },
  };
}

async function startServer(port = 0) {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port,
    handleProtocols: (protocols) => (protocols.has('protoo') ? 'protoo' : false),
  });
  await once(server, 'listening');
  const connections = queue<{
    socket: ServerSocket;
    messages: ReturnType<typeof queue<Message>>;
  }>();
  server.on('connection', (socket) => {
    const messages = queue<Message>();
    socket.on('message', (raw: Buffer) => messages.push(JSON.parse(raw.toString()) as Message));
    connections.push({ socket, messages });
  });
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    server,
    async close() {
      for (const client of server.clients) client.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}

const quick: SocketTimings = {
  requestTimeoutMs: 5000,
  connectTimeoutMs: 5000,
  keepAliveMs: 60_000,
  keepAliveTimeoutMs: 5000,
  retry: { tries: 3, minDelayMs: 5, maxDelayMs: 20, jitter: 0.25, stableAfterMs: 60_000 },
};

describe('ProtooSocket', () => {
  let fixture: Awaited<ReturnType<typeof startServer>>;
  const sockets: ProtooSocket[] = [];

  beforeEach(async () => {
    fixture = await startServer();
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.close();
    await fixture.close();
  });

  function connect(options: {
    handlers?: Partial<SocketHandlers>;
    timings?: Partial<SocketTimings>;
    port?: number;
    url?: (attempt: number) => Promise<string>;
  }) {
    const opens = queue<true>();
    const retries = queue<Retry>();
    const ends = queue<{ code: number; reason: string }>();
    const notifications = queue<{ method: string; data: unknown }>();
    const attempts: number[] = [];
    const socket = new ProtooSocket({
      url: (attempt) => {
        attempts.push(attempt);
        const port = options.port ?? fixture.port;
        return options.url?.(attempt) ?? `ws://127.0.0.1:${port}/?attempt=${attempt}`;
      },
      timings: { ...quick, ...options.timings },
      handlers: {
        open: () => opens.push(true),
        retrying: (retry) => retries.push(retry),
        closed: (end) => ends.push(end),
        request: () => Promise.resolve(undefined),
        notification: (method, data) => notifications.push({ method, data }),
        ...options.handlers,
      },
    });
    sockets.push(socket);
    return { socket, opens, retries, ends, notifications, attempts };
  }

  it('makes another connection when the server says nothing, also when asked', async () => {
    const { opens, retries } = connect({ timings: { keepAliveMs: 30, keepAliveTimeoutMs: 60 } });
    await opens.next();
    const { messages } = await fixture.connections.next();
    expect(await messages.next()).toMatchObject({ request: true, method: 'getRtcStatsUrl' });
    expect(await retries.next()).toMatchObject({ reason: 'the server is silent' });
    await opens.next();
  });

  it('keeps a connection whose server answers when it is asked', async () => {
    const { socket, opens } = connect({ timings: { keepAliveMs: 20, keepAliveTimeoutMs: 10_000 } });
    await opens.next();
    const { socket: far, messages } = await fixture.connections.next();
    for (let asked = 0; asked < 3; asked++) {
      const { id } = await messages.next();
      far.send(JSON.stringify({ response: true, id, ok: true, data: {} }));
    }
    expect(socket.connected).toBe(true);
  });

  it('resolves a request with the answer that carries its id', async () => {
    const { socket, opens } = connect({});
    await opens.next();
    const { socket: far, messages } = await fixture.connections.next();
    const first = socket.request('getRouterRtpCapabilities');
    const second = socket.request('join', { displayName: 'Ada' });
    const [one, two] = [await messages.next(), await messages.next()];
    expect(one).toEqual({
      request: true,
      id: one['id'],
      method: 'getRouterRtpCapabilities',
      data: {},
    });
    far.send(JSON.stringify({ response: true, id: two['id'], ok: true, data: { peers: [] } }));
    far.send(JSON.stringify({ response: true, id: one['id'], ok: true, data: { codecs: 1 } }));
    expect(await first).toEqual({ codecs: 1 });
    expect(await second).toEqual({ peers: [] });
  });

  it("rejects a request with the server's code and reason", async () => {
    const { socket, opens } = connect({});
    await opens.next();
    const { socket: far, messages } = await fixture.connections.next();
    const asked = socket.request('produce').catch((error: unknown) => error);
    const { id } = await messages.next();
    far.send(JSON.stringify({ response: true, id, errorCode: 403, errorReason: 'no grant' }));
    const error = await asked;
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ method: 'produce', code: 403, message: 'no grant' });
  });

  it('rejects a request that is not answered in time, and ignores the late answer', async () => {
    const { socket, opens } = connect({ timings: { requestTimeoutMs: 20 } });
    await opens.next();
    const { socket: far, messages } = await fixture.connections.next();
    const error = await socket.request('join').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: undefined, message: 'join: no answer in time' });
    const { id } = await messages.next();
    far.send(JSON.stringify({ response: true, id, ok: true, data: {} }));
    far.send('no frame at all');
    expect(socket.connected).toBe(true);
  });

  it('rejects what waits for an answer when the connection is lost', async () => {
    const { socket, opens } = connect({});
    await opens.next();
    const { socket: far, messages } = await fixture.connections.next();
    const asked = socket.request('join').catch((error: unknown) => error);
    await messages.next();
    far.terminate();
    expect(await asked).toBeInstanceOf(RequestError);
  });

  it('rejects a request at once and drops a notification while there is no connection', async () => {
    const { socket } = connect({});
    socket.notify('pauseProducer', { producerId: 'p' });
    await expect(socket.request('join')).rejects.toThrow('not connected');
  });

  it('sends and receives notifications', async () => {
    const { socket, opens, notifications } = connect({});
    await opens.next();
    const { socket: far, messages } = await fixture.connections.next();
    socket.notify('closeProducer', { producerId: 'p' });
    expect(await messages.next()).toEqual({
      notification: true,
      method: 'closeProducer',
      data: { producerId: 'p' },
    });
    far.send(JSON.stringify({ notification: true, method: 'peerClosed', data: { peerId: 'x' } }));
    expect(await notifications.next()).toEqual({ method: 'peerClosed', data: { peerId: 'x' } });
  });

  it("answers the server's request only once the handler is done", async () => {
    const gate = queue<true>();
    const { opens } = connect({
      handlers: { request: (method, data) => gate.next().then(() => ({ method, data })) },
    });
    await opens.next();
    const { socket: far, messages } = await fixture.connections.next();
    far.send(JSON.stringify({ request: true, id: 9, method: 'newConsumer', data: { a: 1 } }));
    far.ping();
    await once(far, 'pong');
    expect(messages.items).toEqual([]);
    gate.push(true);
    expect(await messages.next()).toEqual({
      response: true,
      id: 9,
      ok: true,
      data: { method: 'newConsumer', data: { a: 1 } },
    });
  });

  it('answers an error where the handler of a request fails', async () => {
    const { opens } = connect({
      handlers: { request: () => Promise.reject(new Error('cannot consume this Producer')) },
    });
    await opens.next();
    const { socket: far, messages } = await fixture.connections.next();
    far.send(JSON.stringify({ request: true, id: 4, method: 'newConsumer', data: {} }));
    expect(await messages.next()).toEqual({
      response: true,
      id: 4,
      errorCode: 500,
      errorReason: 'cannot consume this Producer',
    });
  });

  it('connects again after a loss, with the number of the try in the address', async () => {
    const { opens, retries, attempts } = connect({});
    await opens.next();
    const { socket: far } = await fixture.connections.next();
    far.close(1012, 'service restart');
    expect(await retries.next()).toMatchObject({
      attempt: 1,
      tries: 3,
      code: 1012,
      reason: 'service restart',
    });
    await opens.next();
    expect(attempts).toEqual([0, 1]);
  });

  it('counts tries on while connections do not last', async () => {
    const { opens, retries } = connect({});
    for (const attempt of [1, 2]) {
      await opens.next();
      (await fixture.connections.next()).socket.terminate();
      expect(await retries.next()).toMatchObject({ attempt });
    }
  });

  it('starts counting again after a connection that lasted', async () => {
    const { opens, retries, socket } = connect({
      timings: { retry: { ...quick.retry, stableAfterMs: 0 } },
    });
    for (let loss = 0; loss < 5; loss += 1) {
      await opens.next();
      const { socket: far } = await fixture.connections.next();
      // Lets the timer of a lasting connection run before the loss.
      await new Promise((resolve) => setTimeout(resolve, 10));
      far.terminate();
      expect(await retries.next()).toMatchObject({ attempt: 1 });
    }
    expect(socket.closed).toBe(false);
  });

  it('waits for an address that takes a while, and takes a failure of it for a failed try', async () => {
    const addresses = [
      Promise.reject(new Error('no token')),
      Promise.resolve(`ws://127.0.0.1:${fixture.port}/`),
    ];
    const { opens, retries } = connect({ url: (attempt) => addresses[attempt]! });
    expect(await retries.next()).toMatchObject({ attempt: 1, reason: 'no token' });
    await opens.next();
  });

  it('does not open an address that comes after the end', async () => {
    let give: (address: string) => void = () => undefined;
    const { socket, ends } = connect({ url: () => new Promise((resolve) => (give = resolve)) });
    socket.close();
    await ends.next();
    give(`ws://127.0.0.1:${fixture.port}/`);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(fixture.connections.items).toEqual([]);
  });

  it('never connects again after close code 4000', async () => {
    const { opens, ends, retries, attempts, socket } = connect({});
    await opens.next();
    const { socket: far } = await fixture.connections.next();
    far.close(CLOSE_FOR_GOOD, 'removed by an administrator');
    expect(await ends.next()).toEqual({ code: 4000, reason: 'removed by an administrator' });
    expect(socket.closed).toBe(true);
    socket.reconnect('no');
    socket.retryNow();
    expect(attempts).toEqual([0]);
    expect(retries.items).toEqual([]);
  });

  it('gives up after the last try, and says so once', async () => {
    const { port } = fixture;
    await fixture.close();
    const { ends, retries, attempts } = connect({ port });
    expect(await ends.next()).toMatchObject({
      reason: 'the server cannot be reached, or refuses the connection',
    });
    expect(retries.items.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(attempts).toEqual([0, 1, 2, 3]);
    expect(ends.items).toEqual([]);
    fixture = await startServer();
  });

  it('is refused by a server that does not speak protoo, as by one that is away', async () => {
    const other = new WebSocketServer({ host: '127.0.0.1', port: 0, verifyClient: () => false });
    await once(other, 'listening');
    const { ends } = connect({ port: (other.address() as AddressInfo).port });
    await ends.next();
    other.close();
    await once(other, 'close');
  });

  it('starts over when asked to, without waiting for the old connection', async () => {
    const { socket, opens, retries } = connect({});
    await opens.next();
    const { socket: far } = await fixture.connections.next();
    const farClosed = once(far, 'close');
    socket.reconnect('media connection lost');
    expect(await retries.next()).toMatchObject({ reason: 'media connection lost' });
    await opens.next();
    const [code] = (await farClosed) as [number];
    expect(code).not.toBe(CLOSE_FOR_GOOD);
  });

  it('skips the pause before a try when asked to', async () => {
    const { socket, opens, retries } = connect({
      timings: {
        retry: { ...quick.retry, minDelayMs: 3_600_000, maxDelayMs: 3_600_000 },
      },
    });
    await opens.next();
    (await fixture.connections.next()).socket.terminate();
    await retries.next();
    socket.retryNow();
    await opens.next();
    expect(socket.connected).toBe(true);
  });

  it('closes once, with 4000, and reports it once', async () => {
    const { socket, opens, ends } = connect({});
    await opens.next();
    const { socket: far } = await fixture.connections.next();
    const farClosed = once(far, 'close');
    socket.close();
    socket.close();
    const [code] = (await farClosed) as [number];
    expect(code).toBe(CLOSE_FOR_GOOD);
    expect(ends.items).toHaveLength(1);
    await expect(socket.request('join')).rejects.toThrow('not connected');
  });
});

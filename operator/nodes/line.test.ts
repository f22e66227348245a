import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { openLine } from './line.ts';

let server: Server;
let sockets: Socket[];
let url: string;
beforeEach(async () => {
  sockets = [];
  server = createServer((socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => void server.close(resolve));
});

describe('openLine', () => {
  it.each([
    { how: 'closes it', end: (socket: Socket) => void socket.end('HTTP/1.1 408\r\n\r\n') },
    { how: 'breaks it off', end: (socket: Socket) => void socket.resetAndDestroy() },
  ])('tells once when the far side $how', async ({ end }) => {
    let closed = 0;
    openLine(url, () => closed++);
    const [socket] = await until('a connection', () => (sockets.length > 0 ? sockets : undefined));
    expect(closed).toBe(0);
    end(socket!);
    await until('the end', () => closed > 0);
    expect(closed).toBe(1);
  });

  it('tells when nothing listens', async () => {
    await new Promise((resolve) => void server.close(resolve));
    let closed = 0;
    openLine(url, () => closed++);
    await until('the refusal', () => closed > 0);
    expect(closed).toBe(1);
  });

  it('tells nothing when it is closed from here', async () => {
    let closed = 0;
    const close = openLine(url, () => closed++);
    await until('a connection', () => sockets.length > 0);
    const ended = new Promise((resolve) => void sockets[0]!.once('close', resolve));
    sockets[0]!.resume();
    close();
    await ended;
    expect(closed).toBe(0);
  });
});

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

import { ApiError } from '../common/errors.ts';

/**
 * Below the ports that systems give to outgoing connections, which come and go at any time, and above those that the demo
 * and the tests ask for by number.
 */
const range = { min: 24_000, max: 32_000 };
const attempts = 50;

/** Binds and lets go again; rejects when the port is taken. */
async function probe(port: number): Promise<void> {
  const tcp = createServer().listen(port, '127.0.0.1');
  await once(tcp, 'listening');
  tcp.close();
  await once(tcp, 'close');
  const udp = createSocket('udp4');
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  await new Promise<void>((resolve) => udp.close(resolve));
}

/** The first of `count` ports in a row that are free, UDP and TCP. Other processes look for theirs at the same time. */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const start = range.min + Math.floor(Math.random() * (range.max - count - range.min));
    try {
      for (let port = start; port < start + count; port++) await probe(port);
      return start;
    } catch (error) {
      if (attempt >= attempts) throw error;
    }
  }
}

/** @throws ApiError when somebody listens there already, naming what sets the port */
export async function assertFree(port: number, variable: string): Promise<void> {
  const server = createServer();
  const taken = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(true));
    server.listen(port, '127.0.0.1', () => resolve(false));
  });
  if (taken)
    throw new ApiError('invalid_request', `port ${port} is taken; choose another with ${variable}`);
  server.close();
  await once(server, 'close');
}

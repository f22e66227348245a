import { createServer, type RequestListener, type Server } from 'node:http';

import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

import { healthcheck } from './healthcheck.ts';
import { closeServer, listen } from './http.ts';

const timeoutMs = 5_000;

describe('the health check', () => {
  let server: Server;
  let port: number;
  let answer: RequestListener;
  let printed: string;

  beforeEach(async () => {
    printed = '';
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed += String(text);
      return true;
    });
    answer = ({ url }, response) => void response.writeHead(url === '/healthz' ? 200 : 404).end();
    server = createServer((request, response) => answer(request, response));
    port = await listen(server, { host: '0.0.0.0', port: 0 });
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    server.closeAllConnections();
    await closeServer(server);
  });

  it.each(['127.0.0.1', '0.0.0.0'])('asks the service that listens on %s', async (host) => {
    await healthcheck({ host, port }, timeoutMs);
    expect(printed).toBe(`healthy: http://127.0.0.1:${port}/healthz\n`);
  });

  it('fails with the status of any other answer', async () => {
    answer = (_, response) => void response.writeHead(503).end('not now');
    await expect(healthcheck({ host: '127.0.0.1', port }, timeoutMs)).rejects.toThrow(
      `unhealthy: http://127.0.0.1:${port}/healthz answered 503`,
    );
  });

  it('fails where nobody listens', async () => {
    await closeServer(server);
    await expect(healthcheck({ host: '127.0.0.1', port }, timeoutMs)).rejects.toThrow(
      /^unhealthy: .*ECONNREFUSED/,
    );
  });

  it('fails where the service does not answer in time', async () => {
    answer = () => undefined;
    await expect(healthcheck({ host: '127.0.0.1', port }, 50)).rejects.toThrow(
      /^unhealthy: .*timeout/,
    );
  });

  it('wants a fixed port', async () => {
    await expect(healthcheck({ host: '::', port: 0 }, timeoutMs)).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});

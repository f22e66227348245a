import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import { createServiceTokenSigner, verifyServiceToken } from '../auth/service-token.ts';
import { ApiError } from '../errors.ts';
import { httpClientConfig, type HttpClientConfig } from '../service/config.ts';
import { closeServer, listen } from '../service/http.ts';
import { withRequestId } from '../service/logger.ts';
import { withTrace } from '../service/trace.ts';
import { createServiceMetrics } from '../service/metrics.ts';
import { createHttpClient, type Call, type HttpClient } from './client.ts';

const secret = 'a secret of at least 32 bytes, for tests';
const response = z.object({ ok: z.boolean() });

type Handler = (request: IncomingMessage, answer: ServerResponse) => unknown;

const json = (answer: ServerResponse, status: number, body: unknown) =>
  answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const coded =
  (error: ApiError): Handler =>
  (_, answer) =>
    json(answer, error.status, error.toBody());
const fine: Handler = (_, answer) => json(answer, 200, { ok: true });

describe('the HTTP client', () => {
  let server: Server;
  let baseUrl: string;
  let requests: IncomingMessage[];
  /** What the far side does with the first request, the second, …; the last one stays. */
  let handlers: Handler[];
  let metrics: ReturnType<typeof createServiceMetrics>;

  beforeEach(async () => {
    requests = [];
    handlers = [fine];
    metrics = createServiceMetrics();
    server = createServer((request, answer) => {
      const handler = handlers[Math.min(requests.length, handlers.length - 1)]!;
      requests.push(request);
      handler(request, answer);
    });
    baseUrl = `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await closeServer(server);
  });

  const client = (
    config: Partial<HttpClientConfig> = {},
    extraHeaders: Record<string, string> = {},
  ): HttpClient =>
    createHttpClient(
      'media-node',
      {
        config: httpClientConfig.parse({ retries: 0, retryBackoffMs: 1, ...config }),
        metrics,
        signToken: createServiceTokenSigner({ secret, issuer: 'tests', ttlSeconds: 60 }),
      },
      extraHeaders,
    );
  const ping = (more: Partial<Call<typeof response>> = {}): Call<typeof response> => ({
    method: 'GET',
    baseUrl,
    route: '/rooms/:roomId/ping',
    params: { roomId: 'room 1/x' },
    response,
    ...more,
  });
  const failure = async (promise: Promise<unknown>): Promise<ApiError> => {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ApiError);
    return error as ApiError;
  };

  describe('sends', () => {
    it('the parameters in the path, escaped', async () => {
      expect(await client().call(ping())).toEqual({ ok: true });
      expect(requests[0]?.url).toBe('/rooms/room%201%2Fx/ping');
    });

    it('a token that the far side accepts', async () => {
      await client().call(ping());
      const { authorization } = requests[0]!.headers;
      expect(await verifyServiceToken(authorization, 'media-node', secret)).toBe('tests');
    });

    it('the id of the request that it is made in, and none outside of one', async () => {
      await withRequestId('request-1', () => client().call(ping()));
      await client().call(ping());
      expect(requests.map(({ headers }) => headers['x-request-id'])).toEqual([
        'request-1',
        undefined,
      ]);
    });

    it('the trace that it is made in, with a span of its own, and a new trace outside of one', async () => {
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
      const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
      await withTrace(traceparent, () => client().call(ping()));
      await client().call(ping());
      const sent = requests.map(({ headers }) => String(headers['traceparent']).split('-'));
      expect(sent.map((parts) => parts.map(({ length }) => length))).toEqual([
        [2, 32, 16, 2],
        [2, 32, 16, 2],
      ]);
      expect(sent[0]?.[1]).toBe(traceId);
      expect(sent[0]?.[2]).not.toBe('00f067aa0ba902b7');
      expect(sent[1]?.[1]).not.toBe(traceId);
    });

    it('nothing that changes something while its fence is closed, before each attempt anew', async () => {
      let open = 1;
      const fenced = createHttpClient('media-node', {
        config: httpClientConfig.parse({ retries: 3, retryBackoffMs: 1 }),
        metrics,
        signToken: createServiceTokenSigner({ secret, issuer: 'tests', ttlSeconds: 60 }),
        fence: () => {
          if (open-- <= 0) throw new Error('closed');
        },
      });
      handlers = [coded(new ApiError('node_draining', 'x'))];
      await expect(fenced.call(ping({ method: 'PUT' }))).rejects.toThrow('closed');
      expect(requests).toHaveLength(1);
      handlers = [fine];
      await fenced.call(ping());
      expect(requests).toHaveLength(2);
    });

    it('the headers that it was made with', async () => {
      await client({}, { 'x-instance-id': 'one' }).call(ping());
      expect(requests[0]?.headers['x-instance-id']).toBe('one');
    });

    it('the body as JSON, and the same again when it tries again', async () => {
      const bodies: string[] = [];
      const keep =
        (then: Handler): Handler =>
        async (request, answer) => {
          const chunks: Buffer[] = [];
          for await (const chunk of request) chunks.push(chunk as Buffer);
          bodies.push(Buffer.concat(chunks).toString());
          then(request, answer);
        };
      handlers = [keep(coded(new ApiError('node_draining', 'x'))), keep(fine)];
      await client({ retries: 1 }).call(ping({ method: 'POST', body: { a: [1] } }));
      expect(bodies).toEqual(['{"a":[1]}', '{"a":[1]}']);
      expect(requests[0]?.headers['content-type']).toBe('application/json');
    });
  });

  it('takes an empty answer for an empty object', async () => {
    handlers = [(_, answer) => answer.writeHead(204).end()];
    expect(await client().call(ping({ response: z.object({}) as never }))).toEqual({});
  });

  it('does not send a request whose path lacks a parameter', async () => {
    const call = client({ retries: 2 }).call(ping({ params: {} }));
    await expect(call).rejects.toThrow('/rooms/:roomId/ping needs the parameter roomId');
    await expect(call).rejects.not.toBeInstanceOf(ApiError);
    expect(requests).toEqual([]);
  });

  describe('throws', () => {
    it('the code, the message and the fields that the far side answered', async () => {
      const fields = [{ field: 'codecs[0]', message: 'unknown' }];
      handlers = [coded(new ApiError('invalid_request', 'body: wrong', { fields }))];
      expect(await failure(client().call(ping()))).toMatchObject({
        code: 'invalid_request',
        message: 'body: wrong',
        fields,
      });
    });

    const strange: [string, number, string][] = [
      ['has no body', 500, ''],
      ['is not JSON', 502, '<h1>Bad Gateway</h1>'],
      ['is JSON of another kind', 500, '{"error":"no"}'],
      ['has a code that is not in the catalogue', 400, '{"error":{"code":"toString"}}'],
      ['is null', 404, 'null'],
    ];
    it.each(strange)('far_side_failed when an error %s', async (_, status, body) => {
      handlers = [(__, answer) => answer.writeHead(status).end(body)];
      const error = await failure(client().call(ping()));
      expect(error.code).toBe('far_side_failed');
      expect(error.message).toContain(`GET /rooms/:roomId/ping: answered ${status}`);
    });

    it('far_side_failed, naming the field, when the answer does not fit', async () => {
      handlers = [(_, answer) => json(answer, 200, { ok: 'yes' })];
      const error = await failure(client().call(ping()));
      expect(error.code).toBe('far_side_failed');
      expect(error.message).toMatch(/^answer of GET \/rooms\/:roomId\/ping: ok: /);
      expect(error.fields).toBeUndefined();
    });

    it('far_side_failed when the answer is not JSON', async () => {
      handlers = [(_, answer) => answer.end('<h1>Welcome</h1>')];
      const error = await failure(client().call(ping()));
      expect(error.code).toBe('far_side_failed');
      expect(error.message).toMatch(/^answer of GET /);
    });

    it('node_unavailable when nobody listens', async () => {
      await closeServer(server);
      const error = await failure(client().call(ping()));
      expect(error.code).toBe('node_unavailable');
      expect(error.message).toContain(baseUrl);
    });

    it('node_unavailable when the connection breaks before an answer', async () => {
      handlers = [(request) => request.socket.destroy()];
      expect((await failure(client().call(ping()))).code).toBe('node_unavailable');
    });

    it('node_unavailable when the connection breaks within the answer', async () => {
      handlers = [
        (_, answer) => {
          answer.writeHead(200, { 'content-length': '100' });
          answer.write('{', () => answer.destroy());
        },
      ];
      expect((await failure(client().call(ping()))).code).toBe('node_unavailable');
    });

    it('timed_out when the far side is silent', async () => {
      handlers = [() => undefined];
      const error = await failure(client({ timeoutMs: 100 }).call(ping()));
      expect(error.code).toBe('timed_out');
      expect(error.message).toContain('GET /rooms/:roomId/ping');
    });

    it('timed_out when the far side falls silent within its answer', async () => {
      handlers = [(_, answer) => answer.writeHead(200, { 'content-length': '100' }).write('{')];
      const error = await failure(client().call(ping({ timeoutMs: 500 })));
      expect(error.code).toBe('timed_out');
    });
  });

  describe('tries again', () => {
    it('as often as configured, and throws the last failure', async () => {
      handlers = [
        coded(new ApiError('conflict', 'x')),
        coded(new ApiError('node_draining', 'x')),
        coded(new ApiError('store_unavailable', 'last')),
      ];
      const error = await failure(client({ retries: 2 }).call(ping()));
      expect(error).toMatchObject({ code: 'store_unavailable', message: 'last' });
      expect(requests).toHaveLength(3);
    });

    it('until it works', async () => {
      handlers = [coded(new ApiError('node_draining', 'x')), fine];
      expect(await client({ retries: 5 }).call(ping())).toEqual({ ok: true });
      expect(requests).toHaveLength(2);
    });

    it('as often as the call says, whatever is configured', async () => {
      handlers = [coded(new ApiError('node_draining', 'x'))];
      await failure(client({ retries: 5 }).call(ping({ retries: 1 })));
      expect(requests).toHaveLength(2);
    });

    it('not when it can not help', async () => {
      handlers = [coded(new ApiError('room_not_found', 'x'))];
      await failure(client({ retries: 5 }).call(ping()));
      expect(requests).toHaveLength(1);
    });
  });

  it('counts each attempt by target, route pattern and status or code', async () => {
    handlers = [coded(new ApiError('node_draining', 'x')), fine];
    await client({ retries: 1 }).call(ping());
    await closeServer(server);
    server.closeAllConnections();
    await failure(client().call(ping({ params: { roomId: 'other' } })));
    const { values } = await metrics.httpClientDuration.get();
    const counts = values.filter(({ metricName }) => metricName?.endsWith('_count'));
    const labels = { target: 'media-node', route: '/rooms/:roomId/ping' };
    expect(counts.map((count) => [count.labels, count.value])).toEqual([
      [{ ...labels, code: '503' }, 1],
      [{ ...labels, code: '200' }, 1],
      [{ ...labels, code: 'node_unavailable' }, 1],
    ]);
  });
});

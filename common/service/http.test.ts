import { createServer, type Server } from 'node:http';
import { gzipSync } from 'node:zlib';

import Router from '@koa/router';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import { createServiceTokenSigner } from '../auth/service-token.ts';
import { ApiError, type ErrorBody } from '../errors.ts';
import {
  closeServer,
  createHttpApp,
  listen,
  requireServiceToken,
  type HttpChassis,
} from './http.ts';
import { currentRequestId } from './logger.ts';
import { createServiceMetrics } from './metrics.ts';
import { currentTraceId } from './trace.ts';

const secret = 'a secret of at least 32 bytes, for tests';
const bodyLimitBytes = 1000;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

describe('the HTTP chassis', () => {
  let server: Server;
  let baseUrl: string;
  let metrics: ReturnType<typeof createServiceMetrics>;
  let log: string[];
  let waitingFor: string[];
  let scrapes: number;
  /** Answers `/held/:id`. */
  let release: () => void;
  let held: Promise<void>;
  let arrived: () => void;
  let atWork: Promise<void>;

  beforeEach(async () => {
    metrics = createServiceMetrics();
    log = [];
    waitingFor = [];
    scrapes = 0;
    held = new Promise((resolve) => (release = resolve));
    atWork = new Promise((resolve) => (arrived = resolve));
    await start();
  });
  afterEach(async () => {
    release();
    server.closeAllConnections();
    await closeServer(server);
  });

  async function start(more: Partial<HttpChassis> = {}): Promise<void> {
    const app = createHttpApp({
      logger: pino({ level: 'debug' }, { write: (line: string) => void log.push(line) }),
      metrics,
      bodyLimitBytes,
      readiness: () => waitingFor,
      beforeScrape: () => {
        scrapes++;
        return Promise.resolve();
      },
      ...more,
    });
    app.use(routes().routes());
    app.silent = true;
    const handle = app.callback();
    server = createServer((request, response) => void handle(request, response));
    baseUrl = `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}`;
  }

  function routes(): Router {
    const router = new Router();
    router.post('/rooms/:roomId', (ctx) => {
      ctx.body = { roomId: ctx['params'].roomId as string, body: ctx.request.body };
    });
    router.get('/request-id', (ctx) => {
      ctx.body = { requestId: currentRequestId() };
    });
    router.get('/trace-id', (ctx) => {
      ctx.body = { traceId: currentTraceId() };
    });
    router.get('/throws/:what', () => {
      throw new Error('the password is 1234');
    });
    router.get('/throws-undefined', () => {
      // What a broken library may do.
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- the case under test
      throw undefined;
    });
    router.get('/full', () => {
      const fields = [{ field: 'seat', message: 'taken' }];
      throw new ApiError('room_full', 'no seat left', { fields });
    });
    router.get('/internal/:id', requireServiceToken('media-node', secret), (ctx) => {
      ctx.body = { caller: ctx.state['caller'] as string };
    });
    router.get('/held/:id', async (ctx) => {
      arrived();
      await held;
      ctx.body = { done: true };
    });
    return router;
  }

  const post = (body: BodyInit, headers: Record<string, string> = {}) =>
    fetch(`${baseUrl}/rooms/one`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${baseUrl}${path}`, { headers });
  async function errorOf(response: Response): Promise<ErrorBody['error'] & { status: number }> {
    const { error } = (await response.json()) as ErrorBody;
    return { ...error, status: response.status };
  }
  /** Method, route, code and count of each kind of request so far. */
  async function counted(): Promise<[string, string, number, number][]> {
    const { values } = await metrics.httpRequestDuration.get();
    return values
      .filter(({ metricName }) => metricName?.endsWith('_count'))
      .map(({ labels, value }) => [
        String(labels.method),
        String(labels.route),
        Number(labels.code),
        value,
      ]);
  }

  describe('reads bodies', () => {
    it('of JSON', async () => {
      const response = await post('{"a":[1]}');
      expect(await response.json()).toEqual({ roomId: 'one', body: { a: [1] } });
    });

    it('that are compressed', async () => {
      const response = await post(gzipSync('{"a":1}'), { 'content-encoding': 'gzip' });
      expect(await response.json()).toMatchObject({ body: { a: 1 } });
    });

    it.each(['{"a":', 'nonsense', '"text"'])(
      'and answers 400 invalid_request to %p',
      async (body) => {
        const error = await errorOf(await post(body));
        expect(error).toMatchObject({ status: 400, code: 'invalid_request' });
        expect(error.message).toMatch(/^body: /);
      },
    );

    it.each([
      ['is not compressed as it says', { 'content-encoding': 'gzip' }],
      ['is compressed in an unknown way', { 'content-encoding': 'rot13' }],
    ])('and answers 400 invalid_request when the body %s', async (_, headers) => {
      const error = await errorOf(await post('{"a":1}', headers));
      expect(error).toMatchObject({ status: 400, code: 'invalid_request' });
    });

    it('up to the limit, and answers 413 payload_too_large beyond it', async () => {
      const fits = `["${'x'.repeat(bodyLimitBytes - 4)}"]`;
      expect((await post(fits)).status).toBe(200);
      const error = await errorOf(await post(`${fits} `));
      expect(error).toMatchObject({ status: 413, code: 'payload_too_large' });
    });

    it('up to the limit of what they hold, however small they are compressed', async () => {
      const body = gzipSync(`["${'x'.repeat(100 * bodyLimitBytes)}"]`);
      expect(body.length).toBeLessThan(bodyLimitBytes);
      const error = await errorOf(await post(body, { 'content-encoding': 'gzip' }));
      expect(error).toMatchObject({ status: 413, code: 'payload_too_large' });
    });
  });

  describe('answers an error', () => {
    it('as its code, message and fields', async () => {
      expect(await errorOf(await get('/full'))).toEqual({
        status: 429,
        code: 'room_full',
        message: 'no seat left',
        fields: [{ field: 'seat', message: 'taken' }],
      });
    });

    it('not_found for a route that it does not have', async () => {
      expect(await errorOf(await get('/nothing/here?token=secret'))).toEqual({
        status: 404,
        code: 'not_found',
        message: 'no such route: GET /nothing/here',
      });
    });

    it('not_found for a method that the route does not have', async () => {
      expect(await errorOf(await get('/rooms/one'))).toMatchObject({ code: 'not_found' });
    });

    it('internal for what nobody expected, and tells the details to the log alone', async () => {
      const response = await get('/throws/one');
      const text = await response.text();
      expect(response.status).toBe(500);
      expect(JSON.parse(text)).toMatchObject({ error: { code: 'internal' } });
      expect(text).not.toContain('1234');
      expect(log.join('')).toContain('the password is 1234');
    });

    it('internal when something that is no error is thrown', async () => {
      expect(await errorOf(await get('/throws-undefined'))).toMatchObject({ code: 'internal' });
    });

    it('and counts it by its code', async () => {
      await get('/full');
      await get('/nothing');
      await get('/nothing/else');
      const { values } = await metrics.errors.get();
      expect(values.map(({ labels, value }) => [labels.code, value])).toEqual([
        ['room_full', 1],
        ['not_found', 2],
      ]);
    });
  });

  describe('gives each request an id', () => {
    it('goes on with the caller’s trace, and begins one where there is none', async () => {
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
      const given = await get('/trace-id', { traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
      expect(await given.json()).toEqual({ traceId });
      const none = (await (await get('/trace-id')).json()) as { traceId: string };
      expect(none.traceId).toMatch(/^[0-9a-f]{32}$/);
    });

    it('which is the one that it came with, here and at whatever the request does', async () => {
      const response = await get('/request-id', { 'x-request-id': 'caller-1.a_B' });
      expect(response.headers.get('x-request-id')).toBe('caller-1.a_B');
      expect(await response.json()).toEqual({ requestId: 'caller-1.a_B' });
    });

    it.each(['with space', 'x'.repeat(65), '{"a":1}', 'a;b', ''])(
      'which is a new one when it came with %p',
      async (given) => {
        const response = await get('/request-id', { 'x-request-id': given });
        const id = response.headers.get('x-request-id');
        expect(id).toMatch(uuid);
        expect(await response.json()).toEqual({ requestId: id });
      },
    );

    it('which an error is answered with too', async () => {
      const response = await get('/throws/one', { 'x-request-id': 'caller-1' });
      expect(response.headers.get('x-request-id')).toBe('caller-1');
    });
  });

  describe('lets pass', () => {
    const sign = createServiceTokenSigner({ secret, issuer: 'pod-1', ttlSeconds: 60 });

    it('a caller with a token, and tells its name', async () => {
      const authorization = `Bearer ${await sign('media-node')}`;
      expect(await (await get('/internal/1', { authorization })).json()).toEqual({
        caller: 'pod-1',
      });
    });

    it('no caller without one or with another', async () => {
      expect(await errorOf(await get('/internal/1'))).toMatchObject({
        status: 401,
        code: 'missing_token',
      });
      const authorization = `Bearer ${await sign('operator')}`;
      expect(await errorOf(await get('/internal/1', { authorization }))).toMatchObject({
        status: 401,
        code: 'invalid_token',
      });
    });
  });

  describe('shows', () => {
    it('that the process runs, whatever it waits for', async () => {
      waitingFor = ['workers'];
      expect(await (await get('/healthz')).json()).toEqual({ status: 'ok' });
    });

    it('whether it takes work, and what it waits for', async () => {
      const ready = await get('/readyz');
      expect([ready.status, await ready.json()]).toEqual([200, { status: 'ok', waitingFor: [] }]);
      waitingFor = ['workers', 'drain'];
      const waiting = await get('/readyz');
      expect([waiting.status, await waiting.json()]).toEqual([
        503,
        { status: 'waiting', waitingFor: ['workers', 'drain'] },
      ]);
    });

    it('its metrics, brought up to date before', async () => {
      const response = await get('/metrics');
      expect(response.headers.get('content-type')).toContain('text/plain');
      expect(await response.text()).toContain('# TYPE kube_sfu_errors_total counter');
      expect(scrapes).toBe(1);
    });

    it('its health alone on a public listener', async () => {
      await closeServer(server);
      await start({ probes: 'health' });
      expect((await get('/healthz')).status).toBe(200);
      expect((await get('/readyz')).status).toBe(404);
      expect((await get('/metrics')).status).toBe(404);
      expect(scrapes).toBe(0);
    });
  });

  it('measures requests by method, route pattern and status, never by path', async () => {
    await post('{}');
    await fetch(`${baseUrl}/rooms/two`, { method: 'POST' });
    await post('nonsense');
    await get('/throws/one');
    await get('/internal/1');
    await get('/nothing/here');
    await get('/healthz');
    expect(await counted()).toEqual([
      ['POST', '/rooms/:roomId', 200, 2],
      ['POST', 'unmatched', 400, 1],
      ['GET', '/throws/:what', 500, 1],
      ['GET', '/internal/:id', 401, 1],
      ['GET', 'unmatched', 404, 1],
      ['GET', '/healthz', 200, 1],
    ]);
  });

  describe('closeServer', () => {
    it('answers what is under way and accepts nothing new', async () => {
      const answer = get('/held/1');
      await atWork;
      const closed = closeServer(server);
      await expect(get('/healthz')).rejects.toThrow();
      release();
      expect(await (await answer).json()).toEqual({ done: true });
      await closed;
    });

    it('may be called again, and before the server listens', async () => {
      await closeServer(server);
      await closeServer(server);
      await closeServer(createServer());
    });
  });

  it('listen rejects when the port is taken', async () => {
    const other = createServer();
    const port = Number(new URL(baseUrl).port);
    await expect(listen(other, { host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });
});

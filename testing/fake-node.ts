import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';

import Router from '@koa/router';
import Koa from 'koa';
import { bodyParser } from '@koa/bodyparser';
import type { z } from 'zod';

import { verifyServiceToken } from '../common/auth/service-token.ts';
import { ApiError, isApiError, messageOf, type ErrorCode } from '../common/errors.ts';
import { closeServer, listen } from '../common/service/http.ts';
import { parseOrThrow } from '../common/validate.ts';
import {
  announcedAddressRequest,
  putRouterRequest,
  type NodeRole,
  type NodeStatus,
  type NodeLoad,
} from '../common/wire/media-node.ts';

export interface FakeNodeOptions {
  podName: string;
  pool: string;
  role: NodeRole;
  secret: string;
  workers?: number;
  host?: string;
  port?: number;
  /** What it announces at its start; default: nothing. */
  announcedAddress?: string;
}

type RouterStatus = NodeStatus['routers'][number];

/**
 * The operator's side of a media node's HTTP contract without media: routers are kept, status is answered, drain is
 * obeyed. Tests set loads and faults on it.
 */
export class FakeNode {
  readonly options: FakeNodeOptions;
  instanceId: string = randomUUID();
  readonly routers = new Map<string, RouterStatus>();
  /** What each router was made with. */
  readonly mediaCodecs = new Map<string, z.output<typeof putRouterRequest>['mediaCodecs']>();
  state: NodeStatus['state'] = 'Ready';
  load: Partial<NodeLoad> = {};
  /** Consumers on each worker. */
  workerConsumers: number[] = [];
  announcedAddress: string | undefined;
  /** Process of its mediasoup workers: another one after one of them died. */
  workerPid = 1;
  /** Every call that was answered or refused, as `METHOD path`. */
  readonly calls: string[] = [];
  /** Asked at each call: an error code refuses it, `hang` leaves it without an answer. */
  fault: (method: string, path: string) => ErrorCode | 'hang' | undefined = () => undefined;
  #server: Server | undefined;
  #port = 0;

  constructor(options: FakeNodeOptions) {
    this.options = options;
    this.announcedAddress = options.announcedAddress;
  }

  get url(): string {
    return `http://${this.options.host ?? '127.0.0.1'}:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<this> {
    const app = new Koa();
    app.use(this.#answerErrors());
    app.use(bodyParser());
    app.use(this.#routes());
    const handle = app.callback();
    this.#server = createServer((request, response) => void handle(request, response));
    const { host = '127.0.0.1', port = 0 } = this.options;
    this.#port = await listen(this.#server, { host, port: this.#port || port });
    return this;
  }

  /** Stops answering; what it holds stays, for a later {@link start}. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    server?.closeAllConnections();
    if (server) await closeServer(server);
  }

  /** Ends the instance: the next {@link start} is another one, with nothing. */
  restart(): void {
    this.instanceId = randomUUID();
    this.routers.clear();
    this.state = 'Ready';
    this.announcedAddress = this.options.announcedAddress;
  }

  setPeers(peers: number, roomId?: string): void {
    for (const [id, router] of this.routers)
      if (roomId === undefined || router.roomId === roomId)
        this.routers.set(id, { ...router, peers });
  }

  status(): NodeStatus {
    const routers = [...this.routers.values()];
    return {
      instanceId: this.instanceId,
      podName: this.options.podName,
      pool: this.options.pool,
      role: this.options.role,
      version: '0.0.0',
      pid: process.pid,
      startedAt: new Date(0).toISOString(),
      state: this.state,
      ...(this.announcedAddress === undefined ? {} : { announcedAddress: this.announcedAddress }),
      load: {
        peers: routers.reduce((sum, { peers }) => sum + peers, 0),
        ...{ producers: 0, consumers: 0, dataProducers: 0, dataConsumers: 0, cpuPercent: 0 },
        ...this.load,
      },
      workers: Array.from({ length: this.options.workers ?? 1 }, (_, index) => ({
        ...{
          index,
          pid: this.workerPid,
          port: 1,
          cpuPercent: 0,
          consumers: this.workerConsumers[index] ?? 0,
        },
        routers: routers.length,
      })),
      routers,
      pipes: [],
    };
  }

  #answerErrors(): Koa.Middleware {
    return async (ctx, next) => {
      try {
        const fault = this.fault(ctx.method, ctx.path);
        this.calls.push(`${ctx.method} ${ctx.path}`);
        if (fault === 'hang') await new Promise(() => undefined);
        else if (fault) throw new ApiError(fault, `told to fail with ${fault}`);
        await next();
      } catch (error) {
        const known = isApiError(error) ? error : new ApiError('internal', messageOf(error));
        ctx.status = known.status;
        ctx.body = known.toBody();
      }
    };
  }

  #routes(): ReturnType<Router['routes']> {
    const router = new Router();
    router.get('/readyz', (ctx) => {
      ctx.body = { status: 'ok' };
    });
    router.get('/pid', (ctx) => {
      ctx.body = String(process.pid);
    });
    router.use(async (ctx, next) => {
      await verifyServiceToken(ctx.get('authorization'), 'media-node', this.options.secret);
      await next();
    });
    router.get('/status', (ctx) => {
      ctx.body = this.status();
    });
    router.post('/drain', (ctx) => {
      this.state = 'Draining';
      ctx.body = { state: 'Draining', peers: this.status().load.peers };
    });
    router.put('/announced_address', (ctx) => {
      const { address } = parseOrThrow(announcedAddressRequest, ctx.request.body, 'body');
      this.announcedAddress = address;
      ctx.body = { address };
    });
    router.put('/rooms/:roomId/routers/:routerId', (ctx) => {
      const { roomId = '', routerId = '' } = ctx.params;
      const request = parseOrThrow(putRouterRequest, ctx.request.body, 'body');
      ctx.body = this.putRouter(roomId, routerId, request);
    });
    router.delete('/rooms/:roomId/routers/:routerId', (ctx) => {
      this.routers.delete(ctx.params['routerId'] ?? '');
      ctx.body = {};
    });
    return router.routes();
  }

  /** Makes a router as the operator asks for it. @throws {ApiError} `instance_mismatch`, `node_draining` */
  putRouter(roomId: string, routerId: string, request: z.output<typeof putRouterRequest>) {
    const { instanceId, role, generation, mediaCodecs } = request;
    if (instanceId !== this.instanceId)
      throw new ApiError('instance_mismatch', `this is ${this.instanceId}`);
    if (this.state === 'Draining' && !this.routers.has(routerId))
      throw new ApiError('node_draining', 'this node takes no new routers');
    const fresh = {
      ...{ routerId, roomId, role, generation, workerIndex: 0 },
      ...{
        peers: 0,
        transports: 0,
        producers: 0,
        consumers: 0,
        dataProducers: 0,
        dataConsumers: 0,
      },
    };
    this.routers.set(routerId, this.routers.get(routerId) ?? fresh);
    this.mediaCodecs.set(routerId, mediaCodecs);
    return { routerId, instanceId, workerIndex: 0, rtpCapabilities: {} };
  }
}

import type { z } from 'zod';

import { ApiError } from '../../common/errors.ts';
import type {
  RouterAddress,
  destinationPipeRequest,
  destinationPipeResponse,
  pipeStateRequest,
} from '../../common/wire/media-node.ts';
import type { NodeContext } from '../context.ts';
import type { LiveRouter } from '../mediasoup/objects.ts';
import { DestinationPipe } from './destination-pipe.ts';
import { connectPipe, createPipeTransport, endpointOf, savePipe } from './endpoint.ts';
import { farEndGone } from './state-sender.ts';

const keyOf = (router: LiveRouter, { routerId, node }: RouterAddress): string =>
  `${router.id} ${node.instanceId} ${routerId}`;

/** The destination ends of this node's pipes: one for each pair of routers, made once under concurrency. */
export class DestinationPipes {
  readonly #ctx: NodeContext;
  readonly #pipes = new Map<string, Promise<DestinationPipe>>();
  readonly #byId = new Map<string, DestinationPipe>();
  readonly #timers: NodeJS.Timeout[];

  constructor(ctx: NodeContext) {
    this.#ctx = ctx;
    const { idleMs, demandIntervalMs } = ctx.config.pipes;
    const each = (what: string, work: (pipe: DestinationPipe) => Promise<void>) => (): void => {
      for (const pipe of this.all) ctx.background(what, () => work(pipe));
    };
    this.#timers = [
      setInterval(
        each('pipes: release', (pipe) => pipe.releaseIdle()),
        Math.max(50, idleMs / 2),
      ),
      setInterval(
        each('pipes: demand', (pipe) => pipe.demand()),
        demandIntervalMs,
      ),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  get all(): DestinationPipe[] {
    return [...this.#byId.values()];
  }

  /**
   * Brings producers of a router elsewhere to a router here. A pipe whose source end turns out to be gone is made anew,
   * once.
   *
   * @throws {ApiError} `router_not_found`; what the source answered; `node_unavailable`, `timed_out`, `store_unavailable`
   */
  async ensure(
    routerId: string,
    request: z.output<typeof destinationPipeRequest>,
  ): Promise<z.output<typeof destinationPipeResponse>> {
    const router = this.#ctx.registry.router(routerId);
    for (let attempt = 1; ; attempt++) {
      const pipe = await this.#pipe(router, request.source);
      try {
        return await pipe.ensure(request);
      } catch (error) {
        if (attempt > 1 || !farEndGone(error)) throw error;
      }
    }
  }

  /** @throws {ApiError} `transport_not_found` */
  async applyState(id: string, state: z.output<typeof pipeStateRequest>): Promise<void> {
    const pipe = this.#byId.get(id);
    if (!pipe) throw new ApiError('transport_not_found', `no destination pipe transport ${id}`);
    await pipe.applyState(state);
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #pipe(router: LiveRouter, source: RouterAddress): Promise<DestinationPipe> {
    const key = keyOf(router, source);
    const known = await this.#pipes.get(key);
    if (known && !known.closed) return known;
    const begun = this.#pipes.get(key);
    if (begun) return begun;
    const making = this.#make(router, source, () => {
      if (this.#pipes.get(key) === making) this.#pipes.delete(key);
    });
    this.#pipes.set(key, making);
    return making;
  }

  async #make(
    router: LiveRouter,
    source: RouterAddress,
    forget: () => void,
  ): Promise<DestinationPipe> {
    const end = this.#ctx.metrics.pipeSetup.startTimer();
    try {
      const pipe = await this.#connect(router, source);
      this.#byId.set(pipe.id, pipe);
      pipe.transport.observer.once('close', () => {
        this.#byId.delete(pipe.id);
        forget();
        this.#ctx.rows.forget('media_pipe_transport', pipe.id);
        this.#ctx.background('pipes: close the source end', () => pipe.closeSource());
      });
      end({ result: 'ok' });
      return pipe;
    } catch (error) {
      forget();
      end({ result: 'error' });
      throw error;
    }
  }

  /** The four steps of the flow: create here, create there, connect here, record. Undone when one of them fails. */
  async #connect(router: LiveRouter, source: RouterAddress): Promise<DestinationPipe> {
    const { self, nodes } = this.#ctx;
    const transport = await createPipeTransport(this.#ctx, router);
    try {
      const { endpoint } = await nodes.at(source.node).sourcePipeTransport(source.routerId, {
        destination: { routerId: router.id, node: self },
        endpoint: endpointOf(transport),
      });
      await connectPipe(transport, endpoint);
      await savePipe(this.#ctx, 'destination', { id: transport.id, router, remote: source });
      if (transport.closed) throw new ApiError('router_not_found', 'the router was closed');
      const sourceTransportId = endpoint.pipeTransportId;
      return new DestinationPipe(this.#ctx, { router, source, sourceTransportId, transport });
    } catch (error) {
      this.#undo(transport, source);
      throw error;
    }
  }

  #undo(transport: { id: string; close(): void }, source: RouterAddress): void {
    transport.close();
    this.#ctx.rows.forget('media_pipe_transport', transport.id);
    // The source may have its end although we have no answer, so it is named by ours.
    this.#ctx.background('pipes: undo', () =>
      this.#ctx.nodes.at(source.node).pipeRelease(transport.id, {
        producerIds: [],
        dataProducerIds: [],
        sequence: 0,
        closeTransport: true,
      }),
    );
  }
}

import type { z } from 'zod';

import { ApiError } from '../../common/errors.ts';
import type {
  pipeReleaseRequest,
  sourcePipeRequest,
  sourcePipeResponse,
} from '../../common/wire/media-node.ts';
import type { NodeContext } from '../context.ts';
import type { LiveRouter } from '../mediasoup/objects.ts';
import { connectPipe, createPipeTransport, endpointOf, savePipe } from './endpoint.ts';
import { SourcePipe } from './source-pipe.ts';

/** So many in a row make a destination suspect. */
const missedDemands = 3;

type SourceRequest = z.output<typeof sourcePipeRequest>;

/** The source ends of this node's pipes. One for each destination end, however often it is asked for. */
export class SourcePipes {
  readonly #ctx: NodeContext;
  readonly #pipes = new Map<string, SourcePipe>();
  readonly #making = new Map<string, Promise<SourcePipe>>();
  readonly #released = new Map<string, number>();

  constructor(ctx: NodeContext) {
    this.#ctx = ctx;
  }

  get all(): SourcePipe[] {
    return [...this.#pipes.values()];
  }

  /** @throws {ApiError} `router_not_found`, `transport_not_found` when the destination end was released meanwhile */
  async ensure(
    routerId: string,
    request: SourceRequest,
  ): Promise<z.output<typeof sourcePipeResponse>> {
    const router = this.#ctx.registry.router(routerId);
    const { pipeTransportId } = request.endpoint;
    const key = `${routerId} ${pipeTransportId}`;
    const known = this.#byDestination(pipeTransportId);
    if (known) return { endpoint: endpointOf(known.transport) };
    let making = this.#making.get(key);
    if (!making) {
      making = this.#make(router, request).finally(() => this.#making.delete(key));
      this.#making.set(key, making);
    }
    return { endpoint: endpointOf((await making).transport) };
  }

  /** @throws {ApiError} `transport_not_found` */
  get(id: string): SourcePipe {
    const pipe = this.#pipes.get(id);
    if (!pipe) throw new ApiError('transport_not_found', `no source pipe transport ${id}`);
    return pipe;
  }

  /**
   * Repeatable; a pipe that is gone is no error.
   *
   * @param id this end's, or the destination's, which is all that a destination knows when the answer was lost
   */
  async release(id: string, request: z.output<typeof pipeReleaseRequest>): Promise<void> {
    if (request.closeTransport) this.#remember(id);
    const pipe = this.#pipes.get(id) ?? this.#byDestination(id);
    await pipe?.release(request);
  }

  /**
   * Closes the ends whose destination has been silent for too long, at once where its node has no row any more.
   *
   * @throws {ApiError} `store_unavailable`
   */
  async sweep(): Promise<void> {
    const { demandIntervalMs, lostAfterMs } = this.#ctx.config.pipes;
    const silent = this.all.filter(({ silentMs }) => silentMs > missedDemands * demandIntervalMs);
    if (silent.length === 0) return;
    for (const pipe of silent) if (pipe.silentMs > lostAfterMs) pipe.close();
    const instances = silent.map(({ destination }) => destination.node.instanceId);
    const registered = await this.#ctx.repository.registeredOf(instances);
    for (const pipe of silent) if (!registered.has(pipe.destination.node.instanceId)) pipe.close();
  }

  #byDestination(id: string): SourcePipe | undefined {
    return this.all.find(({ destinationTransportId }) => destinationTransportId === id);
  }

  async #make(router: LiveRouter, { destination, endpoint }: SourceRequest): Promise<SourcePipe> {
    const transport = await createPipeTransport(this.#ctx, router);
    try {
      await connectPipe(transport, endpoint);
      await savePipe(this.#ctx, 'source', { id: transport.id, router, remote: destination });
      if (this.#released.has(endpoint.pipeTransportId) || transport.closed)
        throw new ApiError('transport_not_found', 'the pipe was closed meanwhile');
    } catch (error) {
      transport.close();
      this.#ctx.rows.forget('media_pipe_transport', transport.id);
      throw error;
    }
    const destinationTransportId = endpoint.pipeTransportId;
    const parts = { router, destination, destinationTransportId, transport };
    const pipe = new SourcePipe(this.#ctx, parts);
    this.#pipes.set(pipe.id, pipe);
    transport.observer.once('close', () => {
      this.#pipes.delete(pipe.id);
      this.#ctx.rows.forget('media_pipe_transport', pipe.id);
      this.#ctx.background('pipes: tell the destination end', () => pipe.tellClosed());
    });
    return pipe;
  }

  #remember(id: string): void {
    const now = Date.now();
    for (const [old, at] of this.#released)
      if (now - at > this.#ctx.config.pipes.releasedMemoryMs) this.#released.delete(old);
    this.#released.set(id, now);
  }
}

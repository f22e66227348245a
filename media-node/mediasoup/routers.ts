import type { RouterRtpCodecCapability } from 'mediasoup/types';
import type { z } from 'zod';

import { isForeignKeyViolation } from '../../common/db/knex.ts';
import { ApiError } from '../../common/errors.ts';
import type { putRouterRequest, putRouterResponse } from '../../common/wire/media-node.ts';
import type { NodeContext } from '../context.ts';
import { observeVolumes } from '../notifications/volumes.ts';
import { askMediasoup } from './errors.ts';
import { sideKey, type LiveRouter } from './objects.ts';

type PutRequest = z.output<typeof putRouterRequest>;
type PutResponse = z.output<typeof putRouterResponse>;
interface RouterName {
  roomId: string;
  routerId: string;
}

/** The node's routers: made and removed as the operator says. */
export class Routers {
  readonly #ctx: NodeContext;
  readonly #making = new Map<string, Promise<LiveRouter>>();

  constructor(ctx: NodeContext) {
    this.#ctx = ctx;
  }

  /**
   * Makes sure that the router exists, on the worker with the least to do.
   *
   * @throws {ApiError} `instance_mismatch`, `conflict` for an older generation or another room, `node_draining`,
   *   `store_unavailable`, `node_unavailable` when no worker lives
   */
  async put(name: RouterName, request: PutRequest): Promise<PutResponse> {
    const { instanceId } = this.#ctx.self;
    if (request.instanceId !== instanceId)
      throw new ApiError('instance_mismatch', `this is instance ${instanceId}`);
    const existing = await (this.#making.get(name.routerId) ?? this.#existing(name.routerId));
    if (existing) await this.#renew(existing, name, request);
    const live = existing ?? (await this.#makeOnce(name, request));
    return {
      routerId: live.id,
      instanceId,
      workerIndex: live.workerIndex,
      rtpCapabilities: live.router.rtpCapabilities,
    };
  }

  #existing(routerId: string): LiveRouter | undefined {
    return this.#ctx.registry.routers.get(routerId);
  }

  async #renew(live: LiveRouter, { roomId }: RouterName, request: PutRequest): Promise<void> {
    if (live.roomId !== roomId)
      throw new ApiError('conflict', `router ${live.id} is of room ${live.roomId}`);
    if (request.generation < live.generation)
      throw new ApiError('conflict', `generation: the router has ${live.generation} already`);
    if (request.generation === live.generation) return;
    await this.save(live, request.generation);
    live.generation = request.generation;
  }

  #makeOnce(name: RouterName, request: PutRequest): Promise<LiveRouter> {
    const begun = this.#making.get(name.routerId);
    if (begun) return begun;
    if (this.#ctx.draining)
      return Promise.reject(new ApiError('node_draining', 'the node takes no new router'));
    const making = this.#make(name, request).finally(() => this.#making.delete(name.routerId));
    this.#making.set(name.routerId, making);
    return making;
  }

  async #make({ roomId, routerId }: RouterName, request: PutRequest): Promise<LiveRouter> {
    const { workers, config, registry, register } = this.#ctx;
    await register();
    const { worker, index } = workers.leastLoaded();
    const codecs = request.mediaCodecs.length > 0 ? request.mediaCodecs : config.mediaCodecs;
    const router = await askMediasoup('mediaCodecs', () =>
      worker.createRouter({ mediaCodecs: codecs as RouterRtpCodecCapability[] }),
    );
    let live: LiveRouter = {
      id: routerId,
      roomId,
      role: request.role,
      generation: request.generation,
      workerIndex: index,
      router,
      createdAt: Date.now(),
      transports: new Map(),
      lostSides: new Set(),
      sources: new Map(),
      dataSources: new Map(),
    };
    try {
      if (request.role !== 'Consumer') live = await observeVolumes(this.#ctx, live);
      await this.save(live, live.generation);
      if (router.closed) throw new ApiError('node_unavailable', 'the worker is gone');
    } catch (error) {
      router.close();
      throw error;
    }
    registry.routers.set(routerId, live);
    router.observer.once('close', () => this.#closed(live));
    return live;
  }

  async save(live: LiveRouter, generation: number): Promise<void> {
    const { id, roomId, workerIndex, role, router } = live;
    const { repository, self } = this.#ctx;
    try {
      await repository.saveRouter({
        id,
        roomId,
        instanceId: self.instanceId,
        workerIndex,
        role,
        generation,
        rtpCapabilities: router.rtpCapabilities as Parameters<
          typeof repository.saveRouter
        >[0]['rtpCapabilities'],
      });
    } catch (error) {
      if (isForeignKeyViolation(error))
        throw new ApiError('conflict', 'the room was just removed', { cause: error });
      throw error;
    }
  }

  /** Closes a router with all that is on it. One that is not there is no error. */
  async delete({ roomId, routerId }: RouterName): Promise<void> {
    // One that is being made is waited for; one that could not be made is not there.
    await this.#making.get(routerId)?.catch(() => undefined);
    const live = this.#existing(routerId);
    if (live && live.roomId !== roomId) return;
    await this.#close(live ? [live] : [], [routerId]);
  }

  async deleteRoom(roomId: string): Promise<void> {
    const ofRoom = [...this.#ctx.registry.routers.values()].filter(
      (live) => live.roomId === roomId,
    );
    this.#ctx.replicas.forget(roomId);
    await this.#close(
      ofRoom,
      ofRoom.map(({ id }) => id),
    );
  }

  async #close(routers: LiveRouter[], ids: string[]): Promise<void> {
    // What is done for one that closes by itself is done below.
    for (const { id } of routers) this.#ctx.registry.routers.delete(id);
    for (const { router } of routers) router.close();
    await this.#ctx.rows.settle();
    await this.#reportAndDelete(ids, lostSides(routers));
  }

  #closed(live: LiveRouter): void {
    const { registry, background } = this.#ctx;
    if (registry.routers.get(live.id) !== live) return;
    registry.routers.delete(live.id);
    background('routers: remove a closed one', () =>
      this.#reportAndDelete([live.id], lostSides([live])),
    );
  }

  /**
   * The peers that were bound to the routers lose that side with them, also those that have no transport there yet.
   *
   * @param reported sides whose transports have said so for themselves
   */
  async #reportAndDelete(routerIds: string[], reported: ReadonlySet<string>): Promise<void> {
    const { repository, outbox, self, registry } = this.#ctx;
    const bound = await repository.peersOfRouters(routerIds);
    for (const { mediaPeerId, replicaUrl, direction } of bound)
      if (!registry.isPeerClosed(mediaPeerId) && !reported.has(sideKey(mediaPeerId, direction)))
        outbox.reportLost(replicaUrl, { mediaPeerId, reason: 'router_closed', direction });
    const free = routerIds.filter((id) => !registry.routers.has(id));
    await repository.deleteRouters(self.instanceId, free);
  }
}

const lostSides = (routers: LiveRouter[]): Set<string> =>
  new Set(routers.flatMap((live) => [...live.lostSides]));

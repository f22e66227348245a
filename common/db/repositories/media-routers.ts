import type { Knex } from 'knex';

import type { NodeAddress, NodeRole, RouterAddress } from '../../wire/media-node.ts';
import type { Direction } from '../../wire/peer.ts';
import type { RtpCapabilities } from '../../wire/rtp.ts';
import { againOnDeadlock, query } from '../knex.ts';
import { MediaPeerModel, MediaRoomModel, MediaRouterModel, MediaWorkerModel } from '../models.ts';

/** A router with the node that has it. */
export type RouterRow = RouterAddress;

interface WorkerRow extends NodeAddress {
  podName: string;
  pool: string;
  role: NodeRole;
  workerCount: number;
  version: string;
}

/** A peer that is bound to a router on one of its sides. */
interface BoundPeer {
  mediaPeerId: string;
  replicaUrl: string;
  routerId: string;
  direction: Direction;
}

export const nodeOf = (worker: MediaWorkerModel | undefined): NodeAddress => ({
  instanceId: worker?.instanceId ?? '',
  url: worker?.apiUrl ?? '',
});
export const routerOf = (router: MediaRouterModel | null | undefined): RouterRow | undefined =>
  router ? { routerId: router.id, node: nodeOf(router.worker) } : undefined;

export const createMediaWorkers = (knex: Knex) => ({
  /** Takes the place of earlier runs of the same pod. One transaction. */
  registerWorker: ({ url, ...row }: WorkerRow) =>
    query(() =>
      againOnDeadlock(() =>
        knex.transaction(async (trx) => {
          await MediaWorkerModel.query(trx)
            .delete()
            .where('pod_name', row.podName)
            .whereNot('instance_id', row.instanceId);
          await MediaWorkerModel.query(trx)
            .insert({ ...row, apiUrl: url })
            .onConflict('instance_id')
            .ignore();
        }),
      ),
    ),
  deleteWorker: (instanceId: string) =>
    query(() => againOnDeadlock(async () => MediaWorkerModel.query(knex).deleteById(instanceId))),
  /** Which of these runs of media nodes have their row. */
  registeredOf: (instanceIds: string[]): Promise<Set<string>> =>
    query(async () => {
      const rows = await MediaWorkerModel.query(knex)
        .select('instance_id')
        .whereIn('instance_id', instanceIds);
      return new Set(rows.map(({ instanceId }) => instanceId));
    }),
});

export const createMediaRouters = (knex: Knex) => ({
  /** Records a router and its room. One transaction. */
  saveRouter: (row: {
    id: string;
    roomId: string;
    instanceId: string;
    workerIndex: number;
    role: NodeRole;
    generation: number;
    rtpCapabilities: RtpCapabilities;
  }) =>
    query(() =>
      knex.transaction(async (trx) => {
        await MediaRoomModel.query(trx).insert({ id: row.roomId }).onConflict('id').ignore();
        await MediaRouterModel.query(trx).insert(row).onConflict('id').merge();
      }),
    ),
  /**
   * Removes these routers of this instance, and rooms that have neither routers nor peers left: peers stay, unbound, and
   * move to another router. One transaction.
   */
  deleteRouters: (instanceId: string, routerIds: string[]) =>
    query(() =>
      againOnDeadlock(() =>
        knex.transaction(async (trx) => {
          const gone = await MediaRouterModel.query(trx)
            .delete()
            .whereIn('id', routerIds)
            .where('instance_id', instanceId)
            .returning('room_id');
          await MediaRoomModel.query(trx)
            .delete()
            .whereIn('id', [...new Set(gone.map(({ roomId }) => roomId))])
            .whereNotExists(
              MediaRouterModel.query(trx).whereColumn('media_router.room_id', 'media_room.id'),
            )
            .whereNotExists(
              MediaPeerModel.query(trx).whereColumn('media_peer.room_id', 'media_room.id'),
            );
        }),
      ),
    ),
  /** The peers bound to these routers, an entry for each side. */
  peersOfRouters: (routerIds: string[]): Promise<BoundPeer[]> =>
    query(async () => {
      const bound = new Set(routerIds);
      const rows = await MediaPeerModel.query(knex)
        .withGraphJoined('replica')
        .whereIn('media_peer.producer_router_id', routerIds)
        .orWhereIn('media_peer.consumer_router_id', routerIds);
      return rows.flatMap(({ id, replica, producerRouterId, consumerRouterId }) =>
        (
          [
            ['producer', producerRouterId],
            ['consumer', consumerRouterId],
          ] as const
        ).flatMap(([direction, routerId]) =>
          routerId !== null && bound.has(routerId)
            ? [{ mediaPeerId: id, replicaUrl: replica?.url ?? '', routerId, direction }]
            : [],
        ),
      );
    }),
});

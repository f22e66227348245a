import type { Knex } from 'knex';
import { raw, type AnyQueryBuilder } from 'objection';

import type { NodeAddress, NodeRole } from '../../wire/media-node.ts';
import type { Device, Direction, Grants } from '../../wire/peer.ts';
import type { MediaKind, RtpCapabilities } from '../../wire/rtp.ts';
import { againOnDeadlock, query } from '../knex.ts';
import {
  MediaDataProducerModel,
  MediaPeerModel,
  MediaPipeTransportModel,
  MediaProducerModel,
  MediaRoomModel,
  MediaRouterModel,
  MediaTransportModel,
  MediaWorkerModel,
  type PeerKind,
} from '../models.ts';
import { createConsumerRows } from './media-consumers.ts';
import { createMediaSweep } from './media-sweep.ts';

export type { LiveTable, MissingConsumer } from './media-sweep.ts';

/** A peer's connection as its producer service needs it: who it is, what it may do, where its two sides live. */
export interface PeerBinding {
  mediaPeerId: string;
  peerId: string;
  roomId: string;
  kind: PeerKind;
  grants: Grants;
  displayName: string;
  rtpCapabilities: RtpCapabilities | null;
  joined: boolean;
  remoteAddress: string;
  replicaUrl: string;
  producerRouter: RouterRow;
  consumerRouter: RouterRow;
}

/** A router with the node that has it. */
interface RouterRow {
  routerId: string;
  node: NodeAddress;
}

/** A joined peer, as the others see it. */
export interface RoomPeer {
  mediaPeerId: string;
  peerId: string;
  displayName: string;
  device: Device;
  remoteAddress: string;
  replicaUrl: string;
}

/** A peer's transport that receives, with all that the consume flow needs to know. */
export interface Receiver {
  transportId: string;
  mediaPeerId: string;
  peerId: string;
  peerKind: PeerKind;
  roomId: string;
  grants: Grants;
  rtpCapabilities: RtpCapabilities | null;
  replicaUrl: string;
  router: RouterRow;
}

export interface RoomProducer {
  producerId: string;
  mediaPeerId: string;
  peerId: string;
  kind: MediaKind;
  appData: Record<string, unknown>;
  owner: NodeAddress;
}

/** A data producer of the room; it has no kind. */
export type RoomDataProducer = Omit<RoomProducer, 'kind'>;

export interface WorkerRow extends NodeAddress {
  podName: string;
  pool: string;
  role: NodeRole;
  workerCount: number;
  version: string;
}

export interface JoinDetails {
  displayName: string;
  device: Device;
  rtpCapabilities?: RtpCapabilities | undefined;
}

const nodeOf = (worker: MediaWorkerModel | undefined): NodeAddress => ({
  instanceId: worker?.instanceId ?? '',
  url: worker?.apiUrl ?? '',
});
const routerOf = (router: MediaRouterModel | undefined): RouterRow => ({
  routerId: router?.id ?? '',
  node: nodeOf(router?.worker),
});

const bindingOf = (row: MediaPeerModel): PeerBinding => ({
  mediaPeerId: row.id,
  peerId: row.peerId,
  roomId: row.roomId,
  kind: row.kind,
  grants: row.grants,
  displayName: row.displayName,
  rtpCapabilities: row.rtpCapabilities,
  joined: row.joinedAt !== null,
  remoteAddress: row.remoteAddress,
  replicaUrl: row.replica?.url ?? '',
  producerRouter: routerOf(row.producerRouter),
  consumerRouter: routerOf(row.consumerRouter),
});

/**
 * The columns that a room-wide query needs of a relation. Peers and routers have their RTP capabilities with them: read
 * again for each producer of a large room, they would cost more than all else of a join's statements.
 */
const only =
  (...columns: string[]) =>
  (relation: AnyQueryBuilder): void =>
    void relation.select(columns);

const noGrants: Grants = { publish: false, subscribe: false, data: false, admin: false };
const watcherOf = (peer: MediaPeerModel | undefined) => ({
  peerKind: peer?.kind ?? 'WebSocket',
  roomId: peer?.roomId ?? '',
  grants: peer?.grants ?? noGrants,
  rtpCapabilities: peer?.rtpCapabilities ?? null,
  replicaUrl: peer?.replica?.url ?? '',
});

const receiverOf = (row: MediaTransportModel): Receiver => ({
  transportId: row.id,
  mediaPeerId: row.mediaPeerId,
  peerId: row.peer?.peerId ?? '',
  ...watcherOf(row.peer),
  router: { routerId: row.routerId, node: nodeOf(row.worker) },
});

/**
 * The media nodes' side of the session tables. Every function is one statement or, where it says so, one transaction of
 * a fixed number of them.
 *
 * @throws {ApiError} each: `store_unavailable` while Postgres is away
 */
export function createMediaRepository(knex: Knex) {
  return {
    ...createConsumerRows(knex),
    ...createMediaSweep(knex),
    ...workers(knex),
    ...routers(knex),
    ...peers(knex),
    ...objects(knex),
  };
}
export type MediaRepository = ReturnType<typeof createMediaRepository>;

const workers = (knex: Knex) => ({
  /** Takes the place of earlier runs of the same pod. One transaction. */
  registerWorker: ({ url, ...row }: WorkerRow) =>
    query(() =>
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
  deleteWorker: (instanceId: string) =>
    query(() => MediaWorkerModel.query(knex).deleteById(instanceId)),
});

const routers = (knex: Knex) => ({
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
  /** Removes these routers of this instance, and rooms that have none left. One transaction. */
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
            );
        }),
      ),
    ),
  /** The peers bound to these routers, with the replica that holds each. */
  peersOfRouters: (routerIds: string[]): Promise<{ mediaPeerId: string; replicaUrl: string }[]> =>
    query(async () => {
      const rows = await MediaPeerModel.query(knex)
        .withGraphJoined('replica')
        .whereIn('media_peer.producer_router_id', routerIds)
        .orWhereIn('media_peer.consumer_router_id', routerIds);
      return rows.map(({ id, replica }) => ({ mediaPeerId: id, replicaUrl: replica?.url ?? '' }));
    }),
});

const peers = (knex: Knex) => ({
  findPeer: (mediaPeerId: string): Promise<PeerBinding | undefined> =>
    query(async () => {
      const row = await MediaPeerModel.query(knex)
        .withGraphJoined('[replica, producerRouter.worker, consumerRouter.worker]')
        .findOne('media_peer.id', mediaPeerId);
      return row && bindingOf(row);
    }),
  /**
   * Marks a peer joined and reads the others. The joins of a room are put in an order by a lock on its row: of two peers
   * the later one has the earlier one in its answer, and the earlier one is told of the later one, never both or neither.
   * One transaction.
   *
   * @returns undefined when the peer's row is gone
   */
  joinPeer: (
    peer: { mediaPeerId: string; roomId: string },
    details: JoinDetails,
  ): Promise<RoomPeer[] | undefined> =>
    query(() =>
      knex.transaction(async (trx) => {
        await trx.raw('SELECT id FROM media_room WHERE id = ? FOR NO KEY UPDATE', [peer.roomId]);
        const marked = await MediaPeerModel.query(trx)
          .patch({
            displayName: details.displayName,
            device: details.device,
            rtpCapabilities: details.rtpCapabilities ?? null,
            joinedAt: raw('coalesce(joined_at, clock_timestamp())'),
          })
          .where('id', peer.mediaPeerId);
        if (marked === 0) return undefined;
        const others = await MediaPeerModel.query(trx)
          .select(
            'media_peer.id',
            'media_peer.peer_id',
            'media_peer.display_name',
            'media_peer.device',
            'media_peer.remote_address',
          )
          .withGraphJoined('replica')
          .where('media_peer.room_id', peer.roomId)
          .whereNotNull('media_peer.joined_at')
          .whereNot('media_peer.id', peer.mediaPeerId)
          .orderBy('media_peer.joined_at');
        return others.map((row) => ({
          mediaPeerId: row.id,
          peerId: row.peerId,
          displayName: row.displayName,
          device: row.device,
          remoteAddress: row.remoteAddress,
          replicaUrl: row.replica?.url ?? '',
        }));
      }),
    ),
  renamePeer: (mediaPeerId: string, displayName: string) =>
    query(() => MediaPeerModel.query(knex).patch({ displayName }).where('id', mediaPeerId)),
  /** Base URLs of the signaling replicas that hold the room's peers. */
  replicasOfRoom: (roomId: string): Promise<string[]> =>
    query(async () => {
      const rows = await knex('media_peer')
        .join('signaling_replica', 'signaling_replica.id', 'media_peer.replica_id')
        .where('media_peer.room_id', roomId)
        .distinct<{ url: string }[]>('signaling_replica.url');
      return rows.map(({ url }) => url);
    }),
});

const objects = (knex: Knex) => ({
  insertTransport: (row: {
    id: string;
    mediaPeerId: string;
    routerId: string;
    instanceId: string;
    kind: 'webrtc' | 'plain';
    direction: Direction;
  }) => query(() => MediaTransportModel.query(knex).insert(row)),
  insertProducer: (row: {
    id: string;
    transportId: string;
    mediaPeerId: string;
    routerId: string;
    kind: MediaKind;
    appData: Record<string, unknown>;
  }) => query(() => MediaProducerModel.query(knex).insert(row)),
  insertDataProducer: (row: {
    id: string;
    transportId: string;
    mediaPeerId: string;
    routerId: string;
    label: string;
    protocol: string;
    appData: Record<string, unknown>;
  }) => query(() => MediaDataProducerModel.query(knex).insert(row)),
  /** Records one end of a pipe, in place of an earlier one between the same routers. */
  savePipeTransport: (row: {
    id: string;
    routerId: string;
    instanceId: string;
    remoteRouterId: string;
    pipeEnd: 'source' | 'destination';
  }) =>
    query(() =>
      MediaPipeTransportModel.query(knex)
        .insert(row)
        .onConflict(['router_id', 'remote_router_id', 'pipe_end'])
        .merge(['id', 'instance_id']),
    ),
  /** The receiving transport with its node, its router and its peer. */
  findReceiver: (transportId: string): Promise<Receiver | undefined> =>
    query(async () => {
      const row = await MediaTransportModel.query(knex)
        .withGraphJoined('[worker, router.room, peer.replica]')
        .findOne({ 'media_transport.id': transportId, direction: 'consumer' });
      return row && receiverOf(row);
    }),
  /** The newest receiving transport of every joined browser peer of the room but one. */
  receiversOfRoom: (roomId: string, exceptMediaPeerId: string): Promise<Receiver[]> =>
    query(async () => {
      const rows = await MediaTransportModel.query(knex)
        .withGraphJoined('[worker, peer.replica]')
        .where({ 'peer.room_id': roomId, 'peer.kind': 'WebSocket', direction: 'consumer' })
        .whereNotNull('peer.joined_at')
        .whereNot('peer.id', exceptMediaPeerId)
        .orderBy('media_transport.created_at');
      return [...new Map(rows.map((row) => [row.mediaPeerId, receiverOf(row)])).values()];
    }),
  /** What the other joined peers of the room publish, with the node that has each. */
  producersOfRoom: (roomId: string, exceptMediaPeerId: string): Promise<RoomProducer[]> =>
    query(async () => {
      const rows = await MediaProducerModel.query(knex)
        .withGraphJoined('[peer, router.worker]')
        .modifyGraph('peer', only('id', 'peer_id', 'room_id'))
        .modifyGraph('router', only('id'))
        .modifyGraph('router.worker', only('instance_id', 'api_url'))
        .where('peer.room_id', roomId)
        .whereNot('peer.id', exceptMediaPeerId)
        .orderBy('media_producer.created_at');
      return rows.map((row) => ({ ...producerOf(row), kind: row.kind }));
    }),
  dataProducersOfRoom: (roomId: string, exceptMediaPeerId: string): Promise<RoomDataProducer[]> =>
    query(async () => {
      const rows = await MediaDataProducerModel.query(knex)
        .withGraphJoined('[peer, router.worker]')
        .modifyGraph('peer', only('id', 'peer_id', 'room_id'))
        .modifyGraph('router', only('id'))
        .modifyGraph('router.worker', only('instance_id', 'api_url'))
        .where('peer.room_id', roomId)
        .whereNot('peer.id', exceptMediaPeerId)
        .orderBy('media_data_producer.created_at');
      return rows.map(producerOf);
    }),
});

const producerOf = (row: MediaProducerModel | MediaDataProducerModel): RoomDataProducer => ({
  producerId: row.id,
  mediaPeerId: row.mediaPeerId,
  peerId: row.peer?.peerId ?? '',
  appData: row.appData,
  owner: nodeOf(row.router?.worker),
});

import type { Knex } from 'knex';
import { raw, transaction, type Transaction } from 'objection';

import { ApiError } from '../../errors.ts';
import type { Grants } from '../../wire/peer.ts';
import type { RtpCapabilities } from '../../wire/rtp.ts';
import { isForeignKeyViolation, query } from '../knex.ts';
import {
  MediaPeerModel,
  MediaRouterModel,
  SignalingReplicaModel,
  type PeerKind,
} from '../models.ts';

/** A peer's connection that is to be written, without the routers it will be bound to. */
export interface NewPeer {
  id: string;
  roomId: string;
  peerId: string;
  kind: PeerKind;
  replicaId: string;
  displayName?: string;
  device?: MediaPeerModel['device'];
  remoteAddress: string;
  grants: Grants;
}

/** A row of `media_peer` with the internal URL of the replica that owns it. */
export interface PeerRow {
  id: string;
  roomId: string;
  peerId: string;
  kind: PeerKind;
  replicaId: string;
  replicaUrl: string;
  producerRouterId: string;
  consumerRouterId: string;
  displayName: string;
  device: MediaPeerModel['device'];
  remoteAddress: string;
  grants: Grants;
  joinedAt: Date | null;
}

/** How many peers of the room each pair of routers has. */
export interface BindingCount {
  producerRouterId: string;
  consumerRouterId: string;
  peers: number;
}

export interface RouterPair {
  producerRouterId: string;
  consumerRouterId: string;
}

export interface BindRequest {
  peer: NewPeer;
  maxPeers: number;
  /** Picks the routers from the room's present load. Its errors undo the binding. */
  choose: (counts: BindingCount[]) => RouterPair;
}

const ownColumns = [
  'media_peer.id',
  'room_id',
  'peer_id',
  'kind',
  'replica_id',
  'producer_router_id',
  'consumer_router_id',
  'display_name',
  'device',
  'remote_address',
  'grants',
  'joined_at',
];
const rowColumns = [...ownColumns, 'replica.url as replica_url'];

const rows = (db: Knex | Transaction) =>
  MediaPeerModel.query(db).joinRelated('replica').select(rowColumns).castTo<PeerRow[]>();

const countBindings = (trx: Transaction, roomId: string): Promise<BindingCount[]> =>
  MediaPeerModel.query(trx)
    .where({ room_id: roomId })
    .groupBy('producer_router_id', 'consumer_router_id')
    .select('producer_router_id', 'consumer_router_id', raw('count(*)::int').as('peers'))
    .castTo<BindingCount[]>()
    .execute();

/**
 * A consumer hangs off two peers. Of two that leave at once each delete would hold consumers that the other wants, did they
 * not take them in one order; where a whole room leaves, the deadlocks would never end.
 */
const lockConsumersOfPeer = [
  ['media_consumer', 'media_producer'],
  ['media_data_consumer', 'media_data_producer'],
].map(
  ([consumer, producer]) => `
  SELECT id FROM ${consumer}
   WHERE id IN (
     SELECT id FROM ${consumer} WHERE media_peer_id = ?
     UNION
     SELECT c.id FROM ${consumer} c JOIN ${producer} p ON p.id = c.producer_id WHERE p.media_peer_id = ?
   )
   ORDER BY id FOR UPDATE`,
);

/** Removes an earlier connection of the same peer, and returns it. */
async function takeOver(trx: Transaction, peer: NewPeer): Promise<PeerRow | undefined> {
  const [old] = await MediaPeerModel.query(trx)
    .where({ room_id: peer.roomId, peer_id: peer.peerId })
    .delete()
    .returning([
      ...ownColumns,
      raw('(SELECT url FROM signaling_replica WHERE id = replica_id)').as('replica_url'),
    ])
    .castTo<PeerRow[]>();
  return old;
}

async function insertPeer(trx: Transaction, peer: NewPeer, routers: RouterPair): Promise<void> {
  try {
    await MediaPeerModel.query(trx).insert({ ...peer, ...routers });
  } catch (error) {
    if (!isForeignKeyViolation(error)) throw error;
    throw new ApiError('room_not_ready', 'the routers of the room are not in the tables yet', {
      cause: error,
    });
  }
}

/** The connections of peers, `media_peer`. Every function throws `store_unavailable` while Postgres is away. */
export function createPeersRepository(knex: Knex) {
  return {
    /**
     * Writes a peer's connection, bound to the routers that `choose` picks, in place of an earlier one of the same peer.
     * Rooms are locked one by one, so that limit and balance hold however many replicas bind at once. Whoever waits for
     * the lock holds a connection of the pool: a replica should ask for one binding of a room at a time. It takes four
     * statements, however many peers there are.
     *
     * @returns the connection that this one took the place of
     * @throws {ApiError} `room_full`; `room_not_ready` when a router, or the replica, has no row
     */
    bind: ({ peer, maxPeers, choose }: BindRequest): Promise<PeerRow | undefined> =>
      query(() =>
        transaction(knex, async (trx) => {
          await trx.raw('SELECT pg_advisory_xact_lock(hashtextextended(?, 0))', [peer.roomId]);
          const replaced = await takeOver(trx, peer);
          const counts = await countBindings(trx, peer.roomId);
          const present = counts.reduce((sum, { peers }) => sum + peers, 0);
          if (present >= maxPeers)
            throw new ApiError('room_full', `the room has its ${maxPeers} peers already`);
          await insertPeer(trx, peer, choose(counts));
          return replaced;
        }),
      ),

    /**
     * Deletes a connection's row, and by cascade what belongs to it. One transaction of three statements.
     *
     * @returns false when it was gone already
     */
    remove: (id: string): Promise<boolean> =>
      query(() =>
        knex.transaction(async (trx) => {
          for (const sql of lockConsumersOfPeer) await trx.raw(sql, [id, id]);
          return (await MediaPeerModel.query(trx).deleteById(id)) > 0;
        }),
      ),

    /** Gives a replica's broadcasters, which need no socket, to another one that was alive within `deadAfterMs`. */
    handOverBroadcasters: async (replicaId: string, deadAfterMs: number): Promise<void> => {
      await query(async () => {
        const heir = await SignalingReplicaModel.query(knex)
          .whereNot({ id: replicaId })
          .where('last_seen_at', '>', raw(`now() - ? * interval '1 millisecond'`, [deadAfterMs]))
          .orderBy('last_seen_at', 'desc')
          .first();
        if (heir)
          await MediaPeerModel.query(knex)
            .where({ replica_id: replicaId, kind: 'Broadcaster' })
            .patch({ replicaId: heir.id });
      });
    },

    find: (roomId: string, peerId: string): Promise<PeerRow | undefined> =>
      query(async () => (await rows(knex).where({ room_id: roomId, peer_id: peerId }))[0]),

    listByRoom: (roomId: string): Promise<PeerRow[]> =>
      query(() => rows(knex).where({ room_id: roomId }).orderBy('media_peer.created_at')),

    listByReplica: (replicaId: string): Promise<PeerRow[]> =>
      query(() => rows(knex).where({ replica_id: replicaId })),

    /** Peers of the room apart from the one of this name, whose connection would be replaced. */
    countOthers: (roomId: string, peerId: string): Promise<number> =>
      query(() =>
        MediaPeerModel.query(knex)
          .where({ room_id: roomId })
          .whereNot({ peer_id: peerId })
          .resultSize(),
      ),

    countByRoom: (): Promise<{ roomId: string; peers: number }[]> =>
      query(() =>
        MediaPeerModel.query(knex)
          .groupBy('room_id')
          .select('room_id', raw('count(*)::int').as('peers'))
          .castTo<{ roomId: string; peers: number }[]>(),
      ),

    /** Undefined for a router without a row. */
    routerRtpCapabilities: (routerId: string): Promise<RtpCapabilities | undefined> =>
      query(async () => (await MediaRouterModel.query(knex).findById(routerId))?.rtpCapabilities),

    /** The replicas that own a peer of the room. */
    replicasOfRoom: (roomId: string): Promise<{ id: string; url: string }[]> =>
      query(() =>
        SignalingReplicaModel.query(knex)
          .whereExists(
            MediaPeerModel.query(knex)
              .where({ room_id: roomId })
              .whereColumn('media_peer.replica_id', 'signaling_replica.id'),
          )
          .select('id', 'url'),
      ),
  };
}

export type PeersRepository = ReturnType<typeof createPeersRepository>;

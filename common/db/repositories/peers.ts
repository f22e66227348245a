import type { Knex } from 'knex';
import { raw, transaction, type Transaction } from 'objection';

import { ApiError } from '../../errors.ts';
import type { Direction, Grants } from '../../wire/peer.ts';
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
  /** SHA-256 of the secret by which another connection can continue the session; without it none can. */
  resumeHash?: string;
  /** What the client announced beyond the protocol. */
  extensions?: string[];
}

/** A row of `media_peer` with the internal URL of the replica that owns it. */
export interface PeerRow {
  id: string;
  roomId: string;
  peerId: string;
  kind: PeerKind;
  replicaId: string;
  replicaUrl: string;
  /** Null: the router is gone with its node, and the side was not bound anew yet. */
  producerRouterId: string | null;
  consumerRouterId: string | null;
  displayName: string;
  device: MediaPeerModel['device'];
  remoteAddress: string;
  grants: Grants;
  joinedAt: Date | null;
  extensions: string[];
  /** Since when no socket holds the session. */
  detachedAt: Date | null;
  /** Grows with every change of the owner. */
  ownerEpoch: number;
}

/** A row that is gone now, with the APIs of the nodes that had a transport of it. */
export type RemovedRow = PeerRow & { nodeUrls: string[] };

/** How many peers of the room each pair of routers has; null: those of a router that is gone. */
export interface BindingCount {
  producerRouterId: string | null;
  consumerRouterId: string | null;
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

/** What names a session that may be resumed: the secret's hash, and whose it must be. */
export interface ResumeKey {
  resumeHash: string;
  roomId: string;
  peerId: string;
}

/** A socket that continues a session. */
export interface TakeOverRequest extends ResumeKey {
  replicaId: string;
  remoteAddress: string;
  grants: Grants;
}

/** Where a router is, as the media node that made it has written. */
export interface RouterLocation {
  routerId: string;
  generation: number;
  instanceId: string;
  url: string;
}

/** A session after it was taken over, with all that its new owner has to know. */
export interface TakenOver {
  id: string;
  ownerEpoch: number;
  /** Who had it before; may be the same replica. */
  previous: { replicaId: string; replicaUrl: string };
  producer: RouterLocation | undefined;
  consumer: RouterLocation | undefined;
  /** The browser transports, oldest first. */
  transports: { id: string; direction: Direction; router: RouterLocation }[];
}

/** Who says it acts for a session. */
export interface Ownership {
  id: string;
  ownerEpoch: number;
}

export interface RebindRequest extends Ownership {
  roomId: string;
  /** Picks new routers for one side or both from the room's present load. Its errors undo the binding. */
  choose: (counts: BindingCount[]) => Partial<RouterPair>;
}

/** `other`: somebody else owns the session now, and nothing was done. */
export interface Removal {
  result: 'removed' | 'gone' | 'other';
  /** The APIs of the nodes that had a transport of a removed peer. */
  nodeUrls: string[];
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
  'extensions',
  'detached_at',
  'owner_epoch',
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

/** Of a row that is deleted; its transports go along. A peer that moves has them on up to four nodes. */
const nodeUrls = raw(
  `coalesce((SELECT json_agg(DISTINCT w.api_url) FROM media_transport t JOIN media_worker w USING (instance_id)
              WHERE t.media_peer_id = media_peer.id), '[]'::json)`,
).as('node_urls');

/** Removes an earlier connection of the same peer, and returns it. */
async function removeEarlier(trx: Transaction, peer: NewPeer): Promise<RemovedRow | undefined> {
  const [old] = await MediaPeerModel.query(trx)
    .where({ room_id: peer.roomId, peer_id: peer.peerId })
    .delete()
    .returning([
      ...ownColumns,
      raw('(SELECT url FROM signaling_replica WHERE id = replica_id)').as('replica_url'),
      nodeUrls,
    ])
    .castTo<RemovedRow[]>();
  return old;
}

/** Writes a row that refers to routers and a replica. @throws {ApiError} `room_not_ready` when one has no row */
async function withRouters<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!isForeignKeyViolation(error)) throw error;
    throw new ApiError('room_not_ready', 'the routers of the room are not in the tables yet', {
      cause: error,
    });
  }
}

const before = (ms: number) => raw(`now() - ? * interval '1 millisecond'`, [ms]);

const lockRoom = (trx: Transaction, roomId: string) =>
  trx.raw('SELECT pg_advisory_xact_lock(hashtextextended(?, 0))', [roomId]);

/** Sessions that go on without a socket: they have a secret, and their peer has joined. */
const isResumable = 'resume_hash IS NOT NULL AND joined_at IS NOT NULL';

const routerColumns = [
  'router.id as routerId',
  'router.generation',
  'router.instance_id as instanceId',
  'worker.api_url as url',
];

async function routerLocations(trx: Transaction, ids: (string | null)[]) {
  const found: RouterLocation[] = await trx('media_router as router')
    .join('media_worker as worker', 'worker.instance_id', 'router.instance_id')
    .whereIn(
      'router.id',
      ids.filter((id) => id !== null),
    )
    .select(routerColumns);
  return (id: string | null) => found.find(({ routerId }) => routerId === id);
}

async function webRtcTransports(trx: Transaction, id: string): Promise<TakenOver['transports']> {
  const found: (RouterLocation & { id: string; direction: Direction })[] = await trx(
    'media_transport as transport',
  )
    .join('media_router as router', 'router.id', 'transport.router_id')
    .join('media_worker as worker', 'worker.instance_id', 'router.instance_id')
    .where({ 'transport.media_peer_id': id, 'transport.kind': 'webrtc' })
    .orderBy('transport.created_at')
    .select('transport.id', 'transport.direction', ...routerColumns);
  return found.map(({ id: transportId, direction, ...router }) => ({
    id: transportId,
    direction,
    router,
  }));
}

async function takeOver(
  trx: Transaction,
  { resumeHash, roomId, peerId, ...owner }: TakeOverRequest,
): Promise<TakenOver | undefined> {
  // Its replica's row is not locked: where that one is dead, another one locks it for long.
  const key = await MediaPeerModel.query(trx)
    .where({ resume_hash: resumeHash, room_id: roomId, peer_id: peerId })
    .whereNotNull('joined_at')
    .select('id')
    .forNoKeyUpdate()
    .first();
  const [old] = key ? await rows(trx).where('media_peer.id', key.id) : [];
  if (!old) return undefined;
  const { id, replicaId, replicaUrl } = old;
  await MediaPeerModel.query(trx)
    .findById(id)
    .patch({ ...owner, detachedAt: null, ownerEpoch: raw('owner_epoch + 1') });
  const locationOf = await routerLocations(trx, [old.producerRouterId, old.consumerRouterId]);
  return {
    id,
    ownerEpoch: old.ownerEpoch + 1,
    previous: { replicaId, replicaUrl },
    producer: locationOf(old.producerRouterId),
    consumer: locationOf(old.consumerRouterId),
    transports: await webRtcTransports(trx, id),
  };
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
    bind: ({ peer, maxPeers, choose }: BindRequest): Promise<RemovedRow | undefined> =>
      query(() =>
        transaction(knex, async (trx) => {
          await lockRoom(trx, peer.roomId);
          const replaced = await removeEarlier(trx, peer);
          const counts = await countBindings(trx, peer.roomId);
          const present = counts.reduce((sum, { peers }) => sum + peers, 0);
          if (present >= maxPeers)
            throw new ApiError('room_full', `the room has its ${maxPeers} peers already`);
          const routers = choose(counts);
          await withRouters(async () => MediaPeerModel.query(trx).insert({ ...peer, ...routers }));
          return replaced;
        }),
      ),

    /**
     * Binds one side of a peer anew, or both, to the routers that `choose` picks. Repeatable. Rooms are locked as for
     * {@link bind}.
     *
     * @returns false when the row is gone or has another owner
     * @throws {ApiError} `room_not_ready` when a router has no row
     */
    rebind: ({ id, ownerEpoch, roomId, choose }: RebindRequest): Promise<boolean> =>
      query(() =>
        transaction(knex, async (trx) => {
          await lockRoom(trx, roomId);
          const routers = choose(await countBindings(trx, roomId));
          return withRouters(
            async () =>
              (await MediaPeerModel.query(trx)
                .where({ id, owner_epoch: ownerEpoch })
                .patch(routers)) > 0,
          );
        }),
      ),

    /** The session that this secret resumes, if there is one. */
    findResumable: ({ resumeHash, roomId, peerId }: ResumeKey): Promise<string | undefined> =>
      query(async () => {
        const found = await MediaPeerModel.query(knex)
          .where({ resume_hash: resumeHash, room_id: roomId, peer_id: peerId })
          .whereNotNull('joined_at')
          .first();
        return found?.id;
      }),

    /**
     * Makes this replica the owner of a session whose secret it was shown. However many ask at once, each is the owner
     * for as long as no later one is: the last one stays.
     *
     * @returns undefined when there is no such session (any more)
     * @throws {ApiError} `room_not_ready` when the replica has no row
     */
    takeOver: (request: TakeOverRequest): Promise<TakenOver | undefined> =>
      query(() => transaction(knex, (trx) => withRouters(() => takeOver(trx, request)))),

    /**
     * Marks a session as one without a socket. Repeatable.
     *
     * @returns false when it is gone or has another owner
     */
    detach: ({ id, ownerEpoch }: Ownership): Promise<boolean> =>
      query(
        async () =>
          (await MediaPeerModel.query(knex)
            .where({ id, owner_epoch: ownerEpoch })
            .patch({ detachedAt: raw('coalesce(detached_at, now())') })) > 0,
      ),

    /** The present owner's epoch; undefined when the row is gone. */
    ownerEpochOf: (id: string): Promise<number | undefined> =>
      query(async () => (await MediaPeerModel.query(knex).findById(id))?.ownerEpoch),

    /**
     * Deletes a connection's row, and by cascade what belongs to it. One transaction of three statements.
     *
     * @param ownerEpoch whose row it must still be; without it anybody's
     */
    remove: (id: string, ownerEpoch?: number): Promise<Removal> =>
      query(() =>
        knex.transaction(async (trx) => {
          for (const sql of lockConsumersOfPeer) await trx.raw(sql, [id, id]);
          const mine = ownerEpoch === undefined ? { id } : { id, owner_epoch: ownerEpoch };
          const [removed] = await MediaPeerModel.query(trx)
            .where(mine)
            .delete()
            .returning(nodeUrls)
            .castTo<{ nodeUrls: string[] }[]>();
          if (removed) return { result: 'removed', ...removed };
          const stays = await MediaPeerModel.query(trx).findById(id);
          return { result: stays ? 'other' : 'gone', nodeUrls: [] };
        }),
      ),

    /** The replica that was heard of last, of those that were within `deadAfterMs`, without the one named. */
    heirOf: (replicaId: string, deadAfterMs: number): Promise<string | undefined> =>
      query(
        async () =>
          (
            await SignalingReplicaModel.query(knex)
              .whereNot({ id: replicaId })
              .where('last_seen_at', '>', before(deadAfterMs))
              .orderBy('last_seen_at', 'desc')
              .first()
          )?.id,
      ),

    /**
     * Gives what a replica has without its sockets to another one: the sessions that can be resumed, which are detached
     * from now on, and the broadcasters. What is not yet detached may be given to the same replica, which detaches it.
     *
     * @returns how many
     */
    handOver: (from: string, to: string): Promise<number> =>
      query(() =>
        transaction(knex, async (trx) => {
          const sessions = await MediaPeerModel.query(trx)
            .where({ replica_id: from })
            .whereRaw(isResumable)
            .patch({
              replicaId: to,
              detachedAt: raw('coalesce(detached_at, now())'),
              ownerEpoch: raw('owner_epoch + 1'),
            });
          const broadcasters = await MediaPeerModel.query(trx)
            .where({ replica_id: from, kind: 'Broadcaster' })
            .patch({ replicaId: to });
          return sessions + broadcasters;
        }),
      ),

    /** Sessions that nobody has resumed for so long, the oldest first, at most `limit`. */
    listExpired: (graceMs: number, limit: number): Promise<PeerRow[]> =>
      query(() =>
        rows(knex).where('detached_at', '<', before(graceMs)).orderBy('detached_at').limit(limit),
      ),

    /** Broadcasters that a node which is gone has taken a side from: they have no socket that would tell them. */
    listStranded: (limit: number): Promise<PeerRow[]> =>
      query(() =>
        rows(knex)
          .where({ kind: 'Broadcaster' })
          .whereRaw('(producer_router_id IS NULL OR consumer_router_id IS NULL)')
          .limit(limit),
      ),

    /** How many of a replica's sessions have no socket. */
    countDetached: (replicaId: string): Promise<number> =>
      query(() =>
        MediaPeerModel.query(knex)
          .where({ replica_id: replicaId })
          .whereNotNull('detached_at')
          .resultSize(),
      ),

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

import type { Knex } from 'knex';

import { query } from '../../common/db/knex.ts';
import type { TablesView } from './snapshot.ts';

/** Milliseconds since a time of the database, by its own clock. */
const since = (column: string): string => `(extract(epoch FROM now() - ${column}) * 1000)::float8`;

const producerColumns = `id, transport_id AS "transportId", media_peer_id AS "mediaPeerId", router_id AS "routerId",
  ${since('created_at')} AS "ageMs"`;
const consumerColumns = `id, producer_id AS "producerId", transport_id AS "transportId"`;

const statements: Record<keyof TablesView, string> = {
  workers: `SELECT instance_id AS "instanceId", pod_name AS "podName" FROM media_worker`,
  replicas: `SELECT id, url, ${since('last_seen_at')} AS "silentMs" FROM signaling_replica`,
  rooms: `SELECT id FROM media_room`,
  routers: `SELECT id, room_id AS "roomId", instance_id AS "instanceId" FROM media_router`,
  // A broadcaster asks for what it watches.
  peers: `
    SELECT id, room_id AS "roomId", peer_id AS "peerId", replica_id AS "replicaId",
           producer_router_id AS "producerRouterId", consumer_router_id AS "consumerRouterId",
           ${since('joined_at')} AS "joinedForMs", ${since('detached_at')} AS "detachedForMs",
           jsonb_build_object(
             'media', kind = 'WebSocket' AND rtp_capabilities IS NOT NULL AND (grants ->> 'subscribe')::boolean,
             'data', kind = 'WebSocket' AND (grants ->> 'data')::boolean
           ) AS watches
      FROM media_peer`,
  transports: `
    SELECT id, media_peer_id AS "mediaPeerId", instance_id AS "instanceId", direction, ${since('created_at')} AS "ageMs"
      FROM media_transport`,
  pipes: `
    SELECT id, router_id AS "routerId", remote_router_id AS "remoteRouterId", instance_id AS "instanceId"
      FROM media_pipe_transport`,
  producers: `SELECT ${producerColumns} FROM media_producer`,
  dataProducers: `SELECT ${producerColumns} FROM media_data_producer`,
  consumers: `SELECT ${consumerColumns} FROM media_consumer`,
  dataConsumers: `SELECT ${consumerColumns} FROM media_data_consumer`,
};

/**
 * Reads all the session tables as they are at one moment.
 *
 * @throws {ApiError} `store_unavailable` while Postgres is away
 */
export const readTables = (knex: Knex): Promise<TablesView> =>
  query(() =>
    knex.transaction(
      async (trx) => {
        const view: Record<string, unknown[]> = {};
        for (const [name, statement] of Object.entries(statements))
          view[name] = (await trx.raw<{ rows: unknown[] }>(statement)).rows;
        return view as unknown as TablesView;
      },
      { isolationLevel: 'repeatable read', readOnly: true },
    ),
  );

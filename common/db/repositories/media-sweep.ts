import type { Knex } from 'knex';

import { query } from '../knex.ts';

/** Tables whose rows are an index of one instance's live objects. */
const liveTables = [
  'media_router',
  'media_transport',
  'media_pipe_transport',
  'media_producer',
  'media_data_producer',
  'media_consumer',
  'media_data_consumer',
] as const;
export type LiveTable = (typeof liveTables)[number];

/** Rows as old as this belong in the comparison; younger ones may be in the making. */
const old = `created_at < now() - ? * interval '1 millisecond'`;

const ownRowsSql = `
  SELECT 'media_router' AS name, id FROM media_router WHERE instance_id = ? AND ${old}
  UNION ALL
  SELECT 'media_pipe_transport', id::text FROM media_pipe_transport WHERE instance_id = ? AND ${old}
  UNION ALL
  SELECT 'media_transport', id::text FROM media_transport WHERE instance_id = ? AND ${old}
  ${(['media_producer', 'media_data_producer', 'media_consumer', 'media_data_consumer'] as const)
    .map(
      (table) => `UNION ALL
  SELECT '${table}', o.id::text FROM ${table} o
    JOIN media_transport t ON t.id = o.transport_id
   WHERE t.instance_id = ? AND o.${old}`,
    )
    .join('\n')}`;

/** Producers of this instance that a joined peer should watch and has no consumer for. */
const missingSql = (producer: string, consumer: string, grant: string, more: string): string => `
  SELECT p.id AS "producerId", t.id AS "transportId"
    FROM ${producer} p
    JOIN media_router r ON r.id = p.router_id AND r.instance_id = ?
    JOIN media_peer q ON q.room_id = r.room_id AND q.id <> p.media_peer_id
    JOIN LATERAL (
      SELECT id, created_at FROM media_transport
       WHERE media_peer_id = q.id AND direction = 'consumer' ORDER BY created_at DESC LIMIT 1
    ) t ON true
   WHERE q.joined_at IS NOT NULL AND q.kind = 'WebSocket' AND (q.grants ->> '${grant}')::boolean ${more}
     AND p.${old} AND t.${old} AND q.joined_at < now() - ? * interval '1 millisecond'
     AND NOT EXISTS (SELECT FROM ${consumer} c WHERE c.producer_id = p.id AND c.transport_id = t.id)`;

const supersededSql = `
  SELECT t.id FROM media_transport t
   WHERE t.id = ANY(?::uuid[]) AND t.direction = 'consumer'
     AND EXISTS (
       SELECT FROM media_transport n
        WHERE n.media_peer_id = t.media_peer_id AND n.direction = 'consumer'
          AND n.kind = t.kind AND n.created_at > t.created_at)`;

/** By the ids first, each way with its index: an OR over both would read the whole table. */
const lockConsumers = (consumer: string, producer: string, of: 'id' | 'transport_id'): string => `
  SELECT c.id FROM ${consumer} c
   WHERE c.id IN (
     SELECT id FROM ${consumer}
      WHERE producer_id IN (SELECT id FROM ${producer} WHERE ${of} = ANY(?::uuid[]))
     UNION
     SELECT id FROM ${consumer} WHERE ${of === 'transport_id'} AND transport_id = ANY(?::uuid[])
   )
   ORDER BY c.id FOR UPDATE`;

/**
 * Run before a delete that cascades to consumers: a consumer hangs off two peers, and of two deletes that meet in several
 * consumers each would wait for the other, did they not take them in one order.
 */
const lockSql: Partial<Record<LiveTable, string[]>> = {
  media_transport: [
    lockConsumers('media_consumer', 'media_producer', 'transport_id'),
    lockConsumers('media_data_consumer', 'media_data_producer', 'transport_id'),
  ],
  media_producer: [lockConsumers('media_consumer', 'media_producer', 'id')],
  media_data_producer: [lockConsumers('media_data_consumer', 'media_data_producer', 'id')],
};

/** The routers that a peer's sides are bound to; null: to none. */
export interface PeerSides {
  producer: string | null;
  consumer: string | null;
}

export interface MissingConsumer {
  producerId: string;
  transportId: string;
}

const idType = (table: LiveTable): string => (table === 'media_router' ? 'text' : 'uuid');

export function createMediaSweep(knex: Knex) {
  const missing = (sql: string, instanceId: string, ageMs: number): Promise<MissingConsumer[]> =>
    query(async () => {
      const { rows } = await knex.raw<{ rows: MissingConsumer[] }>(sql, [
        instanceId,
        ageMs,
        ageMs,
        ageMs,
      ]);
      return rows;
    });

  return {
    /** All rows of this instance's objects that are at least `ageMs` old, as ids by table. */
    rowsOfInstance: (instanceId: string, ageMs: number): Promise<Map<LiveTable, string[]>> =>
      query(async () => {
        const bindings = liveTables.flatMap(() => [instanceId, ageMs]);
        const { rows } = await knex.raw<{ rows: { name: LiveTable; id: string }[] }>(
          ownRowsSql,
          bindings,
        );
        const byTable = new Map<LiveTable, string[]>(liveTables.map((table) => [table, []]));
        for (const { name, id } of rows) byTable.get(name)?.push(id);
        return byTable;
      }),
    /** One transaction. Several nodes may delete at once what hangs together. */
    deleteRows: (table: LiveTable, ids: string[]): Promise<unknown> =>
      query(() =>
        knex.transaction(async (trx) => {
          for (const sql of lockSql[table] ?? []) await trx.raw(sql, [ids, ids]);
          await trx.raw(
            `DELETE FROM ${table} WHERE id IN (
               SELECT id FROM ${table} WHERE id = ANY(?::${idType(table)}[]) ORDER BY id FOR UPDATE
             )`,
            [ids],
          );
        }),
      ),
    /**
     * Which of these exist, each with the routers that its two sides are bound to.
     */
    existingPeers: (mediaPeerIds: string[]): Promise<Map<string, PeerSides>> =>
      query(async () => {
        const { rows } = await knex.raw<{ rows: (PeerSides & { id: string })[] }>(
          `SELECT id, producer_router_id AS producer, consumer_router_id AS consumer
             FROM media_peer WHERE id = ANY(?::uuid[])`,
          [mediaPeerIds],
        );
        return new Map(rows.map(({ id, ...sides }) => [id, sides]));
      }),
    /** Which of these objects are recorded; one statement for all. */
    recordedOf: (objects: ReadonlyMap<LiveTable, string[]>): Promise<Set<string>> =>
      query(async () => {
        if (objects.size === 0) return new Set();
        const { rows } = await knex.raw<{ rows: { id: string }[] }>(
          [...objects.keys()]
            .map((table) => `SELECT id::text FROM ${table} WHERE id = ANY(?::${idType(table)}[])`)
            .join(' UNION ALL '),
          [...objects.values()],
        );
        return new Set(rows.map(({ id }) => id));
      }),
    /** Which of these receiving transports their peers have a newer one than, on whatever node. */
    supersededOf: (transportIds: string[]): Promise<string[]> =>
      query(async () => {
        const { rows } = await knex.raw<{ rows: { id: string }[] }>(supersededSql, [transportIds]);
        return rows.map(({ id }) => id);
      }),
    missingConsumers: (instanceId: string, ageMs: number) =>
      missing(
        missingSql(
          'media_producer',
          'media_consumer',
          'subscribe',
          'AND q.rtp_capabilities IS NOT NULL',
        ),
        instanceId,
        ageMs,
      ),
    missingDataConsumers: (instanceId: string, ageMs: number) =>
      missing(
        missingSql('media_data_producer', 'media_data_consumer', 'data', ''),
        instanceId,
        ageMs,
      ),
  };
}

import type { Knex } from 'knex';

import { isDeadlock, isForeignKeyViolation, query } from '../knex.ts';

/** A consumer to record. */
export interface ConsumerEntry {
  consumerId: string;
  producerId: string;
  transportId: string;
}

interface UnrecordedPairs {
  transportId: string;
  producerIds: string[];
  dataProducerIds: string[];
}

const families = {
  media: {
    consumer: 'media_consumer',
    producer: 'media_producer',
    relation: 'media_peer_consumer',
  },
  data: {
    consumer: 'media_data_consumer',
    producer: 'media_data_producer',
    relation: 'media_peer_data_consumer',
  },
} as const;
export type ConsumerFamily = keyof typeof families;

/** A row's producer or peer may go between the statement's snapshot and its foreign key checks; then it is run again. */
const insertAttempts = 10;

/**
 * One statement for both tables, whatever the number of rows. The peers are locked first and in order, so that it can't
 * deadlock with the delete of a peer, which cascades the other way. Entries whose producer, transport or peer is gone
 * are left out.
 */
const insertSql = ({ consumer, producer, relation }: (typeof families)[ConsumerFamily]): string => `
  WITH entry AS (
    SELECT * FROM unnest(?::uuid[], ?::uuid[], ?::uuid[]) AS e (id, producer_id, transport_id)
  ), wanted AS (
    SELECT e.*, p.media_peer_id AS producer_peer_id, t.media_peer_id AS consumer_peer_id
      FROM entry e
      JOIN ${producer} p ON p.id = e.producer_id
      JOIN media_transport t ON t.id = e.transport_id
  ), peer AS (
    SELECT id FROM media_peer
     WHERE id IN (SELECT producer_peer_id FROM wanted UNION SELECT consumer_peer_id FROM wanted)
     ORDER BY id FOR KEY SHARE
  ), inserted AS (
    INSERT INTO ${consumer} (id, producer_id, transport_id, media_peer_id)
    SELECT w.id, w.producer_id, w.transport_id, w.consumer_peer_id
      FROM wanted w
     WHERE w.producer_peer_id IN (SELECT id FROM peer) AND w.consumer_peer_id IN (SELECT id FROM peer)
    ON CONFLICT DO NOTHING
    RETURNING id
  ), related AS (
    INSERT INTO ${relation} (consumer_id, producer_peer_id, consumer_peer_id)
    SELECT w.id, w.producer_peer_id, w.consumer_peer_id FROM wanted w JOIN inserted USING (id)
  )
  SELECT id FROM inserted`;

/** Rows of earlier consumers in the place of these, which no live consumer stands behind any more. */
const deleteStaleSql = ({ consumer }: (typeof families)[ConsumerFamily]): string => `
  DELETE FROM ${consumer} c
   USING unnest(?::uuid[], ?::uuid[], ?::uuid[]) AS e (id, producer_id, transport_id)
   WHERE c.producer_id = e.producer_id AND c.transport_id = e.transport_id AND c.id <> e.id`;

const unrecordedSql = ({ consumer }: (typeof families)[ConsumerFamily]): string => `
  SELECT t.id AS transport, p.id AS producer
    FROM unnest(?::uuid[]) AS t (id) CROSS JOIN unnest(?::uuid[]) AS p (id)
   WHERE NOT EXISTS (SELECT FROM ${consumer} c WHERE c.transport_id = t.id AND c.producer_id = p.id)`;

const columnsOf = (entries: ConsumerEntry[]): string[][] => [
  entries.map(({ consumerId }) => consumerId),
  entries.map(({ producerId }) => producerId),
  entries.map(({ transportId }) => transportId),
];

export function createConsumerRows(knex: Knex) {
  async function insert(family: ConsumerFamily, entries: ConsumerEntry[]): Promise<string[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        const { rows } = await knex.raw<{ rows: { id: string }[] }>(
          insertSql(families[family]),
          columnsOf(entries),
        );
        return rows.map(({ id }) => id);
      } catch (error) {
        const again = isForeignKeyViolation(error) || isDeadlock(error);
        if (attempt >= insertAttempts || !again) throw error;
      }
    }
  }

  return {
    /**
     * Records consumers with their peer relation.
     *
     * @returns the ids that were not recorded before: exactly one caller gets each, however many try at once
     */
    insertConsumers: (family: ConsumerFamily, entries: ConsumerEntry[]): Promise<Set<string>> =>
      query(async () => {
        if (entries.length === 0) return new Set();
        const inserted = new Set(await insert(family, entries));
        const rest = entries.filter(({ consumerId }) => !inserted.has(consumerId));
        if (rest.length === 0) return inserted;
        const stale = await knex.raw<{ rowCount: number }>(
          deleteStaleSql(families[family]),
          columnsOf(rest),
        );
        if (stale.rowCount > 0) for (const id of await insert(family, rest)) inserted.add(id);
        return inserted;
      }),
    /** The pairs of these transports and producers that no consumer is recorded for, by transport. */
    unrecorded: (
      transportIds: string[],
      producerIds: string[],
      dataProducerIds: string[],
    ): Promise<UnrecordedPairs[]> =>
      query(async () => {
        const byTransport = new Map(
          transportIds.map((transportId): [string, UnrecordedPairs] => [
            transportId,
            { transportId, producerIds: [], dataProducerIds: [] },
          ]),
        );
        for (const [family, ids] of [
          ['media', producerIds],
          ['data', dataProducerIds],
        ] as const) {
          if (ids.length === 0) continue;
          const { rows } = await knex.raw<{ rows: { transport: string; producer: string }[] }>(
            unrecordedSql(families[family]),
            [transportIds, ids],
          );
          for (const { transport, producer } of rows) {
            const pairs = byTransport.get(transport);
            pairs?.[family === 'media' ? 'producerIds' : 'dataProducerIds'].push(producer);
          }
        }
        return [...byTransport.values()];
      }),
  };
}

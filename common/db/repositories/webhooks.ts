import type { Knex } from 'knex';

import { query } from '../knex.ts';

/** An endpoint, by the name that the tables know it by, and the types of events that it wants; null: all. */
export interface EndpointRow {
  name: string;
  events: string[] | null;
}

/** A room with events for an endpoint, which one replica alone delivers until the claim lapses. */
export interface ClaimedRoom {
  endpoint: string;
  room: string;
  claim: string;
  /** The last event that the endpoint has. */
  sequence: number;
  /** Failed attempts of the event after that. */
  attempts: number;
}

export interface EventRow {
  id: string;
  sequence: number;
  type: string;
  room: string;
  data: object;
  createdAt: Date;
}

/** An event of the outbox; its age is by Postgres' clock. */
export interface OutboxEvent extends EventRow {
  ageMs: number;
}

export interface DeadLetter extends EventRow {
  endpoint: string;
  diedAt: Date;
  attempts: number;
  lastError: string;
}

/** What an endpoint has not got. */
export interface Backlog {
  endpoint: string;
  /** Age of the oldest event that it has not got, in seconds. */
  lagSeconds: number;
  rooms: number;
  deadLetters: number;
}

export interface DeadLetterFilter {
  endpoint?: string | undefined;
  room?: string | undefined;
  id?: string | undefined;
}

/** How many rows one statement deletes at most. */
const deleteBatch = 5_000;

const ms = `* interval '1 millisecond'`;
const eventColumns = `id, sequence, type, room_id AS room, data, created_at AS "createdAt"`;

/** Postgres' 64-bit numbers come as text; these stay below 2^53. */
type FromSql<T extends EventRow> = Omit<T, 'sequence'> & { sequence: string };
const numbered = <T extends EventRow>(row: FromSql<T>): T =>
  ({ ...row, sequence: Number(row.sequence) }) as T;

/** The outbox of webhooks. Time is the database's alone. Every function throws `store_unavailable` while Postgres is away. */
export function createWebhooksRepository(knex: Knex) {
  const rowsOf = async <T>(
    sql: string,
    values: Record<string, unknown>,
    db: Knex = knex,
  ): Promise<T[]> => (await db.raw<{ rows: T[] }>(sql, values as Knex.ValueDict)).rows;

  /** Whether a claim is still this replica's: false when it lapsed and another one has the room. */
  const keep = async (room: ClaimedRoom, set: string, values: object, db = knex) =>
    (
      await rowsOf(
        `UPDATE webhook_queue SET ${set}
          WHERE endpoint = :endpoint AND room_id = :room AND claim = :claim RETURNING 1 AS kept`,
        { ...values, endpoint: room.endpoint, room: room.room, claim: room.claim },
        db,
      )
    ).length > 0;

  const advanced = `sequence = :sequence, pending_since = :pendingSince, attempts = 0,
    last_error = NULL, due_at = now() + :claimMs ${ms}`;

  const deleteBatches = async (sql: string, values: Record<string, unknown>): Promise<void> => {
    for (;;) {
      const gone = await rowsOf(sql, { ...values, limit: deleteBatch });
      if (gone.length < deleteBatch) return;
    }
  };

  return {
    ...endpoints(knex),
    ...deadLetters(knex),

    /** Claims rooms whose next event is due, those that wait longest first. */
    claim: (of: {
      endpoint: string;
      claim: string;
      claimMs: number;
      limit: number;
    }): Promise<ClaimedRoom[]> =>
      query(async () => {
        const rows = await rowsOf<Omit<ClaimedRoom, 'sequence'> & { sequence: string }>(
          `UPDATE webhook_queue q SET claim = :claim, due_at = now() + :claimMs ${ms}
             FROM (SELECT endpoint, room_id FROM webhook_queue
                    WHERE endpoint = :endpoint AND due_at <= now()
                    ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED) due
            WHERE q.endpoint = due.endpoint AND q.room_id = due.room_id
            RETURNING q.endpoint, q.room_id AS room, q.claim, q.sequence, q.attempts`,
          of,
        );
        return rows.map((row) => ({ ...row, sequence: Number(row.sequence) }));
      }),

    eventsAfter: (room: string, sequence: number, limit: number): Promise<OutboxEvent[]> =>
      query(async () => {
        const rows = await rowsOf<FromSql<OutboxEvent>>(
          `SELECT ${eventColumns}, extract(epoch FROM now() - created_at)::float8 * 1000 AS "ageMs"
             FROM webhook_event WHERE room_id = :room AND sequence > :sequence
            ORDER BY sequence LIMIT :limit`,
          { room, sequence, limit },
        );
        return rows.map((row) => numbered<OutboxEvent>(row));
      }),

    /**
     * Records that the endpoint has all up to this event, and keeps the claim.
     *
     * @param pendingSince time of the event that comes next
     * @returns false when the claim had lapsed
     */
    advance: (
      room: ClaimedRoom,
      to: { sequence: number; pendingSince: Date; claimMs: number },
    ): Promise<boolean> => query(() => keep(room, advanced, to)),

    /** Records a failed attempt, and lets the room go until it is due again. */
    retryLater: (room: ClaimedRoom, delayMs: number, error: string): Promise<boolean> =>
      query(() =>
        keep(
          room,
          `attempts = attempts + 1, last_error = :error, claim = NULL, due_at = now() + :delayMs ${ms}`,
          { delayMs, error },
        ),
      ),

    /** Takes an event out of the room's way into the dead letters. One transaction. */
    bury: (
      room: ClaimedRoom,
      event: EventRow,
      to: { pendingSince: Date; claimMs: number; attempts: number; error: string },
    ): Promise<boolean> =>
      query(() =>
        knex.transaction(async (trx) => {
          const { sequence } = event;
          if (!(await keep(room, advanced, { ...to, sequence }, trx))) return false;
          await rowsOf(
            `INSERT INTO webhook_dead_letter
               (endpoint, id, sequence, room_id, type, data, created_at, attempts, last_error)
             SELECT :endpoint, id, sequence, room_id, type, data, created_at, :attempts, :error
               FROM webhook_event WHERE sequence = :sequence
             ON CONFLICT (endpoint, id) DO NOTHING`,
            { endpoint: room.endpoint, attempts: to.attempts, error: to.error, sequence },
            trx,
          );
          return true;
        }),
      ),

    /**
     * Lets a room go: at once due again where it has more events, else out of the queue. The row is locked before it is
     * looked for events: whoever writes one locks it too. One transaction.
     *
     * @param sequence the last event that the endpoint has
     */
    release: (room: ClaimedRoom, sequence: number): Promise<void> =>
      query(() =>
        knex.transaction(async (trx) => {
          const set = 'sequence = :sequence, claim = NULL, due_at = now()';
          if (!(await keep(room, set, { sequence }, trx))) return;
          await rowsOf(
            `DELETE FROM webhook_queue q WHERE endpoint = :endpoint AND room_id = :room AND NOT EXISTS (
               SELECT FROM webhook_event e WHERE e.room_id = q.room_id AND e.sequence > q.sequence)`,
            { endpoint: room.endpoint, room: room.room },
            trx,
          );
        }),
      ),

    /** Deletes events that all endpoints have had, or that are dead, after their time. */
    deleteOld: (after: { retainMs: number; deadLetterRetainMs: number }): Promise<void> =>
      query(async () => {
        await deleteBatches(
          `DELETE FROM webhook_event WHERE sequence IN (
             SELECT sequence FROM webhook_event e
              WHERE created_at < now() - :retainMs ${ms} AND NOT EXISTS (
                SELECT FROM webhook_queue q WHERE q.room_id = e.room_id AND q.sequence < e.sequence)
              ORDER BY sequence LIMIT :limit FOR UPDATE SKIP LOCKED)
           RETURNING 1 AS gone`,
          after,
        );
        await deleteBatches(
          `DELETE FROM webhook_dead_letter WHERE (endpoint, id) IN (
             SELECT endpoint, id FROM webhook_dead_letter
              WHERE died_at < now() - :deadLetterRetainMs ${ms}
              ORDER BY endpoint, id LIMIT :limit FOR UPDATE SKIP LOCKED)
           RETURNING 1 AS gone`,
          after,
        );
      }),

    /** The backlog of every endpoint that is known. */
    backlogs: (): Promise<Backlog[]> =>
      query(() =>
        rowsOf<Backlog>(
          `SELECT e.name AS endpoint, coalesce(q.rooms, 0)::int AS rooms,
                  coalesce(greatest(extract(epoch FROM now() - q.since), 0), 0)::float8 AS "lagSeconds",
                  (SELECT count(*)::int FROM webhook_dead_letter d WHERE d.endpoint = e.name) AS "deadLetters"
             FROM webhook_endpoint e LEFT JOIN (
               SELECT endpoint, count(*) AS rooms, min(pending_since) AS since FROM webhook_queue GROUP BY endpoint
             ) q ON q.endpoint = e.name ORDER BY e.name`,
          {},
        ),
      ),
  };
}

const endpoints = (knex: Knex) => ({
  /** Records that these endpoints are configured. From the first one on, events are written. */
  saveEndpoints: (rows: EndpointRow[]): Promise<void> =>
    query(async () => {
      if (rows.length === 0) return;
      const sorted = [...rows].sort((a, b) => (a.name < b.name ? -1 : 1));
      await knex('webhook_endpoint')
        .insert(sorted.map((row) => ({ ...row, last_seen_at: knex.fn.now() })))
        .onConflict('name')
        .merge();
    }),

  /**
   * Forgets endpoints that no replica has had in its configuration for so long, with all that they have not got; with the
   * last one, which rooms have started. What others hold at the moment goes at the next call.
   */
  forgetEndpoints: (forgetMs: number): Promise<void> =>
    query(async () => {
      await knex.raw(`DELETE FROM webhook_endpoint WHERE last_seen_at < now() - ? ${ms}`, [
        forgetMs,
      ]);
      const none = 'NOT EXISTS (SELECT FROM webhook_endpoint';
      await knex.raw(`DELETE FROM webhook_queue WHERE (endpoint, room_id) IN (
        SELECT endpoint, room_id FROM webhook_queue q WHERE ${none} WHERE name = q.endpoint)
         FOR UPDATE SKIP LOCKED)`);
      await knex.raw(`DELETE FROM webhook_room WHERE ${none})`);
    }),
});

const deadLetters = (knex: Knex) => ({
  /** By endpoint and room, in the order of the room. */
  listDeadLetters: (
    { endpoint, room, id }: DeadLetterFilter,
    limit: number,
    offset = 0,
  ): Promise<DeadLetter[]> =>
    query(async () => {
      const rows = await knex('webhook_dead_letter')
        .where({
          ...(endpoint === undefined ? {} : { endpoint }),
          ...(room === undefined ? {} : { room_id: room }),
          ...(id === undefined ? {} : { id }),
        })
        .orderBy(['endpoint', 'room_id', 'sequence'])
        .limit(limit)
        .offset(offset)
        .select<FromSql<DeadLetter>[]>(
          knex.raw(
            `${eventColumns}, endpoint, died_at AS "diedAt", attempts, last_error AS "lastError"`,
          ),
        );
      return rows.map((row) => numbered<DeadLetter>(row));
    }),

  deleteDeadLetter: ({ endpoint, id }: Pick<DeadLetter, 'endpoint' | 'id'>): Promise<unknown> =>
    query(() => knex('webhook_dead_letter').where({ endpoint, id }).delete()),
});

export type WebhooksRepository = ReturnType<typeof createWebhooksRepository>;

import type { Knex } from 'knex';

import { query } from '../../common/db/knex.ts';

const deleteSql = `
  DELETE FROM media_room r
   WHERE r.id = ANY(?::text[])
     AND NOT EXISTS (SELECT FROM media_router WHERE room_id = r.id)
     AND NOT EXISTS (SELECT FROM media_peer WHERE room_id = r.id)`;

/**
 * Deletes rows of rooms that nothing is of any more: those whose last router went with its instance. A router that is
 * made at the same moment finds its room gone, and is made again.
 *
 * @returns how many there were
 * @throws {ApiError} `store_unavailable` while Postgres is away
 */
export const deleteRoomRows = (knex: Knex, roomIds: string[]): Promise<number> =>
  query(async () => {
    const { rowCount } = await knex.raw<{ rowCount: number }>(deleteSql, [roomIds]);
    return rowCount;
  });

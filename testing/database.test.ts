import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase } from './database.ts';
import { withClient } from './sql.ts';

const countTables = (client: pg.Client): Promise<number> =>
  client
    .query<{ count: string }>(`SELECT count(*) FROM pg_tables WHERE tablename LIKE 'media\\_%'`)
    .then(({ rows }) => Number(rows[0]?.count));

describe('createTestDatabase', () => {
  it('gives a database of its own, with the migrations applied, to each of many callers at once', async () => {
    const databases = await Promise.all(Array.from({ length: 4 }, createTestDatabase));
    expect(new Set(databases.map(({ url }) => url)).size).toBe(4);
    for (const { url, drop } of databases) {
      expect(await withClient(url, countTables)).toBeGreaterThanOrEqual(10);
      await drop();
    }
  });

  it('fails the drop when a connection was left open, and drops all the same', async () => {
    const database = await createTestDatabase();
    const client = new pg.Client({
      connectionString: database.url,
      application_name: 'forgotten',
    });
    client.on('error', () => undefined);
    await client.connect();
    await expect(database.drop()).rejects.toThrow('forgotten idle');
    await expect(withClient(database.url, countTables)).rejects.toThrow('does not exist');
  });

  it('allows the drop twice', async () => {
    const database = await createTestDatabase();
    await database.drop();
    await database.drop();
  });
});

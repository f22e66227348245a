import { migrate } from '../../common/db/migrate.ts';
import { ApiError } from '../../common/errors.ts';
import type { OperatorConfig } from '../config.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/**
 * Brings the session tables up to date and prints what it did, a line for each migration. Tables of a later version are
 * left as they are: an earlier one works with them, so that a release can be rolled back.
 *
 * @throws {ApiError} `invalid_request` without `database`, and as {@link migrate}
 */
export async function runMigrate({ database, migrations }: OperatorConfig): Promise<void> {
  if (!database)
    throw new ApiError('invalid_request', 'config: database: expected a section with the key url');
  const { applied, newer } = await migrate(database.url, {
    ...migrations,
    onWait: (reason) => say(`waiting for Postgres: ${reason}`),
  });
  for (const name of applied) say(`applied ${name}`);
  if (newer.length > 0) say(`the tables are of a later version and stay: ${newer.join(', ')}`);
  else if (applied.length === 0) say('the tables are up to date');
}

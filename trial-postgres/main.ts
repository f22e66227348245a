/**
 * A Postgres server for trials: one process with its data in a folder, neither replicated nor backed up.
 *
 * Usage: node trial-postgres/main.ts                 serves
 *        node trial-postgres/main.ts healthcheck     tells by its exit status whether the server beside it answers
 *
 * The environment has POSTGRES_PASSWORD, the password of the role `kube_sfu`; another one than at the last start takes its
 * place. PGDATA (/var/lib/postgresql/data) and PGPORT (5432) may be set.
 */
import pg from 'pg';
import { z } from 'zod';

import { runMain } from '../common/service/lifecycle.ts';
import { databaseName, prepareData, serveUntilSignal, setPassword } from './cluster.ts';

/** How long an answer to a health check may take, in milliseconds. */
const healthTimeoutMs = 3000;

const environment = z.object({
  // A statement of Postgres' single-user mode is a line.
  POSTGRES_PASSWORD: z
    .string('expected a password')
    .regex(/^[^\r\n\0]+$/, 'expected a password in one line'),
  PGDATA: z.string().min(1).default('/var/lib/postgresql/data'),
  PGPORT: z.coerce.number().int().min(1).max(65_535).default(5432),
});
type Environment = z.output<typeof environment>;

async function serve({ PGDATA, PGPORT, POSTGRES_PASSWORD }: Environment): Promise<void> {
  await prepareData(PGDATA);
  await setPassword(PGDATA, POSTGRES_PASSWORD);
  process.exitCode = await serveUntilSignal(PGDATA, PGPORT);
}

async function healthcheck({ PGPORT, POSTGRES_PASSWORD }: Environment): Promise<void> {
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port: PGPORT, user: databaseName, database: databaseName },
    password: POSTGRES_PASSWORD,
    connectionTimeoutMillis: healthTimeoutMs,
    query_timeout: healthTimeoutMs,
  });
  await client.connect();
  await client.query('SELECT 1');
  await client.end();
}

const commands: Readonly<Record<string, (from: Environment) => Promise<void>>> = {
  serve,
  healthcheck,
};

runMain(async () => {
  const name = process.argv[2] ?? 'serve';
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new Error(`unknown command "${name}"; there are serve, healthcheck`);
  const parsed = environment.safeParse(process.env);
  if (!parsed.success)
    throw new Error(
      parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('\n'),
    );
  await command(parsed.data);
});

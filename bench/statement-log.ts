import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

import { startEmbeddedPostgres } from '../scripts/postgres/embedded.ts';

/** One statement that a service ran. */
export interface Statement {
  /** The server process of the connection: its statements follow one another. */
  backend: string;
  text: string;
}

/** A Postgres server that can tell which statements the services ran. */
export interface RecordingPostgres {
  url: string;
  /** Runs `work` and returns the statements that the services ran meanwhile, in order, with `BEGIN` and `COMMIT`. */
  record: (work: () => Promise<void>) => Promise<Statement[]>;
  /** How many rows the peers and all that belongs to them have. */
  sessionRows: () => Promise<number>;
  stop: () => Promise<void>;
}

const sessionTables = [
  'media_peer',
  'media_transport',
  'media_producer',
  'media_data_producer',
  'media_consumer',
  'media_data_consumer',
];
const applicationName = 'kube-sfu';
/** The first line of a logged statement, by the simple or the extended protocol. The next ones begin with a tab. */
const statementLine = new RegExp(
  `^${applicationName} (\\d+) LOG: {2}(?:statement|execute [^:]*): ?(.*)$`,
);

/** Puts the statements together from the lines of Postgres' log. */
export function readStatements(lines: readonly string[]): Statement[] {
  const statements: Statement[] = [];
  let open: Statement | undefined;
  for (const line of lines) {
    const [, backend, text] = statementLine.exec(line) ?? [];
    if (backend !== undefined && text !== undefined) {
      open = { backend, text };
      statements.push(open);
    } else if (open && line.startsWith('\t')) open.text = `${open.text} ${line.trim()}`.trim();
    else open = undefined;
  }
  return statements;
}

/** Time for running backends to take a setting over, and for log lines to arrive. */
const settleMs = 300;

const setLogging = async (client: Client, value: 'all' | 'none'): Promise<void> => {
  await client.query(`ALTER SYSTEM SET log_statement = '${value}'`);
  await client.query('SELECT pg_reload_conf()');
  await sleep(settleMs);
};

/**
 * Starts an embedded Postgres. Its own log is the count: it has what every service really sent, whatever layer sent it.
 * Logging is on only while something is recorded, so that it slows nothing else down.
 */
export async function startRecordingPostgres(dataDir: string): Promise<RecordingPostgres> {
  let lines: string[] | undefined;
  const log = (line: string): void => {
    lines?.push(line);
  };
  const server = await startEmbeddedPostgres({ dataDir, temporary: true, log });
  const client = new Client({ connectionString: server.url, application_name: 'bench' });
  await client.connect();
  await client.query("ALTER SYSTEM SET log_line_prefix = '%a %p '");
  return {
    url: server.url,
    async record(work) {
      await setLogging(client, 'all');
      const recorded: string[] = [];
      lines = recorded;
      try {
        await work();
        await sleep(settleMs);
      } finally {
        lines = undefined;
        await setLogging(client, 'none');
      }
      return readStatements(recorded);
    },
    async sessionRows() {
      const counts = sessionTables.map((table) => `(SELECT count(*)::int FROM ${table})`);
      const { rows } = await client.query<{ total: number }>(
        `SELECT ${counts.join(' + ')} AS total`,
      );
      return rows[0]?.total ?? 0;
    },
    async stop() {
      await client.end();
      await server.stop();
    },
  };
}

import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startEmbeddedPostgres } from '../scripts/postgres/embedded.ts';

/** A Postgres server for one run of the tests. */
export interface TestServer {
  /** Connection URL with the right to create databases. */
  url: string;
  /** Stops the server, if it is ours, and removes its files. */
  stop: () => Promise<void>;
}

/** Uses the server that `DATABASE_URL` names, or starts an embedded one on a temporary folder. */
export async function startTestServer(): Promise<TestServer> {
  const given = process.env['DATABASE_URL'];
  if (given) return { url: given, stop: () => Promise.resolve() };
  const dataDir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-test-postgres-'));
  return startEmbeddedPostgres({ dataDir, temporary: true });
}

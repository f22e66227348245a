import { randomBytes } from 'node:crypto';
import { migrate } from '../common/db/migrate.ts';
import { startTestServer } from './server.ts';
import type { TestServer } from './server.ts';
import { databaseUrl, withClient } from './sql.ts';

/** What the teardown, in the same process but another module instance, needs. */
export interface TestRun {
  server: TestServer;
  template: string;
}

declare global {
  var kubeSfuTestRun: TestRun | undefined;
}

/**
 * Starts one Postgres for the whole run and makes a database with the migrations applied, which `createTestDatabase` clones
 * for each test file. The name is random, since a server given by `DATABASE_URL` may serve several runs.
 */
export default async function globalSetup(): Promise<void> {
  const server = await startTestServer();
  const template = `kube_sfu_test_${randomBytes(4).toString('hex')}`;
  globalThis.kubeSfuTestRun = { server, template };
  await withClient(server.url, (client) => client.query(`CREATE DATABASE ${template}`));
  await migrate(databaseUrl(server.url, template));
  // The workers that run the test files are forked after this and inherit it.
  process.env['KUBE_SFU_TEST_SERVER'] = server.url;
  process.env['KUBE_SFU_TEST_TEMPLATE'] = template;
}

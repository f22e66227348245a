import { withClient } from './sql.ts';

/** Removes the template database and stops the server of the run. */
export default async function globalTeardown(): Promise<void> {
  const run = globalThis.kubeSfuTestRun;
  if (!run) return;
  const { server, template } = run;
  await withClient(server.url, (client) => client.query(`DROP DATABASE IF EXISTS ${template}`));
  await server.stop();
}

import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';

import type { Knex } from 'knex';

import type { MediaNodeClient } from '../common/clients/media-node.ts';
import { createKnex } from '../common/db/knex.ts';
import { databaseConfig } from '../common/service/config.ts';
import type { NodeStatus } from '../common/wire/media-node.ts';
import { nodeClientOf } from '../demo/node-client.ts';
import { buildPage } from '../demo/page-build.ts';
import { startPageServer } from '../demo/page-server.ts';
import { startPlatform, type Platform } from '../demo/platform.ts';
import { freePorts } from '../demo/ports.ts';
import { listMediaWorkers } from '../demo/resources-client.ts';
import { createTestDatabase } from '../testing/database.ts';

/** The whole platform as `make demo` starts it, with its page, for one test file. */
export interface TestPlatform {
  platform: Platform;
  pageUrl: string;
  signalingUrls: string[];
  knex: Knex;
  nodes: MediaNodeClient;
  /** The media nodes' own view, from each of them. */
  statuses: () => Promise<NodeStatus[]>;
  stop: () => Promise<void>;
}

export interface TestPlatformOptions {
  /** Of the folder below `.run/e2e` that has the logs. */
  name: string;
  replicas?: number;
  consumers?: number;
}

const quiet = (): void => undefined;

export async function startTestPlatform({
  name,
  replicas = 2,
  consumers = 2,
}: TestPlatformOptions): Promise<TestPlatform> {
  // Kept after the test, so that the logs of a failure can be read; emptied before the next.
  const dir = path.resolve(import.meta.dirname, '../.run/e2e', name);
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  const database = await createTestDatabase();
  const dist = await buildPage(quiet);
  const pagePort = await freePorts(1 + replicas);
  const signalingPorts = Array.from({ length: replicas }, (_, i) => pagePort + 1 + i);
  const pageUrl = `http://localhost:${pagePort}`;
  const platform = await startPlatform({
    dir,
    signalingPorts,
    consumers,
    pageUrls: [pageUrl],
    databaseUrl: database.url,
    // Beside a running demo.
    ports: { rtc: 22_000, nodeApi: 15_000 },
    logLevel: 'info',
    say: quiet,
  });
  const page = await startPageServer({
    host: '127.0.0.1',
    port: pagePort,
    dist,
    config: { signalingPort: signalingPorts[0] ?? 0, signalingPorts },
  });
  const knex = createKnex(databaseConfig.parse({ url: database.url }));
  const nodes = nodeClientOf(platform.serviceSecret, 'e2e');
  return {
    platform,
    pageUrl,
    signalingUrls: signalingPorts.map((port) => `ws://127.0.0.1:${port}`),
    knex,
    nodes,
    async statuses() {
      const pools = await listMediaWorkers(platform.kubeconfig);
      const urls = pools.flatMap(({ status }) => (status?.nodes ?? []).map(({ url }) => url));
      return Promise.all(urls.filter((url) => url !== undefined).map((url) => nodes.status(url)));
    },
    async stop() {
      await page.close();
      await platform.stop();
      await knex.destroy();
      await database.drop();
    },
  };
}

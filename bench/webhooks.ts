/**
 * What the triggers of webhooks cost in Postgres: `node bench/webhooks.ts [--rounds 20] [--visits 50]`. Peers connect, join,
 * publish and leave by the services' own repositories, with the triggers off, with them on and no endpoint, and with one
 * endpoint. The three take turns, so that what else the machine does falls on all of them.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';

import type { Knex } from 'knex';

import { createKnex } from '../common/db/knex.ts';
import { migrate } from '../common/db/migrate.ts';
import { createMediaRepository } from '../common/db/repositories/media.ts';
import { createPeersRepository } from '../common/db/repositories/peers.ts';
import { createWebhooksRepository } from '../common/db/repositories/webhooks.ts';
import { databaseConfig } from '../common/service/config.ts';
import { runMain } from '../common/service/lifecycle.ts';
import { startTestServer } from '../testing/server.ts';
import { databaseUrl, withClient } from '../testing/sql.ts';
import { median } from './statistics.ts';

const room = 'room';
const router = 'router';
const instanceId = randomUUID();
const replicaId = randomUUID();
const grants = { publish: true, subscribe: true, data: true, admin: false };
/** Peers that come and go at once in the concurrent part. */
const crowd = 8;

const settings = ['triggers off', 'no endpoint', 'one endpoint'] as const;
type Setting = (typeof settings)[number];

async function prepare(knex: Knex): Promise<void> {
  await knex('signaling_replica').insert({ id: replicaId, url: 'http://one' });
  await knex('media_worker').insert({
    instance_id: instanceId,
    pod_name: 'pod',
    pool: 'pool',
    role: 'Both',
    api_url: 'http://node',
    worker_count: 1,
    version: 'bench',
  });
  await createMediaRepository(knex).saveRouter({
    id: router,
    roomId: room,
    instanceId,
    workerIndex: 0,
    role: 'Both',
    generation: 1,
    rtpCapabilities: { codecs: [] },
  });
}

/** Nothing is left of the round before, whose rows would slow the next one. */
async function change(knex: Knex, setting: Setting): Promise<void> {
  const state = setting === 'triggers off' ? 'DISABLE' : 'ENABLE';
  for (const table of ['media_peer', 'media_producer', 'media_data_producer'])
    await knex.raw(`ALTER TABLE ${table} ${state} TRIGGER USER`);
  await knex.raw(
    'TRUNCATE webhook_endpoint, webhook_staged, webhook_room, webhook_event, webhook_queue',
  );
  await knex.raw('VACUUM ANALYZE');
  if (setting === 'one endpoint')
    await createWebhooksRepository(knex).saveEndpoints([{ name: 'app', events: null }]);
}

interface Times {
  /** Of the statements that a join is, in milliseconds. */
  join: number;
  /** From the connection to the leave. */
  visit: number;
}

/** One peer that connects, joins, publishes audio and video, and leaves. */
async function visit(knex: Knex): Promise<Times> {
  const media = createMediaRepository(knex);
  const peers = createPeersRepository(knex);
  const id = randomUUID();
  const transportId = randomUUID();
  const startedAt = performance.now();
  await peers.bind({
    peer: {
      id,
      roomId: room,
      peerId: id,
      kind: 'WebSocket',
      replicaId,
      remoteAddress: '::1',
      grants,
    },
    maxPeers: 1_000,
    choose: () => ({ producerRouterId: router, consumerRouterId: router }),
  });
  const joinAt = performance.now();
  await media.joinPeer({ mediaPeerId: id, roomId: room }, { displayName: 'Ann', device: {} });
  const joinedAt = performance.now();
  const transport = { id: transportId, mediaPeerId: id, routerId: router };
  await media.insertTransport({ ...transport, instanceId, kind: 'webrtc', direction: 'producer' });
  for (const kind of ['audio', 'video'] as const)
    await media.insertProducer({
      id: randomUUID(),
      transportId,
      mediaPeerId: id,
      routerId: router,
      kind,
      appData: { source: kind },
      replaces: null,
    });
  await peers.remove(id);
  return { join: joinedAt - joinAt, visit: performance.now() - startedAt };
}

interface Measured {
  joins: number[];
  visits: number[];
  /** Visits a second of a crowd in one room. */
  rates: number[];
}

async function measure(knex: Knex, visits: number, into: Measured): Promise<void> {
  for (let n = 0; n < visits; n++) {
    const times = await visit(knex);
    into.joins.push(times.join);
    into.visits.push(times.visit);
  }
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: crowd }, async () => {
      for (let n = 0; n < visits / crowd; n++) await visit(knex);
    }),
  );
  into.rates.push((Math.ceil(visits / crowd) * crowd * 1000) / (performance.now() - startedAt));
}

function report(results: ReadonlyMap<Setting, Measured>): void {
  const medians = ({ joins, visits, rates }: Measured): number[] =>
    [joins, visits, rates].map(median);
  const base = medians(results.get('triggers off') ?? { joins: [], visits: [], rates: [] });
  console.log(`|  | Join ms | Visit ms | Visits/s of ${crowd} in one room |`);
  console.log('| --- | ---: | ---: | ---: |');
  for (const [setting, measured] of results) {
    const cells = medians(measured).map(
      (value, i) => `${value.toFixed(2)} (×${(value / (base[i] ?? value)).toFixed(2)})`,
    );
    console.log(`| ${setting} | ${cells.join(' | ')} |`);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '20' },
      visits: { type: 'string', default: '50' },
    },
  });
  const server = await startTestServer();
  const name = `kube_sfu_bench_${randomBytes(4).toString('hex')}`;
  await withClient(server.url, (client) => client.query(`CREATE DATABASE ${name}`));
  const url = databaseUrl(server.url, name);
  await migrate(url);
  const knex = createKnex(databaseConfig.parse({ url, poolMax: crowd }));
  try {
    await prepare(knex);
    const results = new Map<Setting, Measured>(
      settings.map((setting) => [setting, { joins: [], visits: [], rates: [] }]),
    );
    for (let round = 0; round < Number(values.rounds); round++)
      for (const [setting, into] of results) {
        await change(knex, setting);
        await measure(knex, Number(values.visits), into);
      }
    report(results);
  } finally {
    await knex.destroy();
    await withClient(server.url, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
    await server.stop();
  }
}

runMain(main);

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { readConfig } from '../common/service/config.ts';
import { nodeClientOf } from '../demo/node-client.ts';
import { startPlatform, type Platform } from '../demo/platform.ts';
import { freePorts } from '../demo/ports.ts';
import { listMediaWorkers } from '../demo/resources-client.ts';
import { auditPlatform, type AuditReport } from '../operator/audit/audit.ts';
import type { DifferenceKind } from '../operator/audit/kinds.ts';
import { operatorConfig, type OperatorConfig } from '../operator/config.ts';
import { Cleanup } from '../testing/cleanup.ts';
import { createTestDatabase } from '../testing/database.ts';
import { LoadPeer } from '../testing/load-peer/load-peer.ts';
import { withClient } from '../testing/sql.ts';
import { until } from '../testing/until.ts';

const root = path.resolve(import.meta.dirname, '..');
const dir = path.join(root, '.run/e2e/audit');
const configFile = path.join(dir, 'config/operator.json');
const graceMs = 2_000;
/** The slowest collector of what is broken here is a node's sweep, at its second look. */
const collected = { timeoutMs: 120_000, intervalMs: 1_000 };
const names = ['ada', 'bert', 'cleo', 'dora'];

/** The platform as `make demo` runs it, with peers in a room. */
describe('an audit of a running platform', () => {
  const cleanup = new Cleanup();
  let platform: Platform;
  let config: OperatorConfig;

  const enter = async (url: string, peerId: string): Promise<LoadPeer> => {
    const peer = await LoadPeer.connect({ url, roomId: 'standup', peerId });
    cleanup.add(() => peer.close());
    await peer.join();
    await peer.publish({ audio: true, video: true, data: true });
    return peer;
  };

  beforeAll(async () => {
    // Kept after the test, so that the logs of a failure can be read; emptied before the next.
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir, { recursive: true });
    const database = await createTestDatabase();
    cleanup.add(() => database.drop());
    const port = await freePorts(1);
    platform = await startPlatform({
      ...{
        dir,
        signalingPorts: [port],
        consumers: 2,
        pageUrls: ['http://localhost'],
        databaseUrl: database.url,
      },
      // Beside a running demo, and beside other tests' platforms.
      ...{ ports: { rtc: 24_000, nodeApi: 15_500 }, logLevel: 'info', say: () => undefined },
    });
    cleanup.add(() => platform.stop());
    config = readConfig(operatorConfig, configFile);
    const peers = await Promise.all(names.map((name) => enter(`ws://127.0.0.1:${port}`, name)));
    for (const peer of peers)
      await peer.waitFor('all the others', () => {
        const { consumers, dataConsumers } = peer.stats();
        return consumers === 2 * (names.length - 1) && dataConsumers === names.length - 1;
      });
  }, 180_000);

  afterAll(() => cleanup.run(), 60_000);

  const nothing = { differences: [], unreachable: [] };
  const steady = (): Promise<AuditReport> =>
    until(
      'the places to say the same',
      async () => {
        const report = await auditPlatform(config, { graceMs });
        expect(report).toMatchObject(nothing);
        return report;
      },
      collected,
    );

  const sql = (statement: string, values: unknown[]): Promise<unknown> =>
    withClient(platform.databaseUrl, (client) => client.query(statement, values));

  const idOf = async (statement: string): Promise<string> =>
    withClient(platform.databaseUrl, async (client) => {
      const { rows } = await client.query<{ id: string }>(statement);
      return rows[0]!.id;
    });

  /** Breaks something and looks at once, before anybody can put it right. */
  async function named(
    kind: DifferenceKind,
    ids: Record<string, string>,
    breakIt: () => Promise<unknown>,
  ): Promise<void> {
    await breakIt();
    const { differences } = await auditPlatform(config, { graceMs: 0 });
    expect(differences).toContainEqual(
      expect.objectContaining({ kind, ids: expect.objectContaining(ids) as unknown }),
    );
  }

  const nodesOf = async (pool: string) => {
    const pools = await listMediaWorkers(platform.kubeconfig);
    return pools.find(({ metadata }) => metadata.name === pool)?.status?.nodes ?? [];
  };
  const nodes = () => nodeClientOf(platform.serviceSecret, 'e2e');

  it('finds nothing while nothing is wrong', async () => {
    const { compared } = await steady();
    expect(compared).toMatchObject({ rooms: 1, nodes: 3, peers: names.length });
    // Two routers at least, two transports for each peer, three producers and three times as many consumers.
    const each = 2 + 3 + 3 * (names.length - 1);
    expect(compared.objects).toBeGreaterThanOrEqual(2 + names.length * each);
    // The operator has looked too.
    const metrics = await (await fetch(`${platform.operatorUrl}/metrics`)).text();
    const last = /^kube_sfu_operator_audit_last_success_timestamp_seconds (\S+)$/m.exec(metrics);
    expect(Number(last?.[1])).toBeGreaterThan(Date.now() / 1000 - 300);
  }, 150_000);

  it('names what was broken by hand, and finds it gone after its collectors’ time', async () => {
    const [row] = await withClient(platform.databaseUrl, async (client) => {
      const { rows } = await client.query<{
        id: string;
        peer: string;
        router: string;
        instance: string;
      }>(
        `SELECT c.id, t.media_peer_id AS peer, t.router_id AS router, t.instance_id AS instance
           FROM media_consumer c JOIN media_transport t ON t.id = c.transport_id LIMIT 1`,
      );
      return rows;
    });
    const { id: consumerId, peer, router, instance } = row!;
    await named('ObjectWithoutRow', { consumerId }, () =>
      sql('DELETE FROM media_consumer WHERE id = $1', [consumerId]),
    );

    const transportId = randomUUID();
    await named('RowWithoutObject', { transportId }, () =>
      sql(
        `INSERT INTO media_transport (id, media_peer_id, router_id, instance_id, kind, direction, created_at)
         VALUES ($1, $2, $3, $4, 'webrtc', 'producer', now() - interval '1 hour')`,
        [transportId, peer, router, instance],
      ),
    );

    const pipeId = await idOf('SELECT id FROM media_pipe_transport LIMIT 1');
    await named('ObjectWithoutRow', { pipeTransportId: pipeId }, () =>
      sql('DELETE FROM media_pipe_transport WHERE id = $1', [pipeId]),
    );

    const instanceId = randomUUID();
    await named('InstanceRowWithoutNode', { instanceId }, () =>
      sql(
        `INSERT INTO media_worker (instance_id, pod_name, pool, role, api_url, worker_count, version)
         VALUES ($1, 'consumers-99', 'consumers', 'Consumer', 'http://127.0.0.1:1', 1, '0')`,
        [instanceId],
      ),
    );

    const [consumer] = await nodesOf('consumers');
    await named('RouterWithoutPlacement', { routerId: 'stray' }, () =>
      nodes().putRouter(
        consumer!.url!,
        { roomId: 'stray', routerId: 'stray' },
        { instanceId: consumer!.instanceId!, role: 'Consumer', generation: 1 },
      ),
    );

    await steady();
  }, 180_000);

  it('tells of a node that was killed that it can not look there, and nothing once all is put right', async () => {
    const [consumer] = await nodesOf('consumers');
    const { pid } = await nodes().status(consumer!.url!);
    process.kill(pid, 'SIGKILL');
    const { unreachable } = await auditPlatform(config, { graceMs: 0 });
    expect(unreachable).toEqual([
      expect.objectContaining({ place: `pod ${consumer!.podName} at ${consumer!.url}` }),
    ]);
    await until('another instance', async () => {
      const now = (await nodesOf('consumers')).find(({ podName }) => podName === consumer!.podName);
      return now?.instanceId !== undefined && now.instanceId !== consumer!.instanceId;
    });
    const { compared } = await steady();
    expect(compared).toMatchObject({ rooms: 1, nodes: 3 });
  }, 180_000);

  it('names the router of a room whose row was deleted, and what hung off it', async () => {
    const routerId = await idOf(`SELECT id FROM media_router WHERE role = 'Producer'`);
    await named('PlacementWithoutRow', { routerId }, () =>
      sql('DELETE FROM media_router WHERE id = $1', [routerId]),
    );
    await steady();
    expect(await idOf(`SELECT id FROM media_router WHERE role = 'Producer'`)).toBe(routerId);
  }, 150_000);

  interface Ended {
    status: number | null;
    output: string;
    errors: string;
  }

  async function command(file: string, ...options: string[]): Promise<Ended> {
    const args = ['operator/main.ts', 'audit', '--config', file, ...options];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const [output, errors, status] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve) => void child.once('close', resolve)),
    ]);
    return { status, output, errors };
  }

  it('is a command whose status tells what it found', async () => {
    await steady();
    expect(await command(configFile, '--grace', '2')).toMatchObject({
      status: 0,
      output: expect.stringMatching(
        /^no differences; compared 1 rooms, 3 media nodes, /,
      ) as unknown,
    });

    await sql(`INSERT INTO media_room (id) VALUES ('left over')`, []);
    const found = await command(configFile, '--grace', '1', '--output', 'json');
    expect(found.status).toBe(1);
    expect(JSON.parse(found.output)).toMatchObject({
      differences: [
        { kind: 'RoomRowWithoutRoom', ids: { roomId: 'left over' }, severity: 'warning' },
      ],
    });

    const away = path.join(dir, 'postgres-away.json');
    const parsed = JSON.parse(await readFile(configFile, 'utf8')) as object;
    await writeFile(
      away,
      JSON.stringify({ ...parsed, database: { url: 'postgres://127.0.0.1:1/nothing' } }),
      { mode: 0o600 },
    );
    const blind = await command(away);
    expect(blind.status).toBe(2);
    expect(blind.output).toMatch(/^could not look at Postgres: Postgres is not available/);

    const wrong = await command(configFile, '--output', 'yaml');
    expect(wrong).toMatchObject({
      ...{ status: 2, output: '' },
      errors: '--output: expected table or json, not "yaml"\n',
    });
  }, 150_000);
});

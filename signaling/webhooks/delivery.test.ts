/** What endpoints get, on a real Postgres and over real HTTP. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { Registry } from 'prom-client';

import { createKnex } from '../../common/db/knex.ts';
import { databaseConfig } from '../../common/service/config.ts';
import { createServiceMetrics } from '../../common/service/metrics.ts';
import { TcpProxy } from '../../testing/tcp-proxy.ts';
import { until } from '../../testing/until.ts';
import { webhooksConfig } from './config.ts';
import { backoffMs } from './deliverer.ts';
import { Outbox } from './fixtures/outbox.ts';
import { Receiver } from './fixtures/receiver.ts';
import { createWebhooks } from './webhooks.ts';

const key = Buffer.alloc(32, 1);
const secrets = [`whsec_${key.toString('base64')}`];
const soon = { intervalMs: 10 };

/** Quick, so that what is waited for comes soon; patient, where a busy machine would make deliveries fail. */
const quick = {
  pollMs: 20,
  timeoutMs: 10_000,
  claimMs: 20_000,
  retryMinMs: 20,
  retryMaxMs: 80,
  upkeepMs: 50,
  shutdownMs: 100,
};

/** For a claim that is to lapse. */
const shortClaim = { timeoutMs: 2_500, claimMs: 3_000 };

interface Replica {
  registry: Registry;
  stop: () => Promise<void>;
}

describe('webhooks', () => {
  let outbox: Outbox;
  let receiver: Receiver;
  let replicas: Replica[];
  /** What the replicas logged. */
  let warnings: string[];

  beforeAll(async () => {
    outbox = await Outbox.create();
    receiver = await Receiver.start();
  });
  beforeEach(async () => {
    replicas = [];
    warnings = [];
    receiver.clear();
    await outbox.clear();
    await outbox.node('n1');
    for (const room of ['room', 'other']) await outbox.room(room, ['n1']);
  });
  afterEach(() => Promise.all(replicas.map(({ stop }) => stop())));
  afterAll(async () => {
    await receiver.down();
    await outbox.close();
  });

  const endpointAt = (url: string, more: object = {}) => ({ name: 'app', url, secrets, ...more });

  /** A replica with this endpoint, once the triggers know of it. */
  async function start(
    endpoints: object[] = [endpointAt(receiver.url)],
    change: object = {},
    url = outbox.url,
  ): Promise<Replica> {
    const knex = createKnex(databaseConfig.parse({ url, poolMax: 10, acquireTimeoutMs: 500 }));
    const metrics = createServiceMetrics();
    const webhooks = createWebhooks({
      config: { webhooks: webhooksConfig.parse({ ...quick, endpoints, ...change }) },
      logger: pino({ level: 'warn' }, { write: (line) => void warnings.push(line) }),
      metrics,
      knex,
    });
    webhooks.start();
    let stopped: Promise<void> | undefined;
    const stop = () => (stopped ??= webhooks.stop().then(() => knex.destroy()));
    replicas.push({ registry: metrics.registry, stop });
    await until(
      'the endpoints to be known',
      async () => (await outbox.count('webhook_endpoint')) === endpoints.length,
      soon,
    );
    return { registry: metrics.registry, stop };
  }

  const delivered = (room: string, wanted: number) =>
    until(`${wanted} deliveries of ${room}`, () => receiver.sequences(room).length >= wanted, soon);
  const drained = () =>
    until('an empty queue', async () => (await outbox.count('webhook_queue')) === 0, soon);
  const visit = async (room: string, name: string): Promise<void> => {
    await outbox.leave(await outbox.joined(room, name, 'n1'));
  };
  const sampleOf = async ({ registry }: Replica, name: string) =>
    (await registry.getSingleMetric(`kube_sfu_signaling_webhook_${name}`)?.get())?.values ?? [];
  const visitTypes = ['room_started', 'peer_joined', 'peer_left', 'room_ended'];

  it('get the events of a room in their order, signed', async () => {
    await start();
    await visit('room', 'ann');
    await delivered('room', 4);
    expect(receiver.types('room')).toEqual(visitTypes);
    for (const { headers, body, event } of receiver.deliveries) {
      expect(headers['content-type']).toBe('application/json');
      expect(headers['webhook-id']).toBe(event.id);
      const timestamp = Number(headers['webhook-timestamp']);
      expect(Math.abs(Date.now() / 1000 - timestamp)).toBeLessThan(60);
      const mac = createHmac('sha256', key).update(`${event.id}.${timestamp}.${body}`);
      expect(headers['webhook-signature']).toBe(`v1,${mac.digest('base64')}`);
    }
    await drained();
  });

  it('get only what they asked for', async () => {
    await start([
      endpointAt(receiver.url, { events: ['peer_left'] }),
      endpointAt(`${receiver.url}/nobody`, { name: 'never', events: ['node_moved'] }),
    ]);
    await visit('room', 'ann');
    await drained();
    expect(receiver.types('room')).toEqual(['peer_left']);
  });

  it('get each event once and in its room’s order from several replicas and many writers', async () => {
    await Promise.all([start(), start(), start()]);
    const rooms = Array.from({ length: 6 }, (_, i) => `r${i}`);
    for (const room of rooms) await outbox.room(room, ['n1']);
    const writer = async (name: string): Promise<void> => {
      for (const room of [...rooms, ...rooms]) await visit(room, name);
    };
    await Promise.all(Array.from({ length: 6 }, (_, i) => writer(`p${i}`)));
    await drained();
    for (const room of rooms) {
      const written = (await outbox.events(room)).map(({ sequence }) => sequence);
      expect(written.length).toBeGreaterThanOrEqual(2 * 6 * 2);
      expect(receiver.sequences(room)).toEqual(written);
    }
  });

  it('get all again that a replica had posted and not recorded when it was killed', async () => {
    const child = spawn(
      process.execPath,
      [
        new URL('fixtures/replica.ts', import.meta.url).pathname,
        JSON.stringify({
          url: outbox.url,
          webhooks: { ...quick, ...shortClaim, endpoints: [endpointAt(receiver.url)] },
        }),
      ],
      { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' } },
    );
    const killed = killAtSecondDelivery(child);
    await until(
      'the replica to have its endpoint in the tables',
      async () => (await outbox.count('webhook_endpoint')) === 1,
      soon,
    );
    await visit('room', 'ann');
    await killed;
    await start();
    await drained();
    const [started, joined] = visitTypes;
    expect(receiver.types('room')).toEqual([started, joined, ...visitTypes.slice(1)]);
    const ids = receiver.deliveries.map(({ event }) => event.id);
    expect(ids[2]).toBe(ids[1]);
    expect(new Set(ids).size).toBe(4);
  });

  /** The second event comes whole, and no answer goes back. */
  function killAtSecondDelivery(child: ChildProcess): Promise<unknown> {
    receiver.answer = (_, response) => {
      if (receiver.deliveries.length === 2) child.kill('SIGKILL');
      else response.writeHead(204).end();
    };
    return once(child, 'exit');
  }

  it('get all that happened while they were down, in order', async () => {
    const replica = await start();
    await receiver.down();
    await visit('room', 'ann');
    await visit('other', 'bob');
    await until(
      'failures',
      async () => {
        const values = await sampleOf(replica, 'deliveries_total');
        return values.some(({ labels, value }) => labels.result === 'unreachable' && value >= 4);
      },
      soon,
    );
    const lags = () => sampleOf(replica, 'lag_seconds');
    const pending = () => sampleOf(replica, 'pending_rooms');
    await until('a lag', async () => ((await lags())[0]?.value ?? 0) > 0, soon);
    expect(await pending()).toEqual([{ labels: { endpoint: 'app' }, value: 2 }]);
    await receiver.up();
    await drained();
    expect([receiver.types('room'), receiver.types('other')]).toEqual([visitTypes, visitTypes]);
    await until('no lag', async () => (await lags())[0]?.value === 0, soon);
    expect((await pending())[0]?.value).toBe(0);
  });

  it('don’t wait for one another, nor does a room for one that fails', async () => {
    const broken = createServer(() => undefined);
    broken.listen(0, '127.0.0.1');
    await once(broken, 'listening');
    const { port } = broken.address() as AddressInfo;
    await start([
      endpointAt(receiver.url),
      endpointAt(`http://127.0.0.1:${port}`, { name: 'mute' }),
    ]);
    receiver.answer = ({ event }, response) =>
      void response.writeHead(event.room === 'room' ? 500 : 204).end();
    await visit('room', 'ann');
    await visit('other', 'bob');
    await delivered('other', 4);
    expect(receiver.types('other')).toEqual(visitTypes);
    expect(new Set(receiver.types('room'))).toEqual(new Set(['room_started']));
    broken.close();
    broken.closeAllConnections();
  });

  it('lose to the dead letters what they never take, and its room goes on', async () => {
    const replica = await start(undefined, { maxAttempts: 3 });
    receiver.answer = ({ event }, response) =>
      void response.writeHead(event.type === 'peer_joined' ? 422 : 200).end('no  such\npeer');
    await visit('room', 'ann');
    await drained();
    const [started, joined, left, ended] = visitTypes;
    expect(receiver.types('room')).toEqual([started, joined, joined, joined, left, ended]);
    const [dead, ...none] = await outbox.webhooks.listDeadLetters({}, 10);
    expect(none).toEqual([]);
    expect(dead).toMatchObject({
      endpoint: 'app',
      room: 'room',
      type: 'peer_joined',
      attempts: 3,
      lastError: 'status 422 no such peer',
    });
    expect(dead?.id).toBe(receiver.deliveries[1]?.event.id);
    expect(await sampleOf(replica, 'dead_letters_total')).toEqual([
      { labels: { endpoint: 'app' }, value: 1 },
    ]);
    await until(
      'the gauge of dead letters',
      async () => (await sampleOf(replica, 'dead_letters'))[0]?.value === 1,
      soon,
    );
  });

  it('lose what is too old with its next failure', async () => {
    receiver.answer = (_, response) => void response.writeHead(500).end();
    await start(undefined, { maxAgeMs: 1 });
    await visit('room', 'ann');
    await drained();
    expect(receiver.types('room')).toEqual(visitTypes);
    expect(await outbox.count('webhook_dead_letter')).toBe(4);
  });

  it.each([
    [
      'a redirect',
      'status 302',
      (target: string) => ({ status: 302, headers: { location: target } }),
    ],
    ['no success', 'status 404', () => ({ status: 404, headers: {} })],
  ])('that answer %s have failed, with the reason kept', async (_, error, answer) => {
    const other = await Receiver.start();
    const { status, headers } = answer(other.url);
    receiver.answer = (__, response) => void response.writeHead(status, headers).end();
    await start(undefined, { maxAttempts: 1 });
    await visit('room', 'ann');
    await drained();
    const dead = await outbox.webhooks.listDeadLetters({}, 10);
    expect(dead.map(({ lastError }) => lastError)).toEqual(dead.map(() => error));
    expect(dead).toHaveLength(4);
    expect(other.deliveries).toEqual([]);
    await other.down();
  });

  it('that don’t answer in time have failed', async () => {
    receiver.answer = () => undefined;
    await start(undefined, { maxAttempts: 1, timeoutMs: 50 });
    await visit('room', 'ann');
    await drained();
    const [dead] = await outbox.webhooks.listDeadLetters({}, 1);
    expect(dead?.lastError).toBe('no answer within 50 ms');
  });

  it('that nobody listens for have failed, with what the network says', async () => {
    const nobody = await Receiver.start();
    await nobody.down();
    const url = nobody.url.replace('127.0.0.1', 'localhost');
    await start([endpointAt(url)], { maxAttempts: 1 });
    await visit('room', 'ann');
    await drained();
    const [dead] = await outbox.webhooks.listDeadLetters({}, 1);
    expect(dead?.lastError).toMatch(/connect ECONNREFUSED/);
  });

  it('that answer well have all, even if the rest of the answer never comes', async () => {
    receiver.answer = (_, response) => void response.writeHead(200).write('and');
    await start([endpointAt(receiver.url, { events: ['room_started'] })], { timeoutMs: 1_000 });
    await visit('room', 'ann');
    await drained();
    expect(receiver.types('room')).toEqual(['room_started']);
  });

  it('may answer without an end', async () => {
    receiver.answer = (_, response) => {
      response.writeHead(200);
      const more = (): void => {
        if (response.writable) response.write('x'.repeat(8192), more);
      };
      more();
    };
    await start(undefined, { maxAttempts: 1, maxResponseBytes: 20_000 });
    await visit('room', 'ann');
    await drained();
    expect(receiver.types('room')).toEqual(visitTypes);
    expect(await outbox.count('webhook_dead_letter')).toBe(0);
  });

  it('get what happened in an outage of Postgres that their replica saw', async () => {
    const target = new URL(outbox.url);
    const proxy = new TcpProxy({ host: target.hostname, port: Number(target.port) });
    target.hostname = '127.0.0.1';
    target.port = String(await proxy.start());
    try {
      const replica = await start(undefined, shortClaim, target.href);
      receiver.answer = (_, response) => {
        proxy.cut();
        response.writeHead(204).end();
      };
      await visit('room', 'ann');
      const isNoted = () => warnings.some((line) => line.includes('was not recorded'));
      await until('the delivery not to be recorded', isNoted, soon);
      receiver.answer = (_, response) => void response.writeHead(204).end();
      proxy.heal();
      await drained();
      expect(receiver.types('room')).toEqual(['room_started', ...visitTypes]);
      await replica.stop();
    } finally {
      await proxy.close();
    }
  });

  it('get a room from another replica at once when the one that had it stops', async () => {
    const hanging = await start(undefined, { claimMs: 60_000, timeoutMs: 30_000 });
    receiver.answer = () => undefined;
    await visit('room', 'ann');
    await delivered('room', 1);
    await hanging.stop();
    receiver.clear();
    await start();
    await drained();
    expect(receiver.types('room')).toEqual(visitTypes);
  });

  it('get all of a room that has more events than one batch, and leave others their turn', async () => {
    await start(undefined, { concurrency: 1, batchSize: 3 });
    for (let i = 0; i < 5; i++) await visit('room', `p${i}`);
    await visit('other', 'ann');
    await drained();
    expect(receiver.types('room')).toEqual(Array.from({ length: 5 }, () => visitTypes).flat());
    expect(receiver.types('other')).toEqual(visitTypes);
  });

  it('are forgotten with what they have not got when no replica has them any more', async () => {
    await outbox.endpoint('gone');
    await outbox.joined('room', 'ann', 'n1');
    await outbox
      .knex('webhook_endpoint')
      .update({ last_seen_at: outbox.knex.raw(`now() - interval '1 hour'`) });
    await start([]);
    for (const table of ['endpoint', 'queue', 'room'])
      await until(
        `${table} to be empty`,
        async () => (await outbox.count(`webhook_${table}`)) === 0,
        soon,
      );
  });
});

describe('the outbox’s claims and clean-up', () => {
  let outbox: Outbox;

  beforeAll(async () => {
    outbox = await Outbox.create();
  });
  beforeEach(async () => {
    await outbox.clear();
    await outbox.node('n1');
    await outbox.room('room', ['n1']);
    await outbox.endpoint('app');
  });
  afterAll(() => outbox.close());

  const claim = async (claimMs: number) => {
    const [room] = await outbox.webhooks.claim({
      endpoint: 'app',
      claim: randomUUID(),
      claimMs,
      limit: 10,
    });
    return room;
  };

  it('give a room to one replica, and to another one when the claim lapsed', async () => {
    await outbox.joined('room', 'ann', 'n1');
    const first = await claim(1);
    const second = await until('the claim to lapse', () => claim(60_000), { intervalMs: 5 });
    expect(await claim(60_000)).toBeUndefined();
    const to = { sequence: 1, pendingSince: new Date(), claimMs: 60_000 };
    expect(await outbox.webhooks.advance(first!, to)).toBe(false);
    expect(await outbox.webhooks.retryLater(first!, 0, 'late')).toBe(false);
    const [event] = await outbox.webhooks.eventsAfter('room', 0, 1);
    const end = { ...to, attempts: 1, error: 'late' };
    expect(await outbox.webhooks.bury(first!, event!, end)).toBe(false);
    expect(await outbox.count('webhook_dead_letter')).toBe(0);
    await outbox.webhooks.release(first!, Number.MAX_SAFE_INTEGER);
    expect(await outbox.webhooks.advance(second, to)).toBe(true);
  });

  it('keep a room in the queue whose next event commits while it is let go', async () => {
    const ann = await outbox.joined('room', 'ann', 'n1');
    const room = await claim(60_000);
    const last = (await outbox.events('room')).at(-1)!.sequence;
    // Its trigger holds the row of the queue when the release comes, and has not committed.
    const trx = await outbox.knex.transaction();
    await trx('media_peer').where({ id: ann }).delete();
    await trx.raw('SET CONSTRAINTS ALL IMMEDIATE');
    const releasing = outbox.webhooks.release(room!, last);
    await until(
      'the release to wait',
      async () => {
        const { rows } = await outbox.knex.raw<{ rows: unknown[] }>(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return rows.length > 0;
      },
      { intervalMs: 5 },
    );
    await trx.commit();
    await releasing;
    expect(await claim(60_000)).toMatchObject({ room: 'room', sequence: last });
  });

  it('delete what is old and everybody has got', async () => {
    await outbox.endpoint('slow');
    const ann = await outbox.joined('room', 'ann', 'n1');
    const old = { retainMs: 1, deadLetterRetainMs: 1 };
    const isOld = () => outbox.knex.raw(`SELECT pg_sleep(0.002)`);
    await isOld();
    await outbox.webhooks.deleteOld(old);
    expect(await outbox.types('room')).toEqual(['room_started', 'peer_joined']);
    const room = await claim(60_000);
    await outbox.webhooks.release(room!, Number.MAX_SAFE_INTEGER);
    await outbox.webhooks.deleteOld(old);
    expect(await outbox.count('webhook_event')).toBe(2);
    await outbox.knex('webhook_queue').where({ endpoint: 'slow' }).delete();
    await outbox.leave(ann);
    const of = { endpoint: 'app', claim: randomUUID(), claimMs: 60_000, limit: 1 };
    const [again] = await outbox.webhooks.claim(of);
    const [, , left] = await outbox.webhooks.eventsAfter('room', 0, 10);
    await outbox.webhooks.bury(again!, left!, {
      pendingSince: new Date(),
      claimMs: 1,
      attempts: 1,
      error: 'e',
    });
    expect(await outbox.count('webhook_dead_letter')).toBe(1);
    await isOld();
    await outbox.webhooks.deleteOld({ ...old, retainMs: 60_000 });
    expect([
      await outbox.count('webhook_dead_letter'),
      await outbox.count('webhook_event'),
    ]).toEqual([0, 4]);
    await outbox.webhooks.deleteOld(old);
    expect((await outbox.types('room')).at(-1)).toBe('room_ended');
  });
});

describe('the pause before the next attempt', () => {
  const limits = { retryMinMs: 100, retryMaxMs: 1_000 };

  it.each([
    [0, 0, 100],
    [1, 0, 200],
    [3, 0, 800],
    [4, 0, 1_000],
    [5_000, 0, 1_000],
    [0, 1, 50],
    [9, 0.5, 750],
  ])('after %i more failures and a throw of %d is %i ms', (attempts, throwOfDice, want) => {
    expect(backoffMs(attempts, limits, () => throwOfDice)).toBe(want);
  });
});

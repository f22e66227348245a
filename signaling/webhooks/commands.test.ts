/** The commands for dead letters, as an operator runs them. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';

import { Outbox } from './fixtures/outbox.ts';
import { Receiver } from './fixtures/receiver.ts';

const main = new URL('../main.ts', import.meta.url).pathname;
const secrets = [`whsec_${Buffer.alloc(32, 1).toString('base64')}`];

interface Run {
  status: number;
  lines: Record<string, unknown>[];
  errors: string;
}

describe('the command webhooks', () => {
  let outbox: Outbox;
  let receiver: Receiver;
  let folder: string;
  let config: string;

  beforeAll(async () => {
    outbox = await Outbox.create();
    receiver = await Receiver.start();
    folder = await mkdtemp(path.join(tmpdir(), 'kube-sfu-webhooks-'));
    config = path.join(folder, 'signaling.yaml');
    await writeFile(
      config,
      stringify({
        serviceAuth: { secret: 's'.repeat(32) },
        public: { urls: ['http://localhost'] },
        database: { url: outbox.url },
        roomAuth: { secret: 'r'.repeat(32) },
        webhooks: { endpoints: [{ name: 'app', url: receiver.url, secrets }] },
      }),
    );
  });
  beforeEach(async () => {
    receiver.clear();
    await outbox.clear();
    await outbox.node('n1');
    await outbox.endpoint('app');
    for (const room of ['a', 'b']) {
      await outbox.room(room, ['n1']);
      await outbox.joined(room, 'ann', 'n1');
    }
    await bury('app');
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    await receiver.down();
    await outbox.close();
  });

  /** All events so far become dead letters of an endpoint. */
  const bury = (endpoint: string): Promise<unknown> =>
    outbox.knex.raw(
      `INSERT INTO webhook_dead_letter (endpoint, id, sequence, room_id, type, data, created_at, attempts, last_error)
       SELECT ?, id, sequence, room_id, type, data, created_at, 3, 'status 500' FROM webhook_event`,
      [endpoint],
    );

  const run = (...args: string[]): Promise<Run> =>
    new Promise((resolve) => {
      execFile(
        process.execPath,
        [main, 'webhooks', ...args, '--config', config],
        { env: { ...process.env, NODE_OPTIONS: '' } },
        (error, stdout, stderr) => {
          const lines = stdout.split('\n').filter((line) => line !== '');
          resolve({
            status: error ? Number(error.code) : 0,
            lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>),
            errors: stderr,
          });
        },
      );
    });
  const left = async (): Promise<string[]> =>
    (await outbox.webhooks.listDeadLetters({}, 100)).map(({ room, type }) => `${room} ${type}`);
  const all = ['a room_started', 'a peer_joined', 'b room_started', 'b peer_joined'];

  it('list-dead shows what was not taken, and why', async () => {
    const { status, lines } = await run('list-dead', '--room', 'a', '--limit', '1');
    expect(status).toBe(0);
    const [event] = await outbox.events('a');
    expect(lines).toEqual([
      expect.objectContaining({
        endpoint: 'app',
        room: 'a',
        type: 'room_started',
        id: event?.id,
        sequence: event?.sequence,
        attempts: 3,
        lastError: 'status 500',
      }),
    ]);
    expect(await left()).toEqual(all);
  });

  it('redeliver posts all in the order of their rooms, as they were', async () => {
    expect(await run('redeliver')).toMatchObject({ status: 0, errors: '' });
    const posted = receiver.deliveries.map(({ event }) => event);
    expect(posted).toEqual([...(await outbox.events('a')), ...(await outbox.events('b'))]);
    expect(await left()).toEqual([]);
  });

  it('redeliver posts those that are named', async () => {
    const [, joined] = await outbox.events('a');
    expect((await run('redeliver', '--id', joined?.id ?? '')).lines).toMatchObject([
      { endpoint: 'app', room: 'a', type: 'peer_joined', result: 'delivered' },
    ]);
    expect(await left()).toEqual(all.filter((name) => name !== 'a peer_joined'));
    expect((await run('redeliver', '--endpoint', 'none')).lines).toEqual([]);
  });

  it('redeliver keeps what is not taken, goes on, and says so', async () => {
    await bury('gone');
    receiver.answer = ({ event }, response) =>
      void response.writeHead(event.room === 'a' ? 503 : 204).end();
    const { status, lines } = await run('redeliver');
    expect(status).toBe(1);
    const results = lines.map(({ endpoint, room, result }) => [endpoint, room, result].join(' '));
    expect(new Set(results)).toEqual(
      new Set([
        'app a status 503',
        'app b delivered',
        'gone a no such endpoint in the configuration',
        'gone b no such endpoint in the configuration',
      ]),
    );
    expect(receiver.deliveries).toHaveLength(4);
    expect(await left()).toEqual([...all.slice(0, 2), ...all]);
  });

  it.each([
    [['list-dead', '--limit', '0'], '--limit: expected a number above 0'],
    [['redeliver', '--id', 'x'], '--id: expected the id of an event'],
    [['mend'], 'unknown command "webhooks"'],
  ])('refuses %j', async (args, message) => {
    const { status, errors } = await run(...args);
    expect([status, errors]).toEqual([1, expect.stringContaining(message)]);
  });
});

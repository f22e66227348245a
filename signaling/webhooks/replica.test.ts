/** Webhooks of whole signaling replicas, whose clients join and leave. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { Platform } from '../fixtures/platform.ts';
import { Receiver } from './fixtures/receiver.ts';

const secrets = [`whsec_${Buffer.alloc(32, 1).toString('base64')}`];
const soon = { intervalMs: 20 };

let platform: Platform;
let receiver: Receiver;
beforeAll(async () => {
  [platform, receiver] = await Promise.all([Platform.create(), Receiver.start()]);
});
afterAll(async () => {
  await platform.close();
  await receiver.down();
});

it('replicas tell an endpoint of their clients, the last words of one that stops included', async () => {
  const webhooks = { pollMs: 20, endpoints: [{ name: 'app', url: receiver.url, secrets }] };
  await platform.room('room', [await platform.node('Both')]);
  const [first, second] = [
    await platform.replica({ webhooks }),
    await platform.replica({ webhooks }),
  ];
  await until(
    'the endpoint to be known',
    async () => (await platform.sql('SELECT FROM webhook_endpoint')).length === 1,
    soon,
  );
  const ann = await platform.joined(first, 'room', 'ann');
  await platform.joined(second, 'room', 'bob');
  ann.socket.terminate();
  await second.close();
  await until(
    'the end of the room',
    () => receiver.deliveries.some(({ event }) => event.type === 'room_ended'),
    soon,
  );
  const told = receiver.deliveries.map(({ event: { type, data } }) =>
    'peerId' in data ? `${type} ${data.peerId}` : type,
  );
  expect(told).toEqual([
    'room_started',
    'peer_joined ann',
    'peer_joined bob',
    expect.stringContaining('peer_left'),
    expect.stringContaining('peer_left'),
    'room_ended',
  ]);
  const metrics = await (await fetch(`${first.internalUrl}/metrics`)).text();
  expect(metrics).toContain('kube_sfu_signaling_webhook_lag_seconds{endpoint="app"}');
  expect(metrics).toContain('kube_sfu_signaling_webhook_dead_letters_total{endpoint="app"} 0');
});

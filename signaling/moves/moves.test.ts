import { randomUUID } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { ApiError } from '../../common/errors.ts';
import type { Placement } from '../../common/resources/types.ts';
import { until, type Client } from '../fixtures/client.ts';
import type { FakeMediaNode } from '../fixtures/media-node.ts';
import { Platform, type Replica, type SdkClient } from '../fixtures/platform.ts';

type Direction = 'producer' | 'consumer';

const quickMoves = { failoverSpreadMs: 20, rejoinSpreadMs: 50 };
const moves = {
  clientTimeoutMs: 60_000,
  ...quickMoves,
};

let platform: Platform;
let replica: Replica;
let a: FakeMediaNode;
let b: FakeMediaNode;
let c: FakeMediaNode;
let placed: Placement[];

const draining = (placement: Placement, drainDeadline?: string): Placement => ({
  ...placement,
  state: 'Draining',
  ...(drainDeadline === undefined ? {} : { drainDeadline }),
});
const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();
const ordersOf = (client: Client) => client.notificationsOf('moveTransport');
const told = (client: Client, count = 1): Promise<void> =>
  until(() => ordersOf(client).length >= count);
const replacing = async (
  client: Client,
  direction: Direction,
  replaces: unknown,
): Promise<string> => {
  const data = { appData: { direction }, replaces };
  return String((await client.request('createWebRtcTransport', data))['transportId']);
};
const bindings = async (peerId = 'ann') => {
  const row = (await platform.peerRows()).find(({ peer_id }) => peer_id === peerId);
  return row && [row.producer_router_id, row.consumer_router_id];
};
const transports = async (): Promise<string[]> =>
  (await platform.sql<{ id: string }>('SELECT id FROM media_transport ORDER BY created_at')).map(
    ({ id }) => id,
  );
const lose = async (...nodes: FakeMediaNode[]): Promise<void> => {
  for (const node of nodes) {
    await node.stop();
    await platform.sql('DELETE FROM media_worker WHERE instance_id = $1', [node.instanceId]);
  }
};
const metric = async (pattern: RegExp): Promise<boolean> =>
  pattern.test(await (await fetch(`${replica.internalUrl}/metrics`)).text());
const movesCounted = (result: string, reason: string): Promise<void> =>
  until(() => metric(new RegExp(`moves_total\\{result="${result}",reason="${reason}"\\} \\d`)));

/** A room with a router on each of three nodes that serve both sides. */
const setUp = async (change: Record<string, unknown> = {}): Promise<void> => {
  platform = await Platform.create();
  [a, b, c] = [
    await platform.node('Both'),
    await platform.node('Both'),
    await platform.node('Both'),
  ];
  placed = await platform.room('room', [a, b, c]);
  platform.putRoom('room', [placed[0]!]);
  const replicas = { heartbeatMs: 100, deadAfterMs: 1000, reapIntervalMs: 100 };
  replica = await platform.replica({ replicas, moves: { ...moves, ...change } });
};
const [RA, RB, RC] = ['room-0', 'room-1', 'room-2'];

describe('a peer whose node drains', () => {
  let ann: SdkClient;

  beforeEach(async () => {
    await setUp();
    ann = await platform.sdk(replica, 'room', 'ann');
  });
  afterEach(() => platform.close());

  it('is asked to move each side, and moves before it breaks', async () => {
    const { client, producer, consumer } = ann;
    platform.putRoom('room', [draining(placed[0]!, inMs(60_000)), placed[1]!]);
    await told(client, 2);
    const order = { reason: 'NodeDraining', overlapMs: 3000 };
    expect(ordersOf(client)).toEqual(
      expect.arrayContaining([
        { ...order, transportId: producer, direction: 'producer' },
        { ...order, transportId: consumer, direction: 'consumer' },
      ]),
    );
    expect(await bindings()).toEqual([RA, RA]);
    const newConsumer = await replacing(client, 'consumer', consumer);
    // The producer service stays, and knows of it before the transport is asked for.
    expect(await bindings()).toEqual([RA, RB]);
    expect(a.calls.map(({ method }) => method).slice(-2)).toEqual([
      'rebind',
      'createWebRtcTransport',
    ]);
    const newProducer = await replacing(client, 'producer', producer);
    expect(await bindings()).toEqual([RB, RB]);
    expect(b.calls.map(({ method }) => method)).toEqual(['rebind', 'createWebRtcTransport']);
    expect(await transports()).toEqual([producer, consumer, newConsumer, newProducer]);
    // What is about the earlier transport goes to its node, all else to the new producer service.
    await client.request('restartIce', { transportId: producer });
    await client.request('restartIce', { transportId: newProducer });
    client.notify('requestConsumerKeyFrame', { consumerId: randomUUID() });
    await until(() => b.callsOf('requestConsumerKeyFrame').length > 0);
    expect([a.callsOf('restartIce').length, b.callsOf('restartIce').length]).toEqual([1, 1]);
    await client.request('closeTransport', { transportId: consumer });
    await client.request('closeTransport', { transportId: producer });
    await client.request('closeTransport', { transportId: producer });
    expect(await transports()).toEqual([newConsumer, newProducer]);
    await movesCounted('moved', 'NodeDraining');
    platform.putRoom('room', [placed[1]!]);
    await client.request('getTransportStats', { transportId: newConsumer });
    expect([client.closed, ordersOf(client).length]).toEqual([false, 2]);
  });

  it('waits for a router that takes it', async () => {
    const { client, consumer } = ann;
    platform.putRoom('room', [draining(placed[0]!)]);
    await client.request('getTransportStats', { transportId: consumer });
    expect(ordersOf(client)).toEqual([]);
    await expect(replacing(client, 'consumer', consumer)).rejects.toMatchObject({
      code: 503,
      reason: expect.stringContaining('room_not_ready'),
    });
    platform.putRoom('room', [draining(placed[0]!), { ...placed[1]!, state: 'Pending' }]);
    platform.putRoom('room', [draining(placed[0]!), placed[1]!]);
    await told(client, 2);
  });

  it('gets the unused transport closed when it asks again for the same', async () => {
    const { client, consumer } = ann;
    platform.putRoom('room', [draining(placed[0]!), placed[1]!]);
    await told(client);
    const first = await replacing(client, 'consumer', consumer);
    const second = await replacing(client, 'consumer', consumer);
    expect(second).not.toBe(first);
    await until(async () => !(await transports()).includes(first));
    expect(await transports()).toEqual(expect.arrayContaining([consumer, second]));
    expect(await bindings()).toEqual([RA, RB]);
  });

  it('is asked again for a binding that its producer service did not hear of', async () => {
    const { client, consumer } = ann;
    platform.putRoom('room', [draining(placed[0]!), placed[1]!]);
    await told(client);
    a.handlers.rebind = () => {
      throw new ApiError('store_unavailable', 'as the test asked');
    };
    await expect(replacing(client, 'consumer', consumer)).rejects.toMatchObject({ code: 503 });
    expect(a.callsOf('createWebRtcTransport')).toHaveLength(2);
    delete a.handlers.rebind;
    a.calls.length = 0;
    await replacing(client, 'consumer', consumer);
    expect(a.calls.map(({ method }) => method)).toEqual(['rebind', 'createWebRtcTransport']);
  });

  it('finds its producer at the node that it is on still', async () => {
    const { client, producer } = ann;
    const producerId = randomUUID();
    b.handlers.closeProducer = () => {
      throw new ApiError('producer_not_found', 'it is not here');
    };
    platform.putRoom('room', [draining(placed[0]!), placed[1]!]);
    await told(client);
    await replacing(client, 'producer', producer);
    expect(await client.request('closeProducer', { producerId })).toEqual({});
    expect(a.callsOf('closeProducer')[0]!.data).toEqual({ producerId });
  });

  it('is closed at the deadline if it has not moved, and its session ends', async () => {
    const { client, token } = ann;
    platform.putRoom('room', [draining(placed[0]!, inMs(1500)), placed[1]!]);
    await told(client, 2);
    await until(() => client.closed);
    expect(client.closeCode).toBe(4001);
    await movesCounted('expired', 'NodeDraining');
    await until(async () => (await bindings()) === undefined);
    const again = await platform.resume(replica, 'room', 'ann', token);
    await until(() => again.closed);
    expect(again.closeCode).toBe(4004);
  });

  it('goes on from a node that dies meanwhile', async () => {
    const { client, consumer } = ann;
    platform.putRoom('room', [draining(placed[0]!), placed[1]!]);
    await told(client, 2);
    const second = await replacing(client, 'consumer', consumer);
    await lose(b);
    platform.putRoom('room', [draining(placed[0]!), placed[2]!]);
    await until(() => ordersOf(client).some(({ reason }) => reason === 'NodeLost'));
    expect(ordersOf(client).find(({ reason }) => reason === 'NodeLost')).toEqual({
      ...{ transportId: second, direction: 'consumer', reason: 'NodeLost', overlapMs: 0 },
    });
    const third = await replacing(client, 'consumer', second);
    expect(await bindings()).toEqual([RA, RC]);
    for (const transportId of [consumer, second])
      await client.request('closeTransport', { transportId });
    expect(await transports()).toEqual([ann.producer, third]);
    expect(client.closed).toBe(false);
  });

  it('has its order made urgent when the node dies before it has moved', async () => {
    const { client, producer, consumer } = ann;
    platform.putRoom('room', [draining(placed[0]!), placed[1]!]);
    await told(client, 2);
    await lose(a);
    platform.putRoom('room', [placed[1]!]);
    await told(client, 4);
    expect(ordersOf(client).slice(2)).toEqual(
      expect.arrayContaining([
        { transportId: producer, direction: 'producer', reason: 'NodeLost', overlapMs: 0 },
        { transportId: consumer, direction: 'consumer', reason: 'NodeLost', overlapMs: 0 },
      ]),
    );
    // Whichever is asked for first binds both sides, since the other one has no node to ask.
    await replacing(client, 'consumer', consumer);
    expect(await bindings()).toEqual([RB, RB]);
    await replacing(client, 'producer', producer);
    for (const transportId of [producer, consumer])
      expect(await client.request('closeTransport', { transportId })).toEqual({});
    await movesCounted('moved', 'NodeLost');
    expect(client.closed).toBe(false);
  });

  it('may stay after all', async () => {
    const { client } = ann;
    platform.putRoom('room', [draining(placed[0]!)]);
    platform.putRoom('room', [placed[0]!]);
    await movesCounted('unneeded', 'NodeDraining');
    expect(ordersOf(client)).toEqual([]);
  });

  it('moves on with its session when it comes back on another socket', async () => {
    const { client, token, producer, consumer } = ann;
    platform.putRoom('room', [draining(placed[0]!), placed[1]!]);
    await told(client, 2);
    const unknown = await replacing(client, 'consumer', consumer);
    client.socket.terminate();
    const again = await platform.resume(replica, 'room', 'ann', token);
    // The answer with the new transport was lost with the socket.
    await again.request('resumeSession', { transportIds: { producer, consumer } });
    await told(again, 2);
    expect(ordersOf(again).map(({ transportId }) => transportId)).toEqual(
      expect.arrayContaining([producer, consumer]),
    );
    const second = await replacing(again, 'consumer', consumer);
    await until(async () => !(await transports()).includes(unknown));
    expect(await transports()).toEqual([producer, consumer, second]);
  });
});

describe('peers without a transport on a side', () => {
  afterEach(() => platform.close());

  it('are bound anew without their clients', async () => {
    await setUp();
    const watcher = await platform.connect(replica, {
      ...{ roomId: 'room', peerId: 'ann', extensions: 'move,resume' },
    });
    await watcher.join();
    platform.putRoom('room', [draining(placed[0]!), placed[1]!]);
    await until(async () => (await bindings())?.every((router) => router === RB));
    await until(() => b.callsOf('rebind').length > 0);
    expect(ordersOf(watcher)).toEqual([]);
    await movesCounted('moved', 'NodeDraining');
  });
});

describe('many peers whose node drains', () => {
  afterEach(() => platform.close());

  it('move a few at a time, and are asked again if they do nothing', async () => {
    await setUp({ concurrency: 2, clientTimeoutMs: 2000 });
    const peers = await Promise.all(
      ['p', 'q', 'r'].map((peerId) => platform.sdk(replica, 'room', peerId)),
    );
    const asked = (): number => peers.reduce((sum, { client }) => sum + ordersOf(client).length, 0);
    platform.putRoom('room', [draining(placed[0]!), placed[1]!]);
    await until(() => asked() === 2);
    const first = peers.find(({ client }) => ordersOf(client).length > 0)!;
    const { direction, transportId } = ordersOf(first.client)[0] as {
      direction: Direction;
      transportId: string;
    };
    await replacing(first.client, direction, transportId);
    // It overlaps: its turn ends with its old transport.
    await first.client.request('getRtcStatsUrl');
    expect(asked()).toBe(2);
    await first.client.request('closeTransport', { transportId });
    await until(() => asked() === 3);
    await until(() => asked() >= 7);
    const orders = peers.flatMap(({ client }) =>
      ordersOf(client).map((each) => each['transportId']),
    );
    expect(orders.length).toBeGreaterThan(new Set(orders).size);
  });
});

describe('a peer that loses a node', () => {
  afterEach(() => platform.close());
  const placeApart = async (): Promise<SdkClient> => {
    await setUp({ suspicionMs: 1000, lostTimeoutMs: 2500 });
    const apart: Placement[] = [
      { ...placed[0]!, role: 'Producer' },
      { ...placed[1]!, role: 'Consumer' },
    ];
    platform.putRoom('room', apart);
    await until(async () => {
      const probe = await platform.joined(replica, 'room', 'probe');
      const found = await bindings('probe');
      await probe.close();
      return found?.[1] === RB;
    });
    return platform.sdk(replica, 'room', 'ann');
  };

  it.each([
    ['consumer', 1, [RA, RC]],
    ['producer', 0, [RC, RB]],
  ] as [Direction, number, string[]][])(
    'moves its %s side alone',
    async (direction, index, bound) => {
      const { client, ...ids } = await placeApart();
      expect(await bindings()).toEqual([RA, RB]);
      await lose([a, b][index]!);
      platform.putRoom('room', [placed[1 - index]!]);
      const stays = { role: index === 1 ? 'Producer' : 'Consumer' } as const;
      platform.putRoom('room', [{ ...placed[1 - index]!, ...stays }, placed[2]!]);
      await told(client);
      expect(ordersOf(client)).toEqual([
        { transportId: ids[direction], direction, reason: 'NodeLost', overlapMs: 0 },
      ]);
      await replacing(client, direction, ids[direction]);
      expect(await bindings()).toEqual(bound);
      await client.request('closeTransport', { transportId: ids[direction] });
      await movesCounted('moved', 'NodeLost');
      expect(ordersOf(client)).toHaveLength(1);
    },
  );

  it('is closed if nothing takes it in time', async () => {
    const { client } = await placeApart();
    await lose(b);
    platform.putRoom('room', [{ ...placed[0]!, role: 'Producer' }]);
    await until(() => client.closed);
    expect(client.closeCode).toBe(4001);
    await movesCounted('expired', 'NodeLost');
  });

  it.each(['router_not_found', 'instance_mismatch', 'peer_not_found'] as const)(
    'waits for the word of the operator when a node says %s',
    async (code) => {
      const { client, producer } = await placeApart();
      a.handlers.getProducerStats = () => {
        throw new ApiError(code, 'as the test asked');
      };
      const asking = client.request('getProducerStats', { producerId: randomUUID() });
      await expect(asking).rejects.toMatchObject({ code: 503 });
      platform.putRoom('room', [placed[2]!, { ...placed[1]!, role: 'Consumer' }]);
      await told(client);
      expect(ordersOf(client)).toMatchObject([{ transportId: producer, reason: 'NodeLost' }]);
      expect(client.closed).toBe(false);
    },
  );

  it('stays where the node was away for a moment', async () => {
    const { client, producer } = await placeApart();
    await a.stop();
    const asking = client.request('getTransportStats', { transportId: producer });
    await expect(asking).rejects.toMatchObject({ code: 503 });
    await a.start();
    a.calls.length = 0;
    await until(() => a.callsOf('getTransportStats').length > 0);
    await client.request('getTransportStats', { transportId: producer });
    expect([client.closed, ordersOf(client)]).toEqual([false, []]);
  });

  it('is closed where the node stays away and the operator says nothing', async () => {
    const { client, producer } = await placeApart();
    await a.stop();
    await client.request('getTransportStats', { transportId: producer }).catch(() => undefined);
    await until(() => client.closed);
    expect(client.closeCode).toBe(4001);
  });

  it('joins anew when its session is over', async () => {
    const { client } = await placeApart();
    await platform.sql(`DELETE FROM media_peer WHERE peer_id = 'ann'`);
    a.handlers.getProducerStats = () => {
      throw new ApiError('peer_not_found', 'it has no row');
    };
    await client.request('getProducerStats', { producerId: randomUUID() }).catch(() => undefined);
    await until(() => client.closed);
    expect(client.closeCode).toBe(4004);
  });

  it('is bound anew before it is told the truth, when it was away', async () => {
    const { client, token, producer, consumer } = await placeApart();
    client.socket.terminate();
    await lose(a);
    platform.putRoom('room', [placed[2]!, { ...placed[1]!, role: 'Consumer' }]);
    const again = await platform.resume(replica, 'room', 'ann', token);
    await until(async () => {
      const data = { transportIds: { producer, consumer } };
      return again.request('resumeSession', data).catch(() => undefined);
    });
    expect(await bindings()).toEqual([RC, RB]);
    expect(c.calls.map(({ method }) => method)).toEqual(['rebind', 'resumePeer']);
    await told(again);
    expect(ordersOf(again)).toMatchObject([{ transportId: producer, direction: 'producer' }]);
    await replacing(again, 'producer', producer);
    expect(again.closed).toBe(false);
  });

  it('replaces a transport that a node has lost, where it is', async () => {
    const { client, consumer } = await placeApart();
    const { id } = (await platform.peerRows())[0]!;
    const lost = (transportId: string) =>
      platform.others.postMessages(replica.internalUrl, {
        batchId: randomUUID(),
        lostPeers: [
          { mediaPeerId: id, reason: 'ice_disconnected', transportId, direction: 'consumer' },
        ],
      });
    // One that it does not have is no loss.
    await lost(randomUUID());
    await lost(consumer);
    await told(client);
    expect(ordersOf(client)).toEqual([
      { transportId: consumer, direction: 'consumer', reason: 'TransportLost', overlapMs: 0 },
    ]);
    const next = await replacing(client, 'consumer', consumer);
    expect(await bindings()).toEqual([RA, RB]);
    await lost(consumer);
    await client.request('closeTransport', { transportId: consumer });
    await client.request('getTransportStats', { transportId: next });
    expect([client.closed, ordersOf(client).length]).toEqual([false, 1]);
    await movesCounted('moved', 'TransportLost');
  });
});

describe('clients that only rejoin', () => {
  beforeEach(() => setUp());
  afterEach(() => platform.close());

  it.each([
    ['is lost', () => [placed[1]!], 'NodeLost'],
    ['drains until now', () => [draining(placed[0]!, inMs(100)), placed[1]!], 'NodeDraining'],
  ] as [string, () => Placement[], string][])(
    'are closed to join anew when their node %s',
    async (_name, change, reason) => {
      const ann = await platform.joined(replica, 'room', 'ann');
      platform.putRoom('room', change());
      await until(() => ann.closed);
      expect(ann.closeCode).toBe(4001);
      expect(ordersOf(ann)).toEqual([]);
      await movesCounted('rejoined', reason);
    },
  );

  it('stay on a node that drains until it is over', async () => {
    const [ann, bob] = [
      await platform.joined(replica, 'room', 'ann'),
      await platform.sdk(replica, 'room', 'bob'),
    ];
    for (const deadline of [undefined, inMs(60_000)]) {
      platform.putRoom('room', [draining(placed[0]!, deadline), placed[1]!]);
      await told(bob.client, 2);
    }
    await ann.request('getTransportStats', { transportId: randomUUID() });
    expect(ann.closed).toBe(false);
    platform.putRoom('room', [draining(placed[0]!, inMs(0)), placed[1]!]);
    await until(() => ann.closed);
    expect(ann.closeCode).toBe(4001);
  });

  it('and others that have not joined yet are closed at once', async () => {
    const ann = await platform.connect(replica, {
      ...{ roomId: 'room', peerId: 'ann', extensions: 'move' },
    });
    await ann.request('getRouterRtpCapabilities');
    platform.putRoom('room', [draining(placed[0]!)]);
    await until(() => ann.closed);
    expect(ann.closeCode).toBe(4001);
  });
});

describe('broadcasters whose node is gone', () => {
  afterEach(() => platform.close());

  it('leave, since they have no socket that could tell them', async () => {
    await setUp();
    const bob = await platform.joined(replica, 'room', 'bob');
    await platform.sql(
      `INSERT INTO media_peer (id, room_id, peer_id, kind, replica_id, producer_router_id, consumer_router_id,
         remote_address, grants, joined_at)
       SELECT $1, 'room', 'camera', 'Broadcaster', replica_id, '${RB}', '${RB}', '', '{}', now() FROM media_peer`,
      [randomUUID()],
    );
    await lose(b);
    await until(() => bob.notificationsOf('peerClosed').length > 0);
    expect(bob.notificationsOf('peerClosed')).toEqual([{ peerId: 'camera' }]);
    expect(await bindings('camera')).toBeUndefined();
  });
});

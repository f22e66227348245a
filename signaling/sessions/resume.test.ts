import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import type { PeerMessage } from '../../common/wire/peer.ts';
import { TcpProxy } from '../../testing/tcp-proxy.ts';
import { until, type Client } from '../fixtures/client.ts';
import type { FakeMediaNode } from '../fixtures/media-node.ts';
import { Platform, type Replica } from '../fixtures/platform.ts';

const quick = { heartbeatMs: 100, deadAfterMs: 3000, reapIntervalMs: 100 };
const consumerInfo = (consumerId: string) => ({
  peerId: 'bob',
  transportId: randomUUID(),
  consumerId,
  producerId: randomUUID(),
  kind: 'audio' as const,
  rtpParameters: {},
  type: 'simple',
  producerPaused: false,
  consumerScore: {},
  appData: {},
});
const newConsumer = (consumerId: string): PeerMessage => ({
  method: 'newConsumer',
  data: consumerInfo(consumerId),
});
const consumerClosed = (consumerId: string): PeerMessage => ({
  method: 'consumerClosed',
  data: { consumerId },
});
const speaker = (peerId: string): PeerMessage => ({ method: 'activeSpeaker', data: { peerId } });

let platform: Platform;
let producer: FakeMediaNode;
let watcher: FakeMediaNode;
let rooms = 0;
let room: string;

const rowOf = async (peerId: string) => {
  const text = 'SELECT * FROM media_peer WHERE room_id = $1 AND peer_id = $2';
  interface Row {
    id: string;
    replica_id: string;
    detached_at: Date | null;
    owner_epoch: number;
    resume_hash: string | null;
  }
  return (await platform.sql<Row>(text, [room, peerId]))[0];
};
const isDetached = async (peerId: string) => (await rowOf(peerId))?.detached_at instanceof Date;
const tell = async (replica: { internalUrl: string }, ...messages: PeerMessage[]) => {
  const to = { mediaPeerIds: [(await rowOf('ann'))!.id] };
  const batch = messages.map((message) => ({ to, message }));
  await platform.others.postMessages(replica.internalUrl, {
    batchId: randomUUID(),
    messages: batch,
  });
};
/** A reconnected client that was told the truth. */
const resumed = async (
  replica: { publicPort: number },
  token: string,
  had: object = {},
): Promise<Client> => {
  const client = await platform.resume(replica, room, 'ann', token);
  await client.request('resumeSession', had);
  return client;
};

const setUp = async (): Promise<void> => {
  platform = await Platform.create();
  producer = await platform.node('Producer');
  watcher = await platform.node('Consumer');
};
const nextRoom = async (): Promise<void> => {
  room = `room-${++rooms}`;
  await platform.room(room, [producer, watcher]);
  producer.handlers = {};
  producer.calls.length = 0;
};

describe('a session that outlives its socket', () => {
  let one: Replica;
  let two: Replica;

  beforeAll(async () => {
    await setUp();
    one = await platform.replica({ replicas: quick });
    two = await platform.replica({ replicas: quick });
  });
  beforeEach(nextRoom);
  afterAll(() => platform.close());

  it('is announced to clients that can resume it, and to no others', async () => {
    const { client: ann, token } = await platform.sdk(one, room, 'ann');
    expect(ann.notificationsOf('session')).toEqual([
      { resumeToken: token, resumeTimeoutMs: 30_000 },
    ]);
    expect(token.length).toBeGreaterThanOrEqual(43);
    const row = await rowOf('ann');
    expect(row!.resume_hash).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.stringify(row)).not.toContain(token);
    const bob = await platform.joined(one, room, 'bob');
    expect(bob.notificationsOf('session')).toEqual([]);
    for (const method of ['leave', 'resumeSession', 'closeTransport'])
      await expect(bob.request(method, {})).rejects.toMatchObject({ code: 500 });
    expect((await rowOf('bob'))!.resume_hash).toBeNull();
  });

  it.each([
    ['another replica', () => two],
    ['the same replica', () => one],
  ])('goes on at %s, and nobody notices', async (_name, where) => {
    const [bob, { client: ann, token }] = await Promise.all([
      platform.joined(two, room, 'bob'),
      platform.sdk(one, room, 'ann'),
    ]);
    const { id } = (await rowOf('ann'))!;
    const [kept, gone, missed] = [randomUUID(), randomUUID(), randomUUID()];
    ann.socket.terminate();
    await until(() => isDetached('ann'));
    producer.handlers.resumePeer = ({ data }) => ({
      peers: [{ peerId: 'bob', displayName: 'bob', device: {} }],
      producerIds: [id],
      dataProducerIds: [],
      consumerIds: (data['consumerIds'] as string[]).filter((each) => each !== gone),
      dataConsumerIds: [],
      newConsumers: [consumerInfo(missed)],
      newDataConsumers: [],
      pausedConsumerIds: [kept],
    });
    const again = await platform.resume(where(), room, 'ann', token);
    await until(() => again.notificationsOf('session').length > 0);
    expect(again.notificationsOf('session')[0]).toMatchObject({ resumeToken: token });
    // What comes now waits for the truth; a peer that the truth names is no news.
    const peer = { peerId: 'bob', displayName: 'bob', device: {} };
    await tell(where(), consumerClosed(kept), { method: 'newPeer', data: { peer } });
    expect(
      await again.request('resumeSession', { consumerIds: [kept, gone], dataConsumerIds: [] }),
    ).toMatchObject({ peers: [peer], producerIds: [id], consumerIds: [kept] });
    await until(() => again.requestsOf('newConsumer').length > 0);
    expect(again.requestsOf('newConsumer')).toMatchObject([{ consumerId: missed }]);
    expect(again.notificationsOf('consumerClosed')).toEqual([{ consumerId: kept }]);
    expect(again.notificationsOf('newPeer')).toEqual([]);
    expect(again.notificationsOf('consumerPaused')).toEqual([]);
    await until(() => producer.callsOf('resumeConsumers').length > 0);
    expect(producer.callsOf('resumeConsumers')[0]!.data).toEqual({ consumerIds: [missed] });
    expect(await rowOf('ann')).toMatchObject({ id, owner_epoch: 1, detached_at: null });
    await tell(where(), speaker('bob'));
    await until(() => again.notificationsOf('activeSpeaker').length > 0);
    expect(bob.notificationsOf('peerClosed')).toEqual([]);
    expect(producer.deleted).not.toContain(id);
  });

  it('tells whether producers are paused that the client watches already', async () => {
    const { client: ann, token } = await platform.sdk(one, room, 'ann');
    ann.socket.terminate();
    const [paused, flowing] = [randomUUID(), randomUUID()];
    producer.handlers.resumePeer = ({ data }) => ({
      ...{ peers: [], producerIds: [], dataProducerIds: [], dataConsumerIds: [] },
      ...{ newConsumers: [], newDataConsumers: [] },
      consumerIds: data['consumerIds'],
      pausedConsumerIds: [paused],
    });
    const again = await resumed(two, token, { consumerIds: [paused, flowing] });
    await until(() => again.notificationsOf('consumerResumed').length > 0);
    expect(again.notificationsOf('consumerPaused')).toEqual([{ consumerId: paused }]);
    expect(again.notificationsOf('consumerResumed')).toEqual([{ consumerId: flowing }]);
    // It is the same consumer: its state goes on being told, and it is not announced anew.
    await tell(two, newConsumer(flowing), consumerClosed(flowing));
    await until(() => again.notificationsOf('consumerClosed').length > 0);
    expect(again.requestsOf('newConsumer')).toEqual([]);
  });

  it.each([
    ['another replica', () => two],
    ['the same replica', () => one],
  ])('is taken from a socket that seems to live, at %s', async (_name, where) => {
    const bob = await platform.joined(two, room, 'bob');
    const { client: ann, token } = await platform.sdk(one, room, 'ann');
    const again = await resumed(where(), token);
    await until(() => ann.closed);
    expect([ann.closeCode, ann.closeReason]).toEqual([
      4000,
      'the session goes on with another connection',
    ]);
    // The end of the older one is over when its replica has counted it.
    await until(async () => {
      const metrics = await (await fetch(`${one.internalUrl}/metrics`)).text();
      return /websocket_closes_total\{code="4000"\}/.test(metrics);
    });
    await again.request('getTransportStats', { transportId: randomUUID() });
    expect(await rowOf('ann')).toMatchObject({ detached_at: null, owner_epoch: 1 });
    expect(bob.notificationsOf('peerClosed')).toEqual([]);
  });

  it('has one owner when its client comes back at two places at once', async () => {
    const { client: ann, token } = await platform.sdk(one, room, 'ann');
    ann.socket.terminate();
    await until(() => isDetached('ann'));
    const both = await Promise.all(
      [one, two].map((replica) => platform.resume(replica, room, 'ann', token)),
    );
    await until(() => both.some(({ closed }) => closed));
    const [loser] = both.filter(({ closed }) => closed);
    const winner = both.find((client) => client !== loser)!;
    expect(loser!.closeCode).toBe(4000);
    await winner.request('resumeSession', {});
    expect(winner.closed).toBe(false);
    expect(await rowOf('ann')).toMatchObject({ detached_at: null, owner_epoch: 2 });
  });

  it.each([
    ['that never was', () => ({ token: 'x'.repeat(43) })],
    ['of another peer', (token: string) => ({ token, peerId: 'bob' })],
    ['of another room', (token: string) => ({ token, roomId: 'elsewhere' })],
  ])('is not given for a token %s', async (_name, change) => {
    await platform.room('elsewhere', [producer, watcher]);
    const { client: ann, token } = await platform.sdk(one, room, 'ann');
    const {
      token: shown,
      roomId = room,
      peerId = 'ann',
    } = {
      roomId: undefined,
      peerId: undefined,
      ...change(token),
    };
    const thief = await platform.resume(two, roomId, peerId, shown);
    await until(() => thief.closed);
    expect([thief.closeCode, thief.closeReason]).toEqual([4004, 'there is no such session']);
    await ann.request('getTransportStats', { transportId: randomUUID() });
    expect(await rowOf('ann')).toMatchObject({ owner_epoch: 0, detached_at: null });
  });

  it('needs a room token, as every connection does', async () => {
    const { token } = await platform.sdk(one, room, 'ann');
    const wrong = await platform.token({ room, peer: 'bob' });
    const connecting = platform.connect(two, {
      ...{ roomId: room, peerId: 'ann', extensions: 'resume', resume: token, token: wrong },
    });
    await expect(connecting).rejects.toThrow('401');
  });

  it('does not begin before the join', async () => {
    const ann = await platform.connect(one, { roomId: room, peerId: 'ann', extensions: 'resume' });
    await until(() => ann.notificationsOf('session').length > 0);
    const token = String(ann.notificationsOf('session')[0]!['resumeToken']);
    ann.socket.terminate();
    await until(async () => !(await rowOf('ann')));
    const again = await platform.resume(two, room, 'ann', token);
    await until(() => again.closed);
    expect(again.closeCode).toBe(4004);
  });

  it('ends at once when its client leaves', async () => {
    const bob = await platform.joined(two, room, 'bob');
    const { client: ann, token } = await platform.sdk(one, room, 'ann');
    const { id } = (await rowOf('ann'))!;
    expect(await ann.request('leave', {})).toEqual({});
    expect(await rowOf('ann')).toBeUndefined();
    await until(() => ann.closed && bob.notificationsOf('peerClosed').length > 0);
    expect(ann.closeCode).toBe(4000);
    await until(() => producer.deleted.includes(id) && watcher.deleted.includes(id));
    expect(bob.notificationsOf('peerClosed')).toEqual([{ peerId: 'ann' }]);
    const again = await platform.resume(two, room, 'ann', token);
    await until(() => again.closed);
    expect(again.closeCode).toBe(4004);
  });

  it('gives way to a new connection of the same peer', async () => {
    const bob = await platform.joined(two, room, 'bob');
    const { client: ann, token } = await platform.sdk(one, room, 'ann');
    const { id } = (await rowOf('ann'))!;
    ann.socket.terminate();
    await until(() => isDetached('ann'));
    const again = await platform.joined(two, room, 'ann');
    expect(bob.notificationsOf('peerClosed')).toEqual([{ peerId: 'ann' }]);
    expect((await rowOf('ann'))!.id).not.toBe(id);
    const late = await platform.resume(two, room, 'ann', token);
    await until(() => late.closed);
    expect(late.closeCode).toBe(4004);
    expect(again.closed).toBe(false);
  });

  it('asks for the truth again where a media node could not tell', async () => {
    const { client: ann, token } = await platform.sdk(one, room, 'ann');
    ann.socket.terminate();
    await producer.stop();
    const again = await platform.resume(two, room, 'ann', token);
    await expect(again.request('resumeSession', {})).rejects.toMatchObject({ code: 503 });
    await producer.start();
    expect(await again.request('resumeSession', {})).toMatchObject({ consumerIds: [] });
    await expect(again.request('resumeSession', {})).rejects.toMatchObject({ code: 409 });
    await tell(two, speaker('x'));
    await until(() => again.notificationsOf('activeSpeaker').length > 0);
  });

  it('can be resumed while the room takes nobody', async () => {
    const { client: ann, token } = await platform.sdk(one, room, 'ann');
    ann.socket.terminate();
    const placements = await platform.room(room, [producer, watcher]);
    const pending = placements.map((each) => ({ ...each, state: 'Pending' as const }));
    platform.putRoom(room, pending, { ready: false, maxPeers: 1 });
    const again = await resumed(two, token);
    expect(again.closed).toBe(false);
  });

  it('is removed by an administrator without a socket', async () => {
    const { client: ann } = await platform.sdk(one, room, 'ann');
    ann.socket.terminate();
    await until(() => isDetached('ann'));
    const token = await platform.token({ room, peer: 'boss', grants: { admin: true } });
    const response = await fetch(`http://127.0.0.1:${two.publicPort}/api/rooms/${room}/peers/ann`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}` },
    });
    expect(response.status).toBeLessThan(300);
    expect(await rowOf('ann')).toBeUndefined();
  });

  it('goes to another replica when its own stops', async () => {
    const replica = await platform.replica({ replicas: quick });
    const bob = await platform.joined(two, room, 'bob');
    const { client: ann, token } = await platform.sdk(replica, room, 'ann');
    await replica.close();
    await until(() => ann.closed);
    expect(ann.closeCode).toBe(1012);
    const gone = await platform.sql('SELECT 1 FROM signaling_replica WHERE url = $1', [
      replica.internalUrl,
    ]);
    expect(gone).toEqual([]);
    expect(await isDetached('ann')).toBe(true);
    await resumed(one, token);
    expect(await isDetached('ann')).toBe(false);
    expect(bob.notificationsOf('peerClosed')).toEqual([]);
  });

  it('is taken from a replica that was killed, before and after that is known', async () => {
    const replica = await platform.process({ replicas: quick });
    const bob = await platform.joined(two, room, 'bob');
    const { client: ann, token } = await platform.sdk(replica, room, 'ann');
    const { client: cem, token: cemsToken } = await platform.sdk(replica, room, 'cem');
    const { replica_id: deadId } = (await rowOf('ann'))!;
    await replica.kill();
    await until(() => ann.closed && cem.closed);
    // Nobody knows yet; the client does not wait for that.
    await resumed(two, token);
    expect((await rowOf('cem'))!.replica_id).toBe(deadId);
    await until(() => isDetached('cem'));
    expect((await rowOf('cem'))!.replica_id).not.toBe(deadId);
    await until(async () => {
      const text = 'SELECT 1 FROM signaling_replica WHERE id = $1';
      return (await platform.sql(text, [deadId])).length === 0;
    });
    const again = await platform.resume(one, room, 'cem', cemsToken);
    await again.request('resumeSession', {});
    expect(await isDetached('ann')).toBe(false);
    expect(await isDetached('cem')).toBe(false);
    expect(bob.notificationsOf('peerClosed')).toEqual([]);
  }, 120_000);

  it('is not touched by a replica that was thought dead and comes back late', async () => {
    const replica = await platform.process({ replicas: quick });
    const bob = await platform.joined(two, room, 'bob');
    const { client: ann, token } = await platform.sdk(replica, room, 'ann');
    const { replica_id: pausedId } = (await rowOf('ann'))!;
    replica.pause();
    const again = await resumed(two, token);
    await until(async () => {
      const text = 'SELECT 1 FROM signaling_replica WHERE id = $1';
      return (await platform.sql(text, [pausedId])).length === 0;
    });
    replica.goOn();
    await until(() => ann.closed);
    // It has started over under another name when all that it had is closed.
    await until(async () => {
      const text = 'SELECT 1 FROM signaling_replica WHERE url = $1';
      return (await platform.sql(text, [replica.internalUrl])).length === 1;
    });
    await replica.stop();
    await again.request('getTransportStats', { transportId: randomUUID() });
    expect(await rowOf('ann')).toMatchObject({ detached_at: null, owner_epoch: 1 });
    expect(bob.notificationsOf('peerClosed')).toEqual([]);
  }, 120_000);
});

describe('a session that nobody resumes', () => {
  it('ends after the grace time, whoever is there to end it', async () => {
    await setUp();
    await nextRoom();
    const resume = { graceMs: 1500 };
    const [one, two] = [
      await platform.replica({ replicas: quick, resume }),
      await platform.replica({ replicas: quick, resume }),
    ];
    const bob = await platform.joined(two, room, 'bob');
    const { client: ann, token } = await platform.sdk(one, room, 'ann');
    const { id } = (await rowOf('ann'))!;
    ann.socket.terminate();
    await until(() => isDetached('ann'));
    const { detached_at: since } = (await rowOf('ann'))!;
    await until(() => bob.notificationsOf('peerClosed').length > 0);
    expect(Date.now() - since!.getTime()).toBeGreaterThanOrEqual(1500);
    await until(() => producer.deleted.includes(id));
    expect(producer.deleted.filter((each) => each === id)).toHaveLength(1);
    expect(bob.notificationsOf('peerClosed')).toEqual([{ peerId: 'ann' }]);
    expect(await rowOf('ann')).toBeUndefined();
    const again = await platform.resume(two, room, 'ann', token);
    await until(() => again.closed);
    expect(again.closeCode).toBe(4004);
    await platform.close();
  });
});

describe('a socket that is half open', () => {
  it('is given up after the missed pings, and its session waits', async () => {
    await setUp();
    await nextRoom();
    const replica = await platform.replica({
      websocket: { pingIntervalMs: 400, missedPings: 2 },
    });
    const { client: ann, token } = await platform.sdk(replica, room, 'ann');
    ann.socket.pause();
    await until(() => isDetached('ann'));
    await resumed(replica, token);
    expect(await isDetached('ann')).toBe(false);
    await platform.close();
  });
});

describe('a single replica', () => {
  it.each(['stop', 'kill'] as const)(
    'ends no call when it restarts after a %s',
    async (end) => {
      await setUp();
      await nextRoom();
      const first = await platform.process({ replicas: quick });
      const { client: ann, token } = await platform.sdk(first, room, 'ann');
      const { id } = (await rowOf('ann'))!;
      await first[end]();
      await until(() => ann.closed);
      const second = await platform.replica({ replicas: quick });
      // Long enough that the first one's row is looked after.
      await until(async () => {
        const owners = await platform.sql('SELECT id FROM signaling_replica');
        return owners.length === 1;
      });
      expect(await rowOf('ann')).toMatchObject({ id, detached_at: expect.any(Date) });
      await resumed(second, token);
      expect(await rowOf('ann')).toMatchObject({ id, detached_at: null });
      expect(producer.deleted).not.toContain(id);
      await platform.close();
    },
    30_000,
  );
});

describe('while Postgres is away', () => {
  it('a session is kept, and goes on after', async () => {
    await setUp();
    await nextRoom();
    const direct = new URL(platform.database.url);
    const proxy = new TcpProxy({ host: direct.hostname, port: Number(direct.port) });
    const url = new URL(direct);
    url.hostname = '127.0.0.1';
    url.port = String(await proxy.start());
    const replica = await platform.replica({
      replicas: quick,
      leave: { retryMinMs: 50 },
      database: { url: url.href, acquireTimeoutMs: 300 },
    });
    const { client: ann, token } = await platform.sdk(replica, room, 'ann');
    const { client: bob } = await platform.sdk(replica, room, 'bob');
    proxy.cut();
    ann.socket.terminate();
    bob.socket.terminate();
    await expect(platform.resume(replica, room, 'ann', token)).rejects.toThrow('503');
    proxy.heal();
    await until(() => isDetached('bob'));
    await until(async () => {
      const again = await platform.resume(replica, room, 'ann', token).catch(() => undefined);
      return again?.request('resumeSession', {});
    });
    await sleep(200);
    expect(await isDetached('ann')).toBe(false);
    expect(await isDetached('bob')).toBe(true);
    await platform.close();
    await proxy.close();
  });
});

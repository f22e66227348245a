/** What the triggers write, on a real Postgres. */
import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { createPeersRepository } from '../../common/db/repositories/peers.ts';
import { createRandom } from '../../testing/random.ts';
import { Outbox } from './fixtures/outbox.ts';

const any = expect.any(String);

describe('the outbox', () => {
  let outbox: Outbox;

  beforeAll(async () => {
    outbox = await Outbox.create();
  });
  beforeEach(async () => {
    await outbox.clear();
    await outbox.node('n1');
    await outbox.node('n2');
    await outbox.room('room', ['n1', 'n2']);
    await outbox.endpoint('all');
  });
  afterAll(() => outbox.close());

  const dataOf = async (type: string): Promise<object[]> =>
    (await outbox.events('room')).filter((event) => event.type === type).map(({ data }) => data);

  it('has the life of a room in its order', async () => {
    const ann = await outbox.connect('room', 'ann', 'n1');
    expect(await outbox.types('room')).toEqual([]);
    await outbox.join('room', ann);
    await outbox.join('room', ann);
    const transport = await outbox.transport('room', ann, 'n1');
    const producer = await outbox.produce('room', transport);
    await outbox.produceData('room', transport);
    await outbox.knex('media_producer').where({ id: producer }).delete();
    const bob = await outbox.joined('room', 'bob', 'n2');
    await outbox.leave(ann);
    await outbox.leave(bob);
    const events = await outbox.events('room');
    expect(events.map(({ type }) => type)).toEqual([
      'room_started',
      'peer_joined',
      'producer_added',
      'data_producer_added',
      'producer_removed',
      'peer_joined',
      'data_producer_removed',
      'peer_left',
      'peer_left',
      'room_ended',
    ]);
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    const sequences = events.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(await outbox.count('webhook_staged')).toBe(0);
    expect(await outbox.count('webhook_room')).toBe(0);
  });

  it('tells who joined and left, and what was published', async () => {
    const ann = await outbox.joined('room', 'ann', 'n1');
    const transport = await outbox.transport('room', ann, 'n1');
    const producerId = await outbox.produce('room', transport);
    const dataProducerId = await outbox.produceData('room', transport);
    await outbox.leave(ann);
    const of = { peerId: 'ann', connectionId: ann };
    const video = { ...of, producerId, kind: 'video', appData: { source: 'video' } };
    const chat = {
      ...of,
      dataProducerId,
      label: 'chat',
      protocol: '',
      appData: { channel: 'chat' },
    };
    expect((await outbox.events('room')).map(({ type, data }) => [type, data])).toEqual([
      ['room_started', {}],
      ['peer_joined', { ...of, displayName: 'ann', device: {}, kind: 'WebSocket' }],
      ['producer_added', { ...video, replaces: null }],
      ['data_producer_added', { ...chat, replaces: null }],
      ['producer_removed', { ...video, replacedBy: null }],
      ['data_producer_removed', { ...chat, replacedBy: null }],
      ['peer_left', { ...of, displayName: 'ann', joinedAt: any, replacedBy: null }],
      ['room_ended', { startedAt: any }],
    ]);
  });

  it('takes a peer that connects again for one that left and joined, in a room that goes on', async () => {
    const peers = createPeersRepository(outbox.knex);
    const old = await outbox.joined('room', 'ann', 'n1');
    const id = randomUUID();
    const router = 'room-n1';
    await peers.bind({
      peer: {
        id,
        roomId: 'room',
        peerId: 'ann',
        kind: 'WebSocket',
        replicaId: outbox.replicaId,
        remoteAddress: '::1',
        grants: { publish: true, subscribe: true, data: true, admin: false },
      },
      maxPeers: 10,
      choose: () => ({ producerRouterId: router, consumerRouterId: router }),
    });
    expect(await dataOf('peer_left')).toMatchObject([{ connectionId: old, replacedBy: id }]);
    await outbox.join('room', id);
    expect(await outbox.types('room')).toEqual([
      'room_started',
      'peer_joined',
      'peer_left',
      'peer_joined',
    ]);
  });

  it('ends a room whose only peer connected again and went before it joined', async () => {
    const old = await outbox.joined('room', 'ann', 'n1');
    const id = await outbox.knex.transaction(async (trx) => {
      await trx('media_peer').where({ id: old }).delete();
      return outbox.connect('room', 'ann', 'n1', trx);
    });
    await outbox.leave(id);
    expect(await outbox.types('room')).toEqual([
      'room_started',
      'peer_joined',
      'peer_left',
      'room_ended',
    ]);
  });

  it('has nothing of a peer that never joined', async () => {
    await outbox.leave(await outbox.connect('room', 'ann', 'n1'));
    const bob = await outbox.joined('room', 'bob', 'n1');
    await outbox.leave(await outbox.connect('room', 'ann', 'n1'));
    await outbox.leave(bob);
    expect(await outbox.types('room')).toEqual([
      'room_started',
      'peer_joined',
      'peer_left',
      'room_ended',
    ]);
  });

  it('tells of each side that moved, where from and where to', async () => {
    const ann = await outbox.joined('room', 'ann', 'n1');
    await outbox
      .knex('media_peer')
      .where({ id: ann })
      .update({ producer_router_id: 'room-n2', consumer_router_id: 'room-n2' });
    await outbox.knex('media_peer').where({ id: ann }).update({ producer_router_id: 'room-n2' });
    const from = { routerId: 'room-n1', pod: 'n1' };
    const to = { routerId: 'room-n2', pod: 'n2' };
    const of = { peerId: 'ann', connectionId: ann };
    expect(await dataOf('node_moved')).toEqual([
      { ...of, direction: 'producer', from, to },
      { ...of, direction: 'consumer', from, to },
    ]);
  });

  it('does not tell of a peer that moved before it joined', async () => {
    const ann = await outbox.connect('room', 'ann', 'n1');
    await outbox.knex('media_peer').where({ id: ann }).update({ producer_router_id: 'room-n2' });
    expect(await outbox.types('room')).toEqual([]);
  });

  it('ends a room whose row goes', async () => {
    await outbox.joined('room', 'ann', 'n1');
    await outbox.joined('room', 'bob', 'n2');
    await outbox.knex('media_room').where({ id: 'room' }).delete();
    const types = await outbox.types('room');
    expect(types.slice(3)).toEqual(['peer_left', 'peer_left', 'room_ended']);
  });

  it('tells of every room that several peers leave by one statement', async () => {
    await outbox.room('other', ['n1']);
    const ids: string[] = [];
    for (const room of ['room', 'other'])
      for (const name of ['ann', 'bob']) ids.push(await outbox.joined(room, name, 'n1'));
    await outbox.joined('other', 'eve', 'n1');
    await outbox.knex('media_peer').whereIn('id', ids).delete();
    expect((await outbox.types('room')).slice(-3)).toEqual([
      'peer_left',
      'peer_left',
      'room_ended',
    ]);
    expect((await outbox.types('other')).slice(-3)).toEqual([
      'peer_joined',
      'peer_left',
      'peer_left',
    ]);
  });

  it('tells of what goes with a media node, and of the peers’ move to another one', async () => {
    const node = await outbox.node('n3');
    await outbox.room('room', ['n3']);
    const ann = await outbox.joined('room', 'ann', 'n3');
    const transport = await outbox.transport('room', ann, 'n3');
    const producerId = await outbox.produce('room', transport);
    const dataProducerId = await outbox.produceData('room', transport);
    await outbox.media.deleteWorker(node);
    expect(await dataOf('producer_removed')).toMatchObject([{ peerId: 'ann', producerId }]);
    expect(await dataOf('data_producer_removed')).toMatchObject([{ dataProducerId }]);
    await outbox.knex('media_peer').where({ id: ann }).update({ consumer_router_id: 'room-n2' });
    const to = { routerId: 'room-n2', pod: 'n2' };
    expect(await dataOf('node_moved')).toMatchObject([{ direction: 'consumer', from: null, to }]);
    expect(await outbox.types('room')).not.toContain('peer_left');
  });

  it('links the producers of a publisher that moved', async () => {
    const ann = await outbox.joined('room', 'ann', 'n1');
    const old = await outbox.transport('room', ann, 'n1');
    const first = await outbox.produce('room', old);
    const next = await outbox.transport('room', ann, 'n2');
    const second = await outbox.produce('room', next, first);
    await outbox.knex('media_transport').where({ id: old.id }).delete();
    expect(await dataOf('producer_added')).toMatchObject([
      { producerId: first, replaces: null },
      { producerId: second, replaces: first },
    ]);
    expect(await dataOf('producer_removed')).toMatchObject([
      { producerId: first, replacedBy: second },
    ]);
  });

  it('starts and ends a room once, however many join and leave at once', async () => {
    for (let round = 0; round < 5; round++) {
      const ids = await Promise.all(
        Array.from({ length: 12 }, (_, i) => outbox.connect('room', `p${i}`, 'n1')),
      );
      await Promise.all(ids.map((id) => outbox.join('room', id)));
      await Promise.all(ids.map((id) => outbox.leave(id)));
    }
    const types = await outbox.types('room');
    const round = [
      'room_started',
      ...Array.from({ length: 12 }, () => 'peer_joined'),
      ...Array.from({ length: 12 }, () => 'peer_left'),
      'room_ended',
    ];
    expect(types).toEqual(Array.from({ length: 5 }, () => round).flat());
  });

  it('keeps the order of each room under writers at random, and ends what is empty', async () => {
    const random = createRandom(7);
    const rooms = ['room', 'a', 'b'];
    for (const room of rooms.slice(1)) await outbox.room(room, ['n1', 'n2']);
    const writer = async (name: string): Promise<void> => {
      for (let n = 0; n < 15; n++) {
        const room = rooms[Math.floor(random() * rooms.length)]!;
        const id = await outbox.joined(room, name, 'n1');
        const transport = await outbox.transport(room, id, 'n1');
        await outbox.produce(room, transport);
        if (random() < 0.5)
          await outbox.knex('media_transport').where({ id: transport.id }).delete();
        await outbox.leave(id);
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, i) => writer(`w${i}`)));
    for (const room of rooms) {
      const present = new Set<string>();
      let started = false;
      for (const event of await outbox.events(room)) {
        if (event.type === 'room_started') [started] = [(expect(started).toBe(false), true)];
        if (event.type === 'room_ended') {
          expect([started, present.size]).toEqual([true, 0]);
          started = false;
        }
        if (event.type === 'peer_joined') present.add(event.data.connectionId);
        if (event.type.startsWith('producer'))
          expect(present).toContain((event.data as { connectionId: string }).connectionId);
        if (event.type === 'peer_left') expect(present.delete(event.data.connectionId)).toBe(true);
      }
      expect([started, present.size]).toEqual([false, 0]);
    }
    expect(await outbox.count('webhook_room')).toBe(0);
  });

  it('lets several transactions that touch the same rooms in another order commit', async () => {
    const rooms = Array.from({ length: 30 }, (_, i) => `r${i}`);
    for (const room of rooms) await outbox.room(room, ['n1', 'n2']);
    const orders = [rooms, [...rooms].reverse(), [...rooms].sort()];
    const ids = orders.map(() => [] as string[]);
    for (const [i, order] of orders.entries())
      for (const room of order) ids[i]!.push(await outbox.joined(room, `p${i}`, 'n1'));
    await Promise.all(
      ids.map((own) =>
        outbox.knex.transaction(async (trx) => {
          for (const id of own) await trx('media_peer').where({ id }).delete();
        }),
      ),
    );
    for (const room of rooms) expect((await outbox.types(room)).at(-1)).toBe('room_ended');
  });

  it('is written with what happened or not at all', async () => {
    const failing = outbox.knex.transaction(async (trx) => {
      await outbox.connect('room', 'ann', 'n1', trx);
      await trx('media_peer').update({ joined_at: trx.fn.now() });
      throw new Error('as the test asked');
    });
    await expect(failing).rejects.toThrow('as the test asked');
    expect(await outbox.types('room')).toEqual([]);
    expect(await outbox.count('webhook_queue')).toBe(0);
  });

  it('stays empty where nobody wants events', async () => {
    await outbox.knex('webhook_endpoint').delete();
    const ann = await outbox.joined('room', 'ann', 'n1');
    const transport = await outbox.transport('room', ann, 'n1');
    await outbox.produce('room', transport);
    await outbox.leave(ann);
    for (const table of ['event', 'queue', 'room', 'staged'])
      expect(await outbox.count(`webhook_${table}`)).toBe(0);
  });

  it('has only events that an endpoint wants, in the queue of those that do', async () => {
    await outbox.knex('webhook_endpoint').delete();
    await outbox.endpoint('rooms', ['room_started', 'room_ended']);
    await outbox.endpoint('leaves', ['peer_left']);
    const ann = await outbox.joined('room', 'ann', 'n1');
    expect(await outbox.types('room')).toEqual(['room_started']);
    const queue = () => outbox.knex('webhook_queue').orderBy('endpoint').pluck('endpoint');
    expect(await queue()).toEqual(['rooms']);
    await outbox.leave(ann);
    expect(await outbox.types('room')).toEqual(['room_started', 'peer_left', 'room_ended']);
    expect(await queue()).toEqual(['leaves', 'rooms']);
  });

  it('starts a room that was on before there was an endpoint with its next event', async () => {
    await outbox.knex('webhook_endpoint').delete();
    const ann = await outbox.joined('room', 'ann', 'n1');
    const bob = await outbox.joined('room', 'bob', 'n1');
    await outbox.endpoint('late');
    await outbox.leave(ann);
    await outbox.leave(bob);
    expect(await outbox.types('room')).toEqual([
      'room_started',
      'peer_left',
      'peer_left',
      'room_ended',
    ]);
  });
});

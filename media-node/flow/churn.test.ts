import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { Platform, type Room, type TestNode } from '../fixtures/platform.ts';

jest.setTimeout(240_000);

const rows = [
  'media_transport',
  'media_pipe_transport',
  'media_producer',
  'media_consumer',
  'media_data_producer',
  'media_data_consumer',
  'media_peer_consumer',
  'media_peer_data_consumer',
];
const peers = 100;
const atOnce = 10;

/** The same sequence in every run: a failure can be seen again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

describe('joins and leaves in a random order at once', () => {
  let platform: Platform;
  let nodes: { source: TestNode; sinks: TestNode[] };

  beforeAll(async () => {
    platform = await Platform.create();
    nodes = {
      source: await platform.node('source', 'Producer'),
      sinks: [await platform.node('sink-0', 'Consumer'), await platform.node('sink-1', 'Consumer')],
    };
  });
  afterAll(() => platform.close());

  const live = () => {
    const total = { transports: 0, producers: 0, consumers: 0, dataConsumers: 0, pipes: 0 };
    for (const { ctx } of platform.nodes) {
      total.transports += ctx.registry.transports.size;
      total.producers += ctx.registry.producers.size;
      total.consumers += ctx.registry.consumers.size;
      total.dataConsumers += ctx.registry.dataConsumers.size;
      total.pipes += ctx.sourcePipes.all.length;
    }
    return total;
  };

  async function session(room: Room, chance: () => number): Promise<void> {
    const peer = await room.connect();
    // Some are cut off half-way: the calls that come too late are refused, and nothing may stay of them.
    const cutOff = chance() < 0.3;
    const work = (async () => {
      await peer.createTransports();
      await peer.join();
      await peer.publish('audio');
      if (chance() < 0.5) await peer.publishData();
    })();
    if (cutOff)
      await Promise.race([work, new Promise((resolve) => setTimeout(resolve, chance() * 150))]);
    else await work;
    const ended = work.catch(() => undefined);
    await peer.leave();
    await ended;
  }

  it('end with nothing on the nodes and nothing in the tables', async () => {
    const chance = random(7);
    const room = await platform.room(nodes.source, nodes.sinks[0]!);
    const second = await platform.router(nodes.sinks[1]!, room.id, 'Consumer');
    const places = [room.consumer, second];
    const staying = [];
    for (const place of places) {
      room.consumer = place;
      staying.push(await room.join());
    }
    for (const peer of staying) await peer.publish('video');

    let started = 0;
    const run = async (): Promise<void> => {
      while (started < peers) {
        room.consumer = places[started++ % places.length]!;
        await session(room, chance);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, run));

    await until('the tables to be what the nodes have', async () => {
      const { consumers, transports, pipes } = live();
      return (
        transports === 4 &&
        consumers === 2 &&
        pipes <= 2 &&
        (await platform.count('media_consumer')) === 2 &&
        (await platform.count('media_peer_consumer')) === 2 &&
        (await platform.count('media_transport')) === 4
      );
    });
    for (const peer of staying) await peer.leave();
    await until('nothing', async () => {
      const counts = await Promise.all(rows.map((table) => platform.count(table)));
      return [...counts, ...Object.values(live())].every((count) => count === 0);
    });
    expect(live()).toEqual({
      transports: 0,
      producers: 0,
      consumers: 0,
      dataConsumers: 0,
      pipes: 0,
    });
  });
});

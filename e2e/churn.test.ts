import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { LoadPeer } from '../testing/load-peer/load-peer.ts';
import { Cleanup } from '../testing/cleanup.ts';
import { until } from '../testing/until.ts';
import { censusOfNodes, censusOfTables, emptyCensus, everyPair, relations } from './census.ts';
import { startTestPlatform, type TestPlatform } from './platform.ts';

/** A small seeded generator (mulberry32), so that a failing order can be repeated. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** How far a peer gets before it goes. */
const endings = ['connected', 'joined', 'joining', 'publishing', 'published', 'stays'] as const;

describe('a hundred joins and leaves in a random order at once', () => {
  const cleanup = new Cleanup();
  let test: TestPlatform;
  const staying: LoadPeer[] = [];

  beforeAll(async () => {
    test = await startTestPlatform({ name: 'churn' });
    cleanup.add(() => test.stop());
  }, 180_000);

  afterAll(async () => {
    await Promise.all(staying.map((peer) => peer.close()));
    await cleanup.run();
  }, 60_000);

  const connect = (i: number): Promise<LoadPeer> =>
    LoadPeer.connect({
      url: test.signalingUrls[i % test.signalingUrls.length]!,
      roomId: 'churn',
      peerId: `peer-${i}`,
    });

  /** Runs one peer up to its ending. What it does not wait for may fail, since it cuts itself off. */
  async function live(i: number, ending: (typeof endings)[number]): Promise<void> {
    const cutOff = (work: Promise<unknown>): void => void work.catch(() => undefined);
    const peer = await connect(i);
    // Half of them say goodbye, the others' connections just end.
    const leave = async (): Promise<void> => (i % 2 === 0 ? peer.close() : peer.cut());
    if (ending === 'stays') staying.push(peer);
    if (ending === 'connected') return leave();
    if (ending === 'joining') {
      cutOff(peer.join());
      return leave();
    }
    await peer.join();
    if (ending === 'joined') return leave();
    const publishing = peer.publish({ audio: true, video: i % 3 === 0, data: i % 4 < 2 });
    if (ending === 'publishing') {
      cutOff(publishing);
      return leave();
    }
    await publishing;
    if (ending === 'published') await leave();
  }

  it('ends with tables and nodes holding the same', async () => {
    const random = seeded(20_260_101);
    const plan = Array.from({ length: 100 }, (_, i) => ({
      i,
      ending: i < 6 ? ('stays' as const) : endings[Math.floor(random() * (endings.length - 1))]!,
      order: random(),
    })).sort((a, b) => a.order - b.order);
    await Promise.all(plan.map(({ i, ending }) => live(i, ending)));

    const names = staying.map(({ peerId }) => peerId);
    await until(
      'nodes and tables to agree on those who stayed',
      async () => {
        const nodes = censusOfNodes(await test.statuses());
        expect(await censusOfTables(test.knex)).toEqual(nodes);
        expect(nodes.transports).toBe(2 * staying.length);
        expect(await relations(test.knex, 'media_peer_consumer')).toEqual(everyPair(names));
        return true;
      },
      { timeoutMs: 90_000, intervalMs: 500 },
    );
    for (const peer of staying) {
      const heard = new Set([...peer.consumers.values()].map(({ peerId }) => peerId));
      expect([...heard].sort()).toEqual(names.filter((name) => name !== peer.peerId).sort());
    }
  }, 240_000);

  it('ends with nothing when the rest have left', async () => {
    await Promise.all(staying.map((peer) => peer.close()));
    await until(
      'everything to be gone',
      async () => {
        expect(censusOfNodes(await test.statuses())).toEqual(emptyCensus);
        expect(await censusOfTables(test.knex)).toEqual(emptyCensus);
        expect(await test.knex('media_peer')).toEqual([]);
        return true;
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
  }, 90_000);
});

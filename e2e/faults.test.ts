import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';

import { LoadPeer } from '../testing/load-peer/load-peer.ts';
import { Cleanup } from '../testing/cleanup.ts';
import { until } from '../testing/until.ts';
import { censusOfNodes, censusOfTables, emptyCensus } from './census.ts';
import { startTestPlatform, type TestPlatform } from './platform.ts';

/**
 * Parts of the running platform are killed under a room. Load peers don't reconnect: a socket closed by the platform is
 * what a client would reconnect after.
 */
describe('when a part of the platform dies under a room', () => {
  const cleanup = new Cleanup();
  let test: TestPlatform;
  const peers: LoadPeer[] = [];

  beforeAll(async () => {
    test = await startTestPlatform({ name: 'faults' });
    cleanup.add(() => test.stop());
  }, 180_000);

  afterAll(async () => {
    await Promise.all(peers.map((peer) => peer.close()));
    await cleanup.run();
  }, 60_000);

  const enter = async (roomId: string, peerId: string, replica = 0): Promise<LoadPeer> => {
    const peer = await LoadPeer.connect({ url: test.signalingUrls[replica]!, roomId, peerId });
    peers.push(peer);
    await peer.join();
    await peer.publish({ audio: true });
    return peer;
  };

  /** Two peers that hear each other, across the nodes. */
  async function meet(roomId: string): Promise<[LoadPeer, LoadPeer]> {
    const a = await enter(roomId, 'a', 0);
    const b = await enter(roomId, 'b', 1);
    for (const peer of [a, b])
      await peer.waitFor('packets of the other', () => peer.stats().packetsReceived > 0);
    return [a, b];
  }

  const retried = (roomId: string): Promise<[LoadPeer, LoadPeer]> =>
    until(
      'the room to work again',
      async () => {
        const pair = await meet(roomId).catch(async (error: unknown) => {
          await Promise.all(peers.splice(0).map((peer) => peer.close()));
          throw error;
        });
        return pair;
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );

  const nothingLeft = async (): Promise<void> => {
    await Promise.all(peers.splice(0).map((peer) => peer.close()));
    await until(
      'everything to be gone',
      async () => {
        expect(censusOfNodes(await test.statuses())).toEqual(emptyCensus);
        expect(await censusOfTables(test.knex)).toEqual(emptyCensus);
        expect(await test.knex('media_peer')).toEqual([]);
        return true;
      },
      { timeoutMs: 90_000, intervalMs: 500 },
    );
  };

  it('replaces a worker that died, and its room works again after its peers reconnect', async () => {
    const [a, b] = await meet('worker-dies');
    const before = (await test.statuses()).find(({ load }) => load.producers > 0)!;
    process.kill(before.workers[0]!.pid, 'SIGKILL');
    await until('both sockets to be closed', () => a.closed && b.closed);
    await retried('worker-dies');
    const after = (await test.statuses()).find(({ load }) => load.producers > 0)!;
    expect(after.instanceId).toBe(before.instanceId);
    expect(after.workers[0]!.pid).not.toBe(before.workers[0]!.pid);
    await nothingLeft();
  }, 180_000);

  it('starts a consumer node that died again, and places its rooms anew', async () => {
    const [a, b] = await meet('node-dies');
    const victim = (await test.statuses()).find(({ load }) => load.consumers > 0)!;
    process.kill(victim.pid, 'SIGKILL');
    await until('a socket to be closed', () => a.closed || b.closed);
    await retried('node-dies');
    const after = await until('the node to be back', async () => {
      const found = await test.statuses();
      return found.length === 3 ? found : undefined;
    });
    expect(after.map(({ instanceId }) => instanceId)).not.toContain(victim.instanceId);
    expect(await test.knex('media_worker').where({ instance_id: victim.instanceId })).toEqual([]);
    await nothingLeft();
  }, 180_000);

  /** Edits the pool's file as its user would. */
  async function setConsumerPool(fields: Record<string, unknown>): Promise<void> {
    const file = path.join(test.platform.resourcesDir, 'pools.yaml');
    const documents = parseAllDocuments(await readFile(file, 'utf8'));
    const pool = documents.find(
      (document) => document.getIn(['metadata', 'name']) === 'consumers',
    )!;
    for (const [key, value] of Object.entries(fields))
      pool.setIn(['spec', ...key.split('.')], value);
    await writeFile(file, documents.map(String).join(''));
  }

  const consumerNodes = async (): Promise<number> =>
    (await test.statuses()).filter(({ pool }) => pool === 'consumers').length;

  it('empties a node that an edited pool has no place for, and its room goes on elsewhere', async () => {
    const [a, b] = await meet('pool-shrinks');
    const busy = (await test.statuses()).filter(({ load }) => load.consumers > 0);
    expect(busy.map(({ pool }) => pool)).toEqual(['consumers', 'consumers']);
    await setConsumerPool({ replicas: 1, 'drain.timeoutSeconds': 1 });
    await until('one of the sockets to be closed', () => a.closed || b.closed);
    await until('one consumer node to be left', async () => (await consumerNodes()) === 1);
    await retried('pool-shrinks');
    await nothingLeft();
    await setConsumerPool({ replicas: 2 });
    await until('both consumer nodes', async () => (await consumerNodes()) === 2);
  }, 180_000);

  it('lets media flow on while a signaling replica is gone, and ends its sessions', async () => {
    const [a, b] = await meet('replica-dies');
    const replica = test.platform.children.find(({ name }) => name === 'signaling-0')!;
    process.kill(replica.pid()!, 'SIGKILL');
    await until('its socket to be closed', () => a.closed);
    expect(b.closed).toBe(false);
    await until(
      'the other replica to tell that the peer is gone',
      () => [...b.consumers.values()].every(({ peerId }) => peerId !== 'a'),
      { timeoutMs: 60_000 },
    );
    await nothingLeft();
  }, 180_000);
});

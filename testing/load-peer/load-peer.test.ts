import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { startBareRoom, type BareRoom } from './bare-room.ts';
import { LoadPeer } from './load-peer.ts';
import { flightTimerMs } from './secure-transport.ts';

let room: BareRoom;
const peers: LoadPeer[] = [];

async function enter(peerId: string): Promise<LoadPeer> {
  const peer = await LoadPeer.connect({ url: room.url, roomId: 'r', peerId, packetsPerSecond: 50 });
  peers.push(peer);
  return peer;
}

beforeAll(async () => {
  room = await startBareRoom();
});

afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.close()));
});

afterAll(() => Promise.all([room.close(), sleep(flightTimerMs)]));

describe('a load peer', () => {
  it('sends to the others and receives from them, those before and those after it', async () => {
    const ana = await enter('ana');
    expect(await ana.join()).toEqual([]);
    const producerIds = await ana.publish({ audio: true, video: true, data: true });
    const bo = await enter('bo');
    expect(await bo.join()).toEqual(['ana']);
    await bo.publish({ audio: true, video: true });
    for (const peer of [ana, bo]) {
      const received = (): boolean =>
        peer.consumers.size === 2 &&
        [...peer.consumers.values()].every(({ packets }) => packets > 5);
      await peer.waitFor('packets of both producers', received);
      expect(peer.stats()).toMatchObject({ packetsFailed: 0, consumers: 2, errors: [] });
    }
    const watched = [...bo.consumers.values()].map(({ producerId }) => producerId);
    expect(watched.toSorted()).toEqual(producerIds.toSorted());
    expect(bo.stats().dataConsumers).toBe(1);
  });

  it('hears that another has left', async () => {
    const ana = await enter('ana');
    await ana.join();
    const bo = await enter('bo');
    await bo.join();
    expect(ana.hasLeft('bo')).toBe(false);
    await bo.close();
    await ana.waitFor('peerClosed of bo', () => ana.hasLeft('bo'));
    expect(bo.closed).toBe(true);
  });

  it('can go away without a word', async () => {
    const ana = await enter('ana');
    await ana.join();
    const bo = await enter('bo');
    await bo.join();
    bo.cut();
    await ana.waitFor('peerClosed of bo', () => ana.hasLeft('bo'));
    await expect(bo.request('join')).rejects.toThrow('join: the socket is closed');
  });

  it('names what it waited for in vain', async () => {
    const ana = await enter('ana');
    await expect(ana.waitFor('miracle', () => false, 10)).rejects.toThrow(
      'ana: no miracle in 10 ms',
    );
  });

  it('fails a request that the server refuses with its reason', async () => {
    const ana = await enter('ana');
    await ana.join();
    await expect(ana.request('dance')).rejects.toThrow('dance: 500 Error: unknown method dance');
  });

  it('may be closed twice', async () => {
    const ana = await enter('ana');
    await ana.close();
    await expect(ana.close()).resolves.toBeUndefined();
  });
});

import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { until } from '../../testing/until.ts';
import { Platform, type TestNode, type TestPeer } from '../fixtures/platform.ts';

jest.setTimeout(120_000);

describe('the announced address', () => {
  let platform: Platform;
  let node: TestNode;

  beforeAll(async () => {
    platform = await Platform.create();
    node = await platform.node('node-0', 'Both');
  });
  afterAll(() => platform.close());

  const transportOf = (peer: TestPeer, direction: 'producer' | 'consumer' = 'producer') =>
    peer.call('createWebRtcTransport', { direction });
  const addressesOf = async (answer: ReturnType<typeof transportOf>): Promise<unknown[]> => {
    const { iceCandidates } = await answer;
    expect(iceCandidates.length).toBeGreaterThan(0);
    for (const candidate of iceCandidates) expect(candidate['ip']).toBe(candidate['address']);
    return [...new Set(iceCandidates.map((candidate) => candidate['address']))];
  };
  const connect = async (): Promise<TestPeer> => (await platform.room(node, node)).connect();
  const announced = async () => (await platform.client.status(node.url)).announcedAddress;

  it('is the listening one until another is told', async () => {
    expect(await announced()).toBeUndefined();
    expect(await addressesOf(transportOf(await connect()))).toEqual(['127.0.0.1']);
  });

  it.each(['203.0.113.7', '2001:db8::7', 'media-7.example.com'])(
    'is %s in candidates that are asked for after that was told, however often',
    async (address) => {
      const peer = await connect();
      const before = await transportOf(peer);
      for (let time = 0; time < 2; time++)
        expect(await platform.client.announceAddress(node.url, address)).toEqual({ address });
      expect(await announced()).toBe(address);
      expect(await addressesOf(transportOf(peer, 'consumer'))).toEqual([address]);

      const again = transportOf(peer);
      expect(await addressesOf(again)).toEqual([address]);
      expect((await again).transportId).toBe(before.transportId);
      expect((await again).iceCandidates.map((candidate) => candidate['port'])).toEqual(
        before.iceCandidates.map((candidate) => candidate['port']),
      );
    },
  );

  it('stays what it is when the worker is another one', async () => {
    await platform.client.announceAddress(node.url, '203.0.113.8');
    const [slot] = node.ctx.workers.slots;
    const { worker } = slot!;
    process.kill(worker!.pid, 'SIGKILL');
    await until('another worker', () => slot!.worker !== undefined && slot!.worker !== worker);
    expect(await addressesOf(transportOf(await connect()))).toEqual(['203.0.113.8']);
  });

  it('is neither that of plain transports nor that of pipes', async () => {
    await platform.client.announceAddress(node.url, '203.0.113.9');
    const watching = await platform.node('node-1', 'Both');
    const room = await platform.room(node, watching);
    const [speaker, watcher] = [await room.join(), await room.join()];
    const plain = await speaker.call('createPlainTransport', { direction: 'producer' });
    expect(plain.ip).toBe('127.0.0.1');
    await speaker.publish('audio');
    await until('newConsumer', () => watcher.told('newConsumer').length === 1);
    await platform.stop(watching);
  });

  it('is first the configured one', async () => {
    const other = await platform.node('node-2', 'Both', {
      announcedAddress: '203.0.113.10',
    });
    expect((await platform.client.status(other.url)).announcedAddress).toBe('203.0.113.10');
    const peer = await (await platform.room(other, other)).connect();
    expect(await addressesOf(transportOf(peer))).toEqual(['203.0.113.10']);
    await platform.stop(other);
  });

  it.each(['', 'a b', '203.0.113.7:40000/udp', '-a', 'a'.repeat(254)])(
    'is not %j: the field is named',
    async (address) => {
      const before = await announced();
      await expect(platform.client.announceAddress(node.url, address)).rejects.toMatchObject({
        code: 'invalid_request',
        fields: [{ field: 'address' }],
      });
      expect(await announced()).toBe(before);
    },
  );
});

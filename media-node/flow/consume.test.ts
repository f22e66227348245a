import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { currentRequestId, withRequestId } from '../../common/service/logger.ts';
import { until } from '../../testing/until.ts';
import { Platform, type TestNode } from '../fixtures/platform.ts';

jest.setTimeout(60_000);

describe('the consume flow of a room with many watchers', () => {
  let platform: Platform;
  let producer: TestNode;
  let consumer: TestNode;

  beforeAll(async () => {
    platform = await Platform.create();
    const part = { consume: { maxReceivers: 2 } };
    producer = await platform.node('producer-0', 'Producer', { part });
    consumer = await platform.node('consumer-0', 'Consumer');
  });
  afterAll(() => platform.close());
  afterEach(() => {
    jest.restoreAllMocks();
  });

  /** The producer node's view of the consumer node. */
  const farNode = () => producer.ctx.nodes.at(consumer.ctx.self);

  it('asks for few receivers at once, and sends what they have in common once', async () => {
    const asked = jest.spyOn(farNode(), 'createRouterConsumers');
    const room = await platform.room(producer, consumer);
    const watchers = [];
    for (let n = 0; n < 4; n++) watchers.push(await room.join());
    const publisher = await room.join();
    await publisher.publish('video');
    await publisher.publishData();
    for (const watcher of watchers) {
      await until('its consumer', () => watcher.told('newConsumer').length === 1);
      await until('its data consumer', () => watcher.told('newDataConsumer').length === 1);
    }
    const media = asked.mock.calls
      .map(([, body]) => body)
      .filter(({ producerIds }) => producerIds.length > 0);
    expect(media.map(({ receivers }) => receivers.length)).toEqual([2, 2]);
    for (const { capabilities } of media) expect(capabilities).toHaveLength(1);
  });

  it('undoes what failed half-way with one call', async () => {
    const room = await platform.room(producer, consumer);
    const watchers = [await room.join(), await room.join()];
    const publisher = await room.join();
    const undone = jest.spyOn(farNode(), 'closeConsumers');
    consumer.proxy.inject('drop', /\/router\/.*\/consumers$/);
    await publisher.publish('video');
    await until('the undoing', () => undone.mock.calls.length > 0);
    expect(
      undone.mock.calls[0]?.[1].receivers.map(({ transportId }) => transportId).sort(),
    ).toEqual(watchers.map(({ receivingId }) => receivingId).sort());
    const consumers = () =>
      [...consumer.ctx.registry.consumers.values()].filter(
        ({ transport }) => transport.router.roomId === room.id,
      );
    await until('no consumer', () => consumers().length === 0);
    consumer.proxy.heal();
    for (const watcher of watchers)
      await until('its consumer', () => watcher.told('newConsumer').length === 1);
  });

  it('logs a join on both nodes under the id of its request', async () => {
    const room = await platform.room(producer, consumer);
    await (await room.join()).publish('audio');
    const lines: Record<string, unknown>[] = [];
    for (const { ctx, name } of [producer, consumer])
      jest.spyOn(ctx.logger, 'info').mockImplementation((fields: unknown, text?: string) => {
        lines.push({ ...(fields as object), text, node: name, requestId: currentRequestId() });
      });
    const peer = await room.connect();
    await peer.createTransports();
    await withRequestId('join-1', () => peer.join());
    await until('both lines', () => lines.length >= 2);
    expect(lines).toMatchObject([
      { node: 'consumer-0', text: 'consumers created', consumers: 1, requestId: 'join-1' },
      { node: 'producer-0', text: 'peer joined', consumers: 1, requestId: 'join-1' },
    ]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { until } from '../fixtures/client.ts';
import { Platform, type Replica } from '../fixtures/platform.ts';

describe('a replica', () => {
  let platform: Platform;
  let replica: Replica;
  beforeAll(async () => {
    platform = await Platform.create();
    replica = await platform.replica();
  });
  afterAll(() => platform.close());

  it('binds a peer, forwards its requests, and takes leave of it', async () => {
    const producer = await platform.node('Producer');
    const consumer = await platform.node('Consumer');
    await platform.room('first', [producer, consumer]);
    const ann = await platform.joined(replica, 'first', 'ann');
    const bob = await platform.connect(replica, { roomId: 'first', peerId: 'bob' });
    expect(await bob.join('Bob')).toEqual({
      peers: [
        { peerId: 'ann', displayName: 'ann', device: { name: 'test' }, remoteAddress: '127.0.0.1' },
      ],
    });
    const rows = await platform.peerRows();
    expect(rows.map(({ peer_id }) => peer_id)).toEqual(['ann', 'bob']);
    await bob.close();
    await until(() => ann.notificationsOf('peerClosed').length > 0);
    expect(ann.notificationsOf('peerClosed')).toEqual([{ peerId: 'bob' }]);
    await until(() => producer.deleted.length > 0 && consumer.deleted.length > 0);
    expect(producer.deleted).toEqual([rows[1]!.id]);
    expect((await platform.peerRows()).map(({ peer_id }) => peer_id)).toEqual(['ann']);
  });
});

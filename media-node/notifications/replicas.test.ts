import { describe, expect, it } from '@jest/globals';

import { ApiError } from '../../common/errors.ts';
import { RoomReplicas } from './replicas.ts';

describe('RoomReplicas', () => {
  it('reads anew for what must miss nobody, and answers from its cache otherwise', async () => {
    let urls = ['http://a'];
    const replicas = new RoomReplicas({ replicasOfRoom: () => Promise.resolve(urls) }, 60_000);
    expect(await replicas.of('room')).toEqual(['http://a']);
    urls = ['http://a', 'http://b'];
    expect(await replicas.of('room')).toEqual(['http://a']);
    expect(await replicas.now('room')).toEqual(urls);
    expect(await replicas.of('room')).toEqual(urls);
  });

  it('uses the last answer while the store is away', async () => {
    let away = false;
    const replicasOfRoom = () =>
      away
        ? Promise.reject(new ApiError('store_unavailable', 'away'))
        : Promise.resolve(['http://a']);
    const replicas = new RoomReplicas({ replicasOfRoom }, 60_000);
    await replicas.of('room');
    away = true;
    expect(await replicas.now('room')).toEqual(['http://a']);
  });
});

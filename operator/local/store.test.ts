import { describe, expect, it } from '@jest/globals';

import type { MediaRoom } from '../../common/resources/types.ts';
import { createLocalObjects } from './cluster.ts';
import type { Change, NewObject } from './store.ts';

const makeRoom = (name: string, spec: object = {}, metadata: object = {}): NewObject<MediaRoom> =>
  ({
    apiVersion: 'kube-sfu.dev/v1alpha1',
    kind: 'MediaRoom',
    metadata: { name, namespace: 'default', ...metadata },
    spec,
  }) as unknown as NewObject<MediaRoom>;
const makeRooms = (historySize = 100) => createLocalObjects(historySize).mediarooms;
const key = { namespace: 'default', name: 'room' };
const status = { peers: 3 };

describe('a collection', () => {
  it('gives a new object uid, version, generation, time and defaults', () => {
    const room = makeRooms().create(makeRoom('room'));
    expect(room.metadata).toMatchObject({ name: 'room', namespace: 'default', generation: 1 });
    expect(room.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(room.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(room.spec.maxPeers).toBe(200);
  });

  it('refuses a second object of one name', () => {
    const rooms = makeRooms();
    rooms.create(makeRoom('room'));
    expect(() => rooms.create(makeRoom('room'))).toThrow('already exists');
  });

  it('refuses an object that the API server would refuse', () => {
    expect(() => makeRooms().create(makeRoom('room', { maxPeers: 0 }))).toThrow('spec.maxPeers');
  });

  it('raises the generation with the spec, and not with labels or status', () => {
    const rooms = makeRooms();
    const first = rooms.create(makeRoom('room'));
    const labelled = rooms.update(makeRoom('room', {}, { labels: { a: 'b' } }));
    expect(labelled.metadata).toMatchObject({ generation: 1, labels: { a: 'b' } });
    expect(rooms.update({ ...labelled, status }, 'status').metadata.generation).toBe(1);
    const changed = rooms.update(makeRoom('room', { maxPeers: 5 }));
    expect(changed.metadata.generation).toBe(2);
    expect(Number(changed.metadata.resourceVersion)).toBeGreaterThan(
      Number(first.metadata.resourceVersion),
    );
    expect(changed.metadata.uid).toBe(first.metadata.uid);
  });

  it('keeps spec and status apart', () => {
    const rooms = makeRooms();
    const room = rooms.create(makeRoom('room'));
    const withStatus = rooms.update(
      { ...room, spec: { ...room.spec, maxPeers: 9 }, status },
      'status',
    );
    expect(withStatus).toMatchObject({ spec: { maxPeers: 200 }, status: { peers: 3 } });
    const withSpec = rooms.update({ ...makeRoom('room', { maxPeers: 9 }), status: { peers: 7 } });
    expect(withSpec).toMatchObject({ spec: { maxPeers: 9 }, status: { peers: 3 } });
  });

  it('refuses a write that names an old version or another uid', () => {
    const rooms = makeRooms();
    const old = rooms.create(makeRoom('room'));
    rooms.update({ ...old, status }, 'status');
    expect(() => rooms.update({ ...old, status: { peers: 4 } }, 'status')).toThrow('modified');
    expect(() => rooms.delete(key, { uid: 'other' })).toThrow('another object');
    expect(rooms.update({ ...makeRoom('room'), status: { peers: 5 } }, 'status').status).toEqual({
      peers: 5,
    });
  });

  it('publishes nothing when nothing changes', () => {
    const rooms = makeRooms();
    const room = rooms.create(makeRoom('room'));
    const changes: Change<MediaRoom>[] = [];
    rooms.subscribe((change) => changes.push(change));
    expect(rooms.update(room)).toBe(room);
    expect(rooms.update(makeRoom('room'))).toBe(room);
    expect(changes).toEqual([]);
  });

  it('keeps a deleted object until its finalizers are gone, then reports its end once', () => {
    const rooms = makeRooms();
    const types: string[] = [];
    const room = rooms.create(makeRoom('room', {}, { finalizers: ['a.b/c'] }));
    rooms.subscribe(({ type }) => types.push(type));
    const deleting = rooms.delete(key);
    expect(deleting.metadata.deletionTimestamp).toBeDefined();
    expect(deleting.metadata.generation).toBe(room.metadata.generation + 1);
    expect(rooms.delete(key)).toBe(deleting);
    rooms.update({ ...deleting, status }, 'status');
    expect(rooms.get(key)?.status).toEqual(status);
    rooms.update({
      ...rooms.require(key),
      metadata: { ...rooms.require(key).metadata, finalizers: [] },
    });
    expect(rooms.get(key)).toBeUndefined();
    expect(types).toEqual(['MODIFIED', 'MODIFIED', 'DELETED']);
    expect(() => rooms.delete(key)).toThrow('not found');
  });

  it('can not be brought back from deletion by an update', () => {
    const rooms = makeRooms();
    rooms.create(makeRoom('room', {}, { finalizers: ['a.b/c'] }));
    rooms.delete(key);
    const updated = rooms.update(makeRoom('room', { maxPeers: 2 }, { finalizers: ['a.b/c'] }));
    expect(updated.metadata.deletionTimestamp).toBeDefined();
  });

  it('remembers the latest changes, and knows when they no longer reach back far enough', () => {
    const rooms = makeRooms(10);
    const start = rooms.resourceVersion;
    for (let i = 0; i < 15; i++) rooms.create(makeRoom(`room-${i}`));
    expect(rooms.since(start)).toHaveLength(15);
    const middle = rooms.resourceVersion;
    for (let i = 15; i < 25; i++) rooms.create(makeRoom(`room-${i}`));
    expect(rooms.since(start)).toBeUndefined();
    expect(rooms.since(middle)).toHaveLength(10);
    expect(rooms.since(rooms.resourceVersion)).toEqual([]);
    expect(rooms.since(rooms.resourceVersion + 1)).toBeUndefined();
    expect(rooms.since(start - 1000)).toBeUndefined();
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import { createLogger } from '../../common/service/logger.ts';
import { until } from '../fixtures/client.ts';
import { KubeApi } from '../fixtures/kube-api.ts';
import { createKube } from './kube.ts';
import { createPlacements, roomIdOf, type Placements } from './placements.ts';

const logger = createLogger('test', 'silent');
const timing = {
  namespace: 'default',
  requestTimeoutMs: 2000,
  watchTimeoutMs: 25_000,
  watchStallMs: 5_000,
  listPageSize: 500,
  relistMs: 600_000,
  backoffMinMs: 5,
  backoffMaxMs: 40,
};

const placement = (routerId: string, role: Placement['role']): Placement => ({
  routerId,
  role,
  pool: 'pool',
  podName: 'pool-0',
  instanceId: '5c1f7d4e-90a2-4d8e-9f2d-0c9b4f1f7a11',
  url: 'http://127.0.0.1:1',
  generation: 1,
  state: 'Ready',
});
const both = [placement('r-0', 'Both')];

describe('placements', () => {
  let api: KubeApi;
  let placements: Placements;
  let folder: string;

  const put = (name: string, items: Placement[], ready = true): void =>
    api.put('mediarooms', {
      apiVersion: 'kube-sfu.dev/v1alpha1',
      kind: 'MediaRoom',
      metadata: { name },
      spec: { maxPeers: 10 },
      status: {
        placements: items,
        conditions: [
          {
            type: 'Ready',
            status: ready ? 'True' : 'False',
            lastTransitionTime: '2026-01-01T00:00:00Z',
            reason: 'Test',
            message: 'no node has room for it',
          },
        ],
      },
    });
  const pool = (createOnJoin: boolean): void =>
    api.put('mediaworkers', {
      apiVersion: 'kube-sfu.dev/v1alpha1',
      kind: 'MediaWorker',
      metadata: { name: 'pool' },
      spec: { rooms: { createOnJoin } },
    });
  const start = (change: Partial<typeof timing> = {}, rooms = {}): void => {
    const config = {
      kubernetes: { ...timing, ...change, kubeconfig: path.join(folder, 'kubeconfig') },
      rooms: {
        readyTimeoutMs: 400,
        partialAfterMs: 100,
        onJoin: { producerRouters: 1, consumerRouters: 2 },
        ...rooms,
      },
    };
    const kube = createKube(config.kubernetes);
    placements = createPlacements({ config, kube, logger });
    placements.start();
  };

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'kube-sfu-placement-'));
    api = new KubeApi();
    await api.start();
    await writeFile(path.join(folder, 'kubeconfig'), api.kubeconfig);
    pool(false);
  });
  afterEach(async () => {
    await placements.stop();
    await api.close();
    await rm(folder, { recursive: true });
  });

  const synced = (): Promise<void> => until(() => placements.synced && api.openWatches === 2);

  it('lists what is there and follows what changes', async () => {
    put('one', both);
    start();
    await synced();
    expect(placements.room('one')?.spec.maxPeers).toBe(10);
    put('two', both);
    await until(() => placements.room('two'));
    api.delete('mediarooms', 'one');
    await until(() => !placements.room('one'));
  });

  it('goes on after a watch that was cut in mid-stream, without missing anything', async () => {
    start();
    await synced();
    for (const name of ['a', 'b', 'c']) {
      api.resetWatches();
      put(name, both);
      await until(() => placements.room(name));
    }
    expect(api.lists).toBe(2);
  });

  it('lists anew when the history has expired', async () => {
    start();
    await synced();
    api.forget('mediarooms', 'ghost');
    put('late', both);
    api.expireWatches();
    await until(() => api.lists >= 4);
    await until(() => placements.room('late'));
  });

  it('finds by listing anew from time to time what no event told', async () => {
    put('lost', both);
    start({ relistMs: 100 });
    await synced();
    api.forget('mediarooms', 'lost');
    await until(() => !placements.room('lost'));
  });

  it('serves what it knows while the API is away, and catches up after', async () => {
    put('one', both);
    start();
    await synced();
    api.failWith = 503;
    api.resetWatches();
    await until(() => api.openWatches === 0);
    expect((await placements.prepare('one')).metadata.name).toBe('one');
    put('two', both);
    api.failWith = undefined;
    await until(() => placements.room('two'));
  });

  it('starts while the API is away', async () => {
    api.failWith = 500;
    start();
    await expect(placements.prepare('one')).rejects.toMatchObject({ code: 'room_not_ready' });
    api.failWith = undefined;
    put('one', both);
    await until(() => placements.synced);
    await placements.prepare('one');
  });

  describe('when the API server comes back somewhere else', () => {
    const moveTo = async (next: KubeApi): Promise<void> => {
      await next.start();
      await writeFile(path.join(folder, 'kubeconfig'), next.kubeconfig);
    };

    it('finds it by its new kubeconfig, and lists anew', async () => {
      for (const name of ['gone', 'filler', 'filler']) put(name, both);
      start();
      await synced();
      await api.close();
      api = new KubeApi();
      await moveTo(api);
      put('new', both);
      await until(() => placements.room('new'));
      expect(placements.room('gone')).toBeUndefined();
      await until(() => api.openWatches === 2);
      put('later', both);
      await until(() => placements.room('later'));
    });

    it('goes over to it when the old one refuses the token', async () => {
      start();
      await synced();
      const old = api;
      old.failWith = 401;
      old.resetWatches();
      await until(() => old.openWatches === 0);
      api = new KubeApi();
      await moveTo(api);
      put('new', both);
      await until(() => placements.room('new'));
      await old.close();
    });

    it('starts with the kubeconfig of one that is no more, and makes rooms at the next', async () => {
      await api.close();
      start();
      await expect(placements.prepare('one')).rejects.toMatchObject({ code: 'room_not_ready' });
      api = new KubeApi();
      await moveTo(api);
      pool(true);
      api.onCreate = ({ metadata: { name } }) => put(name, both);
      await until(() => placements.synced);
      expect((await placements.prepare('made')).metadata.name).toBe('made');
    });
  });

  it('survives a listener that throws', async () => {
    start();
    await synced();
    placements.onRoomChange(() => {
      throw new Error('as the test asked');
    });
    put('one', both);
    put('two', both);
    await until(() => placements.room('two'));
  });

  it('keeps a watch alive that is asked to end again and again', async () => {
    start({ watchTimeoutMs: 1000 });
    await synced();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    put('one', both);
    await until(() => placements.room('one'));
    expect(api.lists).toBe(2);
  });

  describe('prepare', () => {
    it('refuses an unknown room where no pool lets a join make it', async () => {
      start();
      await expect(placements.prepare('none')).rejects.toMatchObject({ code: 'room_not_found' });
    });

    it('makes a room once, however many join it at the same time, and waits until it is ready', async () => {
      pool(true);
      api.onCreate = ({ metadata: { name } }) => setTimeout(() => put(name, both), 30);
      start({}, { readyTimeoutMs: 5000 });
      const rooms = await Promise.all(
        Array.from({ length: 5 }, () => placements.prepare('A Room!')),
      );
      expect(new Set(rooms.map(({ metadata }) => metadata.name)).size).toBe(1);
      expect(rooms[0]!.metadata.name).toMatch(/^r-[0-9a-f]{32}$/);
    });

    it('keeps the id that clients use with the room', async () => {
      pool(true);
      let made: MediaRoom | undefined;
      api.onCreate = (room) => {
        made = room as MediaRoom;
      };
      start();
      await expect(placements.prepare('A Room!')).rejects.toMatchObject({ code: 'room_not_ready' });
      expect(roomIdOf(made!)).toBe('A Room!');
      expect(made!.spec.idlePolicy.action).toBe('Delete');
      expect([made!.spec.producers.routers, made!.spec.consumers.routers]).toEqual([1, 2]);
    });

    it('refuses a room that does not get ready, with the reason', async () => {
      put('one', [], false);
      start();
      await expect(placements.prepare('one')).rejects.toThrow('no node has room for it');
    });

    it('takes a room that is ready in part after a while', async () => {
      put('one', both, false);
      start();
      await placements.prepare('one');
    });

    it('does not take a room that lacks a side', async () => {
      put('one', [placement('r-0', 'Producer')]);
      start();
      await expect(placements.prepare('one')).rejects.toMatchObject({ code: 'room_not_ready' });
    });

    it('does not take a room that is being deleted', async () => {
      put('one', both);
      const room = api.get('mediarooms', 'one')!;
      const metadata = { ...room.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
      api.put('mediarooms', { ...room, metadata });
      start();
      await expect(placements.prepare('one')).rejects.toMatchObject({ code: 'room_not_ready' });
    });

    it('says when the API can not make the room', async () => {
      pool(true);
      start();
      await synced();
      api.failWith = 503;
      await expect(placements.prepare('one')).rejects.toThrow('Kubernetes API is not available');
    });
  });
});

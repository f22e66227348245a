import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import { Cleanup } from '../../testing/cleanup.ts';
import { ApiProxy, refusal } from '../../testing/kubernetes/api-proxy.ts';
import { startControlPlane, type ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { grantRoles, serviceUser } from '../../testing/kubernetes/service-roles.ts';
import { until } from '../../testing/until.ts';
import { RoomsNamespace } from '../fixtures/rooms.ts';
import { createKube, type Kube } from './kube.ts';
import { createPlacements, roomIdOf, type Placements } from './placements.ts';

const user = serviceUser('signaling');
const stranger = 'stranger';

const timing = {
  requestTimeoutMs: 20_000,
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
const soon = { intervalMs: 20 };
const nonEmpty = <T>(items: T[]): T[] | undefined => (items.length > 0 ? items : undefined);
const readText = (file: string): Promise<string> => readFile(file, 'utf8');

interface StartOptions {
  kubeconfig?: string;
  kubernetes?: Partial<typeof timing>;
  rooms?: object;
}

describe('placements', () => {
  let plane: ControlPlane;
  let namespace: RoomsNamespace;
  let namespaces = 0;
  let kube: Kube;
  let placements: Placements;
  let log: { level: number; msg: string; reason?: string }[];
  let cleanup: Cleanup;

  beforeAll(async () => {
    plane = await startControlPlane({ users: { [user]: [], [stranger]: [] } });
  }, 90_000);
  afterAll(() => plane.stop());

  beforeEach(async () => {
    cleanup = new Cleanup();
    log = [];
    namespace = new RoomsNamespace(plane, `rooms-${++namespaces}`);
    await namespace.create();
    await grantRoles(plane, 'signaling', namespace.name);
    await namespace.putPool(false);
  }, 30_000);
  afterEach(() => cleanup.run());

  const logger = pino({ level: 'info' }, { write: (line) => log.push(JSON.parse(line) as never) });

  /** One replica's view; the last started one is `placements`. */
  const start = (options: StartOptions = {}): Placements => {
    const config = {
      kubernetes: {
        ...timing,
        ...options.kubernetes,
        namespace: namespace.name,
        kubeconfig: options.kubeconfig ?? plane.kubeconfig(user),
      },
      rooms: {
        readyTimeoutMs: 20_000,
        partialAfterMs: 100,
        onJoin: { producerRouters: 1, consumerRouters: 2 },
        ...options.rooms,
      },
    };
    kube = createKube({ config: config.kubernetes, logger });
    const started = createPlacements({ config, kube, logger });
    started.start();
    cleanup.add(() => started.stop());
    return (placements = started);
  };
  const synced = () => until('the rooms to be known', () => placements.synced, soon);
  const known = (name: string) => until(`room ${name}`, () => placements.room(name), soon);
  const impatient = { rooms: { readyTimeoutMs: 400 } };

  it('lists what is there and follows what changes', async () => {
    await namespace.putRoom('one', both);
    start();
    await synced();
    expect(placements.room('one')?.spec.maxPeers).toBe(10);
    await namespace.putRoom('two', both);
    await until('its router', () => placements.router('two', 'r-0'), soon);
    await namespace.deleteRoom('one');
    await until('its end', () => !placements.room('one'), soon);
  });

  it('serves what it knows while the API is away, and catches up after', async () => {
    await namespace.putRoom('one', both);
    start();
    await synced();
    await plane.stopServer();
    try {
      expect((await placements.prepare('one')).metadata.name).toBe('one');
    } finally {
      await plane.startServer();
    }
    await namespace.putRoom('two', both);
    await known('two');
  }, 90_000);

  it('says when the API can not make the room, and makes it as soon as it is back', async () => {
    await namespace.putPool(true);
    start();
    await synced();
    await plane.stopServer();
    try {
      await expect(placements.prepare('one')).rejects.toMatchObject({
        code: 'room_not_ready',
        message: 'the Kubernetes API is not available',
      });
      const late = start(impatient);
      await expect(late.prepare('one')).rejects.toMatchObject({ code: 'room_not_ready' });
    } finally {
      await plane.startServer();
    }
    const preparing = placements.prepare('one');
    preparing.catch(() => undefined);
    await known('one');
    await namespace.place('one', both);
    await expect(preparing).resolves.toMatchObject({ metadata: { name: 'one' } });
  }, 90_000);

  it('finds an API server that comes back somewhere else, with another token', async () => {
    await namespace.putRoom('one', both);
    const kubeconfig = path.join(plane.dir, 'moving');
    const gone = await plane.kubeconfigAt('http://127.0.0.1:1', user);
    await writeFile(kubeconfig, await readText(gone));
    start({ kubeconfig, rooms: { readyTimeoutMs: 300 } });
    await expect(placements.prepare('one')).rejects.toMatchObject({ code: 'room_not_ready' });
    const right = await readText(plane.kubeconfig(user));
    await writeFile(kubeconfig, right.replace(plane.token(user), 'of-another-server'));
    await until('the token to be refused', () => /Unauthorized/.test(JSON.stringify(log)), soon);
    await writeFile(kubeconfig, right);
    await known('one');
  });

  describe('when the API server behaves badly', () => {
    let proxy: ApiProxy;
    const startThere = async (options: StartOptions = {}): Promise<void> => {
      start({ ...options, kubeconfig: await proxy.kubeconfig(user) });
      await synced();
      await until('its watches', () => proxy.openWatches === 2, soon);
    };
    const names = ['a', 'b', 'c', 'd', 'e'];
    const followsAll = async (): Promise<void> => {
      for (const name of names) {
        await namespace.putRoom(name, both);
        await until(`the router of ${name}`, () => placements.router(name, 'r-0'), soon);
      }
    };

    beforeEach(async () => {
      proxy = await ApiProxy.start(plane);
      cleanup.add(() => proxy.close());
    });

    it('misses nothing while every watch is cut again and again', async () => {
      await startThere();
      proxy.resetWatches(30);
      await followsAll();
    });

    it('misses nothing while half of all calls fail', async () => {
      await startThere();
      proxy.failShare({ share: 0.5, statuses: [429, 500, 503], seed: 1 });
      proxy.resetWatches(30);
      await followsAll();
    });

    it('lists anew when the history has expired', async () => {
      await startThere();
      proxy.expireVersions();
      await followsAll();
    });

    it('lists anew in the end when watches fall silent', async () => {
      await startThere({ kubernetes: { watchTimeoutMs: 1_000, watchStallMs: 500 } });
      proxy.stallWatches();
      await namespace.putRoom('one', both);
      const before = proxy.calls.length;
      await until('both to be given up', () => proxy.calls.length >= before + 2, soon);
      proxy.heal();
      await known('one');
    });

    it('asks again when API servers fight for the namespace’s quota', async () => {
      await startThere();
      proxy.inject(refusal(409), /^POST/, 2);
      await placements.create({ name: 'one', spec: {} });
      proxy.inject(refusal(409), /^POST/);
      await expect(placements.create({ name: 'two', spec: {} })).rejects.toMatchObject({
        code: 'room_not_ready',
        retryable: true,
      });
    });

    it('lets a join succeed at the next attempt when the answer of its room was lost', async () => {
      await namespace.putPool(true);
      await startThere();
      proxy.inject('drop', /^POST/, 1);
      await expect(placements.prepare('one')).rejects.toMatchObject({
        code: 'room_not_ready',
        retryable: true,
      });
      await known('one');
      await namespace.place('one', both);
      await placements.prepare('one');
      expect(await namespace.rooms()).toHaveLength(1);
    });
  });

  it('survives a listener that throws', async () => {
    start();
    await synced();
    placements.onRoomChange(() => {
      throw new Error('as the test asked');
    });
    await namespace.putRoom('one', both);
    await namespace.putRoom('two', both);
    await known('two');
  });

  describe('prepare', () => {
    it('refuses an unknown room where no pool lets a join make it', async () => {
      start();
      await expect(placements.prepare('none')).rejects.toMatchObject({ code: 'room_not_found' });
    });

    it('makes one room, however many join it at the same time at however many replicas', async () => {
      await namespace.putPool(true);
      const replicas = Array.from({ length: 4 }, () => start());
      await until('all replicas', () => replicas.every((replica) => replica.synced), soon);
      const joins = Promise.all(
        replicas.flatMap((replica) => [1, 2, 3].map(() => replica.prepare('A Room!'))),
      );
      joins.catch(() => undefined);
      const [made] = await until('the room', () => namespace.rooms().then(nonEmpty));
      await namespace.place(made!.metadata.name, both);
      const rooms = await joins;
      expect(new Set(rooms.map(({ metadata }) => metadata.uid))).toEqual(
        new Set([made!.metadata.uid]),
      );
      expect(await namespace.rooms()).toHaveLength(1);
      expect(made!.metadata.name).toMatch(/^r-[0-9a-f]{32}$/);
    });

    it('makes a room that goes when it is empty, as configured, with the API’s own defaults', async () => {
      await namespace.putPool(true);
      start(impatient);
      await synced();
      await expect(placements.prepare('A Room!')).rejects.toMatchObject({ code: 'room_not_ready' });
      const [made] = await namespace.rooms();
      expect(roomIdOf(made!)).toBe('A Room!');
      expect(made!.spec).toEqual({
        idlePolicy: { action: 'Delete', afterSeconds: 300 },
        maxPeers: 200,
        mediaCodecs: [],
        producers: { routers: 1, selector: { matchLabels: {} } },
        consumers: { routers: 2, maxRouters: 32, selector: { matchLabels: {} } },
      });
    });

    it('makes a room anew whose deletion is under way', async () => {
      await namespace.putPool(true);
      await namespace.putRoom('one', both);
      await namespace.setFinalizers('one', ['kube-sfu.dev/test']);
      const [old] = await namespace.rooms();
      start();
      await synced();
      await namespace.deleteRoom('one');
      await until('word of it', () => placements.room('one')?.metadata.deletionTimestamp, soon);
      const preparing = placements.prepare('one');
      preparing.catch(() => undefined);
      await namespace.setFinalizers('one', []);
      const isNew = ({ metadata }: MediaRoom): boolean => metadata.uid !== old!.metadata.uid;
      await until('the new one', async () => nonEmpty((await namespace.rooms()).filter(isNew)));
      await namespace.place('one', both);
      expect(isNew(await preparing)).toBe(true);
    });

    it('refuses a room that does not get ready, with the reason', async () => {
      await namespace.putRoom('one', [], false);
      start(impatient);
      await synced();
      await expect(placements.prepare('one')).rejects.toThrow('no node has room for it');
    });

    it('takes a room that is ready in part after a while', async () => {
      await namespace.putRoom('one', both, false);
      start();
      await placements.prepare('one');
    });

    it('does not take a room that lacks a side', async () => {
      await namespace.putRoom('one', [placement('r-0', 'Producer')]);
      start(impatient);
      await synced();
      await expect(placements.prepare('one')).rejects.toMatchObject({ code: 'room_not_ready' });
    });

    it('does not take a room that is being deleted', async () => {
      await namespace.putRoom('one', both);
      await namespace.setFinalizers('one', ['kube-sfu.dev/test']);
      await namespace.deleteRoom('one');
      start(impatient);
      await synced();
      await expect(placements.prepare('one')).rejects.toMatchObject({ code: 'room_not_ready' });
      await namespace.setFinalizers('one', []);
    });
  });

  describe('where the namespace has a quota of rooms', () => {
    beforeEach(() => namespace.putPool(true));

    it('says that it is used up, to a join and to an administrator', async () => {
      await namespace.putQuota(1);
      start();
      await synced();
      await placements.create({ name: 'one', spec: {} });
      const usedUp = { code: 'quota_exceeded', status: 429, retryable: true };
      await expect(placements.prepare('two')).rejects.toMatchObject(usedUp);
      await expect(placements.create({ name: 'two', spec: {} })).rejects.toMatchObject({
        ...usedUp,
        message: 'room two can not be made: the namespace’s quota of rooms is used up',
      });
    });

    it('lets all replicas join the room that another one made with the last of it', async () => {
      await namespace.putQuota(1);
      const replicas = Array.from({ length: 4 }, () => start());
      await until('all replicas', () => replicas.every((replica) => replica.synced), soon);
      const joins = Promise.all(replicas.map((replica) => replica.prepare('one')));
      joins.catch(() => undefined);
      await until('the room', () => namespace.rooms().then(nonEmpty));
      await namespace.place('one', both);
      expect(await joins).toHaveLength(4);
    });

    it('makes as many as it allows, however many are asked for at once', async () => {
      await namespace.putQuota(5);
      start();
      await synced();
      const asked = Array.from({ length: 12 }, (_, i) =>
        placements.create({ name: `room-${i}`, spec: {} }),
      );
      const refused = (await Promise.allSettled(asked)).filter(
        (result) => result.status === 'rejected',
      );
      expect(new Set(refused.map(({ reason }) => (reason as { code: string }).code))).toEqual(
        new Set(['quota_exceeded']),
      );
      expect(await namespace.rooms()).toHaveLength(5);
    });
  });

  describe('where the service may not do what it needs', () => {
    it('refuses joins, and its log names what it may not do', async () => {
      await namespace.putRoom('one', both);
      start({ kubeconfig: plane.kubeconfig(stranger), ...impatient });
      await expect(placements.prepare('one')).rejects.toMatchObject({
        code: 'room_not_ready',
        message: 'the rooms are not known yet: the Kubernetes API did not list them',
      });
      expect(log.map(({ reason }) => reason)).toContainEqual(
        expect.stringMatching(/"stranger" cannot list resource "mediarooms"/),
      );
    });

    it('makes no room, and its log names what it may not do', async () => {
      await namespace.putPool(true);
      const reader = `reader-of-${namespace.name}`;
      const as = ['--namespace', namespace.name];
      const kinds = '--resource=mediarooms.kube-sfu.dev,mediaworkers.kube-sfu.dev';
      await plane.kubectl([...as, 'create', 'role', reader, '--verb=list,watch', kinds]);
      const who = [`--role=${reader}`, `--user=${stranger}`];
      await plane.kubectl([...as, 'create', 'rolebinding', reader, ...who]);
      start({ kubeconfig: plane.kubeconfig(stranger) });
      await synced();
      const refusal = {
        code: 'room_not_ready',
        message: 'the Kubernetes API refuses this service; its log has the details',
      };
      await expect(placements.prepare('one')).rejects.toMatchObject(refusal);
      expect(log).toContainEqual(
        expect.objectContaining({
          level: 50,
          msg: 'making a room is not allowed',
          reason: expect.stringMatching(/"stranger" cannot create resource "mediarooms"/),
        }),
      );
      await namespace.putRoom('one', both);
      await expect(kube.deleteRoom('one')).rejects.toMatchObject(refusal);
    });
  });

  describe('create', () => {
    it('is seen at once, and refuses a name that is taken', async () => {
      start();
      await synced();
      await placements.create({ name: 'one', spec: { maxPeers: 5 } });
      expect(placements.room('one')?.spec.maxPeers).toBe(5);
      await expect(placements.create({ name: 'one', spec: {} })).rejects.toMatchObject({
        code: 'conflict',
      });
    });

    it.each([
      ['a value out of range', { maxPeers: 0 }, 'spec.maxPeers'],
      ['a value of another type', { consumers: { routers: 'many' } }, 'spec.consumers.routers'],
      [
        'what a rule forbids',
        { consumers: { routers: 3, maxRouters: 2 } },
        'spec.consumers.maxRouters',
      ],
      ['a misspelt field', { maxPeer: 5 }, 'spec.maxPeer'],
      [
        'one of an item',
        { mediaCodecs: [{ kind: 'smell', mimeType: 'audio/opus', clockRate: 1 }] },
        'spec.mediaCodecs[0].kind',
      ],
    ])('names the field of %s', async (_what, spec, field) => {
      start();
      await expect(placements.create({ name: 'one', spec: spec as never })).rejects.toMatchObject({
        code: 'invalid_request',
        fields: [{ field, message: expect.stringMatching(/./) }],
      });
    });
  });

  it('does not delete what is not there', async () => {
    start();
    await expect(kube.deleteRoom('none')).rejects.toMatchObject({
      code: 'room_not_found',
      message: 'there is no room none',
    });
  });
});

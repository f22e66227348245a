import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import { until } from '../../testing/until.ts';
import { systemClock } from '../runtime/clock.ts';
import { createLocalObjects, type LocalObjects } from './cluster.ts';
import { ResourceFolder } from './folder.ts';

let dir: string;
let objects: LocalObjects;
let folder: ResourceFolder;
let logged: Record<string, unknown>[];

const soon = { timeoutMs: 10_000, intervalMs: 20 };
const key = (name: string) => ({ namespace: 'default', name });
const room = (name: string, spec = '{}', more = ''): string =>
  `apiVersion: kube-sfu.dev/v1alpha1\nkind: MediaRoom\nmetadata: {name: ${name}${more}}\nspec: ${spec}\n`;
const pool = (name: string, spec: string): string =>
  `apiVersion: kube-sfu.dev/v1alpha1\nkind: MediaWorker\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
const write = (name: string, ...documents: string[]): Promise<void> =>
  writeFile(path.join(dir, name), documents.join('---\n'));
const roomNames = (): string[] =>
  objects.mediarooms
    .list()
    .map(({ metadata }) => metadata.name)
    .sort();
const untilRooms = (...names: string[]) =>
  until(`the rooms ${names.join()}`, () => roomNames().join() === names.join(), soon);

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'kube-sfu-folder-'));
  objects = createLocalObjects(100);
  logged = [];
  const sink = {
    write: (line: string) => logged.push(JSON.parse(line) as Record<string, unknown>),
  };
  folder = new ResourceFolder({
    ...{ dir, namespace: 'default', settleMs: 100, objects },
    clock: systemClock,
    logger: pino({ level: 'error' }, sink),
    onProblems: () => undefined,
  });
});
afterEach(async () => {
  await folder.close();
  await rm(dir, { recursive: true });
});

describe('a folder of resources', () => {
  it('is applied at the start, several documents in a file, in the namespace of the adapter', async () => {
    await write('a.yaml', room('one'), room('two', '{}', ', namespace: other'), '# nothing\n');
    await write('b.yml', pool('pool', '{role: Both}'));
    await write('notes.txt', 'not: [yaml');
    await folder.start();
    expect(roomNames()).toEqual(['one', 'two']);
    expect(objects.mediarooms.get({ namespace: 'other', name: 'two' })).toBeDefined();
    expect(objects.mediaworkers.require(key('pool')).spec.replicas).toBe(1);
    expect(folder.problems()).toEqual([]);
  });

  it('follows what is edited, added and removed', async () => {
    await write('a.yaml', room('one'), room('two'));
    await folder.start();
    const { uid } = objects.mediarooms.require(key('one')).metadata;
    await write('a.yaml', room('one', '{maxPeers: 7}'));
    await untilRooms('one');
    expect(objects.mediarooms.require(key('one'))).toMatchObject({
      metadata: { uid, generation: 2 },
      spec: { maxPeers: 7 },
    });
    await write('b.yaml', room('three'));
    await untilRooms('one', 'three');
    await rm(path.join(dir, 'a.yaml'));
    await untilRooms('three');
  });

  it('keeps what the operator wrote when a file is applied again', async () => {
    await write('a.yaml', room('one'));
    await folder.start();
    const stored = objects.mediarooms.require(key('one'));
    const finalizers = ['kube-sfu.dev/operator'];
    const held = objects.mediarooms.update({
      ...stored,
      metadata: { ...stored.metadata, finalizers },
    });
    objects.mediarooms.update({ ...held, status: { peers: 2 } }, 'status');
    await write('a.yaml', room('one', '{maxPeers: 8}'));
    await until('the edit', () => objects.mediarooms.get(key('one'))?.spec.maxPeers === 8, soon);
    expect(objects.mediarooms.require(key('one'))).toMatchObject({
      metadata: { finalizers },
      status: { peers: 2 },
    });
  });

  it.each([
    {
      name: 'a wrong value',
      documents: [
        room('one'),
        pool('pool', '{role: Both, network: {portRange: {start: 5000, end: 70000}}}'),
      ],
      document: 2,
      message: 'spec.network.portRange.end: must be <= 65535',
    },
    {
      name: 'an unknown field',
      documents: [room('one', '{peers: 3}')],
      document: 1,
      message: 'spec.peers: unknown field',
    },
    {
      name: 'a change of what is immutable',
      documents: [pool('kept', '{role: Producer}')],
      document: 1,
      message: 'spec.role: is immutable',
    },
    { name: 'text that is no YAML', documents: ['a: [b\n'], document: 1, message: 'Flow sequence' },
    {
      name: 'another kind',
      documents: ['apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n'],
      document: 1,
      message: 'kind: must be one of MediaWorker, MediaRoom',
    },
    {
      name: 'an object that is there twice',
      documents: [room('one'), room('one')],
      document: 2,
      message: 'MediaRoom default/one is in this file twice',
    },
  ])(
    'changes nothing for a file with $name, and says where it is',
    async ({ documents, document, message }) => {
      await write('good.yaml', room('good'), pool('kept', '{role: Both}'));
      await folder.start();
      const before = objects.mediarooms.resourceVersion;
      await write('good.yaml', ...documents);
      await until('the problem', () => folder.problems().length > 0, soon);
      expect(folder.problems()).toEqual([
        expect.objectContaining({ file: path.join(dir, 'good.yaml'), document }),
      ]);
      expect(folder.problems()[0]?.message).toContain(message);
      expect(logged.at(-1)?.['msg']).toContain(message);
      expect(objects.mediarooms.resourceVersion).toBe(before);
      await write('good.yaml', room('good', '{maxPeers: 3}'), pool('kept', '{role: Both}'));
      await until(
        'the repaired file',
        () => objects.mediarooms.get(key('good'))?.spec.maxPeers === 3,
        soon,
      );
      expect(folder.problems()).toEqual([]);
    },
  );

  it('refuses an object that another file has', async () => {
    await write('a.yaml', room('one'));
    await write('b.yaml', room('one', '{maxPeers: 3}'));
    await folder.start();
    expect(folder.problems()[0]?.message).toBe('MediaRoom default/one is in a.yaml already');
    expect(objects.mediarooms.require(key('one')).spec.maxPeers).toBe(200);
  });

  it('brings an object back that was still being deleted when its file came again', async () => {
    await write('a.yaml', room('one'));
    await folder.start();
    const stored = objects.mediarooms.require(key('one'));
    objects.mediarooms.update({
      ...stored,
      metadata: { ...stored.metadata, finalizers: ['a.b/c'] },
    });
    await rm(path.join(dir, 'a.yaml'));
    await until(
      'the deletion',
      () => objects.mediarooms.require(key('one')).metadata.deletionTimestamp,
      soon,
    );
    await write('a.yaml', room('one', '{maxPeers: 4}'));
    await until(
      'the file to be read',
      () => logged.length === 0 && folder.settled().then(() => true),
      soon,
    );
    await until(
      'the new object to wait',
      () => {
        const old = objects.mediarooms.get(key('one'));
        if (old?.metadata.deletionTimestamp)
          objects.mediarooms.update({ ...old, metadata: { ...old.metadata, finalizers: [] } });
        return objects.mediarooms.get(key('one'))?.spec.maxPeers === 4;
      },
      soon,
    );
    expect(objects.mediarooms.require(key('one')).metadata.uid).not.toBe(stored.metadata.uid);
  });

  it('leaves an object away that somebody deleted, until its file is edited', async () => {
    await write('a.yaml', room('one'), room('two'));
    await folder.start();
    objects.mediarooms.delete(key('one'));
    await write('b.yaml', room('three'));
    await untilRooms('three', 'two');
    await write('a.yaml', room('one'), room('two', '{maxPeers: 3}'));
    await untilRooms('one', 'three', 'two');
  });

  it('fails clearly when there is no such folder', async () => {
    const missing = new ResourceFolder({
      ...{ dir: path.join(dir, 'missing'), namespace: 'default', settleMs: 100, objects },
      clock: systemClock,
      logger: pino({ level: 'silent' }),
      onProblems: () => undefined,
    });
    await expect(missing.start()).rejects.toThrow(/ENOENT.*missing/);
    await missing.close();
  });
});

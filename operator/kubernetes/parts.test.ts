import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import { KubernetesError } from '../../common/kubernetes/errors.ts';
import type { Change, HasMeta } from '../../common/kubernetes/informer.ts';
import type { KubernetesNode, Pod } from '../cluster.ts';
import { containsAll, isSame } from './contains.ts';
import { tolerateForbidden } from './informers.ts';
import { eventsOf } from './reader.ts';
import { trimNode, trimObject, trimPod } from './trim.ts';

describe('containsAll', () => {
  it.each([
    { name: 'equal values', actual: 1, wanted: 1, want: true },
    { name: 'other values', actual: 1, wanted: '1', want: false },
    {
      name: 'more than is wanted',
      actual: { a: { b: 1, c: 2 }, d: 3 },
      wanted: { a: { b: 1 } },
      want: true,
    },
    { name: 'less than is wanted', actual: { a: {} }, wanted: { a: { b: 1 } }, want: false },
    { name: 'nothing at all', actual: undefined, wanted: { a: 1 }, want: false },
    {
      name: 'a list with the same items',
      actual: [{ a: 1, b: 2 }],
      wanted: [{ a: 1 }],
      want: true,
    },
    { name: 'a longer list', actual: [1, 2], wanted: [1], want: false },
    { name: 'a list in another order', actual: [2, 1], wanted: [1, 2], want: false },
    { name: 'an object for a list', actual: { 0: 1 }, wanted: [1], want: false },
  ])('says $want for $name', ({ actual, wanted, want }) => {
    expect(containsAll(actual, wanted)).toBe(want);
  });
});

describe('isSame', () => {
  it.each([
    { name: 'equal values', one: { a: [1], b: 'c' }, other: { b: 'c', a: [1] }, want: true },
    { name: 'an empty list and none', one: { a: [] }, other: {}, want: true },
    { name: 'none and an empty list', one: {}, other: { a: [] }, want: true },
    { name: 'more on one side', one: { a: 1, b: 2 }, other: { a: 1 }, want: false },
    { name: 'more on the other', one: { a: 1 }, other: { a: 1, b: 2 }, want: false },
    { name: 'nothing yet', one: undefined, other: { a: 1 }, want: false },
  ])('says $want for $name', ({ one, other, want }) => {
    expect(isSame(one, other)).toBe(want);
  });
});

describe('eventsOf', () => {
  const object = (uid: string): HasMeta => ({ metadata: { name: 'a', uid, resourceVersion: '1' } });
  const change = (more: Partial<Change<HasMeta>>): Change<HasMeta> => ({
    ...{ name: 'a', object: undefined, previous: undefined, deleted: false },
    ...more,
  });

  it.each([
    { name: 'an object that is new', given: { object: object('1') }, want: ['ADDED 1'] },
    {
      name: 'one that changed',
      given: { object: object('1'), previous: object('1') },
      want: ['MODIFIED 1'],
    },
    { name: 'one that is gone', given: { previous: object('1') }, want: ['DELETED 1'] },
    {
      name: 'another of the same name',
      given: { object: object('2'), previous: object('1') },
      want: ['DELETED 1', 'ADDED 2'],
    },
  ])('tells of $name', ({ given, want }) => {
    const events = eventsOf(change(given));
    expect(events.map(({ type, object: { metadata } }) => `${type} ${metadata.uid}`)).toEqual(want);
  });
});

describe('what is kept of an object', () => {
  const metadata = {
    name: 'a',
    namespace: 'ns',
    uid: 'u',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
  const lastApplied = { 'kubectl.kubernetes.io/last-applied-configuration': '{}' };

  it('leaves out managedFields and what kubectl keeps, and nothing else', () => {
    const given = {
      metadata: { ...metadata, managedFields: [{}], annotations: { ...lastApplied, b: 'c' } },
      spec: { d: 1 },
    };
    const kept = trimObject(given);
    expect(kept).toEqual({ metadata: { ...metadata, annotations: { b: 'c' } }, spec: { d: 1 } });
    expect(given.metadata.managedFields).toHaveLength(1);
    expect(trimObject(kept)).toEqual(kept);
  });

  it('fills in the lists that the API leaves out of a pod', () => {
    const pod = {
      metadata,
      spec: { containers: [{ name: 'media-node' }] },
      status: { phase: 'Pending' },
    };
    expect(trimPod(pod as unknown as Pod).spec.containers).toEqual([
      { name: 'media-node', env: [], ports: [] },
    ]);
  });

  it('is little of a Kubernetes node', () => {
    const node = {
      metadata: {
        name: 'n',
        uid: 'u',
        resourceVersion: '1',
        annotations: { a: 'b' },
        labels: { c: 'd' },
      },
      spec: { podCIDR: '10.0.0.0/24', unschedulable: true },
      status: {
        images: [{ names: ['x'] }],
        addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
        conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: 'now' }],
      },
    };
    expect(trimNode(node as unknown as KubernetesNode)).toEqual({
      metadata: { name: 'n', uid: 'u', resourceVersion: '1', labels: { c: 'd' } },
      spec: { unschedulable: true },
      status: {
        addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    });
  });
});

describe('tolerateForbidden', () => {
  const logger = pino({ level: 'silent' });
  const { signal } = new AbortController();
  const watch = (): Promise<void> => Promise.reject(new Error('watched'));

  it('takes a refusal for an empty collection, and watches nothing until it is told to stop', async () => {
    const source = tolerateForbidden<HasMeta>(
      { list: () => Promise.reject(new KubernetesError(403, {}, 'list')), watch },
      logger,
    );
    expect(await source.list(signal)).toEqual({ items: [], resourceVersion: '0' });
    const end = new AbortController();
    const watching = source.watch('0', () => undefined, end.signal);
    end.abort();
    await watching;
    await source.watch('0', () => undefined, end.signal);
  });

  it('watches as soon as it may list', async () => {
    let allowed = false;
    const source = tolerateForbidden<HasMeta>(
      {
        list: () =>
          allowed
            ? Promise.resolve({ items: [], resourceVersion: '7' })
            : Promise.reject(new KubernetesError(403, {}, 'list')),
        watch,
      },
      logger,
    );
    await source.list(signal);
    allowed = true;
    expect((await source.list(signal)).resourceVersion).toBe('7');
    await expect(source.watch('7', () => undefined, signal)).rejects.toThrow('watched');
  });

  it('lets every other failure through', async () => {
    const source = tolerateForbidden<HasMeta>(
      { list: () => Promise.reject(new KubernetesError(500, {}, 'list')), watch },
      logger,
    );
    await expect(source.list(signal)).rejects.toMatchObject({ statusCode: 500 });
  });
});

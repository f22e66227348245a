import { describe, expect, it } from '@jest/globals';

import { isApiError } from '../errors.ts';
import type { KubernetesObject, MediaRoom, MediaWorker } from './types.ts';
import { validateResource } from './validate.ts';

type Fields = Record<string, unknown>;

const worker = (spec: Fields = {}, rest: Fields = {}): Fields => ({
  apiVersion: 'kube-sfu.dev/v1alpha1',
  kind: 'MediaWorker',
  metadata: { name: 'pool', namespace: 'default' },
  spec: { role: 'Consumer', ...spec },
  ...rest,
});
const room = (spec: Fields = {}, rest: Fields = {}): Fields => ({
  apiVersion: 'kube-sfu.dev/v1alpha1',
  kind: 'MediaRoom',
  metadata: { name: 'room', namespace: 'default' },
  spec,
  ...rest,
});
const meta = (metadata: Fields): Fields => ({ metadata: { name: 'pool', ...metadata } });
const opus = { kind: 'audio', mimeType: 'audio/opus', clockRate: 48000, channels: 2 };
const condition = {
  type: 'Ready',
  status: 'True',
  lastTransitionTime: '2026-01-01T00:00:00Z',
  reason: 'Fine',
  message: '',
};
const node = { podName: 'pool-0', state: 'Ready' };

function refusedFields(object: unknown, old?: unknown): string[] {
  try {
    validateResource(object, old ? { old: old as KubernetesObject } : {});
    return [];
  } catch (error) {
    if (!isApiError(error, 'invalid_request')) throw error;
    return (error.fields ?? []).map(({ field }) => field);
  }
}

interface Case {
  name: string;
  valid: unknown;
  invalid: unknown;
  field: string;
}

const range = (start: unknown, end: unknown): Fields => ({
  network: { portRange: { start, end } },
});

const cases: Case[] = [
  {
    name: 'the kind is one of ours',
    valid: worker(),
    invalid: { ...worker(), kind: 'Deployment' },
    field: 'kind',
  },
  {
    name: 'the version is ours',
    valid: worker(),
    invalid: { ...worker(), apiVersion: 'v1' },
    field: 'apiVersion',
  },
  {
    name: 'a pool needs a spec',
    valid: worker(),
    invalid: { ...worker(), spec: undefined },
    field: 'spec',
  },
  {
    name: 'a pool needs a role',
    valid: worker(),
    invalid: worker({ role: undefined }),
    field: 'spec.role',
  },
  {
    name: 'a role is a known one',
    valid: worker({ role: 'Both' }),
    invalid: worker({ role: 'both' }),
    field: 'spec.role',
  },
  {
    name: 'replicas are a whole number',
    valid: worker({ replicas: 0 }),
    invalid: worker({ replicas: 1.5 }),
    field: 'spec.replicas',
  },
  {
    name: 'replicas are not negative',
    valid: worker({ replicas: 0 }),
    invalid: worker({ replicas: -1 }),
    field: 'spec.replicas',
  },
  {
    name: 'replicas have an upper bound',
    valid: worker({ replicas: 1000 }),
    invalid: worker({ replicas: 1001 }),
    field: 'spec.replicas',
  },
  {
    name: 'replicas are not a string',
    valid: worker({ replicas: 2 }),
    invalid: worker({ replicas: '2' }),
    field: 'spec.replicas',
  },
  {
    name: 'a node has a worker',
    valid: worker({ workersPerNode: 1 }),
    invalid: worker({ workersPerNode: 0 }),
    field: 'spec.workersPerNode',
  },
  {
    name: 'a node has at most 128 workers',
    valid: worker({ workersPerNode: 128 }),
    invalid: worker({ workersPerNode: 129 }),
    field: 'spec.workersPerNode',
  },
  ...['consumersPerWorker', 'producersPerWorker', 'routersPerWorker'].map((name) => ({
    name: `capacity.${name} is positive`,
    valid: worker({ capacity: { [name]: 1 } }),
    invalid: worker({ capacity: { [name]: 0 } }),
    field: `spec.capacity.${name}`,
  })),
  {
    name: 'a network mode is a known one',
    valid: worker({ network: { mode: 'PodIP' } }),
    invalid: worker({ network: { mode: 'Bridge' } }),
    field: 'spec.network.mode',
  },
  {
    name: 'a port range has both ends',
    valid: worker(range(2000, 2001)),
    invalid: worker(range(2000, undefined)),
    field: 'spec.network.portRange.end',
  },
  {
    name: 'a port range does not end before it starts',
    valid: worker(range(2000, 2000)),
    invalid: worker(range(2001, 2000)),
    field: 'spec.network.portRange.end',
  },
  {
    name: 'ports below 1024 are not used',
    valid: worker(range(1024, 2000)),
    invalid: worker(range(1023, 2000)),
    field: 'spec.network.portRange.start',
  },
  {
    name: 'ports end at 65535',
    valid: worker(range(60000, 65535)),
    invalid: worker(range(60000, 65536)),
    field: 'spec.network.portRange.end',
  },
  {
    name: 'the port range holds a port for each worker of each node',
    valid: worker({ replicas: 2, workersPerNode: 3, ...range(2000, 2005) }),
    invalid: worker({ replicas: 2, workersPerNode: 3, ...range(2000, 2004) }),
    field: 'spec.network.portRange',
  },
  {
    name: 'an announced address is an address or a name',
    valid: worker({ network: { announcedAddress: '2001:db8::1' } }),
    invalid: worker({ network: { announcedAddress: 'a b' } }),
    field: 'spec.network.announcedAddress',
  },
  {
    name: 'a drain time-out is not negative',
    valid: worker({ drain: { timeoutSeconds: 0 } }),
    invalid: worker({ drain: { timeoutSeconds: -1 } }),
    field: 'spec.drain.timeoutSeconds',
  },
  {
    name: 'createOnJoin is a boolean',
    valid: worker({ rooms: { createOnJoin: true } }),
    invalid: worker({ rooms: { createOnJoin: 'yes' } }),
    field: 'spec.rooms.createOnJoin',
  },
  {
    name: 'a nested unknown field is refused',
    valid: worker({ drain: {} }),
    invalid: worker({ drain: { timeout: 1 } }),
    field: 'spec.drain.timeout',
  },
  {
    name: 'an unknown field beside spec is refused',
    valid: worker(),
    invalid: worker({}, { data: {} }),
    field: 'data',
  },
  {
    name: 'an unknown metadata field is refused',
    valid: worker({}, meta({ labels: {} })),
    invalid: worker({}, meta({ label: {} })),
    field: 'metadata.label',
  },
  {
    name: 'an object has a name',
    valid: worker(),
    invalid: worker({}, { metadata: {} }),
    field: 'metadata.name',
  },
  {
    name: 'a name is lower case',
    valid: worker({}, meta({ name: 'a.b-c' })),
    invalid: worker({}, meta({ name: 'A' })),
    field: 'metadata.name',
  },
  {
    name: "a pool's name leaves room for its pods' names",
    valid: worker({}, meta({ name: 'a'.repeat(52) })),
    invalid: worker({}, meta({ name: 'a'.repeat(53) })),
    field: 'metadata.name',
  },
  {
    name: "a room's name leaves room for its routers' ids",
    valid: room({}, meta({ name: 'a'.repeat(128) })),
    invalid: room({}, meta({ name: 'a'.repeat(129) })),
    field: 'metadata.name',
  },
  {
    name: 'a namespace is a DNS label',
    valid: worker({}, meta({ namespace: 'a-b' })),
    invalid: worker({}, meta({ namespace: 'a.b' })),
    field: 'metadata.namespace',
  },
  {
    name: 'a label key is qualified',
    valid: worker({}, meta({ labels: { 'a.b/c': '1' } })),
    invalid: worker({}, meta({ labels: { 'a b': '1' } })),
    field: 'metadata.labels[a b]',
  },
  {
    name: 'a label value is a short string',
    valid: worker({}, meta({ labels: { a: '' } })),
    invalid: worker({}, meta({ labels: { a: 1 } })),
    field: 'metadata.labels[a]',
  },
  {
    name: 'an annotation is a string',
    valid: worker({}, meta({ annotations: { a: 'b c' } })),
    invalid: worker({}, meta({ annotations: { a: true } })),
    field: 'metadata.annotations[a]',
  },
  {
    name: 'a finalizer is qualified',
    valid: worker({}, meta({ finalizers: ['a.b/c'] })),
    invalid: worker({}, meta({ finalizers: ['a/b/c'] })),
    field: 'metadata.finalizers[0]',
  },
  {
    name: 'a codec needs a clock rate',
    valid: room({ mediaCodecs: [opus] }),
    invalid: room({ mediaCodecs: [{ ...opus, clockRate: undefined }] }),
    field: 'spec.mediaCodecs[0].clockRate',
  },
  {
    name: "a codec's MIME type fits its kind",
    valid: room({ mediaCodecs: [opus] }),
    invalid: room({ mediaCodecs: [{ ...opus, kind: 'video', channels: undefined }] }),
    field: 'spec.mediaCodecs[0].mimeType',
  },
  {
    name: 'channels are for audio',
    valid: room({ mediaCodecs: [{ kind: 'video', mimeType: 'video/VP8', clockRate: 90000 }] }),
    invalid: room({
      mediaCodecs: [{ kind: 'video', mimeType: 'video/VP8', clockRate: 90000, channels: 1 }],
    }),
    field: 'spec.mediaCodecs[0].channels',
  },
  {
    name: 'a codec parameter is a number or a string',
    valid: room({ mediaCodecs: [{ ...opus, parameters: { a: 1, b: 'x' } }] }),
    invalid: room({ mediaCodecs: [{ ...opus, parameters: { a: true } }] }),
    field: 'spec.mediaCodecs[0].parameters.a',
  },
  {
    name: 'codecs are at most 32',
    valid: room({ mediaCodecs: Array.from({ length: 32 }, () => opus) }),
    invalid: room({ mediaCodecs: Array.from({ length: 33 }, () => opus) }),
    field: 'spec.mediaCodecs',
  },
  {
    name: 'a payload type has seven bits',
    valid: room({ mediaCodecs: [{ ...opus, preferredPayloadType: 127 }] }),
    invalid: room({ mediaCodecs: [{ ...opus, preferredPayloadType: 128 }] }),
    field: 'spec.mediaCodecs[0].preferredPayloadType',
  },
  {
    name: 'feedback has a type',
    valid: room({ mediaCodecs: [{ ...opus, rtcpFeedback: [{ type: 'nack' }] }] }),
    invalid: room({ mediaCodecs: [{ ...opus, rtcpFeedback: [{ parameter: 'pli' }] }] }),
    field: 'spec.mediaCodecs[0].rtcpFeedback[0].type',
  },
  {
    name: 'a room takes a peer',
    valid: room({ maxPeers: 1 }),
    invalid: room({ maxPeers: 0 }),
    field: 'spec.maxPeers',
  },
  ...['producers', 'consumers'].flatMap((side) => [
    {
      name: `${side} have a router`,
      valid: room({ [side]: { routers: 1 } }),
      invalid: room({ [side]: { routers: 0 } }),
      field: `spec.${side}.routers`,
    },
    {
      name: `${side} have at most 32 routers`,
      valid: room({ [side]: { routers: 32 } }),
      invalid: room({ [side]: { routers: 33 } }),
      field: `spec.${side}.routers`,
    },
    {
      name: `${side} select by label values`,
      valid: room({ [side]: { selector: { matchLabels: { zone: 'a' } } } }),
      invalid: room({ [side]: { selector: { matchLabels: { zone: '-' } } } }),
      field: `spec.${side}.selector.matchLabels.zone`,
    },
    {
      name: `${side} select by short label keys`,
      valid: room({ [side]: { selector: { matchLabels: { ['k'.repeat(317)]: 'a' } } } }),
      invalid: room({ [side]: { selector: { matchLabels: { ['k'.repeat(318)]: 'a' } } } }),
      field: `spec.${side}.selector.matchLabels`,
    },
  ]),
  {
    name: 'an idle action is a known one',
    valid: room({ idlePolicy: { action: 'Delete' } }),
    invalid: room({ idlePolicy: { action: 'Close' } }),
    field: 'spec.idlePolicy.action',
  },
  {
    name: 'an idle time is positive',
    valid: room({ idlePolicy: { afterSeconds: 1 } }),
    invalid: room({ idlePolicy: { afterSeconds: 0 } }),
    field: 'spec.idlePolicy.afterSeconds',
  },
  {
    name: 'a condition has a status',
    valid: worker({}, { status: { conditions: [condition] } }),
    invalid: worker({}, { status: { conditions: [{ ...condition, status: 'Yes' }] } }),
    field: 'status.conditions[0].status',
  },
  {
    name: 'a condition has a time',
    valid: room({}, { status: { conditions: [condition] } }),
    invalid: room({}, { status: { conditions: [{ ...condition, lastTransitionTime: 'today' }] } }),
    field: 'status.conditions[0].lastTransitionTime',
  },
  {
    name: 'a condition type is there once',
    valid: room({}, { status: { conditions: [condition] } }),
    invalid: room({}, { status: { conditions: [condition, condition] } }),
    field: 'status.conditions[1]',
  },
  {
    name: 'a node is there once',
    valid: worker({}, { status: { nodes: [node] } }),
    invalid: worker({}, { status: { nodes: [node, node] } }),
    field: 'status.nodes[1]',
  },
];

describe('validateResource', () => {
  it.each(cases)('$name', ({ valid, invalid, field }) => {
    expect(refusedFields(valid)).toEqual([]);
    expect(refusedFields(invalid)).toContain(field);
  });

  it('fills in the defaults of a pool', () => {
    const { spec } = validateResource(worker()) as MediaWorker;
    expect(spec).toEqual({
      role: 'Consumer',
      replicas: 1,
      workersPerNode: 1,
      capacity: { consumersPerWorker: 500, producersPerWorker: 250, routersPerWorker: 100 },
      network: { mode: 'HostPort', portRange: { start: 20000, end: 29999 } },
      drain: { timeoutSeconds: 300, maxConcurrentRooms: 10 },
      rooms: { createOnJoin: false },
      resources: {},
      podTemplate: { metadata: {}, spec: {} },
      rollout: { maxSurge: 1 },
    });
  });

  it('fills in the defaults of a room without a spec', () => {
    const { spec } = validateResource({ ...room(), spec: undefined }) as MediaRoom;
    expect(spec).toEqual({
      mediaCodecs: [],
      maxPeers: 200,
      producers: { selector: { matchLabels: {} }, routers: 1 },
      consumers: { selector: { matchLabels: {} }, routers: 1, maxRouters: 32 },
      idlePolicy: { action: 'Retain', afterSeconds: 300 },
    });
  });

  it('takes a null for a missing value where there is a default', () => {
    const { spec } = validateResource(worker({ replicas: null })) as MediaWorker;
    expect(spec.replicas).toBe(1);
    expect(refusedFields(worker({ network: { announcedAddress: null } }))).toEqual([
      'spec.network.announcedAddress',
    ]);
  });

  it('names every field at fault in one error', () => {
    const bad = worker({ role: 'X', replicas: -1, drain: { timeoutSeconds: 'a' } });
    expect(refusedFields(bad).sort()).toEqual([
      'spec.drain.timeoutSeconds',
      'spec.replicas',
      'spec.role',
    ]);
    expect(() => validateResource(bad)).toThrow(/MediaWorker pool: .*spec\.role: must be one of/);
  });

  it('leaves its argument as it was', () => {
    const given = worker();
    validateResource(given);
    expect(given).toEqual(worker());
  });

  it.each([null, 1, 'x', []])('refuses %j, which is no object', (value) => {
    expect(() => validateResource(value)).toThrow('must be object');
  });

  describe('on an update', () => {
    const old = (object: Fields) => validateResource(object);

    it('refuses another role, whatever the rest says', () => {
      expect(refusedFields(worker({ role: 'Both' }), old(worker()))).toEqual(['spec.role']);
      expect(refusedFields(worker({ replicas: 2 }), old(worker()))).toEqual([]);
    });

    it('refuses other codecs, added or taken away, and takes the same ones', () => {
      const before = old(room({ mediaCodecs: [opus] }));
      expect(refusedFields(room(), before)).toEqual(['spec.mediaCodecs']);
      expect(refusedFields(room({ mediaCodecs: [opus, opus] }), before)).toEqual([
        'spec.mediaCodecs',
      ]);
      expect(refusedFields(room({ mediaCodecs: [{ ...opus }], maxPeers: 3 }), before)).toEqual([]);
    });

    it('refuses another name', () => {
      expect(refusedFields(worker({}, meta({ name: 'other' })), old(worker()))).toEqual([
        'metadata.name',
      ]);
    });
  });
});

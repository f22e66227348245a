import { describe, expect, it } from '@jest/globals';

import type { MediaWorker } from '../../common/resources/types.ts';
import { validateResource } from '../../common/resources/validate.ts';
import { FakeNode } from '../../testing/fake-node.ts';
import type { KubernetesNode, Pod, PodStatus } from '../cluster.ts';
import { observeAnswer, observeMiss, observePod, type ObservedNode } from '../nodes/observe.ts';
import type { PodView } from './decide-pods.ts';
import { drainingSinceAnnotation, portsAnnotation, specHashAnnotation } from './labels.ts';
import { viewPod } from './view.ts';

const worker = validateResource({
  apiVersion: 'kube-sfu.dev/v1alpha1',
  kind: 'MediaWorker',
  metadata: { name: 'c', namespace: 'media' },
  spec: { role: 'Consumer' },
}) as MediaWorker;

const makePod = (metadata: object = {}, status: Partial<PodStatus> = {}): Pod => {
  const annotations = { [portsAnnotation]: '20000-20000', [specHashAnnotation]: 'shape' };
  const state = { running: { startedAt: '' } };
  return {
    metadata: { name: 'c-3', namespace: 'media', uid: 'uid', annotations, ...metadata },
    spec: { containers: [{ name: 'media-node', env: [], ports: [] }] },
    status: {
      phase: 'Running',
      containerStatuses: [{ name: 'media-node', restartCount: 0, state }],
      ...status,
    },
  } as unknown as Pod;
};
const annotated = (name: string, value: string): Pod => {
  const { metadata } = makePod();
  return makePod({ annotations: { ...metadata.annotations, [name]: value } });
};
const policy = {
  ...{ staleAfterMisses: 2, deadAfterMisses: 3, deadAfterMs: 1, deadAfterRefusals: 3 },
  ...{ replaceAfterMs: 1000, startTimeoutMs: 1000 },
};
const miss = (node: ObservedNode, now = 1): ObservedNode =>
  observeMiss(node, { miss: 'Silent', policy, now });
const fake = new FakeNode({ podName: 'c-3', pool: 'c', role: 'Consumer', secret: 'x' });
const fresh = observePod(makePod(), 'http://c-3');
const answered = observeAnswer(fresh, { status: fake.status() }, { askedAt: 0, now: 0 });
const silent = (misses: number): ObservedNode =>
  Array.from({ length: misses }).reduce<ObservedNode>((node) => miss(node), answered);
const machine = (unschedulable: boolean): KubernetesNode => ({
  metadata: { name: 'machine', uid: 'uid', resourceVersion: '1' },
  spec: unschedulable ? { unschedulable } : {},
  status: {},
});

interface Case {
  name: string;
  pod?: Pod;
  node?: ObservedNode | undefined;
  machine?: KubernetesNode;
  shape?: string | undefined;
  want: Partial<PodView>;
}

const cases: Case[] = [
  {
    name: 'one that serves',
    want: { ordinal: 3, state: 'Ready', runs: true, unpolled: false, replace: undefined },
  },
  {
    name: 'one of another shape',
    pod: annotated(specHashAnnotation, 'older'),
    want: { replace: 'Outdated' },
  },
  {
    name: 'one whose ports are outside of the range',
    pod: annotated(portsAnnotation, '1000-1000'),
    want: { replace: 'Outdated' },
  },
  {
    name: 'one whose block has another size',
    pod: annotated(portsAnnotation, '20000-20001'),
    want: { replace: 'Outdated' },
  },
  {
    name: 'one of a shape that can not be told',
    pod: annotated(specHashAnnotation, 'older'),
    shape: undefined,
    want: { replace: undefined },
  },
  { name: 'one on a cordoned machine', machine: machine(true), want: { replace: 'Cordoned' } },
  { name: 'one on an open machine', machine: machine(false), want: { replace: undefined } },
  {
    name: 'one that drains',
    pod: annotated(drainingSinceAnnotation, '2026-01-01T00:00:00Z'),
    want: { drainingSince: Date.parse('2026-01-01T00:00:00Z') },
  },
  {
    name: 'one that is being deleted',
    pod: makePod({ deletionTimestamp: '2026-01-01T00:00:00Z' }),
    want: { deletedAt: Date.parse('2026-01-01T00:00:00Z') },
  },
  {
    name: 'one that was evicted',
    pod: makePod({}, { phase: 'Failed' }),
    want: { failed: true },
  },
  {
    name: 'one that is silent',
    node: silent(2),
    want: { state: 'Unreachable', failed: false, giveUpAt: undefined },
  },
  {
    name: 'one that is given up, and may come back',
    node: silent(3),
    want: { state: 'Dead', failed: false, giveUpAt: 1000 },
  },
  {
    name: 'one that never answered and is given up',
    node: miss(miss(fresh), 1001),
    want: { state: 'Dead', giveUpAt: -Infinity },
  },
  {
    name: 'one that nobody has seen yet',
    node: undefined,
    want: { state: 'Pending', runs: true, unpolled: true },
  },
  { name: 'one that was not asked yet', node: fresh, want: { state: 'Pending', unpolled: true } },
  {
    name: 'one that starts and does not answer',
    node: miss(fresh),
    want: { state: 'Pending', unpolled: false },
  },
  {
    name: 'one without a process',
    pod: makePod({}, { phase: 'Pending', containerStatuses: [] }),
    node: undefined,
    want: { state: 'Pending', runs: false, unpolled: false },
  },
];

describe('viewPod', () => {
  it.each(cases)('sees $name', ({ pod = makePod(), want, ...given }) => {
    const view = viewPod({
      ...{ pod, worker, machine: given.machine, replaceAfterMs: 1000 },
      node: 'node' in given ? given.node : answered,
      shape: 'shape' in given ? given.shape : 'shape',
    });
    expect(view).toMatchObject(want);
  });
});

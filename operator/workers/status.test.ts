import { describe, expect, it } from '@jest/globals';

import type { MediaWorker } from '../../common/resources/types.ts';
import { validateResource } from '../../common/resources/validate.ts';
import { FakeNode } from '../../testing/fake-node.ts';
import type { Pod } from '../cluster.ts';
import { observeAnswer, observePod, type ObservedNode } from '../nodes/observe.ts';
import { drainingSinceAnnotation, portsAnnotation, specHashAnnotation } from './labels.ts';
import { buildWorkerStatus, type WorkerStatusInput } from './status.ts';

const worker = validateResource({
  apiVersion: 'kube-sfu.dev/v1alpha1',
  kind: 'MediaWorker',
  metadata: { name: 'c', namespace: 'media', generation: 3 },
  spec: { role: 'Consumer', replicas: 2 },
}) as MediaWorker;

interface NodeOptions {
  annotations?: Record<string, string>;
  spec?: object;
  deleted?: boolean;
  announcedAddress?: string;
  rooms?: number;
}

const makePod = (name: string, { annotations, spec, deleted }: NodeOptions): Pod =>
  ({
    metadata: {
      ...{ name, namespace: 'media', uid: name },
      annotations: {
        [portsAnnotation]: '20000-20000',
        [specHashAnnotation]: 'shape',
        ...annotations,
      },
      ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { containers: [{ name: 'media-node', env: [], ports: [] }], ...spec },
    status: {
      phase: 'Running',
      containerStatuses: [
        { name: 'media-node', restartCount: 0, state: { running: { startedAt: '' } } },
      ],
    },
  }) as unknown as Pod;

function makeNode(name: string, options: NodeOptions = {}): ObservedNode {
  const { announcedAddress, rooms = 0 } = options;
  const fake = new FakeNode({ podName: name, pool: 'c', role: 'Consumer', secret: 'x' });
  const status = fake.status();
  const routers = Array.from({ length: rooms }, (_, i) => ({ roomId: `room-${i}`, peers: 2 }));
  return observeAnswer(
    observePod(makePod(name, options), `http://${name}`),
    {
      status: {
        ...status,
        ...(announcedAddress ? { announcedAddress } : {}),
        load: { ...status.load, peers: rooms * 2, cpuPercent: 42 },
        routers: routers as unknown as typeof status.routers,
      },
    },
    { askedAt: 0, now: 0 },
  );
}

const build = (nodes: ObservedNode[], change: Partial<WorkerStatusInput> = {}) =>
  buildWorkerStatus({
    ...{ worker, nodes, candidates: [], shape: 'shape', shortage: undefined, scaling: undefined },
    now: new Date('2026-01-01T00:00:00Z'),
    ...change,
  });

describe('the status of a pool', () => {
  it('shows each node: where it runs, what it announces, what is on it', () => {
    const node = makeNode('c-0', {
      ...{ announcedAddress: '198.51.100.7', rooms: 2 },
      spec: { nodeName: 'machine' },
    });
    expect(build([node]).nodes).toEqual([
      {
        ...{ podName: 'c-0', url: 'http://c-0', state: 'Ready', hostName: 'machine' },
        ...{ address: '198.51.100.7', ports: '20000-20000', version: '0.0.0' },
        instanceId: node.instance?.id,
        ...{ rooms: 2, peers: 4, consumers: 0, cpuPercent: 40 },
      },
    ]);
  });

  it('leaves the port of the API out of the ports for media', () => {
    const node = makeNode('c-0', {
      annotations: { [portsAnnotation]: '20000-20002' },
      spec: { hostNetwork: true },
    });
    expect(build([node]).nodes?.[0]?.ports).toBe('20000-20001');
  });

  it('sums up the pool', () => {
    const nodes = [
      makeNode('c-10', { announcedAddress: '198.51.100.8', rooms: 1 }),
      makeNode('c-2', { announcedAddress: '198.51.100.7', rooms: 3 }),
      makeNode('c-3', { announcedAddress: '198.51.100.7' }),
    ];
    const status = build(nodes);
    expect(status).toMatchObject({
      ...{ observedGeneration: 3, replicas: 3, readyReplicas: 3, updatedReplicas: 3 },
      // Rooms on several nodes count once, peers on each.
      ...{ rooms: 3, peers: 8, selector: 'kube-sfu.dev/pool=c' },
      addresses: ['198.51.100.7', '198.51.100.8'],
      versions: ['0.0.0'],
    });
    expect(status.nodes?.map(({ podName }) => podName)).toEqual(['c-2', 'c-3', 'c-10']);
  });

  it.each<{ name: string; options: NodeOptions }>([
    {
      name: 'was chosen to drain',
      options: { annotations: { [drainingSinceAnnotation]: '2026-01-01T00:00:00Z' } },
    },
    { name: 'is being deleted', options: { deleted: true } },
  ])('shows a node as draining when its pod $name', ({ options }) => {
    const status = build([makeNode('c-0', options)]);
    expect(status).toMatchObject({ replicas: 1, readyReplicas: 0, nodes: [{ state: 'Draining' }] });
  });

  it('counts the nodes of the present shape, deleted ones left out', () => {
    const nodes = [
      makeNode('c-0'),
      makeNode('c-1', { annotations: { [specHashAnnotation]: 'older' } }),
      makeNode('c-2', { annotations: { [portsAnnotation]: '1000-1000' } }),
      makeNode('c-3', { deleted: true }),
    ];
    expect(build(nodes).updatedReplicas).toBe(1);
    expect(build(nodes, { shape: undefined }).updatedReplicas).toBeUndefined();
  });
});

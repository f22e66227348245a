import { describe, expect, it } from '@jest/globals';

import type { KubernetesNode, Pod } from '../../operator/cluster.ts';
import { decideNode } from './scheduler.ts';

const node = (
  name: string,
  { ready = true, unschedulable = false, labels = {} } = {},
): KubernetesNode => ({
  metadata: { name, uid: name, resourceVersion: '1', labels },
  spec: { unschedulable },
  status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }] },
});

const pod = (hostPort?: number, spec: Record<string, unknown> = {}): Pick<Pod, 'spec'> => ({
  spec: {
    terminationGracePeriodSeconds: 1,
    ...spec,
    containers: [
      {
        name: 'media-node',
        env: [],
        ports: [
          { containerPort: 7, protocol: 'TCP', ...(hostPort === undefined ? {} : { hostPort }) },
        ],
      },
    ],
  },
});

describe('decideNode', () => {
  it.each([
    { name: 'takes the node with the fewest pods', pod: pod(), a: [pod()], want: 'b' },
    { name: 'takes the first name of equal nodes', pod: pod(), want: 'a' },
    { name: 'avoids a node whose host port is taken', pod: pod(20), a: [pod(20)], want: 'b' },
    {
      name: 'avoids a port that a pod on the host network takes',
      pod: pod(7),
      a: [pod(undefined, { hostNetwork: true })],
      want: 'b',
    },
    {
      name: 'follows the node selector',
      pod: pod(undefined, { nodeSelector: { zone: 'west' } }),
      want: 'b',
    },
    {
      name: 'finds nothing when no node is selected',
      pod: pod(undefined, { nodeSelector: { zone: 'north' } }),
      want: undefined,
    },
  ])('$name', ({ pod: wanted, a = [], want }) => {
    const nodes = [
      node('a', { labels: { zone: 'east' } }),
      node('b', { labels: { zone: 'west' } }),
    ];
    expect(decideNode(wanted, nodes, (name) => (name === 'a' ? a : []))).toBe(want);
  });

  it.each([
    { name: 'a cordoned node', nodes: [node('a', { unschedulable: true })] },
    { name: 'a node that is not ready', nodes: [node('a', { ready: false })] },
    { name: 'no node', nodes: [] },
  ])('does not schedule on $name', ({ nodes }) => {
    expect(decideNode(pod(), nodes, () => [])).toBeUndefined();
  });
});

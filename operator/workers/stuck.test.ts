import { describe, expect, it } from '@jest/globals';

import type { ContainerStatus, Pod, PodStatus } from '../cluster.ts';
import type { ObservedNode } from '../nodes/observe.ts';
import { findObstacle } from './stuck.ts';

const makePod = (status: Partial<PodStatus>): Pod =>
  ({ metadata: { name: 'c-0' }, status: { phase: 'Pending', ...status } }) as unknown as Pod;
const waiting = (reason: string, message?: string): ContainerStatus => ({
  name: 'media-node',
  restartCount: 0,
  state: { waiting: { reason, ...(message ? { message } : {}) } },
});
const running: ContainerStatus = {
  ...{ name: 'media-node', restartCount: 0, state: { running: { startedAt: '' } } },
};
const answered = (state: string, announcedAddress?: string): ObservedNode =>
  ({
    state,
    instance: { status: { state: 'Ready', announcedAddress } },
  }) as unknown as ObservedNode;
const scheduled = (status: 'True' | 'False', reason?: string, message?: string) => ({
  conditions: [
    {
      ...{ type: 'PodScheduled', status },
      ...(reason ? { reason } : {}),
      ...(message ? { message } : {}),
    },
  ],
});

interface Case {
  name: string;
  status?: Partial<PodStatus>;
  node?: ObservedNode;
  want: { reason: string; message: string } | undefined;
}

const cases: Case[] = [
  { name: 'nothing of a pod that is new', want: undefined },
  {
    name: 'nothing of a container that is being made',
    status: { containerStatuses: [waiting('ContainerCreating')] },
    want: undefined,
  },
  {
    name: 'nothing of one that waits for the init containers',
    status: { containerStatuses: [waiting('PodInitializing')] },
    want: undefined,
  },
  {
    name: 'an image that can not be pulled, by one name for both states of it',
    status: { containerStatuses: [waiting('ErrImagePull', 'not found')] },
    want: { reason: 'ImagePullBackOff', message: 'container media-node waits: not found' },
  },
  {
    name: 'a container that can not be configured',
    status: { containerStatuses: [waiting('CreateContainerConfigError', 'secret not found')] },
    want: {
      ...{ reason: 'CreateContainerConfigError' },
      message: 'container media-node waits: secret not found',
    },
  },
  {
    name: 'an init container before the others',
    status: {
      initContainerStatuses: [{ ...waiting('CrashLoopBackOff'), name: 'init' }],
      containerStatuses: [waiting('PodInitializing')],
    },
    want: { reason: 'CrashLoopBackOff', message: 'container init waits' },
  },
  {
    name: 'a pod that no machine takes',
    status: scheduled('False', 'Unschedulable', '0/3 nodes are available'),
    want: { reason: 'Unschedulable', message: '0/3 nodes are available' },
  },
  { name: 'nothing of a pod that is scheduled', status: scheduled('True'), want: undefined },
  {
    name: 'a node that does not take its address',
    status: { containerStatuses: [running] },
    node: answered('Pending', '10.0.0.1'),
    want: {
      ...{ reason: 'AddressNotAnnounced' },
      message: 'it announces 10.0.0.1 and has not taken another yet',
    },
  },
  {
    name: 'nothing of a node that is ready',
    status: { containerStatuses: [running] },
    node: answered('Ready'),
    want: undefined,
  },
];

describe('findObstacle', () => {
  it.each(cases)('finds $name', ({ status = {}, node, want }) => {
    expect(findObstacle(makePod(status), node)).toEqual(want);
  });
});

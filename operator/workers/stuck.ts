import type { ContainerStatus, Pod } from '../cluster.ts';
import type { ObservedNode } from '../nodes/observe.ts';
import type { GivenReason } from '../reasons.ts';
import type { ObstacleReason } from './reasons.ts';

/** Why a pod does not come up: one CamelCase word and the details, for a person. */
export interface Obstacle {
  reason: ObstacleReason;
  message: string;
}

/** What a container waits for while all goes well. */
const usual = ['ContainerCreating', 'PodInitializing'];
/** An image that can't be pulled goes back and forth between these. */
const pullReasons = ['ErrImagePull', 'ImagePullBackOff'];

function waitingOf({ state, name }: ContainerStatus): Obstacle | undefined {
  const { reason, message = '' } = state.waiting ?? {};
  if (reason === undefined || usual.includes(reason)) return undefined;
  return {
    reason: pullReasons.includes(reason) ? 'ImagePullBackOff' : (reason as GivenReason),
    message: `container ${name ?? ''} waits${message ? `: ${message}` : ''}`,
  };
}

function unscheduled({ status }: Pod): Obstacle | undefined {
  const condition = status.conditions?.find(({ type }) => type === 'PodScheduled');
  if (condition?.status !== 'False') return undefined;
  return {
    reason: (condition.reason as GivenReason | undefined) ?? 'Unschedulable',
    message: condition.message ?? 'no machine takes it',
  };
}

function unannounced(node: ObservedNode | undefined): Obstacle | undefined {
  if (node?.state !== 'Pending' || node.instance?.status.state !== 'Ready') return undefined;
  return {
    reason: 'AddressNotAnnounced',
    message: `it announces ${node.instance.status.announcedAddress ?? 'no address'} and has not taken another yet`,
  };
}

/** What keeps a pod from becoming ready, where it tells. */
export function findObstacle(pod: Pod, node: ObservedNode | undefined): Obstacle | undefined {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status;
  for (const container of [...initContainerStatuses, ...containerStatuses]) {
    const obstacle = waitingOf(container);
    if (obstacle) return obstacle;
  }
  return unscheduled(pod) ?? unannounced(node);
}

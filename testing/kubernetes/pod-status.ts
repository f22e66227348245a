import type { ContainerStatus, Pod } from '../../operator/cluster.ts';

type State = ContainerStatus['state'];

const condition = (type: string, isTrue: boolean, reason?: string): object => ({
  type,
  status: isTrue ? 'True' : 'False',
  ...(reason === undefined ? {} : { reason }),
});

const conditions = (ready: boolean, reason?: string): object[] => [
  condition('PodScheduled', true),
  condition('Initialized', true),
  condition('ContainersReady', ready, reason),
  condition('Ready', ready, reason),
];

const containers = ({ spec }: Pod, state: State, restartCount: number): object[] =>
  spec.containers.map(({ name, image = '' }) => ({
    ...{ name, image, imageID: image, restartCount, state },
    ready: state.running !== undefined,
    started: state.running !== undefined,
  }));

/** What the scheduler says when no node will do. */
export const unschedulableStatus = (): object => ({
  conditions: [
    {
      ...condition('PodScheduled', false, 'Unschedulable'),
      message: 'no node fits the pod',
    },
  ],
});

/** What the kubelet says before a container runs. */
export const waitingStatus = (pod: Pod, reason: string): object => ({
  phase: 'Pending',
  conditions: conditions(false, 'ContainersNotReady'),
  containerStatuses: containers(pod, { waiting: { reason } }, 0),
});

export interface RunningFacts {
  podIP: string;
  hostIP: string;
  restarts: number;
}

/** What the kubelet says of a pod whose containers run. */
export const runningStatus = (pod: Pod, { podIP, hostIP, restarts }: RunningFacts): object => ({
  phase: 'Running',
  conditions: conditions(true),
  ...{ podIP, podIPs: [{ ip: podIP }], hostIP, hostIPs: [{ ip: hostIP }] },
  startTime: new Date().toISOString(),
  containerStatuses: containers(
    pod,
    { running: { startedAt: new Date().toISOString() } },
    restarts,
  ),
});

/** What the kubelet says after a container has crashed, until it is started again. */
export const crashedStatus = (pod: Pod, restarts: number): object => ({
  phase: 'Running',
  conditions: conditions(false, 'ContainersNotReady'),
  containerStatuses: containers(pod, { waiting: { reason: 'CrashLoopBackOff' } }, restarts),
});

/** What the control plane says of the pods of a node that it does not hear of. */
export const lostStatus = (): object => ({ conditions: conditions(false, 'NodeNotReady') });

import { afterEach, describe, expect, it } from '@jest/globals';

import { ApiError } from '../../common/errors.ts';
import { KubernetesError } from '../../common/kubernetes/errors.ts';
import { findCondition, isConditionTrue } from '../../common/resources/conditions.ts';
import type { Condition } from '../../common/resources/types.ts';
import { OperatorWorld } from '../../testing/operator-world.ts';
import { quickConfig } from '../../testing/quick-config.ts';
import { until } from '../../testing/until.ts';
import { mediaContainer, type Pod } from '../cluster.ts';
import { blockOf } from './ports.ts';

type Fields = Record<string, unknown>;

let world: OperatorWorld;
const make = (config: Fields = {}): OperatorWorld => {
  world = new OperatorWorld(config);
  return world;
};
afterEach(() => world.close());

const soon = { timeoutMs: 15_000, intervalMs: 20 };
const condition = (pool: string, type: string): Condition | undefined =>
  findCondition(world.pool(pool).status?.conditions, type);
const readyPool = (name: string) =>
  until(
    `pool ${name} to be ready`,
    () => {
      const { status, metadata } = world.pool(name);
      const seen = status?.observedGeneration === metadata.generation;
      return seen && isConditionTrue(status.conditions, 'Ready');
    },
    soon,
  );
const noted = (reason: string) =>
  until(`an Event ${reason}`, () => world.events.notes(reason)[0], soon);
const reasonOf = (pool: string, type: string, reason: string) =>
  until(
    `${type} of ${pool} to be ${reason}`,
    () => {
      const found = condition(pool, type);
      return found?.reason === reason ? found : undefined;
    },
    soon,
  );
/** A room with peers on a node, which move away only when the test says so. */
function addRoom(podName: string, peers: number): void {
  const node = world.pods.node(podName);
  node.routers.set(`other-${podName}`, {
    ...{ routerId: `other-${podName}`, roomId: `room-${podName}`, role: node.options.role },
    ...{ generation: 1, workerIndex: 0, peers, transports: 0, producers: 0, consumers: 0 },
    ...{ dataProducers: 0, dataConsumers: 0 },
  });
}
const keepOrphans = { rooms: { orphanGraceMs: 600_000 } };
const consumers = (spec: Fields = {}): Fields => ({ role: 'Consumer', ...spec });
const network = (start: number, end: number, more: Fields = {}): Fields => ({
  network: { portRange: { start, end }, ...more },
});
const podOf = (name: string): Pod =>
  world.pods.list().find(({ metadata }) => metadata.name === name)!;
const imageOf = (name: string): string | undefined => mediaContainer(podOf(name)).image;
const podNames = (): string => world.pods.names().join();

describe('a rollout', () => {
  it('replaces nodes of an old shape by surge and drain, and tells how far it is', async () => {
    make(keepOrphans).start();
    world.applyPool('c', consumers({ replicas: 2, image: 'v:1' }));
    await readyPool('c');
    expect(condition('c', 'Updated')).toMatchObject({ status: 'True', reason: 'AllNodesUpdated' });
    addRoom('c-0', 1);
    addRoom('c-1', 1);
    await until('the peers', () => world.pool('c').status?.peers === 2, soon);
    const [first, second] = [world.pods.node('c-0'), world.pods.node('c-1')];
    world.applyPool('c', consumers({ replicas: 2, image: 'v:2' }));
    await until(
      'an old node to drain',
      () => [first, second].some((n) => n.state === 'Draining'),
      soon,
    );
    expect(podNames()).toBe('c-0,c-1,c-2');
    expect(imageOf('c-2')).toBe('v:2');
    const updated = await reasonOf('c', 'Updated', 'RollingOut');
    expect(updated.message).toMatch(/^1 of 2 nodes have the shape of the spec/);
    expect(world.pool('c').status?.updatedReplicas).toBe(1);
    await noted('RolloutStarted');
    for (const node of [first, second]) node.routers.clear();
    await reasonOf('c', 'Updated', 'AllNodesUpdated');
    await noted('RolloutFinished');
    expect(podNames().split(',')).toHaveLength(2);
    expect(world.pods.names().map(imageOf)).toEqual(['v:2', 'v:2']);
    expect((await noted('DrainStarted')).startsWith('c-')).toBe(true);
    expect(await noted('DrainStarted')).toContain(
      'the pool has another shape now; 1 peers in 1 rooms',
    );
  });

  it('replaces as many at a time as the surge allows', async () => {
    make(keepOrphans).start();
    world.applyPool('c', consumers({ replicas: 3, image: 'v:1' }));
    await readyPool('c');
    for (const name of world.pods.names()) addRoom(name, 1);
    await until('the peers', () => world.pool('c').status?.peers === 3, soon);
    const old = world.pods.names().map((name) => world.pods.node(name));
    world.applyPool('c', consumers({ replicas: 3, image: 'v:2', rollout: { maxSurge: 2 } }));
    await until(
      'two to drain',
      () => old.filter(({ state }) => state === 'Draining').length === 2,
      soon,
    );
    expect(podNames()).toBe('c-0,c-1,c-2,c-3,c-4');
    for (const node of old) node.routers.clear();
    await reasonOf('c', 'Updated', 'AllNodesUpdated');
  });

  it('rolls nothing when only the range of ports grows, and what is outside when it shrinks', async () => {
    make().start();
    world.applyPool('c', consumers({ replicas: 2, ...network(30000, 30001) }));
    await readyPool('c');
    world.applyPool('c', consumers({ replicas: 2, ...network(30000, 30009) }));
    await readyPool('c');
    expect(podNames()).toBe('c-0,c-1');
    expect(condition('c', 'Updated')?.status).toBe('True');
    world.applyPool('c', consumers({ replicas: 2, ...network(30001, 30009) }));
    await until('c-0 to be replaced', () => podNames() === 'c-1,c-2', soon);
    await reasonOf('c', 'Updated', 'AllNodesUpdated');
    const starts = world.pods.list().map((pod) => blockOf(pod)!.start);
    expect(starts.every((start) => start > 30000)).toBe(true);
  });
});

describe('a cordoned machine', () => {
  it('loses its nodes: others come first, and rooms move before', async () => {
    make(keepOrphans);
    world.machines.set('old', {});
    world.machines.set('new', {});
    world.pods.machineOf = () => (world.machines.get('old')?.spec.unschedulable ? 'new' : 'old');
    world.start();
    world.applyPool('c', consumers());
    await readyPool('c');
    expect(world.pool('c').status?.nodes?.[0]).toMatchObject({ podName: 'c-0', hostName: 'old' });
    addRoom('c-0', 2);
    await until('the peers', () => world.pool('c').status?.peers === 2, soon);
    const leaving = world.pods.node('c-0');
    world.machines.set('old', { cordoned: true });
    await until('the node to drain', () => leaving.state === 'Draining', soon);
    expect(podNames()).toBe('c-0,c-1');
    expect(world.pool('c').status?.readyReplicas).toBe(1);
    expect(await noted('DrainStarted')).toContain('its machine takes no pods any more; 2 peers');
    leaving.routers.clear();
    await until('the pod to go', () => podNames() === 'c-1', soon);
    await readyPool('c');
  });
});

describe('a disruption budget', () => {
  it('protects the nodes that have rooms, and no others', async () => {
    make(keepOrphans).start();
    world.applyPool('c', consumers({ replicas: 2 }));
    await readyPool('c');
    const budget = await until('the budget', () => world.budgets.all.get('c'), soon);
    expect(budget.spec).toEqual({
      minAvailable: 1_000_000,
      selector: { matchLabels: { 'kube-sfu.dev/pool': 'c', 'kube-sfu.dev/occupied': 'true' } },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    });
    const uid = world.pool('c').metadata.uid;
    expect(budget.metadata.ownerReferences).toMatchObject([{ kind: 'MediaWorker', uid }]);
    const protectedPods = (): string =>
      world.pods
        .list()
        .filter(({ metadata }) => metadata.labels?.['kube-sfu.dev/occupied'] === 'true')
        .map(({ metadata }) => metadata.name)
        .join();
    expect(protectedPods()).toBe('');
    addRoom('c-1', 0);
    await until('c-1 to be protected', () => protectedPods() === 'c-1', soon);
    world.pods.node('c-1').routers.clear();
    await until('c-1 to be free', () => protectedPods() === '', soon);
  });

  it('is tried again when it can not be applied, and pods exist all the same', async () => {
    make();
    world.budgets.failure = new ApiError('forbidden', 'not allowed');
    world.start();
    world.applyPool('c', consumers());
    await readyPool('c');
    expect(await noted('BudgetNotApplied')).toContain('not allowed');
    world.budgets.failure = undefined;
    await until('the budget', () => world.budgets.all.has('c'), soon);
  });
});

describe('a pod that the API server refuses', () => {
  const invalid = new KubernetesError(
    422,
    {
      reason: 'Invalid',
      message: 'Pod "c-0" is invalid: spec.tolerations[0].operator: Unsupported',
    },
    'POST pods',
  );

  it('shows why in the condition and an Event, and is tried again', async () => {
    make();
    let attempts = 0;
    let isRefused = true;
    world.pods.refuse = () => {
      attempts++;
      return isRefused ? invalid : undefined;
    };
    world.start();
    const podTemplate = { spec: { tolerations: [{ operator: 'Some' }] } };
    world.applyPool('c', consumers({ podTemplate }));
    const created = await reasonOf('c', 'PodsCreated', 'InvalidPodTemplate');
    expect(created.status).toBe('False');
    expect(created.message).toContain('spec.tolerations[0].operator');
    expect(condition('c', 'Ready')).toMatchObject({
      status: 'False',
      reason: 'InvalidPodTemplate',
    });
    expect(await noted('InvalidPodTemplate')).toContain('spec.tolerations[0].operator');
    await until('another attempt', () => attempts > 2, soon);
    isRefused = false;
    await readyPool('c');
    expect(condition('c', 'PodsCreated')).toMatchObject({ status: 'True', reason: 'PodsExist' });
  });

  it('is not tried again before its time, but at once when the pool is changed', async () => {
    make({ reconcile: { backoff: { initialMs: 600_000, maxMs: 600_000 }, resyncMs: 50 } });
    let attempts = 0;
    world.pods.refuse = ({ spec }) => {
      attempts++;
      return spec['priorityClassName'] === 'right' ? undefined : invalid;
    };
    world.start();
    world.applyPool('c', consumers({ podTemplate: { spec: { priorityClassName: 'wrong' } } }));
    await reasonOf('c', 'PodsCreated', 'InvalidPodTemplate');
    world.pods.paused = true;
    world.applyPool('other', consumers({ podTemplate: { spec: { priorityClassName: 'right' } } }));
    await until('many looks', () => world.pods.names().includes('other-0'), soon);
    world.pods.paused = false;
    expect(attempts).toBe(2);
    world.applyPool('c', consumers({ podTemplate: { spec: { priorityClassName: 'right' } } }));
    await readyPool('c');
  });

  it.each([
    {
      name: 'a used-up quota',
      refusal: new KubernetesError(403, { message: 'exceeded quota: few' }, 'POST pods'),
      want: 'QuotaExceeded',
    },
    {
      name: 'a policy',
      refusal: new KubernetesError(403, { message: 'violates PodSecurity' }, 'POST pods'),
      want: 'Forbidden',
    },
    { name: 'a wrong pod without overrides', refusal: invalid, want: 'InvalidPod' },
  ])('tells the cause: $name', async ({ refusal, want }) => {
    make();
    world.pods.refuse = () => refusal;
    world.start();
    world.applyPool('c', consumers());
    const created = await reasonOf('c', 'PodsCreated', want);
    expect(created.message).toBe(refusal.detail);
  });

  it('is not even asked for where the overrides can not be merged; the pods that exist stay', async () => {
    make().start();
    world.applyPool('c', consumers());
    await readyPool('c');
    const podTemplate = { spec: { containers: [{ image: 'x' }] } };
    world.applyPool('c', consumers({ replicas: 2, podTemplate }));
    const created = await reasonOf('c', 'PodsCreated', 'InvalidPodTemplate');
    expect(created.message).toContain('spec.podTemplate.spec.containers[0].name');
    expect(condition('c', 'Updated')).toMatchObject({ status: 'Unknown' });
    expect(podNames()).toBe('c-0');
    world.applyPool('c', consumers({ replicas: 2 }));
    await readyPool('c');
  });

  it('is told of also where no pod is to be made of such overrides', async () => {
    make().start();
    world.applyPool('c', consumers());
    await readyPool('c');
    const podTemplate = { spec: { containers: [{ image: 'x' }] } };
    world.applyPool('c', consumers({ podTemplate }));
    const field = 'spec.podTemplate.spec.containers[0].name';
    expect((await reasonOf('c', 'PodsCreated', 'InvalidPodTemplate')).message).toContain(field);
    expect(condition('c', 'Updated')?.message).toContain(field);
    expect(condition('c', 'Ready')?.status).toBe('True');
    expect(await noted('InvalidPodTemplate')).toContain(field);
    world.applyPool('c', consumers());
    await reasonOf('c', 'PodsCreated', 'PodsExist');
  });

  it('does not keep its ports', async () => {
    make();
    let isRefused = true;
    world.pods.refuse = ({ metadata }) =>
      isRefused && metadata.name === 'a-0' ? invalid : undefined;
    world.start();
    world.applyPool('a', consumers(network(30000, 30000)));
    await reasonOf('a', 'PodsCreated', 'InvalidPod');
    world.applyPool('b', consumers(network(30000, 30000)));
    await readyPool('b');
    isRefused = false;
    await reasonOf('a', 'PodsCreated', 'PortRangeExhausted');
    expect(await noted('PortRangeExhausted')).toContain('30000-30000');
  });
});

describe('a pod that does not come up', () => {
  it.each([
    {
      name: 'no image',
      change: {
        containerStatuses: [
          {
            name: 'media-node',
            restartCount: 0,
            state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } },
          },
        ],
      },
      want: { reason: 'ImagePullBackOff', text: 'no such image' },
    },
    {
      name: 'no machine',
      change: {
        conditions: [
          {
            ...{ type: 'PodScheduled', status: 'False' as const },
            ...{ reason: 'Unschedulable', message: '0/3 nodes are available' },
          },
        ],
      },
      want: { reason: 'Unschedulable', text: '0/3 nodes are available' },
    },
  ])('tells why: $name', async ({ change, want }) => {
    make();
    world.pods.paused = true;
    world.start();
    world.applyPool('c', consumers());
    await until('the pod', () => podNames() === 'c-0', soon);
    world.pods.setStatus('c-0', change);
    const ready = await reasonOf('c', 'Ready', want.reason);
    expect(ready.message).toContain(`0 of 1 nodes are ready; c-0: ${want.reason}: `);
    expect(ready.message).toContain(want.text);
    expect(await noted(want.reason)).toContain(want.text);
    await world.pods.run('c-0');
    await readyPool('c');
    await noted('Ready');
  });

  it('lets the old nodes serve during a rollout', async () => {
    make().start();
    world.applyPool('c', consumers({ image: 'v:1' }));
    await readyPool('c');
    world.pods.paused = true;
    world.applyPool('c', consumers({ image: 'v:2' }));
    await until('the new pod', () => podNames() === 'c-0,c-1', soon);
    const waiting = { reason: 'ImagePullBackOff', message: 'no such image' };
    world.pods.setStatus('c-1', {
      containerStatuses: [{ name: 'media-node', restartCount: 0, state: { waiting } }],
    });
    await reasonOf('c', 'Updated', 'RolloutStuck');
    expect(await noted('RolloutStuck')).toContain('c-1: ImagePullBackOff');
    expect(condition('c', 'Ready')?.status).toBe('True');
    world.applyPool('c', consumers({ image: 'v:3' }));
    await until('the stuck pod to go and another to come', () => podNames() === 'c-0,c-2', soon);
    expect(world.pods.node('c-0').state).toBe('Ready');
    await world.pods.run('c-2');
    await until('the rollout to end', () => podNames() === 'c-2', soon);
  });
});

describe('a pod that is over', () => {
  it('is replaced when it was evicted', async () => {
    make().start();
    world.applyPool('c', consumers());
    await readyPool('c');
    world.pods.setStatus('c-0', { phase: 'Failed', reason: 'Evicted', message: 'low on memory' });
    await until('another', () => podNames() === 'c-1', soon);
    expect(await noted('PodFailed')).toBe('removed c-0: it has ended (Evicted: low on memory)');
    await readyPool('c');
  });

  it('is replaced at once when it is stuck in its deletion, and given up after its time', async () => {
    make({ pods: { deletionTimeoutMs: 2500 } });
    world.pods.machineOf = () => 'far';
    world.start();
    world.applyPool('c', consumers());
    await readyPool('c');
    world.pods.stuck.add('c-0');
    await world.pods.delete('c-0');
    await until('its successor', () => podNames() === 'c-0,c-1', soon);
    await readyPool('c');
    await until('the old one to be let go', () => podNames() === 'c-1', soon);
    expect(await noted('PodAbandoned')).toMatch(
      /^gave up on c-0: it has not ended \d+ s after its time; its process may still run on far$/,
    );
  });

  it('frees its ports only then', async () => {
    make({ pods: { deletionTimeoutMs: 2500 } }).start();
    world.applyPool('c', consumers(network(30000, 30000)));
    await readyPool('c');
    world.pods.stuck.add('c-0');
    await world.pods.delete('c-0');
    await reasonOf('c', 'PodsCreated', 'PortRangeExhausted');
    expect(podNames()).toBe('c-0');
    await until('its successor', () => podNames() === 'c-1', soon);
    await readyPool('c');
  });
});

describe('the deletion of a pool', () => {
  it('ends although nothing answers any more, and tells what was given up', async () => {
    make({ ...keepOrphans, pods: { deletionTimeoutMs: 1500 } }).start();
    world.applyPool('c', consumers({ replicas: 2, drain: { timeoutSeconds: 1 } }));
    await readyPool('c');
    for (const name of ['c-0', 'c-1']) {
      addRoom(name, 3);
      world.pods.stuck.add(name);
    }
    await until('the peers', () => world.pool('c').status?.peers === 6, soon);
    world.objects.mediaworkers.delete({ namespace: 'default', name: 'c' });
    await until(
      'the pool to go',
      () => !world.objects.mediaworkers.get({ namespace: 'default', name: 'c' }),
      soon,
    );
    expect(podNames()).toBe('');
    expect(world.events.notes('DrainDeadlineExceeded')).toHaveLength(2);
    expect(await noted('DrainDeadlineExceeded')).toContain('3 peers in 1 rooms on it');
    expect(world.events.notes('PodAbandoned')).toHaveLength(2);
  });

  it('leaves pods alone that belong to another pool of the same name', async () => {
    make().start();
    world.applyPool('c', consumers());
    await readyPool('c');
    const foreign = {
      ...world.pods.list()[0]!,
      metadata: {
        ...{ name: 'c-1', namespace: 'default', annotations: {} },
        labels: { 'kube-sfu.dev/pool': 'c' },
        ownerReferences: [],
      },
    };
    await world.pods.client().create(foreign);
    world.applyPool('c', consumers({ replicas: 2 }));
    await readyPool('c');
    expect(podNames()).toBe('c-0,c-1,c-2');
    world.objects.mediaworkers.delete({ namespace: 'default', name: 'c' });
    await until('the own pods to go', () => podNames() === 'c-1', soon);
  });
});

describe('the announced address', () => {
  it('is that of the machine; a node takes rooms once it announces it, and follows a change', async () => {
    make();
    world.machines.set('m', { addresses: { InternalIP: '10.0.0.1', ExternalIP: '198.51.100.7' } });
    world.pods.machineOf = () => 'm';
    let isDeaf = true;
    world.pods.paused = true;
    world.start();
    world.applyPool('c', consumers());
    await until('the pod', () => podNames() === 'c-0', soon);
    world.pods.onStart = (node) => {
      node.fault = (method, path) =>
        isDeaf && method === 'PUT' && path === '/announced_address' ? 'internal' : undefined;
    };
    await world.pods.run('c-0');
    const ready = await reasonOf('c', 'Ready', 'AddressNotAnnounced');
    expect(ready.message).toContain('c-0: AddressNotAnnounced');
    isDeaf = false;
    await readyPool('c');
    const address = () => world.pool('c').status?.nodes?.[0]?.address;
    expect(address()).toBe('198.51.100.7');
    expect(world.pods.node('c-0').announcedAddress).toBe('198.51.100.7');
    world.machines.set('m', { addresses: { InternalIP: '10.0.0.1', ExternalIP: '198.51.100.8' } });
    await until('the new address', () => address() === '198.51.100.8', soon);
    expect(podNames()).toBe('c-0');
  });
});

describe('autoscaling', () => {
  const autoscaling = (change: Fields = {}): Fields =>
    consumers({
      autoscaling: {
        maxReplicas: 3,
        targetConsumersPerWorker: 100,
        scaleDown: { stabilizationWindowSeconds: 0 },
        ...change,
      },
    });
  const load = (consumerCount: number): void => {
    for (const node of world.pods.nodes.values()) node.load = { consumers: consumerCount };
  };

  it('sets the number of nodes by their load, within the bounds, and tells why', async () => {
    make({ autoscaling: { intervalMs: 50 } }).start();
    world.applyPool('c', autoscaling());
    await readyPool('c');
    await reasonOf('c', 'ScalingActive', 'LoadKnown');
    load(150);
    await until('a second node', () => world.pool('c').spec.replicas === 2, soon);
    expect(await noted('AutoscaledUp')).toBe('consumers per worker 150 > 100: 1 → 2 nodes');
    await readyPool('c');
    load(900);
    await until('the most nodes', () => world.pool('c').spec.replicas === 3, soon);
    await reasonOf('c', 'ScalingLimited', 'TooManyReplicas');
    await readyPool('c');
    load(0);
    await until('the fewest nodes', () => podNames().split(',').length === 1, soon);
    expect(await noted('AutoscaledDown')).toContain('consumers per worker 0 < 100');
  });

  it('leaves the number alone without it, and shows no condition of it', async () => {
    make({ autoscaling: { intervalMs: 50 } }).start();
    world.applyPool('c', autoscaling());
    await readyPool('c');
    await reasonOf('c', 'ScalingActive', 'LoadKnown');
    world.applyPool('c', consumers());
    await until('the condition to go', () => condition('c', 'ScalingActive') === undefined, soon);
    expect(condition('c', 'ScalingLimited')).toBeUndefined();
  });

  it('leaves a pool alone that somebody scaled to nothing', async () => {
    make({ autoscaling: { intervalMs: 50 } }).start();
    world.applyPool('c', { ...autoscaling(), replicas: 0 });
    await reasonOf('c', 'ScalingActive', 'ScalingDisabled');
    expect(world.pool('c').spec.replicas).toBe(0);
  });
});

describe('a restart of the operator', () => {
  it('removes no draining node before it was asked who is on it, and keeps the status meanwhile', async () => {
    make(keepOrphans).start();
    world.applyPool('c', consumers({ replicas: 2 }));
    await readyPool('c');
    for (const name of ['c-0', 'c-1']) addRoom(name, 2);
    await until('the peers', () => world.pool('c').status?.peers === 4, soon);
    world.applyPool('c', consumers({ replicas: 1 }));
    await noted('DrainStarted');
    await until(
      'one to drain',
      () => [...world.pods.nodes.values()].some(({ state }) => state === 'Draining'),
      soon,
    );
    await readyPool('c');
    await world.stopOperator();
    const statuses: (string | undefined)[] = [];
    world.objects.mediaworkers.subscribe(({ object }) =>
      statuses.push(findCondition(object.status?.conditions, 'Ready')?.status),
    );
    const polls = [...world.pods.nodes.values()].map((node) => node.calls.length);
    world.start();
    await until(
      'many polls',
      () => [...world.pods.nodes.values()].every((node, i) => node.calls.length > polls[i]! + 5),
      soon,
    );
    expect(podNames()).toBe('c-0,c-1');
    expect(statuses).not.toContain('False');
  });
});

describe('an operator that starts without a way to its nodes', () => {
  it('gives none of them up, and finds them as they were once there is one', async () => {
    make({ nodes: { ...quickConfig.nodes, startTimeoutMs: 100 } }).start();
    world.applyPool('c', consumers({ replicas: 2 }));
    await readyPool('c');
    addRoom('c-0', 2);
    const uids = () => world.pods.list().map(({ metadata }) => metadata.uid);
    const before = uids();
    await world.stopOperator();
    let asked = 0;
    for (const node of world.pods.nodes.values())
      node.fault = () => {
        asked++;
        return 'invalid_token';
      };
    world.start();
    await until('many polls to be missed', () => asked > 20, soon);
    expect(uids()).toEqual(before);
    for (const node of world.pods.nodes.values()) node.fault = () => undefined;
    await readyPool('c');
    expect(uids()).toEqual(before);
  });
});

describe('what pods are made of', () => {
  it('has the overrides of the pool', async () => {
    make().start();
    const spec = {
      nodeSelector: { zone: 'a' },
      containers: [{ name: 'proxy', image: 'proxy:1' }],
    };
    world.applyPool('c', consumers({ podTemplate: { metadata: { labels: { team: 'x' } }, spec } }));
    await readyPool('c');
    const [pod] = world.pods.list();
    expect(pod?.metadata.labels).toMatchObject({ team: 'x', 'kube-sfu.dev/pool': 'c' });
    expect(pod?.spec['nodeSelector']).toEqual({ zone: 'a' });
    expect(pod?.spec.containers.map(({ name }) => name)).toEqual(['media-node', 'proxy']);
  });
});

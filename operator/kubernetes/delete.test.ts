/**
 * `kubectl delete` never hangs for good: where a machine or a node does not answer, it ends within the configured time, an Event
 * says what was given up on, and what comes back later is cleaned up.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import type { ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import {
  KubernetesWorld,
  startWorldControlPlane,
  type OperatorRun,
} from '../../testing/kubernetes/world.ts';
import { until } from '../../testing/until.ts';
import { blockOf } from '../workers/ports.ts';

const soon = { timeoutMs: 30_000, intervalMs: 50 };
/** How much longer than configured something may take on a busy machine, in milliseconds. */
const slackMs = 10_000;

const closeTimeoutMs = 2000;
const deletionTimeoutMs = 2000;
const graceMs = 1000;
/** Longer than any test: no node is given up for its silence. */
const patient = {
  nodes: { intervalMs: 50, timeoutMs: 200, deadAfterMs: 600_000, replaceAfterMs: 600_000 },
};
/** Given up soon. */
const strict = {
  nodes: {
    ...{ intervalMs: 50, timeoutMs: 200, silentIntervalMs: 200 },
    ...{ deadAfterMs: 2000, replaceAfterMs: 2000 },
  },
};
/** Within this time a node that does not answer is given up. */
const deadAfterMs = 2000 + 500;

let controlPlane: ControlPlane;
let world: KubernetesWorld;
let operator: OperatorRun;

beforeAll(async () => {
  controlPlane = await startWorldControlPlane();
}, 90_000);
afterAll(() => controlPlane.stop());

beforeEach(async () => {
  world = await KubernetesWorld.create(controlPlane, {
    config: {
      rooms: { closeTimeoutMs, drainGraceMs: 100, orphanGraceMs: 200 },
      pods: { terminationGracePeriodSeconds: graceMs / 1000, deletionTimeoutMs },
    },
  });
});
afterEach(() => world.close());

/** Nodes for each side, for the consumers exactly as many as there are ports for, and a room on all of them. */
async function setUp(config: Record<string, unknown>): Promise<void> {
  operator = await world.start({ config });
  await applyConsumers('consumers');
  await world.applyPool('producers', {
    role: 'Producer',
    network: { portRange: range(31_000, 1) },
  });
  await world.applyRoom('lobby', { consumers: { routers: 2 } });
  await world.readyPool('consumers');
  await world.readyRoom('lobby');
}

const range = (start: number, count: number) => ({ start, end: start + count - 1 });

const applyConsumers = (name: string) =>
  world.applyPool(name, {
    ...{ role: 'Consumer', replicas: 2, network: { portRange: range(30_000, 2) } },
    drain: { timeoutSeconds: 2 },
  });

/** Deletes as a user does. @returns how long it took, in milliseconds */
async function kubectlDelete(...what: string[]): Promise<number> {
  const startedAt = performance.now();
  await world.kubectl(['delete', ...what, '--timeout=60s']);
  return performance.now() - startedAt;
}

const noteOf = (kind: string, name: string, reason: string): Promise<string> =>
  until(
    `an Event ${reason}`,
    async () => (await world.events(kind, name)).find((event) => event.reason === reason)?.note,
    soon,
  );

const reasonsOf = async (kind: string, name: string): Promise<string[]> =>
  (await world.events(kind, name)).map(({ reason }) => reason);

const routersOn = (pod: string): number => world.kubelets.node(pod).routers.size;

const metric = async (name: string): Promise<number> =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await operator.metrics.registry.metrics())?.[1]);

describe('kubectl delete of a room', () => {
  it.each(['hang', 'internal'] as const)(
    'ends in time although a node answers each close with: %s',
    async (fault) => {
      await setUp(patient);
      const node = world.kubelets.node('consumers-0');
      node.fault = (method) => (fault === 'hang' || method === 'DELETE' ? fault : undefined);
      expect(await kubectlDelete('mediaroom/lobby')).toBeLessThan(closeTimeoutMs + slackMs);
      const note = await noteOf('MediaRoom', 'lobby', 'RoutersAbandoned');
      expect(note).toMatch(/lobby-c\S+ on consumers-0/);
      expect(note).not.toContain('consumers-1');
      expect([
        routersOn('consumers-0'),
        routersOn('consumers-1'),
        routersOn('producers-0'),
      ]).toEqual([1, 0, 0]);
      expect(await metric('kube_sfu_operator_abandoned_routers_total')).toBe(1);
      node.fault = () => undefined;
      await until('the router to be closed', () => node.routers.size === 0, soon);
      expect(await metric('kube_sfu_operator_orphaned_routers_total')).toBe(1);
    },
  );

  it('ends in time while the machine of a node is lost, whose router is closed when it comes back', async () => {
    await setUp(patient);
    const node = world.kubelets.node('consumers-0');
    const machine = world.kubelets.machineOf('consumers-0');
    await world.kubelets.loseNode(machine);
    expect(await kubectlDelete('mediaroom/lobby')).toBeLessThan(closeTimeoutMs + slackMs);
    expect(await noteOf('MediaRoom', 'lobby', 'RoutersAbandoned')).toContain('on consumers-0');
    expect(node.routers.size).toBe(1);
    await world.kubelets.recoverNode(machine);
    await until('the router to be closed', () => node.routers.size === 0, soon);
  });

  it('says what it gave up on also when the node is given up before that time', async () => {
    await setUp({ ...strict, rooms: { closeTimeoutMs: 600_000, orphanGraceMs: 200 } });
    const node = world.kubelets.node('consumers-0');
    node.fault = (method) => (method === 'DELETE' ? 'internal' : undefined);
    const deleted = kubectlDelete('mediaroom/lobby');
    await until(
      'the deletion',
      async () => (await world.room('lobby')).metadata.deletionTimestamp,
      soon,
    );
    node.fault = () => 'hang';
    await deleted;
    expect(await noteOf('MediaRoom', 'lobby', 'RoutersAbandoned')).toContain('on consumers-0');
  });

  it('closes every router while only the kubelet of their machine is dead', async () => {
    await setUp(patient);
    const machine = world.kubelets.machineOf('consumers-0');
    await world.kubelets.loseNode(machine, { keepRunning: true });
    await kubectlDelete('mediaroom/lobby');
    expect([routersOn('consumers-0'), routersOn('consumers-1')]).toEqual([0, 0]);
    expect(await reasonsOf('MediaRoom', 'lobby')).not.toContain('RoutersAbandoned');
  });
});

/** The ports of the pool's pods, by the pod's name. */
async function blocksOf(pool: string): Promise<Record<string, unknown>> {
  const pods = (await world.pods()).filter(({ metadata }) => metadata.name.startsWith(`${pool}-`));
  return Object.fromEntries(pods.map((pod) => [pod.metadata.name, blockOf(pod)]));
}

/** A pool of the same ports, which are just enough for it, comes up: the ports of the old one are free. */
async function expectPortsFree(): Promise<void> {
  await applyConsumers('successors');
  await world.readyPool('successors');
  expect(await blocksOf('successors')).toEqual({
    'successors-0': range(30_000, 1),
    'successors-1': range(30_001, 1),
  });
}

/** The machine is back, and what ran there for the old pool is gone. */
async function expectNothingLeftAfter(machine: string): Promise<void> {
  await world.kubelets.recoverNode(machine);
  const isOld = (key: string): boolean => key.includes('/consumers-');
  await until(
    'the old processes to end',
    () => ![...world.kubelets.nodes.keys()].some(isOld),
    soon,
  );
  expect(await world.podNames()).toEqual(
    expect.not.arrayContaining(['consumers-0', 'consumers-1']),
  );
}

describe('kubectl delete of a pool', () => {
  it.each([
    { name: 'a machine is lost', keepRunning: false },
    { name: 'a machine’s kubelet is dead and its processes run on', keepRunning: true },
  ])('ends in time although $name, and frees the ports', async ({ keepRunning }) => {
    await setUp(strict);
    const machine = world.kubelets.machineOf('consumers-0');
    await world.kubelets.loseNode(machine, { keepRunning });
    const tookMs = await kubectlDelete('mediaworker/consumers', 'mediaroom/lobby');
    expect(tookMs).toBeLessThan(deadAfterMs + graceMs + deletionTimeoutMs + slackMs);
    expect(await noteOf('MediaWorker', 'consumers', 'PodAbandoned')).toMatch(
      new RegExp(`gave up on consumers-0: .* may still run on ${machine}`),
    );
    expect(await world.exists('pods', 'consumers-0')).toBe(false);
    await expectPortsFree();
    await expectNothingLeftAfter(machine);
  });

  it('ends in time although all its nodes fell silent at once, as when the operator is cut off', async () => {
    await setUp(strict);
    for (const name of ['consumers-0', 'consumers-1', 'producers-0'])
      world.kubelets.node(name).fault = () => 'hang';
    const tookMs = await kubectlDelete('mediaworker/consumers');
    const drainTimeoutMs = 2000;
    expect(tookMs).toBeLessThan(drainTimeoutMs + graceMs + slackMs);
    const events = await world.events('MediaWorker', 'consumers');
    const notes = events.flatMap(({ reason, note }) =>
      reason === 'DrainDeadlineExceeded' ? [note] : [],
    );
    expect(notes.sort()).toEqual([
      expect.stringContaining('removed consumers-0'),
      expect.stringContaining('removed consumers-1'),
    ]);
  });

  it('waits no longer than the drain for a room that no other pool takes, and says with what it went', async () => {
    await setUp(patient);
    world.kubelets.node('consumers-1').setPeers(7);
    await kubectlDelete('mediaworker/consumers');
    expect(await noteOf('MediaWorker', 'consumers', 'DrainDeadlineExceeded')).toMatch(
      /7 peers in 1 rooms/,
    );
  });

  it('ends at once while its pods do not come up', async () => {
    world.kubelets.hold();
    operator = await world.start({ config: patient });
    await applyConsumers('consumers');
    await until('the pods', async () => (await world.pods()).length === 2, soon);
    expect(await kubectlDelete('mediaworker/consumers')).toBeLessThan(slackMs);
    expect(await world.podNames()).toEqual([]);
  });
});

/**
 * The operator is killed right before each of its writes in turn, to the API server or to a media node, and started again: what
 * comes of it is the same, with nothing doubled and nothing left behind.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import type { ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import {
  KubernetesWorld,
  startWorldControlPlane,
  type OperatorRun,
} from '../../testing/kubernetes/world.ts';
import { until } from '../../testing/until.ts';
import { blockOf } from '../workers/ports.ts';

const soon = { timeoutMs: 30_000, intervalMs: 25 };
/** Generous: each write of a phase costs a start of the operator. */
const phaseTimeoutMs = 300_000;

/** Crashes that are tried side by side, each in a namespace of its own: most of their time is waiting. */
const atOnce = 4;

let controlPlane: ControlPlane;
beforeAll(async () => {
  controlPlane = await startWorldControlPlane();
}, 90_000);
afterAll(() => controlPlane.stop());

/** Lets a number of writes through and none after that. */
class CrashPoint {
  #left: number;
  #crash: () => void = () => undefined;
  readonly whenCrashed = new Promise<'crashed'>(
    (resolve) => (this.#crash = () => resolve('crashed')),
  );

  constructor(writes: number) {
    this.#left = writes;
  }

  readonly fence = (): void => {
    if (this.#left-- > 0) return;
    this.#crash();
    throw new Error('this operator has crashed');
  };
}

interface Phase {
  name: string;
  /** What a running operator has brought about before. */
  before?: (world: KubernetesWorld) => Promise<void>;
  change: (world: KubernetesWorld) => Promise<void>;
  /** Throws while it is not done. */
  done: (world: KubernetesWorld) => Promise<void>;
}

const applyAll = async (world: KubernetesWorld): Promise<void> => {
  await world.applyPool('p', { role: 'Producer' });
  await world.applyPool('c', { role: 'Consumer', replicas: 2 });
  await world.applyRoom('room', { consumers: { routers: 2 } });
};

const sorted = (items: Iterable<string>): string[] => [...items].sort();

/** Pods, ports, routers and placements fit together, and nothing is there twice. */
async function expectWhole(world: KubernetesWorld, consumers: number): Promise<void> {
  const pods = await world.pods();
  const poolsOfPods = pods.map(({ metadata }) => metadata.labels?.['kube-sfu.dev/pool'] ?? '');
  expect(sorted(poolsOfPods)).toEqual([...Array<string>(consumers).fill('c'), 'p']);
  expect(sorted(world.kubelets.nodes.keys())).toHaveLength(pods.length);
  const ports = pods.flatMap((pod) => {
    const { start = 0, end = -1 } = blockOf(pod) ?? {};
    return Array.from({ length: end - start + 1 }, (_, i) => start + i);
  });
  expect(new Set(ports).size).toBe(ports.length);
  const { status } = await world.room('room');
  const placements = status?.placements ?? [];
  const routers = [...world.kubelets.nodes.values()].flatMap((node) => [...node.routers.keys()]);
  expect(sorted(routers)).toEqual(sorted(placements.map(({ routerId }) => routerId)));
  expect(placements.map(({ state }) => state)).toEqual(placements.map(() => 'Ready'));
  const wanted = [...Array<string>(Math.min(2, consumers)).fill('Consumer'), 'Producer'];
  expect(sorted(placements.map(({ role }) => role))).toEqual(wanted);
  expect(sorted((await world.budgets()).map(({ metadata }) => metadata.name))).toHaveLength(2);
}

async function expectReady(world: KubernetesWorld, consumers: number): Promise<void> {
  for (const pool of await world.pools()) {
    const { status, spec, metadata } = pool;
    expect(status?.observedGeneration).toBe(metadata.generation);
    expect(status).toMatchObject({ replicas: spec.replicas, updatedReplicas: spec.replicas });
  }
  await expectWhole(world, consumers);
}

const phases: Phase[] = [
  {
    name: 'pools and a room are made',
    change: applyAll,
    done: (world) => expectReady(world, 2),
  },
  {
    name: 'a pool grows and shrinks',
    before: async (world) => {
      await applyAll(world);
      await world.readyRoom('room');
    },
    change: async (world) => {
      await world.kubectl(['scale', 'mediaworker/c', '--replicas=3']);
      await until('a third pod', async () => (await world.podNames()).includes('c-2'), soon);
      await world.kubectl(['scale', 'mediaworker/c', '--replicas=1']);
    },
    done: async (world) => {
      const { spec } = await world.pool('c');
      expect(spec.replicas).toBe(1);
      await expectReady(world, 1);
    },
  },
  {
    name: 'the nodes of a pool are replaced',
    before: async (world) => {
      await applyAll(world);
      await world.readyRoom('room');
    },
    change: async (world) => {
      await world.applyPool('c', { role: 'Consumer', replicas: 2, workersPerNode: 2 });
    },
    done: async (world) => {
      for (const pod of await world.pods())
        if (pod.metadata.name.startsWith('c-'))
          expect((blockOf(pod)?.end ?? 0) - (blockOf(pod)?.start ?? 0)).toBe(1);
      await expectReady(world, 2);
    },
  },
  {
    name: 'everything is deleted',
    before: async (world) => {
      await applyAll(world);
      await world.readyRoom('room');
    },
    change: async (world) => {
      await world.delete('mediarooms', 'room');
      for (const name of ['p', 'c']) await world.delete('mediaworkers', name);
    },
    done: async (world) => {
      expect(await world.rooms()).toEqual([]);
      expect(await world.pools()).toEqual([]);
      expect(await world.podNames()).toEqual([]);
      expect(world.kubelets.nodes.size).toBe(0);
    },
  },
];

const untilDone = ({ name, done }: Phase, world: KubernetesWorld): Promise<boolean> =>
  until(
    name,
    async () => {
      await done(world);
      return true;
    },
    soon,
  );

/** Runs a phase with a crash after so many writes. @returns whether it came to the crash */
async function runWithCrash(phase: Phase, writes: number): Promise<boolean> {
  const world = await KubernetesWorld.create(controlPlane);
  try {
    if (phase.before) {
      const operator = await world.start();
      await phase.before(world);
      await operator.close();
    }
    const point = new CrashPoint(writes);
    const victim: OperatorRun = await world.start({ fence: point.fence });
    const changed = phase.change(world).then(() => untilDone(phase, world));
    // The second operator brings to its end what the first has begun.
    const outcome = await Promise.race([changed, point.whenCrashed]);
    await victim.close();
    if (outcome !== 'crashed') return false;
    await world.start();
    await changed;
    await untilDone(phase, world);
    return true;
  } finally {
    await world.close();
  }
}

describe('an operator that crashes', () => {
  it.each(phases)(
    'comes to the same end before each of its writes while $name',
    async (phase) => {
      let writes = 0;
      for (let crashed = true; crashed;) {
        const points = Array.from({ length: atOnce }, (_, i) => writes + i);
        const outcomes = await Promise.all(points.map((point) => runWithCrash(phase, point)));
        writes += outcomes.filter(Boolean).length;
        crashed = outcomes.every(Boolean);
      }
      // A phase that writes nothing would show nothing.
      expect(writes).toBeGreaterThan(3);
    },
    phaseTimeoutMs,
  );
});

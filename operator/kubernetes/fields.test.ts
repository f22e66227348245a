/** Every field that a user may set has an effect, shown on a real API server. A new field without a test fails the last one. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import {
  loadCrd,
  schemaOf,
  type Plural,
  type StructuralSchema,
} from '../../common/resources/crd.ts';
import type { MediaRoom } from '../../common/resources/types.ts';
import { refusalOf } from '../../signaling/fixtures/client.ts';
import { Platform } from '../../signaling/fixtures/platform.ts';
import type { ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { KubernetesWorld, startWorldControlPlane } from '../../testing/kubernetes/world.ts';
import { until } from '../../testing/until.ts';
import { mediaContainer, type Pod } from '../cluster.ts';
import { blockOf } from '../workers/ports.ts';

type Fields = Record<string, unknown>;

const soon = { timeoutMs: 20_000, intervalMs: 50 };
const testTimeoutMs = 60_000;

let controlPlane: ControlPlane;
let world: KubernetesWorld;

beforeAll(async () => {
  controlPlane = await startWorldControlPlane();
}, 90_000);
afterAll(() => controlPlane.stop());
beforeEach(async () => {
  world = await KubernetesWorld.create(controlPlane, {
    config: { autoscaling: { intervalMs: 50 }, rooms: { ...quickRooms, shrinkAfterMs: 300 } },
  });
  await world.start();
});
afterEach(() => world.close());

const quickRooms = { closeTimeoutMs: 1000, drainGraceMs: 100, orphanGraceMs: 200 };

/** A pool with the given spec, and one of its pods. */
async function podOf(spec: Fields): Promise<Pod> {
  await world.applyPool('pool', { role: 'Consumer', ...spec });
  await world.readyPool('pool');
  return world.pod('pool-0');
}
const envOf = (pod: Pod, name: string): unknown =>
  mediaContainer(pod).env.find((variable) => variable.name === name);
const placementsOf = ({ status }: MediaRoom, side?: string) =>
  (status?.placements ?? []).filter(({ role }) => side === undefined || role === side);
const reasonOf = ({ status }: MediaRoom): string | undefined =>
  status?.conditions?.find(({ type }) => type === 'Ready')?.reason;

/** One pool that can do everything, on one node unless told otherwise. */
const applyBoth = async (spec: Fields = {}, labels?: Record<string, string>): Promise<void> => {
  await world.applyPool('both', { role: 'Both', ...spec }, labels);
  await world.readyPool('both');
};

const untilReplicas = (name: string, replicas: number) =>
  until(
    `${name} to want ${replicas} nodes`,
    async () => (await world.pool(name)).spec.replicas === replicas,
    soon,
  );

async function autoscaled(autoscaling: Fields, load: Fields): Promise<void> {
  await world.applyPool('pool', { role: 'Consumer', autoscaling });
  await world.readyPool('pool');
  for (const node of world.kubelets.nodes.values()) node.load = load;
}

async function roomFails(name: string): Promise<string | undefined> {
  await until(
    `room ${name} to be refused its place`,
    async () => reasonOf(await world.room(name)) === 'InsufficientCapacity',
    soon,
  );
  return reasonOf(await world.room(name));
}

/** A signaling service on this API server. */
async function withSignaling(
  work: (platform: Platform, port: number) => Promise<void>,
): Promise<void> {
  const platform = await Platform.create();
  try {
    const { publicPort } = await platform.replica({
      kubernetes: { kubeconfig: controlPlane.kubeconfig(), namespace: world.namespace },
    });
    await work(platform, publicPort);
  } finally {
    await platform.close();
  }
}

type Effect = () => Promise<void>;

const capacityEffect =
  (field: string, load: Fields): Effect =>
  async () => {
    await applyBoth({ capacity: { [field]: 5 } });
    for (const node of world.kubelets.nodes.values()) node.load = load;
    await until(
      'the load to be seen',
      async () => (await world.pool('both')).status?.loadPercent === 100,
      soon,
    );
    await world.applyRoom('room');
    expect(await roomFails('room')).toBe('InsufficientCapacity');
    for (const node of world.kubelets.nodes.values()) node.load = {};
    await world.readyRoom('room');
  };

const stabilizationEffect =
  (direction: 'scaleUp' | 'scaleDown', from: number, load: number): Effect =>
  async () => {
    const autoscaling = { minReplicas: 1, maxReplicas: 4, targetConsumersPerWorker: 10 };
    const others = { scaleUp: {}, scaleDown: { stabilizationWindowSeconds: 0 } };
    const slow = { ...others, [direction]: { stabilizationWindowSeconds: 3600 } };
    await world.applyPool('pool', { role: 'Consumer', replicas: from });
    await world.readyPool('pool');
    for (const node of world.kubelets.nodes.values()) node.load = { consumers: load };
    await until(
      'the load to be seen',
      async () =>
        (await world.pool('pool')).status?.nodes?.every((node) => node.consumers === load) === true,
      soon,
    );
    const change = (spec: Fields): Promise<string> =>
      world.kubectl(['patch', 'mediaworker/pool', '--type=merge', '-p', JSON.stringify({ spec })]);
    await change({ autoscaling: { ...autoscaling, ...slow } });
    await until(
      'the pool to have looked',
      async () => {
        const { status, metadata } = await world.pool('pool');
        return status?.observedGeneration === metadata.generation;
      },
      soon,
    );
    expect((await world.pool('pool')).spec.replicas).toBe(from);
    await change({ autoscaling: { [direction]: { stabilizationWindowSeconds: 0 } } });
    await until(
      'the pool to change its size',
      async () => (await world.pool('pool')).spec.replicas !== from,
      soon,
    );
  };

const codecEffect =
  (field: string): Effect =>
  async () => {
    await applyBoth();
    const codec: Fields = {
      ...{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48000, channels: 2 },
      ...{ preferredPayloadType: 100, parameters: { useinbandfec: 1 } },
      rtcpFeedback: [{ type: 'nack', parameter: 'pli' }],
    };
    await world.applyRoom('room', { mediaCodecs: [codec] });
    await world.readyRoom('room');
    const made = [...world.kubelets.nodes.values()].flatMap((node) => [
      ...node.mediaCodecs.values(),
    ]);
    const [top = '', below] = field.split('[].');
    const given = codec[top];
    expect(made[0]?.[0]).toHaveProperty(top, given);
    if (below) expect((given as Fields[])[0]).toHaveProperty(below);
  };

const workerEffects: Record<string, Effect> = {
  'spec.role': async () => {
    const pod = await podOf({ role: 'Producer' });
    expect(envOf(pod, 'ROLE')).toEqual({ name: 'ROLE', value: 'Producer' });
    expect(pod.metadata.labels?.['kube-sfu.dev/role']).toBe('Producer');
  },
  'spec.replicas': async () => {
    await podOf({ replicas: 3 });
    expect(await world.podNames()).toEqual(['pool-0', 'pool-1', 'pool-2']);
  },
  'spec.workersPerNode': async () => {
    const pod = await podOf({ workersPerNode: 3 });
    expect(envOf(pod, 'RTC_WORKERS')).toEqual({ name: 'RTC_WORKERS', value: '3' });
    expect(blockOf(pod)).toEqual({ start: 20_000, end: 20_002 });
  },
  'spec.image': async () => {
    expect(mediaContainer(await podOf({ image: 'example.com/sfu:1' })).image).toBe(
      'example.com/sfu:1',
    );
  },
  'spec.resources.requests': async () => {
    const pod = await podOf({ resources: { requests: { cpu: '100m' } } });
    expect(mediaContainer(pod)['resources']).toMatchObject({ requests: { cpu: '100m' } });
  },
  'spec.resources.limits': async () => {
    const pod = await podOf({ resources: { limits: { memory: '1Gi' } } });
    expect(mediaContainer(pod)['resources']).toMatchObject({ limits: { memory: '1Gi' } });
  },
  'spec.podTemplate.metadata.labels': async () => {
    const pod = await podOf({ podTemplate: { metadata: { labels: { team: 'video' } } } });
    expect(pod.metadata.labels).toMatchObject({ team: 'video' });
  },
  'spec.podTemplate.metadata.annotations': async () => {
    const pod = await podOf({ podTemplate: { metadata: { annotations: { note: 'x' } } } });
    expect(pod.metadata.annotations).toMatchObject({ note: 'x' });
  },
  'spec.podTemplate.spec': async () => {
    const pod = await podOf({
      podTemplate: {
        spec: {
          priorityClassName: 'system-node-critical',
          containers: [{ name: 'media-node', env: [{ name: 'MORE', value: '1' }] }],
        },
      },
    });
    expect(pod.spec['priorityClassName']).toBe('system-node-critical');
    expect(envOf(pod, 'MORE')).toEqual({ name: 'MORE', value: '1' });
    expect(envOf(pod, 'ROLE')).toBeDefined();
  },
  'spec.rollout.maxSurge': async () => {
    await world.applyPool('pool', { role: 'Consumer', replicas: 2, rollout: { maxSurge: 2 } });
    await world.readyPool('pool');
    // New pods don't come up, so the old ones stay beside them.
    world.kubelets.hold();
    await world.applyPool('pool', {
      ...{ role: 'Consumer', replicas: 2, workersPerNode: 2 },
      rollout: { maxSurge: 2 },
    });
    await until('two more pods', async () => (await world.podNames()).length === 4, soon);
    world.kubelets.release();
    await until('the old ones to go', async () => (await world.podNames()).length === 2, soon);
  },
  'spec.autoscaling.minReplicas': async () => {
    await autoscaled({ minReplicas: 2, maxReplicas: 3, targetCPUPercent: 50 }, {});
    await untilReplicas('pool', 2);
  },
  'spec.autoscaling.maxReplicas': async () => {
    await autoscaled({ maxReplicas: 2, targetCPUPercent: 50 }, { cpuPercent: 500 });
    await untilReplicas('pool', 2);
  },
  'spec.autoscaling.targetConsumersPerWorker': async () => {
    await autoscaled({ maxReplicas: 9, targetConsumersPerWorker: 10 }, { consumers: 30 });
    await untilReplicas('pool', 3);
  },
  'spec.autoscaling.targetCPUPercent': async () => {
    await autoscaled({ maxReplicas: 9, targetCPUPercent: 20 }, { cpuPercent: 40 });
    await untilReplicas('pool', 2);
  },
  'spec.autoscaling.scaleUp.stabilizationWindowSeconds': stabilizationEffect('scaleUp', 1, 30),
  'spec.autoscaling.scaleDown.stabilizationWindowSeconds': stabilizationEffect('scaleDown', 2, 0),
  'spec.capacity.consumersPerWorker': capacityEffect('consumersPerWorker', { consumers: 5 }),
  'spec.capacity.producersPerWorker': capacityEffect('producersPerWorker', { producers: 5 }),
  'spec.capacity.routersPerWorker': async () => {
    await applyBoth({ capacity: { routersPerWorker: 1 } });
    await world.applyRoom('first');
    await world.readyRoom('first');
    await world.applyRoom('second');
    expect(await roomFails('second')).toBe('InsufficientCapacity');
  },
  'spec.network.mode': async () => {
    const hostPorts = (pod: Pod): unknown[] =>
      mediaContainer(pod).ports.flatMap(({ hostPort }) => hostPort ?? []);
    expect(hostPorts(await podOf({ network: { mode: 'HostPort' } }))).toEqual([20_000, 20_000]);
    await world.applyPool('inside', { role: 'Consumer', network: { mode: 'PodIP' } });
    await world.readyPool('inside');
    const inside = await world.pod('inside-0');
    expect(hostPorts(inside)).toEqual([]);
    expect((await world.pool('inside')).status?.addresses).toEqual([inside.status.podIP]);
    await world.applyPool('host', { role: 'Consumer', network: { mode: 'HostNetwork' } });
    await world.readyPool('host');
    expect((await world.pod('host-0')).spec.hostNetwork).toBe(true);
  },
  'spec.network.portRange.start': async () => {
    const network = { portRange: { start: 31_000, end: 31_999 } };
    expect(blockOf(await podOf({ network }))?.start).toBe(31_000);
  },
  'spec.network.portRange.end': async () => {
    await podOf({ network: { portRange: { start: 31_000, end: 31_000 } } });
    await world.applyPool('other', {
      role: 'Consumer',
      network: { portRange: { start: 31_000, end: 31_000 } },
    });
    await until(
      'the second pool to say that there are no ports',
      async () =>
        (await world.pool('other')).status?.conditions?.some(
          ({ reason }) => reason === 'PortRangeExhausted',
        ) === true,
      soon,
    );
  },
  'spec.network.announcedAddress': async () => {
    await podOf({ network: { announcedAddress: 'media.example.com' } });
    expect((await world.pool('pool')).status?.addresses).toEqual(['media.example.com']);
    expect(world.kubelets.node('pool-0').announcedAddress).toBe('media.example.com');
  },
  'spec.drain.timeoutSeconds': async () => {
    await podOf({ drain: { timeoutSeconds: 1 } });
    world.kubelets.node('pool-0').load = { peers: 3 };
    await until(
      'the peers to be seen',
      async () => (await world.pool('pool')).status?.peers === 3,
      soon,
    );
    await world.applyPool('pool', { role: 'Consumer', replicas: 0, drain: { timeoutSeconds: 1 } });
    await until(
      'the node to go with its peers',
      async () => (await world.podNames()).length === 0,
      soon,
    );
    const reasons = (await world.events('MediaWorker', 'pool')).map(({ note }) => note).join('\n');
    expect(reasons).toContain('3 peers');
  },
  'spec.drain.maxConcurrentRooms': async () => {
    const spec = { role: 'Consumer', drain: { timeoutSeconds: 600, maxConcurrentRooms: 1 } };
    await world.applyPool('p', { role: 'Producer' });
    await world.applyPool('pool', spec);
    for (const pool of ['p', 'pool']) await world.readyPool(pool);
    for (const room of ['a', 'b']) {
      await world.applyRoom(room);
      await world.readyRoom(room);
    }
    const node = world.kubelets.node('pool-0');
    node.setPeers(1);
    await until('the peers', async () => (await world.pool('pool')).status?.peers === 2, soon);
    await world.applyPool('pool', { ...spec, image: 'example.com/media-node:2' });
    const leaving = async (): Promise<string[]> => {
      const rooms = await Promise.all(['a', 'b'].map((room) => world.room(room)));
      return rooms
        .filter((room) => placementsOf(room).some(({ state }) => state === 'Draining'))
        .map(({ metadata }) => metadata.name);
    };
    const [first = ''] = await until(
      'a room to move',
      async () => {
        const moving = await leaving();
        return moving.length > 0 ? moving : undefined;
      },
      soon,
    );
    const [second = ''] = ['a', 'b'].filter((room) => room !== first);
    await until(
      'the drain to be told',
      async () => (await world.pool('pool')).status?.drainingReplicas === 1,
      soon,
    );
    expect(await leaving()).toEqual([first]);
    node.setPeers(0, first);
    await until('the other to move', async () => (await leaving()).includes(second), soon);
  },
  'spec.rooms.createOnJoin': () =>
    withSignaling(async (platform, port) => {
      await applyBoth();
      const join = { port, roomId: 'made', peerId: 'ann' };
      expect((await refusalOf(join)).body).toContain('room_not_found');
      await applyBoth({ rooms: { createOnJoin: true } });
      await until(
        'a join to make the room',
        async () => {
          const replica = { publicPort: port };
          await platform.connect(replica, { roomId: 'made', peerId: 'ann' });
          return world.exists('mediarooms', 'made');
        },
        soon,
      );
    }),
};

const roomEffects: Record<string, Effect> = {
  ...Object.fromEntries(
    [
      ...['kind', 'mimeType', 'clockRate', 'channels', 'preferredPayloadType', 'parameters'],
      ...['rtcpFeedback[].type', 'rtcpFeedback[].parameter'],
    ].map((field) => [`spec.mediaCodecs[].${field}`, codecEffect(field)]),
  ),
  'spec.maxPeers': () =>
    withSignaling(async (platform, port) => {
      await applyBoth();
      await world.applyRoom('room', { maxPeers: 1 });
      const [placement] = placementsOf(await world.readyRoom('room'));
      // A media node writes down what routers it has; the simulated ones here have no table.
      await (await platform.node('Both')).putRouter('room', placement?.routerId ?? '');
      const replica = { publicPort: port };
      await platform.connect(replica, { roomId: 'room', peerId: 'ann' });
      await until('her row', async () => (await platform.peerRows()).length === 1, soon);
      expect((await refusalOf({ port, roomId: 'room', peerId: 'bob' })).body).toContain(
        'room_full',
      );
    }),
  'spec.producers.selector.matchLabels': () => selectorEffect('producers'),
  'spec.consumers.selector.matchLabels': () => selectorEffect('consumers'),
  'spec.producers.routers': () => routersEffect('producers', 'Producer'),
  'spec.consumers.routers': () => routersEffect('consumers', 'Consumer'),
  'spec.consumers.maxRouters': async () => {
    await world.applyPool('p', { role: 'Producer' });
    await world.applyPool('c', {
      role: 'Consumer',
      replicas: 3,
      capacity: { consumersPerWorker: 10 },
    });
    await world.readyPool('c');
    await world.applyRoom('room', { consumers: { routers: 1, maxRouters: 2 } });
    await world.readyRoom('room');
    /** On every node, as long as it lasts: each new router is full as soon as it is there. */
    const fill = (): void => {
      for (const node of world.kubelets.nodes.values()) {
        node.workerConsumers = [10];
        node.setPeers(1);
      }
    };
    fill();
    await until(
      'the room to grow to two consumer routers',
      async () => placementsOf(await world.room('room'), 'Consumer').length === 2,
      soon,
    );
    await until(
      'both to be full',
      async () => {
        fill();
        return (await world.pool('c')).status?.peers === 2;
      },
      soon,
    );
    // There is a third node: only the limit keeps the room from growing on.
    expect(placementsOf(await world.room('room'), 'Consumer')).toHaveLength(2);
    await world.applyRoom('room', { consumers: { routers: 1, maxRouters: 3 } });
    await until(
      'the room to grow to three',
      async () => placementsOf(await world.room('room'), 'Consumer').length === 3,
      soon,
    );
  },
  'spec.idlePolicy.action': async () => {
    await applyBoth();
    await world.applyRoom('kept', { idlePolicy: { action: 'Retain', afterSeconds: 1 } });
    await world.applyRoom('gone', { idlePolicy: { action: 'Delete', afterSeconds: 1 } });
    await world.readyRoom('kept');
    await until(
      'the idle room to go',
      async () => !(await world.exists('mediarooms', 'gone')),
      soon,
    );
    expect(await world.exists('mediarooms', 'kept')).toBe(true);
  },
  'spec.idlePolicy.afterSeconds': async () => {
    await applyBoth();
    await world.applyRoom('later', { idlePolicy: { action: 'Delete', afterSeconds: 3600 } });
    await world.applyRoom('soon', { idlePolicy: { action: 'Delete', afterSeconds: 1 } });
    await world.readyRoom('later');
    await until('one to go', async () => !(await world.exists('mediarooms', 'soon')), soon);
    expect(await world.exists('mediarooms', 'later')).toBe(true);
  },
  'spec.ttlSeconds': async () => {
    await applyBoth();
    await world.applyRoom('room', { ttlSeconds: 2 });
    await world.readyRoom('room');
    for (const node of world.kubelets.nodes.values()) node.setPeers(1);
    await until('its end', async () => !(await world.exists('mediarooms', 'room')), soon);
    const reasons = (await world.events('MediaRoom', 'room')).map(({ reason }) => reason);
    expect(reasons).toContain('TTLExpired');
  },
};

async function selectorEffect(side: 'producers' | 'consumers'): Promise<void> {
  await applyBoth({}, { zone: 'a' });
  await world.applyRoom('room', { [side]: { selector: { matchLabels: { zone: 'b' } } } });
  expect(await roomFails('room')).toBe('InsufficientCapacity');
  await world.applyRoom('room', { [side]: { selector: { matchLabels: { zone: 'a' } } } });
  await world.readyRoom('room');
}

async function routersEffect(side: 'producers' | 'consumers', role: string): Promise<void> {
  await world.applyPool('p', { role: 'Producer', replicas: 2 });
  await world.applyPool('c', { role: 'Consumer', replicas: 2 });
  for (const name of ['p', 'c']) await world.readyPool(name);
  await world.applyRoom('room', { [side]: { routers: 2 } });
  await world.readyRoom('room');
  expect(placementsOf(await world.room('room'), role)).toHaveLength(2);
  expect(placementsOf(await world.room('room'))).toHaveLength(3);
}

/** Fields that stand in the schema so that a rule can refuse them. */
const refused = ['hostNetwork', 'restartPolicy', 'terminationGracePeriodSeconds', 'nodeName'].map(
  (name) => `spec.podTemplate.spec.${name}`,
);

function leaves(schema: StructuralSchema, path: string): string[] {
  if (schema['x-kubernetes-preserve-unknown-fields']) return [path];
  if (schema.items) return leaves(schema.items, `${path}[]`);
  if (!schema.properties) return [path];
  return Object.entries(schema.properties).flatMap(([key, child]) =>
    leaves(child, `${path}.${key}`),
  );
}

const specLeaves = (plural: Plural): string[] =>
  leaves(schemaOf(loadCrd(plural)).properties?.['spec'] ?? {}, 'spec').filter(
    (field) => !refused.includes(field),
  );

describe.each([
  { plural: 'mediaworkers', kind: 'MediaWorker', effects: workerEffects },
  { plural: 'mediarooms', kind: 'MediaRoom', effects: roomEffects },
] as const)('$kind', ({ plural, effects }) => {
  it.each(Object.entries(effects))('%s has an effect', (_field, effect) => effect(), testTimeoutMs);

  it('has a test here for each field of its spec', () => {
    expect(Object.keys(effects).sort()).toEqual(specLeaves(plural).sort());
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';

import { objectPath, collectionPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { permissions } from '../../common/kubernetes/rbac.ts';
import { createServiceMetrics } from '../../common/service/metrics.ts';
import { auditPolicyFor, declaredUse, readApiUse } from '../../testing/kubernetes/audit.ts';
import { startControlPlane, type ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import {
  grantRoles,
  serviceUser,
  type RoleManifest,
} from '../../testing/kubernetes/service-roles.ts';
import { KubernetesWorld } from '../../testing/kubernetes/world.ts';
import { quickConfig } from '../../testing/quick-config.ts';
import { until } from '../../testing/until.ts';
import { operatorConfig } from '../config.ts';
import { createOperatorMetrics } from '../metrics.ts';
import { systemClock } from '../runtime/clock.ts';
import { startService, type Service } from '../service.ts';
import { buildBudget } from '../workers/budget.ts';

const user = serviceUser('operator');
const logger = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });
/** As in clusters that do not let everybody keep others' objects from being deleted. */
const enforcement = '--enable-admission-plugins=OwnerReferencesPermissionEnforcement';
const soon = { timeoutMs: 20_000, intervalMs: 50 };

let plane: ControlPlane;
let world: KubernetesWorld;
let services: Service[];
let fatal: string[];

const startPlane = async (users: string[] = []): Promise<void> => {
  plane = await startControlPlane({
    users: Object.fromEntries([user, ...users].map((name) => [name, []])),
    auditPolicy: auditPolicyFor(user),
    serverArgs: [enforcement],
  });
};

/** The whole operator, with leader election, as its pods run it. */
async function start(namespace: string | undefined): Promise<Service> {
  const config = operatorConfig.parse({
    ...quickConfig,
    pods: { terminationGracePeriodSeconds: 1, deletionTimeoutMs: 2_000 },
    autoscaling: { intervalMs: 100 },
    kubernetes: {
      kubeconfig: plane.kubeconfig(user),
      ...(namespace === undefined ? {} : { namespace }),
      backoffMinMs: 20,
      leaderElection: { namespace: 'kube-sfu-system', retryPeriodMs: 500 },
    },
  });
  const serviceMetrics = createServiceMetrics();
  const service = await startService({
    ...{ config, serviceMetrics, logger },
    metrics: createOperatorMetrics(serviceMetrics.registry),
    clock: systemClock,
    onFatal: (why) => fatal.push(why),
  });
  services.push(service);
  await until('it to be ready', () => service.waitingFor().length === 0, soon);
  return service;
}

const wanted = (replicas: number) => ({ role: 'Both', replicas });
const readyNodes = (count: number) =>
  until(
    `${count} nodes`,
    async () => (await world.pool('media')).status?.readyReplicas === count,
    soon,
  );
const scaleTo = async (replicas: number): Promise<void> => {
  await world.kubectl(['scale', 'mediaworker/media', `--replicas=${replicas}`]);
  await readyNodes(replicas);
};
const end = (kind: 'mediarooms' | 'mediaworkers', name: string) =>
  until(`the end of ${name}`, async () => !(await world.exists(kind, name)), soon);

/** Everything that the operator ever does at the API server. */
async function doEverything(namespace: string | undefined): Promise<void> {
  const leader = await start(namespace);
  await world.applyPool('media', wanted(1));
  await world.readyPool('media');
  await start(namespace);
  await world.applyRoom('lobby');
  await world.readyRoom('lobby');

  await scaleTo(2);
  await scaleTo(1);
  // The same node again: an Event like one before, which is counted in that.
  await scaleTo(2);
  await world.applyPool('media', {
    ...wanted(2),
    autoscaling: { minReplicas: 3, maxReplicas: 3, targetCPUPercent: 50 },
  });
  await readyNodes(3);

  await world.applyRoom('idle', { idlePolicy: { action: 'Delete', afterSeconds: 1 } });
  await end('mediarooms', 'idle');

  await leader.close();
  await world.delete('mediarooms', 'lobby');
  await end('mediarooms', 'lobby');
  await world.delete('mediaworkers', 'media');
  await end('mediaworkers', 'media');
}

describe.each<[RoleManifest, 'all namespaces' | 'one namespace']>([
  ['operator', 'all namespaces'],
  ['operator-namespaced', 'one namespace'],
])('the permissions of config/rbac/%s.yaml', (manifest, extent) => {
  beforeAll(() => startPlane(), 90_000);
  afterAll(() => plane.stop());
  beforeEach(async () => {
    services = [];
    fatal = [];
    world = await KubernetesWorld.create(plane);
    await grantRoles(plane, manifest, world.namespace);
  });
  afterEach(async () => {
    await Promise.all(services.map((service) => service.close()));
    await world.close();
  }, 90_000);

  it(`are all that an operator of ${extent} needs, and it needs all of them`, async () => {
    await doEverything(extent === 'one namespace' ? world.namespace : undefined);
    const { used, refused } = await readApiUse(plane, user);
    expect(refused).toEqual([]);
    expect(used).toEqual(declaredUse('operator'));
    expect(fatal).toEqual([]);
  }, 120_000);
});

describe('the permissions that the API server asks for within another request', () => {
  const implied = permissions.operator.filter((permission) => permission.implied);
  const userWithout = (index: number): string => `without-${index}`;

  beforeAll(async () => {
    await startPlane(implied.map((_, index) => userWithout(index)));
    await grantRoles(plane, 'operator', 'default');
    world = await KubernetesWorld.create(plane, { machines: 0 });
    await world.applyPool('media', wanted(0));
  }, 90_000);
  afterAll(async () => {
    await world.close();
    await plane.stop();
  }, 90_000);

  /** What needs them, tried by a user. */
  const attempts: Record<string, (name: string) => Promise<unknown>> = {
    'mediaworkers/finalizers': async (name) => {
      const { metadata } = buildBudget(await world.pool('media'));
      return plane.clientOf(name).call({
        method: 'POST',
        path: collectionPath(resourceTypes.pods, world.namespace),
        query: { dryRun: 'All' },
        body: { metadata, spec: { containers: [{ name: 'media-node', image: 'kube-sfu' }] } },
      });
    },
    poddisruptionbudgets: async (name) => {
      const budget = buildBudget(await world.pool('media'));
      const { apiVersion } = resourceTypes.poddisruptionbudgets;
      return plane.clientOf(name).call({
        method: 'PATCH',
        path: objectPath(resourceTypes.poddisruptionbudgets, budget.metadata),
        query: { dryRun: 'All', fieldManager: 'test' },
        patch: 'apply',
        body: { apiVersion, kind: 'PodDisruptionBudget', ...budget },
      });
    },
  };

  it.each(
    implied.map(({ resource, subresource, verbs }, index) => ({
      index,
      verbs,
      what: subresource === undefined ? resource : `${resource}/${subresource}`,
    })),
  )('are needed: $verbs of $what', async ({ index, what }) => {
    const attempt = attempts[what]!;
    await attempt(user);
    const role = JSON.parse(
      await plane.kubectl(['get', 'clusterrole', 'kube-sfu-operator', '-o', 'json']),
    ) as { rules: { resources: string[]; verbs: string[] }[] };
    const { verbs } = implied[index]!;
    const isIt = (rule: (typeof role.rules)[number]): boolean =>
      rule.resources.includes(what) && rule.verbs.join() === verbs.join();
    expect(role.rules.filter(isIt)).toHaveLength(1);
    const name = userWithout(index);
    await plane.kubectl(['create', '-f', '-'], {
      input: JSON.stringify({
        ...role,
        metadata: { name },
        rules: role.rules.filter((rule) => !isIt(rule)),
      }),
    });
    const binding = ['create', 'clusterrolebinding', name, `--clusterrole=${name}`];
    await plane.kubectl([...binding, `--user=${name}`]);
    await until(
      'the role to count',
      async () => plane.clientOf(name).list(collectionPath(resourceTypes.nodes)),
      soon,
    );
    await expect(attempt(name)).rejects.toMatchObject({ statusCode: 403 });
  });
});

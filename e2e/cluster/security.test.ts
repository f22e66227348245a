import { afterAll, beforeAll, describe, expect } from '@jest/globals';

import { permissions, type ApiService } from '../../common/kubernetes/rbac.ts';
import { until } from '../../testing/until.ts';
import type { KubeObject, Pod } from './harness/cluster.ts';
import { denyAll, reachedFrom, stranger, type Target } from './harness/probe.ts';
import { grantedRules, rulesOf } from './harness/rules.ts';
import { enterCluster, ensureInstalled, type World } from './harness/shared.ts';
import { hookTimeout, scenario, scene } from './harness/suite.ts';

const setUpMs = 300_000;
/** A namespace of its own, which nothing in the release knows of. */
const elsewhere = 'e2e-elsewhere';

let world: World;

beforeAll(async () => {
  world = await enterCluster();
  await scene('a release', () => ensureInstalled(world), setUpMs);
}, hookTimeout(setUpMs));

afterAll(async () => {
  const { cluster } = world;
  await cluster.kubectl(['delete', 'namespace', elsewhere, '--ignore-not-found', '--wait=false']);
  for (const namespace of [system(), media()])
    await cluster.kubectl([
      'delete',
      'pod',
      'stranger',
      `--namespace=${namespace}`,
      '--ignore-not-found',
    ]);
}, 60_000);

const media = (): string => world.release.options.mediaNamespace;
const system = (): string => world.release.options.namespace;

async function onePod(namespace: string, selector: string): Promise<Pod> {
  const [pod] = await world.cluster.pods(namespace, selector);
  if (!pod) throw new Error(`no pod of ${selector}`);
  return pod;
}

describe('NetworkPolicies', () => {
  type Place = 'operator' | 'signaling' | 'trial-postgres' | 'producer' | 'consumer';
  const pods = new Map<string, Pod>();
  let targets: Target[] = [];
  const pod = (name: string): Pod => pods.get(name)!;

  /** A pod without any of the platform's labels, by the image of another. */
  async function addStranger(name: string, namespace: string): Promise<void> {
    const { image } = pod('operator').spec.containers[0]!;
    await world.cluster.apply([stranger(name, namespace, image)]);
    await world.cluster.wait(`pod/${name}`, 'condition=Ready', { namespace, timeoutMs: 60_000 });
    const ready = await world.cluster.get<Pod>('pod', name, namespace);
    pods.set(`${name} in ${namespace}`, ready);
  }

  beforeAll(async () => {
    const { cluster, release } = world;
    await scene('pods to try connections from', async () => {
      for (const component of ['operator', 'signaling', 'trial-postgres'])
        pods.set(component, await onePod(system(), release.selector(component)));
      for (const role of ['producer', 'consumer'])
        pods.set(role, await onePod(media(), `kube-sfu.dev/pool=${role}s`));
      await cluster.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: elsewhere } }]);
      await until('its service account', () =>
        cluster.get<KubeObject>('serviceaccount', 'default', elsewhere),
      );
      for (const namespace of [system(), media(), elsewhere])
        await addStranger('stranger', namespace);
      await addStranger('other', elsewhere);
      const ipOf = (name: Place): string => pod(name).status.podIP ?? '';
      const api = await cluster.get<KubeObject & { spec: { clusterIP: string } }>(
        ...(['service', 'kubernetes', 'default'] as const),
      );
      targets = [
        { name: 'operator', host: ipOf('operator'), port: 8090 },
        { name: 'signaling public', host: ipOf('signaling'), port: 4443 },
        { name: 'signaling internal', host: ipOf('signaling'), port: 4444 },
        { name: 'Postgres', host: ipOf('trial-postgres'), port: 5432 },
        { name: 'producer', host: ipOf('producer'), port: 7000 },
        { name: 'consumer', host: ipOf('consumer'), port: 7000 },
        { name: 'Kubernetes API', host: api.spec.clusterIP, port: 443 },
        { name: 'other pod', host: pod(`other in ${elsewhere}`).status.podIP ?? '', port: 8888 },
      ];
    });
  }, hookTimeout(120_000));

  scenario(
    'are enforced here: a pod that was reached is not any more under a policy, and is again without',
    async () => {
      const { cluster } = world;
      const reached = async (): Promise<boolean> => {
        const from = pod(`stranger in ${elsewhere}`);
        return (await reachedFrom(cluster, from, targets)).includes('other pod');
      };
      expect(await reached()).toBe(true);
      await cluster.apply([denyAll(elsewhere)]);
      await until('the policy to hold', async () => !(await reached()));
      await cluster.kubectl(['delete', 'networkpolicy', 'deny-all', `--namespace=${elsewhere}`]);
      await until('the policy to be gone', reached);
    },
  );

  /** Connections within a pod are never filtered. */
  const allowed: [string, string[]][] = [
    ['operator', ['operator', 'Postgres', 'producer', 'consumer', 'Kubernetes API']],
    [
      'signaling',
      [
        'signaling public',
        'signaling internal',
        'Postgres',
        'producer',
        'consumer',
        'Kubernetes API',
      ],
    ],
    ['trial-postgres', ['Postgres']],
    ['producer', ['signaling internal', 'Postgres', 'producer', 'consumer']],
    ['consumer', ['signaling internal', 'Postgres', 'producer', 'consumer']],
    ['stranger in e2e-system', ['signaling public', 'Kubernetes API', 'other pod']],
    ['stranger in e2e-media', ['signaling public', 'Kubernetes API', 'other pod']],
    ['stranger in e2e-elsewhere', ['signaling public', 'Kubernetes API', 'other pod']],
  ];
  for (const [from, want] of allowed)
    scenario(`let ${from} reach ${want.join(', ')}, and nothing else`, async () => {
      // The public port is reached from anywhere, as far as a pod may connect at all.
      const reached = await reachedFrom(world.cluster, pod(from), targets);
      expect(reached.sort()).toEqual([...want].sort());
    });
});

describe('RBAC', () => {
  const services: ApiService[] = ['operator', 'signaling', 'cleanup', 'pools'];

  for (const service of services)
    scenario(
      `lets the service account of ${service} do what its table says, and nothing else`,
      async () => {
        const { cluster, release } = world;
        const name = `${release.fullname}-${service}`;
        const account = { namespace: system(), name };
        await cluster.get<KubeObject>('serviceaccount', name, system());
        const want = (...scopes: string[]): string[] => {
          const granted = permissions[service].filter(({ scope }) => scopes.includes(scope));
          const rules = grantedRules(granted, () => `${release.fullname}-operator`);
          // The chart brings the Lease, so that nobody need make it.
          return rules.filter((rule) => rule !== 'create leases.coordination.k8s.io');
        };
        expect(await rulesOf(cluster, account, media())).toEqual(want('watched', 'cluster'));
        expect(await rulesOf(cluster, account, system())).toEqual(want('own', 'cluster'));
        expect(await rulesOf(cluster, account, 'default')).toEqual(want('cluster'));
      },
    );

  scenario('lets media nodes do nothing', async () => {
    const { cluster, release } = world;
    const name = `${release.fullname}-media-node`;
    await cluster.get<KubeObject>('serviceaccount', name, media());
    for (const namespace of [media(), system(), 'default'])
      expect(await rulesOf(cluster, { namespace: media(), name }, namespace)).toEqual([]);
  });
});

describe('pods', () => {
  scenario(
    'of operator and signaling run where Pod Security is restricted, and such a pod is refused that is not',
    async () => {
      const { cluster, release } = world;
      const namespace = await cluster.get<KubeObject>('namespace', system(), system());
      expect(namespace.metadata.labels?.['pod-security.kubernetes.io/enforce']).toBe('restricted');
      for (const component of ['operator', 'signaling'])
        await cluster.readyPods(system(), release.selector(component), 2);
      const { image } = (await onePod(system(), release.selector('operator'))).spec.containers[0]!;
      const bad = {
        ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'bad', namespace: system() } },
        spec: { hostNetwork: true, containers: [{ name: 'bad', image }] },
      };
      await expect(cluster.apply([bad])).rejects.toThrow('violates PodSecurity "restricted');
    },
  );

  scenario('of media nodes have no token and do not reach the Kubernetes API', async () => {
    const { cluster } = world;
    for (const pool of ['producers', 'consumers']) {
      const pod = await onePod(media(), `kube-sfu.dev/pool=${pool}`);
      const token = '/var/run/secrets/kubernetes.io/serviceaccount';
      const look = `import { existsSync } from 'node:fs'; console.log(existsSync('${token}'))`;
      expect((await cluster.exec(pod, look)).trim()).toBe('false');
      const call = `const at = 'https://kubernetes.default.svc/version';
await fetch(at, { signal: AbortSignal.timeout(3000) }).then(() => console.log('answered'), (e) => console.log(e.name, e.cause?.code ?? ''));`;
      expect((await cluster.exec(pod, call)).trim()).toMatch(
        /^TimeoutError|ECONNREFUSED|UND_ERR_CONNECT_TIMEOUT/,
      );
    }
  });
});

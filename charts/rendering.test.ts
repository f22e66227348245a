/** What the chart makes of values, without a cluster. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { parseConfig } from '../common/service/config.ts';
import { signalingConfig } from '../signaling/config.ts';
import { chart, helm, template, type Rendered, type Values } from '../testing/helm.ts';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'kube-sfu-helm-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

const base: Values = {
  'secrets.existingSecret': 'mine',
  'secrets.existingMediaSecret': 'mine-media',
};
const render = (values: Values = {}): Promise<Rendered[]> =>
  template({ home, values: { ...base, ...values } });

const find = (objects: Rendered[], kind: string, name: string): Rendered | undefined =>
  objects.find((object) => object.kind === kind && object.metadata.name === name);

interface Container {
  name: string;
  image: string;
  args?: string[];
  env?: { name: string }[];
  securityContext: object;
}
interface PodSpec {
  automountServiceAccountToken: boolean;
  securityContext: object;
  serviceAccountName?: string;
  containers: Container[];
}

const podOf = (object: Rendered): PodSpec | undefined => {
  const spec = object.spec as { template?: { spec: PodSpec } } | undefined;
  if (object.kind === 'Pod') return spec as unknown as PodSpec;
  return spec?.template?.spec;
};
const pods = (objects: Rendered[]): [string, PodSpec][] =>
  objects.flatMap((object) => {
    const pod = podOf(object);
    return pod ? [[`${object.kind}/${object.metadata.name}`, pod] as [string, PodSpec]] : [];
  });

describe('every pod', () => {
  it('keeps to the restricted Pod Security profile, with a root file system that is read only', async () => {
    const all = pods(await render({ 'postgres.mode': 'trial' }));
    expect(all.length).toBeGreaterThanOrEqual(7);
    for (const [name, pod] of all) {
      const security = {
        runAsNonRoot: true,
        runAsUser: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      };
      expect([name, pod.securityContext]).toEqual([name, expect.objectContaining(security)]);
      for (const container of pod.containers)
        expect([name, container.securityContext]).toEqual([
          name,
          {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        ]);
    }
  });

  it('has a token only where it talks to the Kubernetes API', async () => {
    const withToken = pods(await render({ 'postgres.mode': 'trial' }))
      .filter(([, pod]) => pod.automountServiceAccountToken)
      .map(([name]) => name);
    expect(withToken.sort()).toEqual([
      'Deployment/kube-sfu-operator',
      'Deployment/kube-sfu-signaling',
      'Job/kube-sfu-cleanup',
      'Job/kube-sfu-pools',
    ]);
  });

  it('has its image from the registry that is set, by digest where there is one', async () => {
    const digest = `sha256:${'b'.repeat(64)}`;
    const objects = await render({
      'image.registry': 'registry.example.com/mirror/',
      'operator.image.digest': digest,
      'media.image.tag': 'edge',
    });
    const operator = podOf(find(objects, 'Deployment', 'kube-sfu-operator')!);
    expect(operator?.containers[0]?.image).toBe(
      `registry.example.com/mirror/kube-sfu/operator@${digest}`,
    );
    expect(find(objects, 'ConfigMap', 'kube-sfu-operator')?.data?.['operator.yaml']).toContain(
      'image: registry.example.com/mirror/kube-sfu/media-node:edge\n',
    );
  });
});

describe('the Job of the migrations', () => {
  const jobs = async (values: Values, upgrade = false): Promise<Record<string, unknown>> =>
    Object.fromEntries(
      (await template({ home, values: { ...base, ...values }, upgrade }))
        .filter(({ kind, metadata }) => kind === 'Job' && metadata.name.includes('migrations'))
        .map(({ metadata }) => [metadata.name, metadata.annotations?.['helm.sh/hook']]),
    );
  const spec = { bootstrap: { initdb: { secret: { name: 'owner' } } } };

  it.each(['url', 'trial', 'cluster'])(
    'goes along with the first release, by mode %s',
    async (mode) => {
      expect(await jobs({ 'postgres.mode': mode, 'postgres.cluster.spec': spec })).toEqual({
        'kube-sfu-migrations-1': undefined,
      });
    },
  );

  it('goes before an upgrade', async () => {
    expect(await jobs({}, true)).toEqual({ 'kube-sfu-migrations': 'pre-upgrade' });
  });

  it.each(['trial', 'cluster'])(
    'goes along with an upgrade that may be what brings Postgres up, by mode %s',
    async (mode) => {
      const values = { 'postgres.mode': mode, 'postgres.cluster.spec': spec };
      expect(Object.values(await jobs(values, true))).toEqual([undefined]);
    },
  );

  it('is not there where others look after the tables', async () => {
    expect(await jobs({ 'migrations.enabled': false })).toEqual({});
  });
});

describe('configurations', () => {
  const configOf = async (values: Values, service: string): Promise<string> =>
    find(await render(values), 'ConfigMap', `kube-sfu-${service}`)?.data?.[`${service}.yaml`] ?? '';

  it('have the user’s keys laid over the chart’s', async () => {
    const text = await configOf(
      { 'operator.config': { log: { level: 'debug' }, pods: { apiPort: 7100 } } },
      'operator',
    );
    expect(text).toContain('level: debug');
    expect(text).toContain('apiPort: 7100');
    expect(text).toContain('secretName: mine-media');
  });

  it.each([
    ['http://localhost', 0, {}],
    ['http://meet.example.com', 1, { 'ingress.enabled': true, 'ingress.host': 'meet.example.com' }],
    [
      'https://meet.example.com',
      1,
      {
        ...{ 'ingress.enabled': true, 'ingress.host': 'meet.example.com' },
        ...{ 'ingress.tls.mode': 'secret', 'ingress.tls.secretName': 'tls' },
      },
    ],
    [
      'https://gate.example.com',
      1,
      {
        ...{ 'gateway.enabled': true, 'gateway.parentRefs': [{ name: 'web' }] },
        'gateway.hostnames': ['gate.example.com'],
      },
    ],
    ['https://own.example.com', 0, { 'signaling.urls': ['https://own.example.com'] }],
    [
      'https://own.example.com',
      2,
      { 'signaling.urls': ['https://own.example.com'], 'signaling.trustedProxies': 2 },
    ],
  ] as [string, number, Values][])(
    'let pages of %s connect, behind %d proxies',
    async (url, proxies, values) => {
      const text = await configOf(values, 'signaling');
      expect(text).toContain(`trustedProxies: ${proxies}\n`);
      expect(text).toContain(`- ${url}\n`);
    },
  );
});

describe('webhooks', () => {
  const webhooks = [
    { name: 'app', url: 'https://app.example.com/hooks' },
    {
      name: 'billing',
      url: 'http://billing.shop.svc:8080/',
      events: ['room_ended'],
      secretKeys: ['BILLING_NEW', 'BILLING_OLD'],
    },
  ];

  const keys = ['BILLING_NEW', 'BILLING_OLD', 'WEBHOOK_SECRET'];

  it('have their secrets from the Secret, by the environment', async () => {
    const objects = await render({ 'signaling.webhooks': webhooks });
    const text = find(objects, 'ConfigMap', 'kube-sfu-signaling')?.data?.['signaling.yaml'];
    const env: Record<string, string> = {
      POD_IP: '10.0.0.1',
      SERVICE_SECRET: 's'.repeat(32),
      ROOM_SECRET: 'r'.repeat(32),
      DATABASE_URL: 'postgres://localhost/db',
    };
    for (const [i, key] of keys.entries())
      env[key] = `whsec_${Buffer.alloc(32, i).toString('base64')}`;
    expect(parseConfig(signalingConfig, text ?? '', env).webhooks.endpoints).toEqual([
      { name: 'app', url: webhooks[0]?.url, secrets: [env['WEBHOOK_SECRET']] },
      {
        name: 'billing',
        url: webhooks[1]?.url,
        events: ['room_ended'],
        secrets: [env['BILLING_NEW'], env['BILLING_OLD']],
      },
    ]);
  });

  it('sign with keys that the service and the check of `helm test` have', async () => {
    const all = pods(await render({ 'signaling.webhooks': webhooks }));
    for (const name of ['Deployment/kube-sfu-signaling', 'Pod/kube-sfu-test']) {
      const container = all.find(([each]) => each === name)?.[1].containers[0];
      const variables = container?.env?.map((variable) => variable.name);
      expect([name, variables]).toEqual([name, expect.arrayContaining(keys)]);
    }
  });

  it('are reached where the NetworkPolicy says, and only where there are any', async () => {
    const egress = async (values: Values): Promise<Policy['spec']['egress']> => {
      const policy = find(await render(values), 'NetworkPolicy', 'kube-sfu-signaling');
      return (policy as unknown as Policy).spec.egress;
    };
    const to = [{ ipBlock: { cidr: '203.0.113.0/24' } }];
    const rule = { ports: [443, 8080].map((port) => ({ protocol: 'TCP', port })), to };
    const policy = { 'networkPolicy.webhooks': { to, ports: [443, 8080] } };
    expect(await egress({ ...policy, 'signaling.webhooks': webhooks })).toContainEqual(rule);
    expect(await egress(policy)).not.toContainEqual(rule);
  });
});

interface Policy {
  spec: {
    podSelector: { matchLabels: Record<string, string> };
    policyTypes: string[];
    egress: { to?: unknown[]; ports: { protocol: string; port: number | string }[] }[];
  };
}

describe('NetworkPolicies', () => {
  it('let media nodes reach nothing by TCP but DNS, and by address what they need', async () => {
    const policy = find(
      await render({ 'media.namespace': 'media', 'postgres.mode': 'trial' }),
      'NetworkPolicy',
      'kube-sfu-media-node',
    ) as unknown as Policy;
    const anywhere = policy.spec.egress
      .filter(({ to }) => to === undefined)
      .flatMap(({ ports }) => ports)
      .filter(({ protocol }) => protocol === 'TCP')
      .map(({ port }) => port);
    expect(anywhere).toEqual([53]);
  });

  it('hold for every component, in both directions', async () => {
    const objects = await render({ 'postgres.mode': 'trial' });
    const policies = objects.filter(({ kind }) => kind === 'NetworkPolicy') as unknown as Policy[];
    for (const { spec } of policies) expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
    const held = policies.map(
      ({ spec }) => spec.podSelector.matchLabels['app.kubernetes.io/component'] ?? 'media',
    );
    expect(held.sort()).toEqual(
      ['cleanup', 'media', 'migrations', 'operator', 'pools', 'signaling', 'test'].concat(
        'trial-postgres',
      ),
    );
  });
});

describe('wrong values', () => {
  it.each([
    ['foo', { foo: 1 }],
    ['replica', { 'operator.replica': 3 }],
    ['timeout', { 'cleanup.timeout': 3 }],
    ['/postgres/mode', { 'postgres.mode': 'mysql' }],
    ['/operator/image/digest', { 'operator.image.digest': 'latest' }],
    ['/signaling/webhooks/0', { 'signaling.webhooks': [{ name: 'app' }] }],
    ['/pools/media', { 'pools.media.replicas': 3 }],
    ['ingress.host', { 'ingress.enabled': true }],
    [
      'ingress.tls.issuerRef.name',
      {
        'ingress.enabled': true,
        'ingress.host': 'meet.example.com',
        'ingress.tls.mode': 'certManager',
      },
    ],
    ['gateway.parentRefs', { 'gateway.enabled': true }],
    ['secrets.existingMediaSecret', { 'secrets.existingMediaSecret': '' }],
    ['secrets.existingSecret', { 'secrets.existingSecret': '' }],
    ['media.createNamespace', { 'media.createNamespace': true }],
  ] as [string, Values][])('are refused with %s', async (name, values) => {
    await expect(render(values)).rejects.toThrow(name);
  });

  it('are not the defaults: the chart passes lint', async () => {
    await expect(
      helm(['lint', '--strict', chart], { home, values: { 'secrets.existingSecret': '' } }),
    ).resolves.toContain('0 chart(s) failed');
  });
});

/** The chart on a real API server: what a release brings, keeps and leaves. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { chart, helm, type HelmOptions, type Values } from '../testing/helm.ts';
import { startControlPlane, type ControlPlane } from '../testing/kubernetes/control-plane.ts';
import { mediaNodeConfig } from '../media-node/config.ts';
import { operatorConfig } from '../operator/config.ts';
import { signalingConfig } from '../signaling/config.ts';
import { parseConfig } from '../common/service/config.ts';

let controlPlane: ControlPlane;
beforeAll(async () => {
  controlPlane = await startControlPlane({ crds: false });
}, 120_000);
afterAll(() => controlPlane.stop());

interface Stored {
  kind: string;
  metadata: { name: string; annotations?: Record<string, string>; resourceVersion: string };
  data?: Record<string, string>;
}

const url = 'postgres://user:word@db.example.com/kube_sfu';

/** Nobody runs Jobs here, so hooks would never end. */
const run = (args: string[], namespace: string, values: Values = {}): Promise<string> => {
  const options: HelmOptions = {
    kubeconfig: controlPlane.kubeconfig(),
    home: controlPlane.dir,
    namespace,
    values,
  };
  return helm([...args, '--no-hooks'], options);
};
const install = (namespace: string, values: Values = {}, name = 'kube-sfu'): Promise<string> =>
  run(['install', name, chart, '--create-namespace'], namespace, {
    'postgres.url': url,
    ...values,
  });
const upgrade = (namespace: string, values: Values = {}): Promise<string> =>
  run(['upgrade', 'kube-sfu', chart], namespace, { 'postgres.url': url, ...values });
const uninstall = (namespace: string): Promise<string> => run(['uninstall', 'kube-sfu'], namespace);

const get = async (kind: string, name: string, namespace: string): Promise<Stored> =>
  JSON.parse(
    await controlPlane.kubectl(['get', kind, name, '-n', namespace, '-o', 'json']),
  ) as Stored;

const decoded = async (name: string, namespace: string): Promise<Record<string, string>> => {
  const { data = {} } = await get('secret', name, namespace);
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  );
};

/** All objects that a release may bring, in all namespaces, by kind and name. */
const everything = async (): Promise<string[]> => {
  const kinds = [
    'deployments,statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings',
    'clusterroles,clusterrolebindings,networkpolicies,poddisruptionbudgets,jobs,ingresses,hpa',
  ].join(',');
  const list = await controlPlane.kubectl(['get', kinds, '-A', '-o', 'name']);
  return list.split('\n').filter((line) => line.includes('kube-sfu'));
};

describe('a release', () => {
  afterAll(async () => {
    await uninstall('one');
  });

  it('is installed with the kinds that it brings, and its configurations are taken by the services', async () => {
    await install('one');
    const env = {
      ...{ POD_NAME: 'media-0', POD_IP: '10.0.0.7', POOL: 'media', ROLE: 'Both', API_PORT: '7000' },
      ...{ RTC_PORT_START: '20000', RTC_WORKERS: '1', ANNOUNCED_ADDRESS: '203.0.113.10' },
      ...(await decoded('kube-sfu', 'one')),
    };
    const config = async (service: string): Promise<string> =>
      (await get('configmap', `kube-sfu-${service}`, 'one')).data?.[`${service}.yaml`] ?? '';
    const operator = parseConfig(operatorConfig, await config('operator'), env);
    expect(operator.kubernetes?.namespace).toBe('one');
    expect(operator.pods.image).toBe('kube-sfu/media-node:0.1.0');
    const signaling = parseConfig(signalingConfig, await config('signaling'), env);
    expect(signaling.database.url).toBe(url);
    expect(parseConfig(mediaNodeConfig, await config('media-node'), env).rtc.pipe.portMin).toBe(
      40_000,
    );
    await controlPlane.kubectl(['get', 'mediaworkers,mediarooms', '-A']);
  });

  it.each([
    ['cleanup', 'list mediarooms, delete mediarooms, list mediaworkers, delete mediaworkers'],
    ['pools', 'list mediaworkers, create mediaworkers, patch mediaworkers, delete mediaworkers'],
    ['signaling', 'list mediarooms, watch mediaworkers, create mediarooms'],
    ['operator', 'create pods, patch mediarooms/status, create poddisruptionbudgets.policy'],
  ])('lets the service account of %s do what it must, and read no secrets', async (name, needs) => {
    const as = `--as=system:serviceaccount:one:kube-sfu-${name}`;
    const may = async (what: string, namespace = 'one'): Promise<string> => {
      const words = what
        .trim()
        .split(' ')
        .map((word) => word.replace('/status', ''));
      const sub = what.includes('/status') ? ['--subresource=status'] : [];
      // It exits with 1 for a no.
      const answer = controlPlane.kubectl(['auth', 'can-i', ...words, ...sub, '-n', namespace, as]);
      return (await answer.catch(() => 'no')).trim();
    };
    for (const need of needs.split(', ')) expect([need, await may(need)]).toEqual([need, 'yes']);
    expect(await may('get secrets')).toBe('no');
    expect(await may('list mediaworkers', 'default')).toBe('no');
  });

  it('has secrets of its own that an upgrade keeps, and the media nodes’ are the same', async () => {
    const before = await decoded('kube-sfu', 'one');
    expect(before['SERVICE_SECRET']).toMatch(/^[A-Za-z0-9]{48}$/);
    expect(before['ROOM_SECRET']).not.toBe(before['SERVICE_SECRET']);
    const { spec } = (await get('deployment', 'kube-sfu-operator', 'one')) as unknown as {
      spec: { template: object };
    };
    await upgrade('one', { 'signaling.replicas': 3 });
    expect(await decoded('kube-sfu', 'one')).toEqual(before);
    const { SERVICE_SECRET, DATABASE_URL } = before;
    expect(await decoded('kube-sfu-media-node', 'one')).toEqual({ SERVICE_SECRET, DATABASE_URL });
    const after = await get('deployment', 'kube-sfu-operator', 'one');
    expect(after).toMatchObject({ spec: { template: spec.template } });
  });

  it('makes the secrets of webhooks, which the service takes and an upgrade keeps', async () => {
    const webhooks = [{ name: 'app', url: 'https://app.example.com', secretKeys: ['APP', 'OLD'] }];
    await upgrade('one', { 'signaling.webhooks': webhooks });
    const made = await decoded('kube-sfu', 'one');
    const text = (await get('configmap', 'kube-sfu-signaling', 'one')).data?.['signaling.yaml'];
    const env = { ...made, POD_IP: '10.0.0.7' };
    const [app] = parseConfig(signalingConfig, text ?? '', env).webhooks.endpoints;
    expect(app?.secrets).toEqual([made['APP'], made['OLD']]);
    expect(made['APP']).not.toBe(made['OLD']);
    await upgrade('one', { 'signaling.webhooks': webhooks });
    expect(await decoded('kube-sfu', 'one')).toEqual(made);
  });

  it('rolls its pods when a secret changes, and media nodes too', async () => {
    const annotations = async (): Promise<unknown> => {
      const { spec } = (await get('deployment', 'kube-sfu-operator', 'one')) as unknown as {
        spec: { template: { metadata: { annotations: unknown } } };
      };
      return spec.template.metadata.annotations;
    };
    const hash = async (): Promise<string | undefined> =>
      /configHash: (\S+)/.exec(
        (await get('configmap', 'kube-sfu-operator', 'one')).data?.['operator.yaml'] ?? '',
      )?.[1];
    const [pods, nodes] = [await annotations(), await hash()];
    await upgrade('one', { 'postgres.url': `${url}_2` });
    expect(await annotations()).not.toEqual(pods);
    expect(nodes).toBeTruthy();
    expect(await hash()).not.toBe(nodes);
  });

  it('stands beside another one of its name in another namespace', async () => {
    await expect(install('two')).rejects.toThrow('CustomResourceDefinition');
    await run(['upgrade', '--install', 'kube-sfu', chart, '--create-namespace'], 'two', {
      'postgres.url': url,
      'crds.enabled': false,
    });
    await get('clusterrole', 'one-kube-sfu-operator', 'one');
    await get('clusterrole', 'two-kube-sfu-operator', 'two');
    await uninstall('two');
    await get('clusterrole', 'one-kube-sfu-operator', 'one');
  });

  it('leaves nothing but the kinds when it goes, and comes back over them', async () => {
    await uninstall('one');
    expect(await everything()).toEqual([]);
    await get('crd', 'mediarooms.kube-sfu.dev', 'one');
    await get('crd', 'mediaworkers.kube-sfu.dev', 'one');
    await install('one', { 'crds.keep': false });
    await uninstall('one');
    const crds = ['crd/mediarooms.kube-sfu.dev', 'crd/mediaworkers.kube-sfu.dev'];
    await controlPlane.kubectl(['wait', '--for=delete', '--timeout=30s', ...crds]);
    await install('one');
  });

  it('keeps its secrets over an uninstall where that is asked for', async () => {
    await upgrade('one', { 'secrets.keep': true });
    const before = await decoded('kube-sfu', 'one');
    await uninstall('one');
    await install('one', { 'secrets.keep': true });
    expect(await decoded('kube-sfu', 'one')).toEqual(before);
    await upgrade('one', { 'secrets.keep': false });
  });

  it('has a certificate of its own that an upgrade keeps', async () => {
    const values = {
      'ingress.enabled': true,
      'ingress.host': 'meet.example.com',
      'ingress.tls.mode': 'generated',
    };
    await upgrade('one', values);
    const before = await decoded('kube-sfu-signaling-tls', 'one');
    expect(before['tls.crt']).toContain('BEGIN CERTIFICATE');
    await upgrade('one', values);
    expect(await decoded('kube-sfu-signaling-tls', 'one')).toEqual(before);
  });

  it('is rolled back with its secrets as they are', async () => {
    const before = await decoded('kube-sfu', 'one');
    await run(['rollback', 'kube-sfu'], 'one');
    expect(await decoded('kube-sfu', 'one')).toEqual(before);
  });
});

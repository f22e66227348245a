/** All that the chart can render is taken by a real API server, with the kinds of others as their projects publish them. */
import { readdirSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { parseRendered, template, type Values } from '../testing/helm.ts';
import { startControlPlane, type ControlPlane } from '../testing/kubernetes/control-plane.ts';
import { pairwise } from '../testing/pairwise.ts';

/** Choices of the chart that change which objects there are, by name. */
const axes: Record<string, Record<string, Values>> = {
  postgres: {
    url: { 'postgres.url': 'postgres://user:word@db.example.com/kube_sfu' },
    cluster: { 'postgres.mode': 'cluster' },
    trial: { 'postgres.mode': 'trial' },
    'trial in memory': { 'postgres.mode': 'trial', 'postgres.trial.persistence.enabled': false },
  },
  ingress: {
    none: {},
    plain: { 'ingress.enabled': true, 'ingress.host': 'meet.example.com' },
    'cert-manager': {
      'ingress.enabled': true,
      'ingress.host': 'meet.example.com',
      'ingress.className': 'nginx',
      'ingress.tls.mode': 'certManager',
      'ingress.tls.issuerRef.name': 'ca',
    },
    secret: {
      'ingress.enabled': true,
      'ingress.host': 'meet.example.com',
      'ingress.tls.mode': 'secret',
      'ingress.tls.secretName': 'meet',
    },
    generated: {
      'ingress.enabled': true,
      'ingress.host': 'meet.example.com',
      'ingress.tls.mode': 'generated',
    },
  },
  gateway: {
    none: {},
    route: {
      'gateway.enabled': true,
      'gateway.parentRefs': [{ name: 'web', namespace: 'gateways', sectionName: 'https' }],
      'gateway.hostnames': ['meet.example.com'],
    },
  },
  secrets: {
    generated: {},
    kept: { 'secrets.keep': true },
    existing: {
      'secrets.existingSecret': 'mine',
      'secrets.existingMediaSecret': 'mine-too',
      'postgres.cluster.spec': { bootstrap: { initdb: { secret: { name: 'owner' } } } },
    },
  },
  namespace: {
    own: {},
    other: { 'media.namespace': 'media' },
    made: { 'media.namespace': 'media', 'media.createNamespace': true },
  },
  size: {
    fixed: { 'signaling.replicas': 3, 'signaling.service.type': 'NodePort' },
    scaled: { 'signaling.autoscaling.enabled': true },
  },
  policies: {
    none: { 'networkPolicy.enabled': false },
    open: {},
    narrow: {
      'networkPolicy.kubernetesApi.cidrs': ['10.0.0.1/32'],
      'networkPolicy.postgres.cidrs': ['192.0.2.0/24', '2001:db8::/32'],
      'networkPolicy.publicFrom': [{ podSelector: { matchLabels: { app: 'proxy' } } }],
      'networkPolicy.dns': [{ namespaceSelector: {} }],
      'networkPolicy.extraEgress': {
        media: [{ ports: [{ protocol: 'TCP', port: 4318 }] }],
        jobs: [{ ports: [{ protocol: 'TCP', port: 3128 }] }],
      },
    },
  },
  crds: {
    kept: {},
    removed: { 'crds.keep': false },
    none: { 'crds.enabled': false },
  },
  jobs: {
    all: { 'pools.media.spec': { role: 'Both' } },
    none: { 'migrations.enabled': false, 'cleanup.enabled': false, 'tests.enabled': false },
  },
  monitoring: {
    none: {},
    all: {
      'monitoring.scrape.enabled': true,
      'monitoring.scrape.labels': { release: 'prometheus' },
      'monitoring.alerts.enabled': true,
      'monitoring.dashboards.enabled': true,
    },
  },
  pods: {
    plain: {},
    placed: {
      commonLabels: { team: 'video' },
      'image.registry': 'registry.example.com/mirror',
      'image.pullSecrets': [{ name: 'pull' }],
      'operator.image.digest': `sha256:${'a'.repeat(64)}`,
      'operator.priorityClassName': 'system-cluster-critical',
      'operator.tolerations': [{ key: 'example.com/video', operator: 'Exists' }],
      'signaling.nodeSelector': { 'example.com/pool': 'web' },
      'signaling.extraEnv': [{ name: 'TZ', value: 'UTC' }],
      'signaling.podAnnotations': { 'example.com/a': 'b' },
      'migrations.affinity': { nodeAffinity: {} },
      'media.serviceAccount.annotations': { 'example.com/a': 'b' },
    },
  },
};

const cases = pairwise(
  Object.fromEntries(Object.entries(axes).map(([name, choices]) => [name, Object.keys(choices)])),
);

let controlPlane: ControlPlane;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  await controlPlane.createNamespace('kube-sfu-system');
  await controlPlane.createNamespace('media');
  const folder = process.env['UPSTREAM_CRDS'];
  if (!folder) throw new Error('UPSTREAM_CRDS is not set: run scripts/setup.sh upstream-crds');
  const wanted = /certificates|clusters|httproutes|podmonitors|servicemonitors|prometheusrules/;
  for (const file of readdirSync(folder).filter((name) => wanted.test(name)))
    await controlPlane.kubectl(['create', '-f', path.join(folder, file)]);
}, 180_000);
afterAll(() => controlPlane.stop());

describe('what the chart renders is taken by the API server', () => {
  it.each(cases.map((choice) => [Object.values(choice).join(', '), choice] as const))(
    'with %s',
    async (_, choice) => {
      const values = Object.fromEntries(
        Object.entries(choice).flatMap(([axis, name]) => Object.entries(axes[axis]?.[name] ?? {})),
      );
      const setup = { kubeconfig: controlPlane.kubeconfig(), home: controlPlane.dir };
      const objects = await template({ ...setup, values });
      expect(objects.length).toBeGreaterThan(15);
      // A namespace and kinds that are there already are not to be created again.
      const create = ['apply', '--server-side', '--force-conflicts', '--dry-run=server'];
      const taken = await controlPlane.kubectl(
        [...create, '--validate=strict', '-o', 'yaml', '-f', '-'],
        { input: objects.map((object) => `---\n${JSON.stringify(object)}\n`).join('') },
      );
      const [list] = parseRendered(taken);
      expect(
        list?.kind === 'List' ? (list as unknown as { items: unknown[] }).items : [],
      ).toHaveLength(objects.length);
    },
    60_000,
  );
});

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { MediaWorker } from '../../common/resources/types.ts';
import { validateResource } from '../../common/resources/validate.ts';
import { mediaContainer, type Container, type PodManifest } from '../cluster.ts';
import { operatorConfig, type OperatorConfig } from '../config.ts';
import { buildPod, specHash } from './build-pod.ts';

const makeWorker = (spec: Record<string, unknown> = {}): MediaWorker =>
  validateResource({
    apiVersion: 'kube-sfu.dev/v1alpha1',
    kind: 'MediaWorker',
    metadata: { name: 'pool', namespace: 'media', uid: 'uid' },
    spec: { role: 'Consumer', workersPerNode: 2, ...spec },
  }) as MediaWorker;

const makeConfig = (pods: Partial<OperatorConfig['pods']> = {}): OperatorConfig['pods'] =>
  operatorConfig.parse({
    serviceAuth: { secret: 'a secret of the tests, long enough' },
    kubernetes: {},
    pods: { image: 'default:1', ...pods },
  }).pods;

const build = (
  spec: Record<string, unknown> = {},
  pods: Partial<OperatorConfig['pods']> = {},
  size = 2,
): PodManifest =>
  buildPod(makeWorker(spec), {
    ordinal: 3,
    ports: { start: 20000, end: 20000 + size - 1 },
    config: makeConfig(pods),
  });
const containerOf = (pod: PodManifest): Container => pod.spec.containers[0];
const envOf = (pod: PodManifest) =>
  Object.fromEntries(
    containerOf(pod).env.map(({ name, value, valueFrom }) => [
      name,
      value ?? valueFrom?.fieldRef?.fieldPath,
    ]),
  );
const override = (spec: object, metadata: object = {}) => ({ podTemplate: { metadata, spec } });

describe('buildPod', () => {
  it('names the pod after pool and ordinal, labels it, and ties it to its pool', () => {
    expect(build().metadata).toMatchObject({
      name: 'pool-3',
      namespace: 'media',
      labels: {
        'app.kubernetes.io/name': 'media-node',
        'app.kubernetes.io/instance': 'pool',
        'app.kubernetes.io/component': 'consumer',
        'kube-sfu.dev/pool': 'pool',
        'kube-sfu.dev/role': 'Consumer',
      },
      annotations: { 'kube-sfu.dev/ports': '20000-20001' },
      ownerReferences: [
        {
          kind: 'MediaWorker',
          name: 'pool',
          uid: 'uid',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    });
  });

  it('tells the node who it is in its environment', () => {
    expect(envOf(build())).toEqual({
      POD_NAME: 'metadata.name',
      POD_IP: 'status.podIP',
      POOL: 'pool',
      ROLE: 'Consumer',
      API_PORT: '7000',
      RTC_PORT_START: '20000',
      RTC_WORKERS: '2',
      ANNOUNCED_ADDRESS: 'status.hostIP',
    });
  });

  it('announces the address that is given, else the one that the pod can know itself', () => {
    const network = { announcedAddress: 'sfu.example.com' };
    expect(envOf(build({ network }))['ANNOUNCED_ADDRESS']).toBe('sfu.example.com');
    expect(envOf(build({ network: { mode: 'PodIP' } }))['ANNOUNCED_ADDRESS']).toBe('status.podIP');
  });

  it.each([
    { mode: 'HostPort', size: 2, wantHostPort: 20000, wantHostNetwork: undefined, wantApi: 7000 },
    { mode: 'PodIP', size: 2, wantHostPort: undefined, wantHostNetwork: undefined, wantApi: 7000 },
    {
      mode: 'HostNetwork',
      size: 3,
      wantHostPort: undefined,
      wantHostNetwork: true,
      wantApi: 20002,
    },
  ])('opens its ports in mode $mode', ({ mode, size, wantHostPort, wantHostNetwork, wantApi }) => {
    const pod = build({ network: { mode } }, {}, size);
    const { ports } = containerOf(pod);
    expect(ports.map(({ name }) => name)).toEqual([
      ...['api', 'rtc-udp-20000', 'rtc-tcp-20000', 'rtc-udp-20001', 'rtc-tcp-20001'],
    ]);
    expect(ports[0]).toEqual({ name: 'api', containerPort: wantApi, protocol: 'TCP' });
    expect(ports[1]).toMatchObject({ containerPort: 20000, protocol: 'UDP' });
    expect(ports[1]?.hostPort).toBe(wantHostPort);
    expect(pod.spec.hostNetwork).toBe(wantHostNetwork);
    expect(pod.spec['dnsPolicy']).toBe(wantHostNetwork ? 'ClusterFirstWithHostNet' : undefined);
    expect(envOf(pod)['API_PORT']).toBe(String(wantApi));
    expect(envOf(pod)['RTC_WORKERS']).toBe('2');
  });

  it('takes the image of the pool, else the configured one, and the resources of the pool', () => {
    expect(containerOf(build()).image).toBe('default:1');
    const resources = { requests: { cpu: 2 }, limits: { memory: '1Gi' } };
    const container = containerOf(build({ image: 'own:2', resources }));
    expect(container).toMatchObject({ image: 'own:2', resources });
  });

  it('probes the process on the port of its API, and no store', () => {
    expect(containerOf(build())).toMatchObject({
      startupProbe: { httpGet: { path: '/healthz', port: 'api' } },
      livenessProbe: { httpGet: { path: '/healthz', port: 'api' } },
      readinessProbe: { httpGet: { path: '/readyz', port: 'api' } },
    });
  });

  it('needs no privilege, no service account token and no writable image', () => {
    const pod = build({}, { serviceAccountName: 'media-node' });
    expect(pod.spec).toMatchObject({
      serviceAccountName: 'media-node',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 8,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      volumes: [{ name: 'tmp', emptyDir: {} }],
    });
    expect(containerOf(pod)).toMatchObject({
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
      volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
    });
  });

  it('reads the configuration of the image, else that of the ConfigMap, and takes secrets from the Secret', () => {
    expect(containerOf(build())).toMatchObject({
      command: ['node', 'media-node/main.ts'],
      args: ['--config', 'config/media-node.yaml'],
    });
    const pod = build({}, { configMapName: 'nodes', secretName: 'keys' });
    expect(containerOf(pod)).toMatchObject({
      args: ['--config', '/etc/kube-sfu/media-node.yaml'],
      envFrom: [{ secretRef: { name: 'keys' } }],
    });
    expect(pod.spec['volumes']).toContainEqual({ name: 'config', configMap: { name: 'nodes' } });
    expect(containerOf(pod)['volumeMounts']).toContainEqual({
      ...{ name: 'config', mountPath: '/etc/kube-sfu', readOnly: true },
    });
  });

  it('spreads the pods of a pool over machines', () => {
    expect(build().spec['topologySpreadConstraints']).toEqual([
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: { 'kube-sfu.dev/pool': 'pool' } },
      },
    ]);
  });

  it('merges the overrides of its pool', () => {
    const pod = build(
      override(
        {
          nodeSelector: { zone: 'a' },
          priorityClassName: 'high',
          containers: [
            { name: 'proxy', image: 'p' },
            {
              name: 'media-node',
              env: [{ name: 'UV_THREADPOOL_SIZE', value: '8' }],
              ports: [{ name: 'debug', containerPort: 9229 }],
              livenessProbe: { failureThreshold: 9 },
            },
          ],
          volumes: [{ name: 'data', emptyDir: {} }],
        },
        { labels: { team: 'video' }, annotations: { note: 'x' } },
      ),
    );
    expect(pod.metadata.labels).toMatchObject({ team: 'video', 'kube-sfu.dev/pool': 'pool' });
    expect(pod.metadata.annotations).toMatchObject({
      note: 'x',
      'kube-sfu.dev/ports': '20000-20001',
    });
    expect(pod.spec).toMatchObject({ nodeSelector: { zone: 'a' }, priorityClassName: 'high' });
    expect(pod.spec.containers.map(({ name }) => name)).toEqual(['media-node', 'proxy']);
    const container = containerOf(pod);
    expect(envOf(pod)).toMatchObject({ UV_THREADPOOL_SIZE: '8', RTC_WORKERS: '2' });
    expect(container.ports.map(({ name }) => name)).toContain('debug');
    expect(container['livenessProbe']).toMatchObject({ periodSeconds: 10, failureThreshold: 9 });
    expect((pod.spec['volumes'] as { name: string }[]).map(({ name }) => name)).toEqual([
      'data',
      'tmp',
    ]);
  });

  it('keeps what the operator relies on under any override', () => {
    const own = build();
    const ownPorts = new Set(containerOf(own).ports.map(({ name }) => name));
    const anyEnv = fc.record({
      name: fc.constantFrom('RTC_PORT_START', 'ROLE', 'OTHER'),
      value: fc.constantFrom('1', '2'),
    });
    const anyPort = fc.record({
      name: fc.constantFrom('api', 'rtc-udp-20000', 'own'),
      containerPort: fc.constantFrom(20000, 7000, 1234),
    });
    const listOrNull = <T>(items: fc.Arbitrary<T>) =>
      fc.oneof(fc.constant(null), fc.array(items, { maxLength: 3 }));
    const anyContainer = fc.record(
      {
        name: fc.constantFrom('media-node', 'other'),
        $patch: fc.constantFrom('delete', 'replace'),
        env: listOrNull(anyEnv),
        ports: listOrNull(anyPort),
      },
      { requiredKeys: ['name'] },
    );
    const anySpec = fc.record(
      {
        $patch: fc.constantFrom('delete', 'replace'),
        containers: listOrNull(anyContainer),
        volumes: fc.constant(null),
      },
      { requiredKeys: [] },
    );
    const anyLabels = fc.dictionary(
      fc.constantFrom('app.kubernetes.io/name', 'team'),
      fc.constantFrom('a', 'b'),
    );
    fc.assert(
      fc.property(anySpec, anyLabels, (spec, labels) => {
        const pod = build(override(spec, { labels }));
        expect(pod.metadata.labels).toMatchObject(own.metadata.labels);
        expect(pod.metadata.ownerReferences).toEqual(own.metadata.ownerReferences);
        expect(pod.spec.terminationGracePeriodSeconds).toBe(8);
        const container = mediaContainer(pod);
        expect(container.name).toBe('media-node');
        expect(container).toBe(pod.spec.containers[0]);
        expect(envOf(pod)).toMatchObject(envOf(own));
        for (const { name } of containerOf(own).env)
          expect(container.env.filter((item) => item.name === name)).toHaveLength(1);
        expect(container.ports.filter(({ name }) => ownPorts.has(name))).toEqual(
          containerOf(own).ports,
        );
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    { spec: { containers: [{ image: 'x' }] }, wantField: 'containers[0].name' },
    { spec: { containers: 'x' }, wantField: 'containers' },
    {
      spec: { containers: [{ name: 'media-node', env: 'x' }] },
      wantField: 'containers[name=media-node].env',
    },
  ])('refuses overrides that are no pod and names the field: $wantField', ({ spec, wantField }) => {
    expect(() => build(override(spec))).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        fields: [expect.objectContaining({ field: `spec.podTemplate.spec.${wantField}` })],
      }),
    );
  });
});

describe('specHash', () => {
  const hashOf = (spec: Record<string, unknown> = {}, pods: Partial<OperatorConfig['pods']> = {}) =>
    specHash(makeWorker(spec), makeConfig(pods));

  it('is that of the pod that is built, whatever its number and ports', () => {
    expect(build().metadata.annotations['kube-sfu.dev/spec-hash']).toBe(hashOf());
  });

  it.each<{ name: string; spec?: object; pods?: Partial<OperatorConfig['pods']> }>([
    { name: 'the number of nodes', spec: { replicas: 9 } },
    { name: 'the time for a drain', spec: { drain: { timeoutSeconds: 1 } } },
    { name: 'capacities', spec: { capacity: { routersPerWorker: 1 } } },
    { name: 'the range of ports', spec: { network: { portRange: { start: 3000, end: 4000 } } } },
    { name: 'the rollout itself', spec: { rollout: { maxSurge: 3 } } },
    { name: 'the autoscaling', spec: { autoscaling: { maxReplicas: 3, targetCPUPercent: 50 } } },
    { name: 'when pods are given up', pods: { deletionTimeoutMs: 1 } },
  ])('stays with $name', ({ spec, pods }) => {
    expect(hashOf({ ...spec }, pods)).toBe(hashOf());
  });

  it('stays when the same is written in another order', () => {
    const nodeSelector = { a: '1', b: '2' };
    const reordered = { b: '2', a: '1' };
    expect(hashOf(override({ nodeSelector: reordered }))).toBe(hashOf(override({ nodeSelector })));
  });

  it.each<{ name: string; spec?: object; pods?: Partial<OperatorConfig['pods']> }>([
    { name: 'the workers', spec: { workersPerNode: 3 } },
    { name: 'the network mode', spec: { network: { mode: 'PodIP' } } },
    { name: 'the announced address', spec: { network: { announcedAddress: 'a' } } },
    { name: 'the image', spec: { image: 'own:2' } },
    { name: 'the resources', spec: { resources: { limits: { cpu: 1 } } } },
    { name: 'overrides', spec: override({ nodeSelector: { a: 'b' } }) },
    { name: 'overridden labels', spec: override({}, { labels: { a: 'b' } }) },
    { name: 'the configured image', pods: { image: 'default:2' } },
    { name: 'the configured port', pods: { apiPort: 7001 } },
    { name: 'the configured ConfigMap', pods: { configMapName: 'c' } },
    { name: 'the content of the configured ConfigMap and Secret', pods: { configHash: 'h' } },
    { name: 'the configured Secret', pods: { secretName: 's' } },
    { name: 'the configured service account', pods: { serviceAccountName: 's' } },
    { name: 'the configured grace period', pods: { terminationGracePeriodSeconds: 9 } },
  ])('changes with $name', ({ spec, pods }) => {
    expect(hashOf({ ...spec }, pods)).not.toBe(hashOf());
  });
});

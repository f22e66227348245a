import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { ApiError } from '../../common/errors.ts';
import { runKubectl } from '../../testing/kubernetes/kubectl.ts';
import { mergeStrategic, podSpecSchema, type JsonObject } from './strategic-merge.ts';

const merge = (original: JsonObject, patch: JsonObject): JsonObject =>
  mergeStrategic(original, patch, podSpecSchema, 'podTemplate.spec');

let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'kube-sfu-merge-'));
});
afterAll(() => rm(home, { recursive: true }));

/** What Kubernetes itself makes of a patch: the real kubectl, without an API server. */
async function mergeByKubectl(spec: JsonObject, patch: JsonObject): Promise<JsonObject> {
  const file = path.join(home, 'pod.json');
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod' }, spec };
  await writeFile(file, JSON.stringify(pod));
  const command = path.join(process.env['KUBEBUILDER_ASSETS'] ?? '', 'kubectl');
  const kubectl = { command, kubeconfig: path.join(home, 'none'), home };
  const text = JSON.stringify({ spec: patch });
  const args = ['patch', '--local', '--type=strategic', '-f', file, '-p', text, '-o', 'json'];
  const merged = JSON.parse(await runKubectl(kubectl, args)) as { spec: JsonObject };
  return normalize(merged.spec) as JsonObject;
}

const isMap = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What the API server makes of it: null is nothing. kubectl leaves directives in items that it adds to a list, which is
 * refused then; we drop them.
 */
function normalize(value: unknown): unknown {
  if (Array.isArray(value))
    return value.filter((item) => !(isMap(item) && '$patch' in item)).map(normalize);
  if (!isMap(value)) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(entries.map(([key, item]) => [key, normalize(item)]));
}

const original: JsonObject = {
  containers: [
    {
      name: 'media-node',
      image: 'a',
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
      ports: [{ name: 'api', containerPort: 7000 }],
      volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
      args: ['--config', 'file'],
      resources: { limits: { cpu: '1', memory: '1Gi' } },
      securityContext: { runAsNonRoot: true, capabilities: { drop: ['ALL'] } },
    },
    { name: 'sidecar', image: 'b' },
  ],
  volumes: [{ name: 'tmp', emptyDir: {} }],
  nodeSelector: { zone: 'a', disk: 'ssd' },
  tolerations: [{ key: 'x', operator: 'Exists' }],
  topologySpreadConstraints: [
    { topologyKey: 'kubernetes.io/hostname', maxSkew: 1, whenUnsatisfiable: 'ScheduleAnyway' },
  ],
};

const cases: { name: string; patch: JsonObject }[] = [
  { name: 'nothing', patch: {} },
  { name: 'new fields', patch: { priorityClassName: 'high', runtimeClassName: 'gvisor' } },
  { name: 'a map', patch: { nodeSelector: { zone: 'b', arch: 'arm64' } } },
  { name: 'a null in a map', patch: { nodeSelector: { zone: null, none: null } } },
  { name: 'a null for a map', patch: { nodeSelector: null } },
  { name: 'a list without a key', patch: { tolerations: [{ key: 'y', operator: 'Exists' }] } },
  { name: 'an empty list without a key', patch: { tolerations: [] } },
  {
    name: 'an item of a list by its key',
    patch: { containers: [{ name: 'media-node', image: 'c' }] },
  },
  { name: 'a new item', patch: { containers: [{ name: 'proxy', image: 'p' }] } },
  {
    name: 'new and known items in an order of their own',
    patch: {
      containers: [
        { name: 'last', image: 'z' },
        { name: 'sidecar', image: 'c' },
        { name: 'first', image: 'y' },
      ],
    },
  },
  {
    name: 'lists in items',
    patch: {
      containers: [
        {
          name: 'media-node',
          env: [
            { name: 'B', value: '3' },
            { name: 'C', value: '4' },
          ],
          ports: [{ containerPort: 9000 }],
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
          args: ['other'],
        },
      ],
      volumes: [{ name: 'data', emptyDir: { medium: 'Memory' } }],
    },
  },
  {
    name: 'maps in items',
    patch: {
      containers: [
        {
          name: 'media-node',
          resources: { limits: { memory: null, cpu: '2' } },
          securityContext: { capabilities: { add: ['NET_RAW'] } },
        },
      ],
    },
  },
  {
    name: 'the deletion of an item',
    patch: { containers: [{ name: 'sidecar', $patch: 'delete' }] },
  },
  {
    name: 'the deletion of an item in an item',
    patch: { containers: [{ name: 'media-node', env: [{ name: 'A', $patch: 'delete' }] }] },
  },
  { name: 'the deletion of nothing', patch: { volumes: [{ name: 'none', $patch: 'delete' }] } },
  {
    name: 'a replaced list',
    patch: { containers: [{ name: 'only', image: 'o' }, { $patch: 'replace' }] },
  },
  { name: 'a replaced map', patch: { nodeSelector: { $patch: 'replace', only: 'this' } } },
  { name: 'an emptied map', patch: { nodeSelector: { $patch: 'delete' } } },
  {
    name: 'a replaced item',
    patch: { containers: [{ name: 'sidecar', $patch: 'replace' }] },
  },
  {
    name: 'one kind of volume in place of another',
    patch: {
      volumes: [{ name: 'tmp', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/t' } }],
    },
  },
  {
    name: 'a spread constraint by its key',
    patch: { topologySpreadConstraints: [{ topologyKey: 'kubernetes.io/hostname', maxSkew: 2 }] },
  },
  { name: 'directives where nothing was', patch: { affinity: { $patch: 'delete' } } },
  {
    name: 'lists where nothing was',
    patch: {
      hostAliases: [{ ip: '10.0.0.1', hostnames: ['a'] }],
      imagePullSecrets: [{ name: 'pull' }],
      initContainers: [{ name: 'init', image: 'i', env: [{ name: 'A', value: '1' }] }],
    },
  },
];

describe('mergeStrategic', () => {
  it.each(cases)('merges $name as Kubernetes does', async ({ patch }) => {
    expect(merge(original, patch)).toEqual(await mergeByKubectl(original, patch));
  });

  it('merges any overrides of containers, volumes and maps as Kubernetes does', async () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const value = fc.constantFrom('1', '2');
    const listOf = <T extends { name: string }>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
      fc.uniqueArray(item, { maxLength: 4, selector: (each) => each.name });
    const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<{ item?: T }> =>
      fc.record({ item: arbitrary }, { requiredKeys: [] });
    const variables = (deletes: boolean) =>
      listOf(
        fc.oneof(
          fc.record({ name, value }),
          ...(deletes ? [fc.record({ name, $patch: fc.constant('delete') })] : []),
        ),
      );
    const container = (deletes: boolean) =>
      fc
        .record({ name, image: maybe(value), env: maybe(variables(deletes)) })
        .map(({ name: id, image, env }) => ({
          name: id,
          ...('item' in image ? { image: image.item } : {}),
          ...('item' in env ? { env: env.item } : {}),
        }));
    const spec = (deletes: boolean) =>
      fc.record(
        {
          containers: listOf(container(deletes)),
          nodeSelector: fc.dictionary(name, deletes ? fc.option(value, { nil: null }) : value, {
            maxKeys: 3,
          }),
          tolerations: fc.array(fc.record({ key: name }), { maxLength: 2 }),
          volumes: listOf(fc.record({ name, emptyDir: fc.record({ medium: value }) })),
        },
        { requiredKeys: [] },
      );
    await fc.assert(
      fc.asyncProperty(spec(false), spec(true), async (before, patch) => {
        const merged = merge(before, patch);
        const wanted = await mergeByKubectl(before, patch);
        expect(normalize(merged)).toEqual(wanted);
      }),
      { numRuns: 60 },
    );
  });

  it('changes neither the original nor the patch', () => {
    const patch: JsonObject = { containers: [{ name: 'media-node', env: [{ name: 'C' }] }] };
    const before = structuredClone({ original, patch });
    merge(original, patch);
    expect({ original, patch }).toEqual(before);
  });

  it.each([
    {
      patch: { containers: [{ image: 'x' }] },
      wantField: 'podTemplate.spec.containers[0].name',
    },
    { patch: { containers: ['x'] }, wantField: 'podTemplate.spec.containers[0]' },
    {
      patch: { containers: [{ name: 'media-node', env: [{ value: 'x' }] }] },
      wantField: 'podTemplate.spec.containers[0].env[0].name',
    },
    {
      patch: { nodeSelector: { $patch: 'merge' } },
      wantField: 'podTemplate.spec.nodeSelector.$patch',
    },
    {
      patch: { volumes: [{ name: 'tmp', $patch: 'x' }] },
      wantField: 'podTemplate.spec.volumes[0].$patch',
    },
    {
      patch: { volumes: [{ name: 'tmp', $retainKeys: ['name'], hostPath: {} }] },
      wantField: 'podTemplate.spec.volumes[0].hostPath',
    },
    {
      patch: { '$setElementOrder/containers': [{ name: 'a' }] },
      wantField: 'podTemplate.spec.$setElementOrder/containers',
    },
  ])('refuses what it can not merge and names it: $wantField', ({ patch, wantField }) => {
    let refusal: unknown;
    try {
      merge(original, patch);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(ApiError);
    expect((refusal as ApiError).fields?.map(({ field }) => field)).toEqual([wantField]);
  });
});

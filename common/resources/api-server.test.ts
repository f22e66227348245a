/**
 * What a real API server says to the resources: the CRDs are the one source of their shape, and the operator's own validation,
 * which stands in for the server where there is none, must refuse the same with the same field.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { startControlPlane, type ControlPlane } from '../../testing/kubernetes/control-plane.ts';
import { fullRoom, fullWorker } from '../../testing/full-resources.ts';
import {
  invalidResources,
  missingSpecFields,
  replaceAt,
  type InvalidResource,
} from '../../testing/invalid-resources.ts';
import { collectionPath, objectPath, resourceTypes } from '../kubernetes/paths.ts';
import { KubernetesError } from '../kubernetes/errors.ts';
import {
  loadCrd,
  plurals,
  schemaOf,
  type Plural,
  type StructuralSchema,
  type ValidationRule,
} from './crd.ts';
import type { KubernetesObject } from './types.ts';
import { validateResource } from './validate.ts';

type Fields = Record<string, unknown>;

const samples: Record<Plural, Fields> = { mediaworkers: fullWorker, mediarooms: fullRoom };

let controlPlane: ControlPlane;
beforeAll(async () => {
  controlPlane = await startControlPlane();
}, 120_000);
afterAll(() => controlPlane.stop());

const create = (plural: Plural, object: Fields, dryRun = true): Promise<KubernetesObject> =>
  controlPlane.client.call({
    method: 'POST',
    path: collectionPath(resourceTypes[plural], 'default'),
    query: { fieldValidation: 'Strict', dryRun: dryRun ? 'All' : undefined },
    body: object,
  });

/** The refusal's own words, each of which names its field. */
async function refusalOf(attempt: Promise<unknown>): Promise<string> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof KubernetesError)) throw new Error(`not refused: ${String(error)}`);
  expect([400, 422]).toContain(error.statusCode);
  return error.message;
}

/** `[0]` and `["key"]` stand in messages in several forms. */
const named = (field: string): RegExp =>
  new RegExp(field.replaceAll(/[.[\]]/g, (char) => (char === '.' ? '[.[]' : '[[\\].]?')));

interface RuleCase {
  plural: Plural;
  /** As it stands in the CRD. */
  message: string;
  field: string;
  /** The place of the wrong value, where it is not the field itself. */
  path: (string | number)[];
  value: unknown;
  /** The rule is about a change: the sample is stored before. */
  update?: true;
}

const tooManyLabels = { ['a'.repeat(318)]: 'x' };
const ruleCases: RuleCase[] = [
  {
    plural: 'mediaworkers',
    message: 'must hold one port for each worker of each node (replicas x workersPerNode)',
    field: 'spec.network.portRange',
    path: ['spec', 'replicas'],
    value: 51,
  },
  {
    plural: 'mediaworkers',
    message:
      'must hold one port for each worker of each node (autoscaling.maxReplicas x workersPerNode)',
    field: 'spec.network.portRange',
    path: ['spec', 'autoscaling', 'maxReplicas'],
    value: 51,
  },
  {
    plural: 'mediaworkers',
    message: 'is immutable; make another pool for another role',
    field: 'spec.role',
    path: ['spec', 'role'],
    value: 'Both',
    update: true,
  },
  {
    plural: 'mediaworkers',
    message: 'labels of kube-sfu.dev belong to the operator',
    field: 'spec.podTemplate.metadata.labels',
    path: ['spec', 'podTemplate', 'metadata', 'labels'],
    value: { 'kube-sfu.dev/pool': 'mine' },
  },
  {
    plural: 'mediaworkers',
    message: 'annotations of kube-sfu.dev belong to the operator',
    field: 'spec.podTemplate.metadata.annotations',
    path: ['spec', 'podTemplate', 'metadata', 'annotations'],
    value: { 'kube-sfu.dev/ports': '1-2' },
  },
  {
    plural: 'mediaworkers',
    message: 'keys must have at most 317 characters',
    field: 'spec.podTemplate.metadata.labels',
    path: ['spec', 'podTemplate', 'metadata', 'labels'],
    value: tooManyLabels,
  },
  {
    plural: 'mediaworkers',
    message: 'keys must have at most 317 characters',
    field: 'spec.podTemplate.metadata.annotations',
    path: ['spec', 'podTemplate', 'metadata', 'annotations'],
    value: tooManyLabels,
  },
  {
    plural: 'mediaworkers',
    message: 'is set by spec.network.mode',
    field: 'spec.podTemplate.spec.hostNetwork',
    path: ['spec', 'podTemplate', 'spec', 'hostNetwork'],
    value: true,
  },
  {
    plural: 'mediaworkers',
    message: 'is always Always',
    field: 'spec.podTemplate.spec.restartPolicy',
    path: ['spec', 'podTemplate', 'spec', 'restartPolicy'],
    value: 'Never',
  },
  {
    plural: 'mediaworkers',
    message: "is set by the operator's configuration",
    field: 'spec.podTemplate.spec.terminationGracePeriodSeconds',
    path: ['spec', 'podTemplate', 'spec', 'terminationGracePeriodSeconds'],
    value: 5,
  },
  {
    plural: 'mediaworkers',
    message: 'would bypass the scheduler; use nodeSelector or affinity',
    field: 'spec.podTemplate.spec.nodeName',
    path: ['spec', 'podTemplate', 'spec', 'nodeName'],
    value: 'a',
  },
  {
    plural: 'mediaworkers',
    message: 'must not be less than minReplicas',
    field: 'spec.autoscaling.maxReplicas',
    path: ['spec', 'autoscaling', 'minReplicas'],
    value: 5,
  },
  {
    plural: 'mediaworkers',
    message: 'needs targetConsumersPerWorker or targetCPUPercent',
    field: 'spec.autoscaling',
    path: ['spec', 'autoscaling'],
    value: { maxReplicas: 4 },
  },
  {
    plural: 'mediaworkers',
    message: 'must not be less than start',
    field: 'spec.network.portRange.end',
    path: ['spec', 'network', 'portRange'],
    value: { start: 20000, end: 19999 },
  },
  {
    plural: 'mediarooms',
    message: 'is immutable; make another room for other codecs',
    field: 'spec.mediaCodecs',
    path: ['spec', 'mediaCodecs'],
    value: [],
    update: true,
  },
  {
    plural: 'mediarooms',
    message: "must begin with the codec's kind",
    field: 'spec.mediaCodecs[0].mimeType',
    path: ['spec', 'mediaCodecs', 0, 'mimeType'],
    value: 'video/VP8',
  },
  {
    plural: 'mediarooms',
    message: 'is for audio codecs only',
    field: 'spec.mediaCodecs[0].channels',
    path: ['spec', 'mediaCodecs', 0],
    value: { kind: 'video', mimeType: 'video/VP8', clockRate: 90000, channels: 2 },
  },
  ...(['producers', 'consumers'] as const).map((side): RuleCase => ({
    plural: 'mediarooms',
    message: 'keys must have at most 317 characters',
    field: `spec.${side}.selector.matchLabels`,
    path: ['spec', side, 'selector', 'matchLabels'],
    value: tooManyLabels,
  })),
  {
    plural: 'mediarooms',
    message: 'must not be less than routers',
    field: 'spec.consumers.maxRouters',
    path: ['spec', 'consumers', 'maxRouters'],
    value: 1,
  },
];

function rulesOf(schema: StructuralSchema): ValidationRule[] {
  const children = [
    ...Object.values(schema.properties ?? {}),
    ...(schema.items ? [schema.items] : []),
    ...(schema.additionalProperties ? [schema.additionalProperties] : []),
  ];
  return [...(schema['x-kubernetes-validations'] ?? []), ...children.flatMap(rulesOf)];
}

function undescribed(schema: StructuralSchema, path: string): string[] {
  return [
    ...Object.entries(schema.properties ?? {}).flatMap(([key, child]) => [
      // The API server describes an object's metadata itself, and takes no other words for it.
      ...(child.description === undefined && path + key !== 'metadata' ? [path + key] : []),
      ...undescribed(child, `${path}${key}.`),
    ]),
    ...(schema.items ? undescribed(schema.items, `${path}[].`) : []),
  ];
}

describe.each(plurals)('%s', (plural) => {
  const sample = samples[plural];
  const cases = invalidResources(plural, sample);

  it('is taken with every field of its spec set', async () => {
    // What may not be set stands in the schema so that a rule can refuse it.
    const refused = ruleCases
      .filter(({ field }) => field.startsWith('spec.podTemplate.spec.'))
      .map(({ field }) => field);
    expect(missingSpecFields(plural, sample).filter((field) => !refused.includes(field))).toEqual(
      [],
    );
    const { spec } = await create(plural, sample);
    expect(spec).toMatchObject(sample['spec'] as object);
  });

  it('describes every field, for kubectl explain', async () => {
    expect(undescribed(schemaOf(loadCrd(plural)), '')).toEqual([]);
    const text = await controlPlane.kubectl(['explain', plural, '--recursive']);
    for (const field of Object.keys(sample['spec'] as Fields)) expect(text).toContain(field);
  });

  it.each(cases)('is refused where $name', async ({ field, object }: InvalidResource) => {
    expect(await refusalOf(create(plural, object))).toMatch(named(field));
    expect(() => validateResource(object)).toThrow(named(field));
  });
});

describe('a rule', () => {
  it('has a case here, whichever it is', () => {
    const messages = plurals.flatMap((plural) =>
      rulesOf(schemaOf(loadCrd(plural))).map(({ message = '' }) => message),
    );
    const untested = messages.filter(
      (message) => !ruleCases.some((item) => message.startsWith(item.message)),
    );
    expect(untested).toEqual([]);
  });

  it.each(ruleCases)('refuses $field that $message', async (item: RuleCase) => {
    const { plural, message, field, path, value, update } = item;
    const sample = samples[plural];
    const object = replaceAt(sample, path, value) as Fields;
    const target = objectPath(resourceTypes[plural], {
      namespace: 'default',
      name: (sample['metadata'] as { name: string }).name,
    });
    if (update) await create(plural, sample, false);
    const old =
      update && (await controlPlane.client.call<KubernetesObject>({ method: 'GET', path: target }));
    try {
      const attempt = update
        ? controlPlane.client.call({ method: 'PATCH', path: target, patch: 'merge', body: object })
        : create(plural, object);
      const refusal = await refusalOf(attempt);
      expect(refusal).toContain(message);
      expect(refusal).toMatch(named(field));
      expect(() => validateResource(object, old ? { old } : {})).toThrow(message);
    } finally {
      if (update) await controlPlane.client.call({ method: 'DELETE', path: target });
    }
  });
});

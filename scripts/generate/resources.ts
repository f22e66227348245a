import {
  loadCrd,
  schemaOf,
  type CustomResourceDefinition,
  type Plural,
  type StructuralSchema,
} from '../../common/resources/crd.ts';
import type { ConditionTable } from '../../operator/reasons.ts';
import { roomConditions } from '../../operator/rooms/reasons.ts';
import { poolConditions } from '../../operator/workers/reasons.ts';
import { bounded, code, table } from './table.ts';

const conditions: Record<Plural, ConditionTable> = {
  mediaworkers: poolConditions,
  mediarooms: roomConditions,
};

const atMost = (count: number | undefined, what = ''): string =>
  count === undefined ? '' : `, at most ${count}${what}`;

function typeOf(schema: StructuralSchema): string {
  if (schema['x-kubernetes-int-or-string']) return 'integer or string';
  if (schema.enum) return schema.enum.map(code).join(', ');
  if (schema.type === 'array')
    return `list of ${typeOf(schema.items ?? {})}${atMost(schema.maxItems)}`;
  if (schema.additionalProperties)
    return `map of ${typeOf(schema.additionalProperties)}${atMost(schema.maxProperties)}`;
  if (schema.format === 'date-time') return 'time';
  return bounded(schema.type ?? 'any', schema.minimum, schema.maximum);
}

/** What a user may set: a field that stands in the schema only for a rule to refuse it is none. */
const isRefused = (parent: StructuralSchema, name: string): boolean =>
  parent['x-kubernetes-validations']?.some(({ rule }) => rule === `!has(self.${name})`) ?? false;

function childrenOf(schema: StructuralSchema): [string, StructuralSchema][] {
  const node = schema.items ?? schema;
  return Object.entries(node.properties ?? {}).filter(([name]) => !isRefused(node, name));
}

function rows(schema: StructuralSchema, path: string): string[][] {
  const required = new Set(schema.required ?? schema.items?.required ?? []);
  return childrenOf(schema).flatMap(([name, child]) => {
    const at = `${path}.${name}`;
    const fallback =
      child.default !== undefined ? code(child.default) : required.has(name) ? '**required**' : '–';
    const row = [code(at), typeOf(child), fallback, child.description ?? ''];
    return [row, ...rows(child, child.type === 'array' ? `${at}[]` : at)];
  });
}

/** The rules of a node and of all below it, with the field that each is about. */
function rules(schema: StructuralSchema, path: string): string[][] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(
    ({ rule, message, fieldPath = '' }) => [code(`${path}${fieldPath}`), message ?? code(rule)],
  );
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
    rules(child, `${path}.${name}`),
  );
  return [...own, ...below, ...(schema.items ? rules(schema.items, `${path}[]`) : [])];
}

function columns({ spec }: CustomResourceDefinition): string[][] {
  return spec.versions[0].additionalPrinterColumns.map(
    ({ name, jsonPath, description = '', priority = 0 }) => [
      name.toUpperCase(),
      priority > 0 ? 'yes' : '',
      code(jsonPath),
      description,
    ],
  );
}

const reasonsOf = (reasons: ConditionTable[string]): string =>
  Object.entries(reasons)
    .map(([reason, status]) => `${code(reason)} (${status})`)
    .join(', ');

function header({ spec }: CustomResourceDefinition, schema: StructuralSchema): string[] {
  const { kind, plural, shortNames } = spec.names;
  const { scale } = spec.versions[0].subresources;
  const { description = '', properties = {} } = schema;
  const nameLength = properties['metadata']?.properties?.['name']?.maxLength;
  return [
    `## ${kind}`,
    '',
    description,
    '',
    `\`kubectl get ${plural}\`, short ${shortNames.map(code).join(', ')}. ` +
      `Its name has at most ${nameLength ?? 253} characters.` +
      (scale ? ' `kubectl scale` and autoscalers set its size by the scale subresource.' : ''),
    '',
  ];
}

function section(plural: Plural): string[] {
  const crd = loadCrd(plural);
  const schema = schemaOf(crd);
  const { spec = {}, status = {} } = schema.properties ?? {};
  const { kind } = crd.spec.names;
  const fields = ['field', 'type', 'default', 'meaning'];
  const details = `troubleshooting.md#conditions-of-a-${kind.toLowerCase()}`;
  return [
    ...header(crd, schema),
    '### Spec',
    '',
    ...table(fields, rows(spec, 'spec')),
    '',
    'Refused is also what breaks one of these rules:',
    '',
    ...table(['field', 'rule'], rules(spec, 'spec')),
    '',
    '### Columns',
    '',
    ...table(['column', 'wide only', 'from', 'meaning'], columns(crd)),
    '',
    '### Conditions',
    '',
    `What each reason means, and what to do about it: [troubleshooting](${details}).`,
    '',
    ...table(
      ['type', 'reasons'],
      Object.entries(conditions[plural]).map(([type, reasons]) => [code(type), reasonsOf(reasons)]),
    ),
    '',
    '### Status',
    '',
    ...table(fields, rows(status, 'status')),
    '',
  ];
}

/** `docs/resources.md`: all that the CRDs say of both kinds. */
export function renderResources(): string {
  return [
    '# Resources',
    '',
    'API group `kube-sfu.dev`, version `v1alpha1`; both kinds belong to a namespace, and `kubectl get kube-sfu` lists both. The schemas',
    'are in [crds/](../crds); a resource that breaks one is refused with the path of the field, by the API server and, without a',
    'cluster, by the operator. `kubectl explain mediaworker.spec.network` tells the same as here. There are [samples](samples).',
    '',
    ...section('mediaworkers'),
    ...section('mediarooms'),
  ].join('\n');
}

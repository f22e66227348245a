import {
  loadCrd,
  schemaOf,
  type Plural,
  type StructuralSchema,
} from '../../common/resources/crd.ts';
import { bounded, code, table } from './table.ts';

function typeOf(schema: StructuralSchema): string {
  if (schema['x-kubernetes-int-or-string']) return 'integer or string';
  if (schema.enum) return schema.enum.map(code).join(', ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  if (schema.additionalProperties) return `map of ${typeOf(schema.additionalProperties)}`;
  return bounded(schema.type ?? 'any', schema.minimum, schema.maximum);
}

const childrenOf = (schema: StructuralSchema): Record<string, StructuralSchema> | undefined =>
  schema.properties ?? schema.items?.properties;

function rows(schema: StructuralSchema, path: string): string[][] {
  const required = new Set(schema.required ?? schema.items?.required ?? []);
  return Object.entries(childrenOf(schema) ?? {}).flatMap(([name, child]) => {
    const at = `${path}.${name}`;
    const fallback =
      child.default !== undefined ? code(child.default) : required.has(name) ? '**required**' : '–';
    const row = [code(at), typeOf(child), fallback, child.description ?? ''];
    return [row, ...rows(child, child.type === 'array' ? `${at}[]` : at)];
  });
}

function rules(schema: StructuralSchema, path: string): string[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(
    ({ rule, message }) => `- \`${path}\`: ${message ?? code(rule)}`,
  );
  const below = Object.entries(childrenOf(schema) ?? {}).flatMap(([name, child]) =>
    rules(child, `${path}.${name}`),
  );
  return [...own, ...below];
}

const header = ['field', 'type', 'default', 'meaning'];

function section(plural: Plural): string[] {
  const crd = loadCrd(plural);
  const { kind, shortNames } = crd.spec.names;
  const { properties = {} } = schemaOf(crd);
  const { spec = {}, status = {} } = properties;
  return [
    `## ${kind}`,
    '',
    `\`kubectl get ${plural}\`, short ${shortNames.map(code).join(', ')}.`,
    '',
    ...table(header, rows(spec, 'spec')),
    '',
    'Rules:',
    '',
    ...rules(spec, 'spec'),
    '',
    'Status:',
    '',
    ...table(header, rows(status, 'status')),
    '',
  ];
}

/** `docs/resources.md`: every field of both kinds, from the CRDs. */
export function renderResources(): string {
  return [
    '# Resources',
    '',
    'API group `kube-sfu.dev`, version `v1alpha1`. The schemas are in [crds/](../crds); a resource that breaks one is refused with',
    'the path of the field, by the API server and, without a cluster, by the operator.',
    '',
    ...section('mediaworkers'),
    ...section('mediarooms'),
  ].join('\n');
}

import { Ajv, type ErrorObject } from 'ajv';

import type { FieldIssue } from '../errors.ts';
import type { StructuralSchema } from './crd.ts';

type Fields = Record<string, unknown>;
const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Fills in the defaults of a structural schema, from the outside in, as the API server does: a null where null is not
 * allowed and a default exists counts as missing.
 */
export function applyDefaults(schema: StructuralSchema, value: unknown): unknown {
  if (Array.isArray(value) && schema.items) {
    const items = schema.items;
    return value.map((item) => applyDefaults(items, item));
  }
  if (!isRecord(value)) return value;
  const result: Fields = { ...value };
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const given = result[name] === null && !property.nullable ? undefined : result[name];
    if (given === undefined && property.default === undefined) continue;
    const filled = given ?? (JSON.parse(JSON.stringify(property.default)) as unknown);
    result[name] = applyDefaults(property, filled);
  }
  return result;
}

const integerWithin = (min: number, max: number) => ({
  type: 'number' as const,
  validate: (value: number) => Number.isInteger(value) && value >= min && value <= max,
});

const dateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

const ajv = new Ajv({
  allErrors: true,
  strict: true,
  strictTypes: false,
  formats: {
    int32: integerWithin(-(2 ** 31), 2 ** 31 - 1),
    int64: integerWithin(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    'date-time': (value: string) => dateTime.test(value) && !Number.isNaN(Date.parse(value)),
  },
});

const mapValues = <T>(map: Record<string, T>, change: (value: T) => object): Fields =>
  Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));

const additionalPropertiesOf = (schema: StructuralSchema): Fields | boolean => {
  if (schema['x-kubernetes-preserve-unknown-fields']) return true;
  return schema.additionalProperties ? toJsonSchema(schema.additionalProperties) : false;
};

/** The JSON schema that accepts what the API server accepts after pruning: nothing beyond the named properties. */
function toJsonSchema(schema: StructuralSchema): Fields {
  const { properties, items } = schema;
  const plain = Object.fromEntries(
    Object.entries(schema).filter(
      ([key]) =>
        !key.startsWith('x-kubernetes-') &&
        !['properties', 'items', 'additionalProperties', 'default', 'description'].includes(key),
    ),
  );
  return {
    ...plain,
    ...(schema['x-kubernetes-int-or-string'] ? { type: ['integer', 'string'] } : {}),
    ...(properties ? { properties: mapValues(properties, toJsonSchema) } : {}),
    ...(items ? { items: toJsonSchema(items) } : {}),
    ...(schema.type === 'object' ? { additionalProperties: additionalPropertiesOf(schema) } : {}),
  };
}

/** `/spec/nodes/0/podName` as a person writes it: `spec.nodes[0].podName`. */
export function joinPath(base: string, key: string | number): string {
  if (typeof key === 'number') return `${base}[${key}]`;
  if (!/^[\w-]+$/.test(key)) return `${base}[${key}]`;
  return base ? `${base}.${key}` : key;
}

const pathOf = (pointer: string): string =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<string>((path, part) => joinPath(path, /^\d+$/.test(part) ? Number(part) : part), '');

export interface StructuralIssue extends FieldIssue {
  /** The field does not exist: the API server refuses it while decoding, before all other checks. */
  unknownField?: true;
}

function toIssue({ keyword, instancePath, message, params }: ErrorObject): StructuralIssue {
  const path = pathOf(instancePath);
  const given = params as Fields;
  switch (keyword) {
    case 'additionalProperties':
      return {
        field: joinPath(path, String(given['additionalProperty'])),
        message: 'unknown field',
        unknownField: true,
      };
    case 'required':
      return { field: joinPath(path, String(given['missingProperty'])), message: 'is required' };
    case 'enum':
      return {
        field: path,
        message: `must be one of ${(given['allowedValues'] as unknown[]).map(String).join(', ')}`,
      };
    default:
      return { field: path, message: message ?? keyword };
  }
}

/** Compiles a CRD's schema to a check of whole objects. `metadata` has rules of its own beyond what the CRD adds. */
export function compileStructural(schema: StructuralSchema): (value: unknown) => StructuralIssue[] {
  const { metadata, ...properties } = (toJsonSchema(schema)['properties'] ?? {}) as Fields;
  const openMetadata = { ...(metadata as Fields), additionalProperties: true };
  const validate = ajv.compile({
    ...toJsonSchema(schema),
    properties: { ...properties, metadata: openMetadata },
  });
  return (value) => (validate(value) ? [] : (validate.errors ?? []).map(toIssue));
}

import { loadCrd, schemaOf, type Plural, type StructuralSchema } from '../common/resources/crd.ts';
import { joinPath } from '../common/resources/structural.ts';

type Json = unknown;
type Path = readonly (string | number)[];
type Fields = Record<string, Json>;

/** One wrong value, at a place where `sample` has a right one. */
export interface InvalidResource {
  /** What is wrong, for a test's name. */
  name: string;
  /** The field that a refusal must name, such as `spec.network.portRange.end`. */
  field: string;
  object: Fields;
}

const text = (path: Path): string => path.reduce<string>(joinPath, '');

const isFields = (value: Json): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A copy of `value` in which `path` has become `replacement`; undefined takes the field away. */
export function replaceAt(value: Json, path: Path, replacement: Json): Json {
  const [key, ...rest] = path;
  if (key === undefined) return replacement;
  if (Array.isArray(value))
    return value.map((item: Json, i) => (i === key ? replaceAt(item, rest, replacement) : item));
  const fields = isFields(value) ? value : {};
  const next = replaceAt(fields[key], rest, replacement);
  const others = Object.fromEntries(Object.entries(fields).filter(([name]) => name !== key));
  return next === undefined ? others : { ...others, [key]: next };
}

type Fault = [what: string, value: Json];

function numberFaults({ minimum, maximum }: StructuralSchema): Fault[] {
  return [
    ['is text', 'many'],
    ['is not whole', 1.5],
    ...(minimum === undefined ? [] : [['is too small', minimum - 1] satisfies Fault]),
    ...(maximum === undefined ? [] : [['is too large', maximum + 1] satisfies Fault]),
  ];
}

function stringFaults(schema: StructuralSchema): Fault[] {
  const { enum: values, pattern, minLength, maxLength } = schema;
  return [
    ['is a number', 5],
    ...(values ? [['is none of the values', 'Nonsense'] satisfies Fault] : []),
    ...(pattern ? [['does not fit the pattern', '!?'] satisfies Fault] : []),
    ...(minLength ? [['is empty', ''] satisfies Fault] : []),
    ...(maxLength ? [['is too long', 'a'.repeat(maxLength + 1)] satisfies Fault] : []),
  ];
}

function containerFaults(schema: StructuralSchema, sample: Json): Fault[] {
  const { maxItems, maxProperties } = schema;
  const items: Json[] = Array.isArray(sample) ? sample : [];
  const [key, value] = Object.entries(isFields(sample) ? sample : {})[0] ?? ['key', 'value'];
  return [
    ['is text', 'text'],
    ...(maxItems
      ? [['has too many items', Array.from({ length: maxItems + 1 }, () => items[0])] as Fault]
      : []),
    ...(maxProperties
      ? [
          [
            'has too many entries',
            Object.fromEntries(
              Array.from({ length: maxProperties + 1 }, (_, i) => [`${key}${i}`, value]),
            ),
          ] as Fault,
        ]
      : []),
  ];
}

function faultsOf(schema: StructuralSchema, sample: Json): Fault[] {
  if (schema['x-kubernetes-int-or-string'])
    return [
      ['is a flag', true],
      ...stringFaults(schema).filter(([what]) => what !== 'is a number'),
    ];
  if (schema.type === 'integer') return numberFaults(schema);
  if (schema.type === 'string') return stringFaults(schema);
  if (schema.type === 'boolean') return [['is text', 'yes']];
  return containerFaults(schema, sample);
}

interface Place {
  schema: StructuralSchema;
  path: Path;
  sample: Json;
}

function childrenOf({ schema, path, sample }: Place): Place[] {
  if (Array.isArray(sample))
    return schema.items
      ? [{ schema: schema.items, path: [...path, 0], sample: sample[0] as Json }]
      : [];
  if (!isFields(sample)) return [];
  return Object.entries(sample).flatMap(([key, value]) => {
    const child = schema.properties?.[key] ?? schema.additionalProperties;
    return child ? [{ schema: child, path: [...path, key], sample: value }] : [];
  });
}

/** The fields that a sample leaves out although its schema has them. */
export function missingFields(place: Place): string[] {
  const own = Object.entries(place.schema.properties ?? {})
    .filter(([key]) => isFields(place.sample) && place.sample[key] === undefined)
    .map(([key]) => text([...place.path, key]));
  return [...own, ...childrenOf(place).flatMap(missingFields)];
}

const closedObject = ({ type, properties, ...schema }: StructuralSchema): boolean =>
  type === 'object' &&
  properties !== undefined &&
  !schema.additionalProperties &&
  !schema['x-kubernetes-preserve-unknown-fields'];

function faultyAt(place: Place, whole: Fields): InvalidResource[] {
  const { schema, path, sample } = place;
  const make = (what: string, at: Path, value: Json): InvalidResource => ({
    name: `${text(at)} ${what}`,
    field: text(at),
    object: replaceAt(whole, at, value) as Fields,
  });
  const required = (schema.required ?? []).filter(
    (key) => schema.properties?.[key]?.default === undefined,
  );
  return [
    ...faultsOf(schema, sample).map(([what, value]) => make(what, path, value)),
    ...required.map((key) => make('is missing', [...path, key], undefined)),
    ...(closedObject(schema) ? [make('is unknown', [...path, 'unknownField'], 1)] : []),
    ...childrenOf(place).flatMap((child) => faultyAt(child, whole)),
  ];
}

const specPlace = (plural: Plural, sample: Fields): Place => ({
  schema: schemaOf(loadCrd(plural)).properties?.['spec'] ?? {},
  path: ['spec'],
  sample: sample['spec'],
});

/** The fields of a kind's spec that its sample leaves out. */
export const missingSpecFields = (plural: Plural, sample: Fields): string[] =>
  missingFields(specPlace(plural, sample));

/** For every field of a kind's spec, one object for each way in which its schema can be broken there. */
export const invalidResources = (plural: Plural, sample: Fields): InvalidResource[] =>
  faultyAt(specPlace(plural, sample), sample);

import { ApiError, type FieldIssue } from '../errors.ts';
import { checkRules } from './cel.ts';
import { loadCrd, plurals, schemaOf, type CustomResourceDefinition, type Plural } from './crd.ts';
import { metadataIssues, unknownMetadataFields } from './metadata.ts';
import { applyDefaults, compileStructural, type StructuralIssue } from './structural.ts';
import { apiVersion, type KubernetesObject, type MediaRoom, type MediaWorker } from './types.ts';

interface ResourceKind {
  plural: Plural;
  crd: CustomResourceDefinition;
  check: (value: unknown) => StructuralIssue[];
}

function loadKinds(): Map<string, ResourceKind> {
  return new Map(
    plurals.map((plural) => {
      const crd = loadCrd(plural);
      return [crd.spec.names.kind, { plural, crd, check: compileStructural(schemaOf(crd)) }];
    }),
  );
}

let kinds: Map<string, ResourceKind> | undefined;
/** Compiled at first use: a service that validates nothing pays nothing. */
const knownKinds = (): Map<string, ResourceKind> => (kinds ??= loadKinds());

type Fields = Record<string, unknown>;

/** Thrown for an object that the API server would refuse; `unknownFields` tells its 400 from its 422. */
export class InvalidResourceError extends ApiError {
  readonly unknownFields: boolean;

  constructor(what: string, issues: FieldIssue[], unknownFields: boolean) {
    const text = issues.map(({ field, message }) => (field ? `${field}: ${message}` : message));
    super('invalid_request', `${what}: ${text.join('; ')}`, { fields: issues });
    this.unknownFields = unknownFields;
  }
}

const nameOf = (object: Fields, kind: string): string => {
  const name = (object['metadata'] as Fields | undefined)?.['name'];
  return typeof name === 'string' ? `${kind} ${name}` : kind;
};

function kindOf(object: Fields): ResourceKind {
  const { kind } = object;
  const known = typeof kind === 'string' ? knownKinds().get(kind) : undefined;
  const issues: FieldIssue[] = [];
  if (!known)
    issues.push({
      field: 'kind',
      message: `must be one of ${[...knownKinds().keys()].join(', ')}`,
    });
  if (object['apiVersion'] !== apiVersion)
    issues.push({ field: 'apiVersion', message: `must be ${apiVersion}` });
  if (!known || issues.length > 0)
    throw new InvalidResourceError(
      nameOf(object, typeof kind === 'string' ? kind : 'object'),
      issues,
      false,
    );
  return known;
}

function unknownFieldIssues(object: Fields, structural: StructuralIssue[]): FieldIssue[] {
  return [
    ...structural.filter(({ unknownField }) => unknownField),
    ...unknownMetadataFields(object['metadata']).map((field) => ({
      field,
      message: 'unknown field',
    })),
  ].map(({ field, message }) => ({ field, message }));
}

/**
 * Decides about an object as the API server does with strict field validation: unknown fields are refused, defaults
 * filled in, then schema, metadata rules and CEL rules are checked; with `old` the transition rules as well.
 *
 * @returns the object with its defaults; the argument stays as it was
 * @throws {InvalidResourceError} `invalid_request`, naming every field at fault, e.g. `spec.network.portRange.end`
 */
export function validateResource(
  object: unknown,
  options: { old?: KubernetesObject } = {},
): MediaWorker | MediaRoom {
  if (typeof object !== 'object' || object === null || Array.isArray(object))
    throw new InvalidResourceError('object', [{ field: '', message: 'must be object' }], false);
  const fields = object as Fields;
  const kind = kindOf(fields);
  const what = nameOf(fields, kind.crd.spec.names.kind);
  const schema = schemaOf(kind.crd);
  const complete = applyDefaults(schema, fields) as Fields;
  const structural = kind.check(complete);
  const unknown = unknownFieldIssues(fields, structural);
  if (unknown.length > 0) throw new InvalidResourceError(what, unknown, true);
  const old = options.old as Fields | undefined;
  const issues: FieldIssue[] = [
    ...metadataIssues(fields['metadata'], old?.['metadata'] as Fields | undefined),
    ...structural,
  ];
  // As in the API server, rules only run on what fits its schema.
  if (structural.length === 0) issues.push(...checkRules(schema, complete, old));
  if (issues.length > 0) throw new InvalidResourceError(what, issues, false);
  return complete as unknown as MediaWorker | MediaRoom;
}

/** The kind's CRD by its plural. */
export function crdOf(plural: Plural): CustomResourceDefinition {
  const found = [...knownKinds().values()].find((kind) => kind.plural === plural);
  if (!found) throw new Error(`no CRD for ${plural}`);
  return found.crd;
}

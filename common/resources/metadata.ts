import type { FieldIssue } from '../errors.ts';

/**
 * Kubernetes' rules for `metadata`: DNS-1123 names, qualified label keys, label values, and no unknown field. They are
 * the API server's own, not part of a CRD's schema.
 */
const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const dnsSubdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedPart = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

const subdomainText =
  "must consist of lower case letters, digits, '-' or '.', and begin and end with a letter or digit";
const labelText =
  "must consist of lower case letters, digits or '-', and begin and end with a letter or digit";

const knownFields = new Set([
  ...['name', 'generateName', 'namespace', 'uid', 'resourceVersion', 'generation', 'selfLink'],
  ...['creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'labels'],
  ...['annotations', 'ownerReferences', 'finalizers', 'managedFields'],
]);
const immutableFields = ['name', 'namespace', 'uid', 'creationTimestamp'] as const;
const annotationsLimitBytes = 256 * 1024;

type Fields = Record<string, unknown>;
const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Why this can't be an object's name, or undefined. */
function nameProblem(name: unknown): string | undefined {
  if (typeof name !== 'string' || name === '') return 'is required';
  if (name.length > 253) return 'must have at most 253 characters';
  return dnsSubdomain.test(name) ? undefined : subdomainText;
}

function namespaceProblem(namespace: unknown): string | undefined {
  if (namespace === undefined) return undefined;
  if (typeof namespace !== 'string') return 'must be string';
  if (namespace.length > 63) return 'must have at most 63 characters';
  return dnsLabel.test(namespace) ? undefined : labelText;
}

function qualifiedNameProblem(key: string): string | undefined {
  const parts = key.split('/');
  const [prefix, name] = parts.length === 1 ? [undefined, parts[0]] : parts;
  const prefixFits = prefix === undefined || (prefix.length <= 253 && dnsSubdomain.test(prefix));
  const fits = parts.length <= 2 && prefixFits && (name ?? '').length <= 63;
  return fits && qualifiedPart.test(name ?? '')
    ? undefined
    : 'must be a qualified name such as example.com/name, of at most 63 characters after the slash';
}

function labelValueProblem(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be string';
  if (value.length > 63) return 'must have at most 63 characters';
  return value === '' || qualifiedPart.test(value)
    ? undefined
    : "must consist of letters, digits, '-', '_' or '.', and begin and end with a letter or digit";
}

function* mapIssues(
  map: unknown,
  field: string,
  valueProblem: (value: unknown) => string | undefined,
): Generator<FieldIssue> {
  if (map === undefined) return;
  if (!isRecord(map)) {
    yield { field, message: 'must be object' };
    return;
  }
  for (const [key, value] of Object.entries(map)) {
    const problem = qualifiedNameProblem(key) ?? valueProblem(value);
    if (problem) yield { field: `${field}[${key}]`, message: problem };
  }
}

function* finalizerIssues(finalizers: unknown): Generator<FieldIssue> {
  if (finalizers === undefined) return;
  if (!Array.isArray(finalizers)) {
    yield { field: 'metadata.finalizers', message: 'must be array' };
    return;
  }
  for (const [i, finalizer] of finalizers.entries()) {
    const problem =
      typeof finalizer === 'string' ? qualifiedNameProblem(finalizer) : 'must be string';
    if (problem) yield { field: `metadata.finalizers[${i}]`, message: problem };
  }
}

const annotationsTooLarge = (annotations: unknown): boolean =>
  isRecord(annotations) && Buffer.byteLength(JSON.stringify(annotations)) > annotationsLimitBytes;

/** What is wrong with the metadata; unknown fields apart, since the API server refuses them at another step. */
export function* metadataIssues(metadata: unknown, old?: Fields): Generator<FieldIssue> {
  if (!isRecord(metadata)) {
    yield { field: 'metadata', message: 'is required' };
    return;
  }
  const name = nameProblem(metadata['name']);
  if (name) yield { field: 'metadata.name', message: name };
  const namespace = namespaceProblem(metadata['namespace']);
  if (namespace) yield { field: 'metadata.namespace', message: namespace };
  yield* mapIssues(metadata['labels'], 'metadata.labels', labelValueProblem);
  yield* mapIssues(metadata['annotations'], 'metadata.annotations', (value) =>
    typeof value === 'string' ? undefined : 'must be string',
  );
  if (annotationsTooLarge(metadata['annotations']))
    yield { field: 'metadata.annotations', message: 'must have at most 256 KiB in all' };
  yield* finalizerIssues(metadata['finalizers']);
  for (const field of old ? immutableFields : [])
    if (metadata[field] !== undefined && metadata[field] !== old?.[field])
      yield { field: `metadata.${field}`, message: 'is immutable' };
}

/** Fields of the metadata that do not exist. */
export const unknownMetadataFields = (metadata: unknown): string[] =>
  isRecord(metadata)
    ? Object.keys(metadata)
        .filter((key) => !knownFields.has(key))
        .map((key) => `metadata.${key}`)
    : [];

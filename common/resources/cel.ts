import { Environment } from '@marcbachmann/cel-js';

import { messageOf, type FieldIssue } from '../errors.ts';
import type { StructuralSchema, ValidationRule } from './crd.ts';
import { joinPath } from './structural.ts';

/**
 * The `x-kubernetes-validations` of a schema. A rule sees the value at its node as `self`, and on an update the value
 * before as `oldSelf`; a rule that names `oldSelf` runs only where there is one.
 */
type Fields = Record<string, unknown>;
const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const environment = new Environment({ unlistedVariablesAreDyn: true });
const compiled = new Map<string, (context: Fields) => unknown>();

function compile(rule: string): (context: Fields) => unknown {
  const known = compiled.get(rule);
  if (known) return known;
  const run = environment.parse(rule);
  compiled.set(rule, run);
  return run;
}

/** A value as CEL sees it: what the schema calls an integer is one, not a double. */
function toCel(schema: StructuralSchema, value: unknown): unknown {
  if (typeof value === 'number')
    return schema.type === 'integer' || schema['x-kubernetes-int-or-string']
      ? BigInt(value)
      : value;
  // A new array of this realm: the evaluator tells types by their constructor.
  if (Array.isArray(value)) return Array.from(value, (item) => toCel(schema.items ?? {}, item));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      toCel(schema.properties?.[key] ?? schema.additionalProperties ?? {}, item),
    ]),
  );
}

interface Node {
  schema: StructuralSchema;
  path: string;
  value: unknown;
  /** Undefined where there is nothing to compare with. */
  old: unknown;
}

function checkRule(rule: ValidationRule, { schema, path, value, old }: Node): FieldIssue[] {
  const comparesOld = /\boldSelf\b/.test(rule.rule);
  if (comparesOld && old === undefined) return [];
  const below = rule.fieldPath?.split('.').slice(1) ?? [];
  const field = below.reduce(joinPath, path);
  try {
    const context: Fields = { self: toCel(schema, value) };
    if (comparesOld) context['oldSelf'] = toCel(schema, old);
    if (compile(rule.rule)(context) === true) return [];
    return [{ field, message: rule.message ?? `failed rule: ${rule.rule}` }];
  } catch (error) {
    return [{ field, message: `rule could not be evaluated: ${rule.rule}: ${messageOf(error)}` }];
  }
}

/** Which entries of a list are the same one is told by its map keys; lists without them are not compared by entry. */
const keyOf = (keys: string[], item: unknown): string =>
  JSON.stringify(keys.map((key) => (item as Fields)[key]));

function itemNodes(node: Node, items: StructuralSchema): Node[] {
  const keys = node.schema['x-kubernetes-list-map-keys'];
  const old = keys && Array.isArray(node.old) ? (node.old as unknown[]) : [];
  const oldByKey = new Map(keys ? old.map((item) => [keyOf(keys, item), item]) : []);
  return (node.value as unknown[]).map((value, i) => ({
    schema: items,
    path: joinPath(node.path, i),
    value,
    old: keys ? oldByKey.get(keyOf(keys, value)) : undefined,
  }));
}

function children(node: Node): Node[] {
  const { schema, value, old, path } = node;
  if (Array.isArray(value)) return schema.items ? itemNodes(node, schema.items) : [];
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const child = schema.properties?.[key] ?? schema.additionalProperties;
    if (!child) return [];
    const before = isRecord(old) ? old[key] : undefined;
    return [{ schema: child, path: joinPath(path, key), value: item, old: before }];
  });
}

function duplicateKeys({ schema, value, path }: Node): FieldIssue[] {
  const keys = schema['x-kubernetes-list-map-keys'];
  if (!keys || !Array.isArray(value)) return [];
  const seen = new Set<string>();
  return value.flatMap((item: unknown, i) => {
    const key = keyOf(keys, item);
    if (seen.has(key)) return [{ field: joinPath(path, i), message: 'duplicate value' }];
    seen.add(key);
    return [];
  });
}

/** What the rules refuse in a value that fits its schema otherwise. */
export function checkRules(schema: StructuralSchema, value: unknown, old?: unknown): FieldIssue[] {
  const check = (node: Node): FieldIssue[] => [
    ...(node.schema['x-kubernetes-validations'] ?? []).flatMap((rule) => checkRule(rule, node)),
    ...duplicateKeys(node),
    ...children(node).flatMap(check),
  ];
  return check({ schema, path: '', value, old });
}

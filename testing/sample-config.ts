import { readFileSync } from 'node:fs';
import path from 'node:path';

import { isMap, isScalar, parseDocument, visit } from 'yaml';
import { z } from 'zod';

import { parseConfig } from '../common/service/config.ts';

/** A zod schema, or one that an outer one wraps: `optional`, `default`, `prefault` and their like have an inner type. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const { innerType } = schema._zod.def as { innerType?: z.core.$ZodType };
  return innerType ? unwrap(innerType) : schema;
}

/** Paths of all keys that a schema of objects knows, such as `local.api.port`. Records and lists end a path. */
export function schemaKeys(schema: z.core.$ZodType, prefix = ''): string[] {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(inner.shape as Record<string, z.core.$ZodType>).flatMap(([name, child]) => [
    `${prefix}${name}`,
    ...schemaKeys(child, `${prefix}${name}.`),
  ]);
}

/** Keys without a description of their own, where they hold a value and not more keys. */
export function undescribedKeys(schema: z.core.$ZodType, prefix = ''): string[] {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(inner.shape as Record<string, z.core.$ZodType>).flatMap(([name, child]) => {
    const key = `${prefix}${name}`;
    if (unwrap(child) instanceof z.ZodObject) return undescribedKeys(child, `${key}.`);
    return describes(child) ? [] : [key];
  });
}

/** A description may be on the schema itself or on what it wraps. */
function describes(schema: z.core.$ZodType): boolean {
  if (z.globalRegistry.get(schema)?.description) return true;
  const { innerType } = schema._zod.def as { innerType?: z.core.$ZodType };
  return innerType ? describes(innerType) : false;
}

/** Paths of all keys in a YAML text, those in comments of the form `# key: value` included, indented behind the `#` or before. */
function sampleKeys(text: string): Set<string> {
  const keys = new Set<string>();
  visit(parseDocument(text.replaceAll(/^(\s*)# ( *\w+: \S)/gm, '$1$2')), {
    Pair(_, pair, ancestors) {
      const parents = ancestors.filter((node) => 'key' in node).map((node) => node.key);
      const names = [...parents, pair.key].map((key) => (isScalar(key) ? String(key.value) : '?'));
      keys.add(names.join('.'));
      return isMap(pair.value) ? undefined : visit.SKIP;
    },
  });
  return keys;
}

export interface SampleReport {
  /** Keys of the schema that the sample does not mention. */
  missing: string[];
  /** Keys of the schema without a description. */
  undescribed: string[];
}

/**
 * Reads a sample of a service's configuration from `config/`, checks that the service would take it as it is, with
 * `env` in its variables, and reports what it leaves out.
 *
 * @throws {ApiError} when the sample does not fit the schema
 */
export function checkSample(
  file: string,
  schema: z.ZodType,
  env: Record<string, string>,
): SampleReport {
  const text = readFileSync(path.join(import.meta.dirname, '../config', file), 'utf8');
  parseConfig(schema, text, env);
  const present = sampleKeys(text);
  return {
    missing: schemaKeys(schema).filter((key) => !present.has(key)),
    undescribed: undescribedKeys(schema),
  };
}

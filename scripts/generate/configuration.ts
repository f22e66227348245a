import { z } from 'zod';

import { mediaNodeConfig } from '../../media-node/config.ts';
import { operatorConfig } from '../../operator/config.ts';
import { signalingConfig } from '../../signaling/config.ts';
import { bounded, code, table } from './table.ts';

interface JsonSchema {
  type?: string;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  default?: unknown;
  description?: string;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
}

const services = [
  { name: 'operator', schema: operatorConfig },
  { name: 'signaling', schema: signalingConfig },
  { name: 'media-node', schema: mediaNodeConfig },
];

function typeOf(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.map(code).join(', ');
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  const least = schema.minimum ?? (schema.exclusiveMinimum === 0 ? 1 : schema.exclusiveMinimum);
  // A bound at the limit of what a number can hold is zod's way of saying "an integer".
  const most = schema.maximum === Number.MAX_SAFE_INTEGER ? undefined : schema.maximum;
  return bounded(schema.type ?? 'any', least === Number.MIN_SAFE_INTEGER ? undefined : least, most);
}

function rows(schema: JsonSchema, path: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, child]) => {
    const at = path ? `${path}.${key}` : key;
    if (child.properties) return rows(child, at);
    const fallback =
      child.default !== undefined
        ? code(Array.isArray(child.default) ? '[…]' : child.default)
        : schema.required?.includes(key)
          ? '**required**'
          : '–';
    return [[code(at), typeOf(child), fallback, child.description ?? '']];
  });
}

/** `docs/configuration.md`: every key of every service, from the schemas that check them. */
export function renderConfiguration(): string {
  const sections = services.map(({ name, schema }) => {
    const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
    return [
      `## ${name}`,
      '',
      `Started as \`node ${name}/main.ts --config FILE\`; a sample of every key is [config/${name}.yaml](../config/${name}.yaml).`,
      '',
      ...table(['key', 'type', 'default', 'meaning'], rows(json, '')),
    ].join('\n');
  });
  return [
    '# Configuration',
    '',
    'Each service reads one YAML file. An unknown or wrong key keeps it from starting, and the message names the key. `${NAME}`',
    'in a value is replaced by that environment variable, so that secrets and pod facts need not be in the file.',
    '',
    ...sections.flatMap((section) => [section, '']),
  ].join('\n');
}

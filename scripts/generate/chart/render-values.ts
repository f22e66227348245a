import { z } from 'zod';
import { Document, isMap, isScalar, type YAMLMap } from 'yaml';

import { bounded, code, table } from '../table.ts';
import { chartValues } from './values/index.ts';

interface JsonSchema {
  type?: string;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | false;
  default?: unknown;
  description?: string;
  minimum?: number;
  maximum?: number;
}

/** Longest line of a comment. */
const width = 120;

const schema = (): JsonSchema =>
  z.toJSONSchema(chartValues, { io: 'input', unrepresentable: 'any' }) as JsonSchema;

/** `values.schema.json`: what Helm checks values by. */
export const renderValuesSchema = (): string =>
  JSON.stringify({ ...schema(), title: 'Values of kube-sfu' }, null, 2);

/** Lines of a comment, each after a space as `#` wants it. */
function wrap(text: string, indent: number): string {
  const lines: string[] = [''];
  for (const word of `${text.charAt(0).toUpperCase()}${text.slice(1)}.`.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last.length + word.length + indent + 2 > width) lines.push(` ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}

function comment(map: YAMLMap, of: JsonSchema, depth: number): void {
  for (const pair of map.items) {
    if (!isScalar(pair.key)) continue;
    const child = of.properties?.[String(pair.key.value)];
    if (!child) continue;
    if (depth === 0) pair.key.spaceBefore = true;
    if (child.description) pair.key.commentBefore = wrap(child.description, depth * 2);
    if (child.properties && isMap(pair.value)) comment(pair.value, child, depth + 1);
  }
}

/** `values.yaml`: every value with its default. */
export function renderValues(): string {
  const document = new Document(chartValues.parse({}), { aliasDuplicateObjects: false });
  if (isMap(document.contents)) comment(document.contents, schema(), 0);
  document.commentBefore = [
    ' The values of the chart, each with its default.',
    ' Generated from scripts/generate/chart/values by "npm run generate"; not for editing.',
  ].join('\n');
  return document.toString({ lineWidth: 0 });
}

function typeOf(of: JsonSchema): string {
  if (of.enum) return of.enum.map((item) => (item === '' ? 'empty' : code(item))).join(', ');
  if (of.anyOf) return of.anyOf.map(typeOf).join(' or ');
  if (of.type === 'array') return `list of ${typeOf(of.items ?? {})}`;
  if (of.type === 'object' && of.additionalProperties) return 'map';
  return bounded(of.type ?? 'any', of.minimum, of.maximum);
}

function rows(of: JsonSchema, path: string): string[][] {
  return Object.entries(of.properties ?? {}).flatMap(([key, child]) => {
    const at = path ? `${path}.${key}` : key;
    if (child.properties) return rows(child, at);
    const own = [code(at), typeOf(child), code(child.default), child.description ?? ''];
    const entries = child.additionalProperties ? child.additionalProperties : undefined;
    return [own, ...(entries?.properties ? rows(entries, `${at}.NAME`) : [])];
  });
}

/** The table of all values, as in `docs/chart-values.md`. */
export const valuesTable = (): string[] =>
  table(['value', 'type', 'default', 'meaning'], rows(schema(), ''));

/** `docs/chart-values.md`: every value of the chart. */
export const renderChartValues = (): string =>
  [
    '# Values of the chart',
    '',
    'What `helm install --set` and `--values` take for [charts/kube-sfu](../charts/kube-sfu). An unknown or wrong value fails with its',
    'name. Maps are free: Kubernetes, or the service whose configuration they are, checks what is in them.',
    '',
    ...valuesTable(),
    '',
  ].join('\n');

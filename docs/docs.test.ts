/** What the documents name exists: reasons, fields, configuration keys, metrics, files and headings. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { loadCrd, plurals, schemaOf, type StructuralSchema } from '../common/resources/crd.ts';
import { chartValues } from '../scripts/generate/chart/values/index.ts';
import { mediaNodeConfig } from '../media-node/config.ts';
import { operatorConfig } from '../operator/config.ts';
import type { ConditionTable, EventTable } from '../operator/reasons.ts';
import { roomConditions, roomEvents } from '../operator/rooms/reasons.ts';
import { poolConditions, poolEvents } from '../operator/workers/reasons.ts';
import { signalingConfig } from '../signaling/config.ts';
import { schemaKeys } from '../testing/sample-config.ts';

const root = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

const documents = [
  ...['README.md', 'CONTRIBUTING.md'],
  ...readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.join('docs', name)),
];

/** The part of a document below a heading, up to the next one. */
function section(text: string, heading: string): string {
  const [, after] = text.split(`\n### ${heading}\n`);
  if (after === undefined) throw new Error(`no heading ${heading}`);
  return after.split(/\n#+ /)[0] ?? '';
}

/** The rows of the first table of a section, without its head. */
function rows(text: string, heading: string): string[][] {
  const table = /(?:^\|.*\n)+/m.exec(section(text, heading))?.[0] ?? '';
  return table
    .trim()
    .split('\n')
    .slice(2)
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
    .map(([, ...cells]) => cells);
}

const conditionsOf = (table: ConditionTable): string[] =>
  Object.entries(table).flatMap(([type, reasons]) =>
    Object.entries(reasons).map(([reason, status]) => `${type} ${status} ${reason}`),
  );
const eventsOf = (table: EventTable): string[] =>
  Object.entries(table).map(([reason, types]) => `${reason} ${types.join(', ')}`);

/** The source of a kind's reconciler, its list of reasons left out. */
const sourceOf = (folder: string): string =>
  readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && name !== 'reasons.ts')
    .map((name) => read(path.join(folder, name)))
    .join('\n');

describe('docs/troubleshooting.md', () => {
  const text = read('docs/troubleshooting.md');
  const kinds: [string, string, ConditionTable, EventTable][] = [
    ['MediaWorker', 'operator/workers', poolConditions, poolEvents],
    ['MediaRoom', 'operator/rooms', roomConditions, roomEvents],
  ];

  it.each(kinds)('explains each condition of a %s, and no other', (kind, _, conditions) => {
    const explained = rows(text, `Conditions of a ${kind}`).map((cells) =>
      cells.slice(0, 3).join(' '),
    );
    expect(explained.sort()).toEqual(conditionsOf(conditions).sort());
  });

  it.each(kinds)('explains each Event of a %s, and no other', (kind, _, __, events) => {
    const explained = rows(text, `Events of a ${kind}`).map((cells) => cells.slice(0, 2).join(' '));
    expect(explained.sort()).toEqual(eventsOf(events).sort());
  });

  it.each(kinds)('knows only reasons of a %s that are given', (_, folder, conditions, events) => {
    const source = sourceOf(folder);
    const reasons = [
      ...Object.values(conditions).flatMap((byReason) => Object.keys(byReason)),
      ...Object.keys(events),
    ];
    expect(reasons.filter((reason) => !source.includes(`'${reason}'`))).toEqual([]);
  });
});

const metricNames =
  /\b(?:kube_sfu|controller_runtime|workqueue|leader_election|rest_client)_[a-z_]+\b/g;

describe('a metric', () => {
  it('exists where a document names it', () => {
    const known = new Set(
      [...read('docs/metrics.md').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name),
    );
    const texts = documents.map(read).join('\n');
    const named = (texts.match(metricNames) ?? []).map((name) =>
      name.replace(/_(bucket|sum|count)$/, ''),
    );
    // The name of the tables' record of migrations is none, nor is the label of a target.
    const unknown = named.filter(
      (name) => !known.has(name) && !name.endsWith('_') && name !== 'kube_sfu_release',
    );
    expect([...new Set(unknown)]).toEqual([]);
  });
});

const isOpen = (schema: StructuralSchema): boolean =>
  schema.additionalProperties !== undefined ||
  schema['x-kubernetes-preserve-unknown-fields'] === true;

/** Paths of all fields, such as `spec.network.portRange.start`. */
function fieldsOf(schema: StructuralSchema, prefix: string): string[] {
  const properties = schema.properties ?? schema.items?.properties ?? {};
  return Object.entries(properties).flatMap(([name, child]) => [
    `${prefix}${name}`,
    ...fieldsOf(child, `${prefix}${name}.`),
    // What is below is named by the user, or Kubernetes' own.
    ...(isOpen(child) ? [`${prefix}${name}.*`] : []),
  ]);
}

describe('a field or key', () => {
  const fields = plurals.flatMap((plural) => fieldsOf(schemaOf(loadCrd(plural)), ''));
  const isField = (name: string): boolean =>
    fields.includes(name) ||
    fields.some((field) => field.endsWith('.*') && name.startsWith(field.slice(0, -1)));
  const keys = new Set(
    [operatorConfig, signalingConfig, mediaNodeConfig, chartValues].flatMap((schema) =>
      schemaKeys(schema),
    ),
  );
  /** What Kubernetes or a service checks itself, below a value of the chart. */
  const isFree = (name: string): boolean =>
    [...keys].some((key) => /(^pools|\.(config|spec))$/.test(key) && name.startsWith(`${key}.`));
  const firstParts = new Set([...keys].map((key) => key.split('.')[0] ?? ''));
  const guides = documents.filter((name) =>
    /^docs\/(operations|troubleshooting|capability|production|runbooks)/.test(name),
  );

  it.each(guides)('exists where %s names it', (name) => {
    const named = [...read(name).matchAll(/`\.?([a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)+)[:`]/g)].map(
      ([, text = '']) => text,
    );
    const unknown = named.filter((text) => {
      const [first = ''] = text.split('.');
      if (first === 'spec' || first === 'status') return !isField(text);
      return firstParts.has(first) && !keys.has(text) && !isFree(text) && !isField(`spec.${text}`);
    });
    expect(unknown).toEqual([]);
  });
});

/** A heading's anchor, as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

const exists = (file: string): boolean => statSync(file, { throwIfNoEntry: false }) !== undefined;

describe('a link', () => {
  it.each(documents)('in %s leads somewhere', (name) => {
    const links = [...read(name).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const broken = links.filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [file = '', anchor] = link.split('#');
      const target =
        file === '' ? path.join(root, name) : path.join(root, path.dirname(name), file);
      if (!exists(target)) return true;
      if (anchor === undefined) return false;
      const headings = readFileSync(target, 'utf8').matchAll(/^#+ (.+)$/gm);
      return ![...headings].some(([, heading = '']) => anchorOf(heading) === anchor);
    });
    expect(broken).toEqual([]);
  });
});

/** The chart's alerts and dashboards ask for what the services have, and each alert has its runbook. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, it } from '@jest/globals';
import { parser } from '@prometheus-io/lezer-promql';
import { parse } from 'yaml';

const root = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const filesIn = (folder: string, ending: string): string[] =>
  readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => path.join(folder, name));

interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
const groups = filesIn('charts/kube-sfu/files/alerts', '.yaml').map(
  (file) => parse(read(file)) as { name: string; rules: Rule[] },
);
const rules = groups.flatMap((group) => group.rules);
const alerts = rules.map(({ alert }) => alert);

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: Record<'x' | 'y' | 'w' | 'h', number>;
  targets?: { refId: string; expr: string; legendFormat: string }[];
}
interface Dashboard {
  uid: string;
  title: string;
  schemaVersion: number;
  panels: Panel[];
  templating: { list: { name: string; query: unknown }[] };
}
const dashboards = filesIn('charts/kube-sfu/files/dashboards', '.json').map(
  (file) => JSON.parse(read(file)) as Dashboard,
);

/** Labels that a target has by the chart's PodMonitors. */
const targetLabels = ['job', 'kube_sfu_release', 'namespace', 'pod', 'node', 'pool', 'instance'];

/** Labels of each metric: ours as docs/metrics.md has them, and those of Prometheus and of Node.js. */
const metrics = new Map<string, string[]>(
  [
    'up',
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'nodejs_eventloop_lag_p99_seconds',
  ].map((name) => [name, []]),
);
for (const [, name = '', type, labels = ''] of read('docs/metrics.md').matchAll(
  /^\| `(\w+)` *\| (\w+) *\| ([^|]*)\|/gm,
)) {
  const own = [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label);
  if (type !== 'histogram') metrics.set(name, own);
  else {
    metrics.set(`${name}_bucket`, [...own, 'le']);
    for (const suffix of ['sum', 'count']) metrics.set(`${name}_${suffix}`, own);
  }
}

interface Selector {
  metric: string;
  labels: string[];
  text: string;
}
interface Query {
  isValid: boolean;
  selectors: Selector[];
  grouping: string[];
}

interface Part {
  name: string;
  parent: string;
  text: string;
}

/** Notes what a part of an expression selects or groups by. */
function note(query: Query, { name, parent, text }: Part): void {
  if (name === 'VectorSelector') query.selectors.push({ metric: '', labels: [], text });
  if (name === 'LabelName' && parent === 'GroupingLabels') query.grouping.push(text);
  const selector = query.selectors.at(-1);
  if (!selector) return;
  if (name === 'Identifier' && parent === 'VectorSelector') selector.metric = text;
  if (name === 'LabelName' && parent.endsWith('LabelMatcher')) selector.labels.push(text);
}

/** What an expression selects and groups by. Grafana's variables of time are put in place first. */
function readQuery(expression: string): Query {
  const text = expression.replaceAll('$__rate_interval', '5m');
  const query: Query = { isValid: true, selectors: [], grouping: [] };
  parser.parse(text).iterate({
    enter(node) {
      if (node.type.isError) query.isValid = false;
      const parent = node.node.parent?.name ?? '';
      note(query, { name: node.name, parent, text: text.slice(node.from, node.to) });
    },
  });
  return query;
}

/** What is wrong with an expression. */
function faultsOf(expression: string): string[] {
  const { isValid, selectors, grouping } = readQuery(expression);
  const labelsOf = (metric: string): string[] => [...(metrics.get(metric) ?? []), ...targetLabels];
  const known = new Set(selectors.flatMap(({ metric }) => labelsOf(metric)));
  return [
    ...(isValid ? [] : ['is no PromQL']),
    ...(selectors.length > 0 ? [] : ['selects nothing']),
    ...selectors.flatMap(({ metric, labels, text }) => [
      ...(metrics.has(metric) ? [] : [`no metric ${metric}`]),
      ...labels
        .filter((label) => !labelsOf(metric).includes(label))
        .map((label) => `${metric} has no label ${label}`),
      ...(labels.includes('job') ? [] : [`${text} names no job`]),
    ]),
    ...grouping.filter((label) => !known.has(label)).map((label) => `groups by unknown ${label}`),
  ];
}

describe('the check of an expression', () => {
  it.each([
    ['sum(up{job="a"}', 'is no PromQL'],
    ['vector(1)', 'selects nothing'],
    ['nothing_total{job="a"}', 'no metric nothing_total'],
    ['up{job="a",color="red"}', 'up has no label color'],
    ['sum by (color) (up{job="a"})', 'groups by unknown color'],
    ['sum(up{pod="a"})', 'up{pod="a"} names no job'],
  ])('says of %s that it %s', (expression, want) => {
    expect(faultsOf(expression)).toContain(want);
  });
});

describe('an alert', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s asks for what exists',
    (_, rule) => {
      expect(faultsOf(rule.expr)).toEqual([]);
    },
  );

  it.each(rules.map((rule) => [rule.alert, rule] as const))('%s says what it means', (_, rule) => {
    expect(['critical', 'warning', 'info']).toContain(rule.labels['severity']);
    expect(Object.keys(rule.annotations).sort()).toEqual(['description', 'summary']);
    const { grouping } = readQuery(rule.expr);
    const shown = Object.values(rule.annotations).flatMap((text) =>
      [...text.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label),
    );
    expect(shown.filter((label) => !grouping.includes(label))).toEqual([]);
  });

  it('has a name and a group of its own', () => {
    expect(new Set(alerts).size).toBe(alerts.length);
    expect(new Set(groups.map(({ name }) => name)).size).toBe(groups.length);
  });

  it('has a runbook, and each runbook an alert, and the list has all', () => {
    const runbooks = filesIn('docs/runbooks', '.md').map((file) => path.basename(file, '.md'));
    expect(runbooks.sort()).toEqual([...alerts, 'README'].sort());
    const listed = [...read('docs/runbooks/README.md').matchAll(/^\| \[`(\w+)`\]\(\1\.md\)/gm)];
    expect(listed.map(([, alert]) => alert).sort()).toEqual([...alerts].sort());
  });

  it.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s has the parts of a runbook, with expressions that ask for what exists',
    (alert, rule) => {
      const text = read(`docs/runbooks/${alert}.md`);
      expect([...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading)).toEqual([
        alert,
        'What it means',
        'Look at first',
        'Causes, the most likely first',
        'It is over when',
      ]);
      expect(text).toContain(`Severity: ${rule.labels['severity']}.`);
      const expressions = [...text.matchAll(/```promql\n([^`]+)```/g)].flatMap(([, lines = '']) =>
        lines.trim().split('\n'),
      );
      const faults = expressions.flatMap(faultsOf).filter((fault) => !fault.endsWith('no job'));
      expect(faults).toEqual([]);
    },
  );
});

describe('a dashboard', () => {
  it('has a uid and a title of its own', () => {
    expect(dashboards.length).toBeGreaterThan(0);
    expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(dashboards.length);
    expect(new Set(dashboards.map(({ title }) => title)).size).toBe(dashboards.length);
    for (const { uid } of dashboards) expect(uid).toMatch(/^kube-sfu-[a-z-]{1,31}$/);
  });

  it.each(dashboards.map((dashboard) => [dashboard.title, dashboard] as const))(
    '%s has panels side by side, each with expressions that ask for what exists',
    (_, { panels, templating }) => {
      expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'release']);
      expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
      const places = panels.map(({ gridPos: { x, y } }) => `${x},${y}`);
      expect(new Set(places).size).toBe(places.length);
      for (const { type, title, gridPos, targets = [] } of panels) {
        expect(title).not.toBe('');
        expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
        expect(targets.length > 0).toBe(type !== 'row');
        expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
        expect(targets.flatMap(({ expr }) => faultsOf(expr))).toEqual([]);
        for (const { expr } of targets)
          for (const selector of readQuery(expr).selectors)
            expect(selector.labels).toContain('kube_sfu_release');
      }
    },
  );
});

import { z } from 'zod';

import { flag, name, stringMap, text } from './parts.ts';

const scrape = z
  .strictObject({
    enabled: flag('whether there are PodMonitors of all three services', false),
    interval: text('pause between two scrapes', '30s'),
    scrapeTimeout: text('how long one may take', '10s'),
    labels: stringMap('labels by which Prometheus selects them'),
  })
  .prefault({})
  .describe('PodMonitors, for the Prometheus Operator');

const rule = z.strictObject({
  enabled: flag('whether it exists', true).optional(),
  for: z
    .string()
    .regex(/^(\d+(ms|[smhdwy]))+$/)
    .optional()
    .describe('how long its expression must hold'),
  severity: z.string().min(1).optional().describe('its label `severity`'),
});

const alerts = z
  .strictObject({
    enabled: flag('whether there is a PrometheusRule', false),
    labels: stringMap('labels by which Prometheus selects it'),
    runbookBaseUrl: text(
      'where your Prometheus users find docs/runbooks: `runbook_url` is this and `/<alert>.md`',
      'docs/runbooks',
    ),
    rules: z
      .record(z.string().regex(/^KubeSfu[A-Za-z]+$/), rule)
      .default({})
      .describe('what is to be otherwise, by alert: `{enabled: false}`, `for`, `severity`'),
  })
  .prefault({})
  .describe('alerts, for the Prometheus Operator');

const dashboards = z
  .strictObject({
    enabled: flag(
      'whether there are ConfigMaps with dashboards; enough in one release, as each shows all',
      false,
    ),
    namespace: name('where they are; empty: the release’s namespace'),
    labels: z
      .record(z.string(), z.string())
      .default({ grafana_dashboard: '1' })
      .describe('labels by which Grafana’s sidecar finds them'),
    annotations: stringMap('their annotations, such as the folder: `grafana_folder: kube-sfu`'),
  })
  .prefault({})
  .describe('dashboards, for Grafana’s sidecar');

/** `monitoring` of the chart's values. */
export const monitoring = z
  .strictObject({ scrape, alerts, dashboards })
  .prefault({})
  .describe('what watches the services');

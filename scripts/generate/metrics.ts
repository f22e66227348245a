import { Registry } from 'prom-client';

import { createKnex } from '../../common/db/knex.ts';
import { observePool } from '../../common/db/pool-metrics.ts';
import { databaseConfig } from '../../common/service/config.ts';
import { createServiceMetrics } from '../../common/service/metrics.ts';
import { createMediaNodeMetrics } from '../../media-node/metrics.ts';
import { createKubernetesMetrics } from '../../operator/kubernetes/metrics.ts';
import { createOperatorMetrics } from '../../operator/metrics.ts';
import { createSignalingMetrics, observeMembership } from '../../signaling/metrics.ts';
import { createWebhookMetrics } from '../../signaling/webhooks/metrics.ts';
import { code, table } from './table.ts';

/** What prom-client keeps of a metric beside what its types tell. */
interface Described {
  name: string;
  help: string;
  type: string;
  labelNames?: string[];
}

const types = ['counter', 'gauge', 'histogram', 'summary'];

function describe(registry: Registry): Described[] {
  return (registry.getMetricsAsArray() as unknown as Described[])
    .map(({ name, help, type, labelNames }) => ({
      name,
      help,
      // A number in older metric objects, a word in newer ones.
      type: typeof type === 'number' ? (types[type] ?? '') : type,
      labelNames: labelNames ?? [],
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** The registries as the services fill them, and what all services share. */
function registries(): { title: string; metrics: Described[] }[] {
  const shared = createServiceMetrics().registry;
  // Nothing connects before the first query.
  const knex = createKnex(databaseConfig.parse({ url: 'postgres://localhost/none' }));
  observePool(shared, knex);
  const common = describe(shared);
  const names = new Set(common.map(({ name }) => name));
  const own = (registry: Registry): Described[] =>
    describe(registry).filter(({ name }) => !names.has(name));

  const operator = new Registry();
  createOperatorMetrics(operator).observe({
    nodes: () => [],
    rooms: () => ({ ready: 0, notReady: 0 }),
    conditions: () => [],
    pendingInstances: () => 0,
  });
  createKubernetesMetrics(operator);
  const signaling = createSignalingMetrics();
  observeMembership(signaling, () => true);
  createWebhookMetrics(signaling.registry);
  return [
    { title: 'Every service', metrics: common.filter(({ name }) => name.startsWith('kube_sfu_')) },
    { title: 'Operator', metrics: own(operator) },
    { title: 'Signaling', metrics: own(signaling.registry) },
    { title: 'Media node', metrics: own(createMediaNodeMetrics().registry) },
  ];
}

/** `docs/metrics.md`: every metric of every service, from the code that registers it. */
export function renderMetrics(): string {
  return [
    '# Metrics',
    '',
    'Each service serves Prometheus metrics at `/metrics` of its internal listener, Node’s own (`nodejs_…`, `process_…`) among',
    'them. Names have base units, counters end in `_total`, and no label holds a room, peer or pod name, so that their number stays',
    'bounded. The operator’s queues, controllers and calls to the Kubernetes API have the names of controller-runtime and client-go,',
    'so that their dashboards fit.',
    '',
    ...registries().flatMap(({ title, metrics }) => [
      `## ${title}`,
      '',
      ...table(
        ['metric', 'type', 'labels', 'meaning'],
        metrics.map(({ name, type, labelNames = [], help }) => [
          code(name),
          type,
          labelNames.map(code).join(', '),
          help,
        ]),
      ),
      '',
    ]),
  ].join('\n');
}

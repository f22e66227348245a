import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

import { durationBuckets } from '../../common/service/metrics.ts';

/** The metrics of webhooks. Endpoints come from the configuration, so that their label is bounded. */
export interface WebhookMetrics {
  deliveries: Counter<'endpoint' | 'result'>;
  duration: Histogram<'endpoint'>;
  buried: Counter<'endpoint'>;
  lag: Gauge<'endpoint'>;
  rooms: Gauge<'endpoint'>;
  deadLetters: Gauge<'endpoint'>;
}

export function createWebhookMetrics(registry: Registry): WebhookMetrics {
  const of = <L extends string>(name: string, help: string, labelNames: L[]) => ({
    name: `kube_sfu_signaling_webhook_${name}`,
    help,
    labelNames,
    registers: [registry],
  });
  return {
    deliveries: new Counter(
      of(
        'deliveries_total',
        'Attempts to deliver an event, by endpoint and result: delivered, refused, timed_out or unreachable.',
        ['endpoint', 'result'],
      ),
    ),
    duration: new Histogram({
      ...of('delivery_duration_seconds', 'Time of one attempt to deliver an event, by endpoint.', [
        'endpoint',
      ]),
      buckets: durationBuckets,
    }),
    buried: new Counter(
      of(
        'dead_letters_total',
        'Events that this replica gave up to deliver, by endpoint; they are kept as dead letters.',
        ['endpoint'],
      ),
    ),
    lag: new Gauge(
      of(
        'lag_seconds',
        'Age of the oldest event that an endpoint has not got, 0 without one; the same at every replica.',
        ['endpoint'],
      ),
    ),
    rooms: new Gauge(
      of(
        'pending_rooms',
        'Rooms with events that an endpoint has not got; the same at every replica.',
        ['endpoint'],
      ),
    ),
    deadLetters: new Gauge(
      of('dead_letters', 'Dead letters that are kept; the same at every replica.', ['endpoint']),
    ),
  };
}

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const queueBuckets = [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100];
const reconcileBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

interface QueueView {
  depth(): number;
  /** Keys that are added later. */
  delayed(): number;
  /** Keys whose back-off has not ended. */
  failing(): number;
  /** When each key that is worked on was started, in milliseconds since the epoch. */
  activeSince(): number[];
}

/** The metrics of the work queues and controllers, by controller-runtime's names, so that its dashboards fit. */
export interface RuntimeMetrics {
  watchQueue(name: string, view: QueueView): void;
  queueAdds: Counter<'name'>;
  queueRetries: Counter<'name'>;
  queueDuration: Histogram<'name'>;
  queueWorkDuration: Histogram<'name'>;
  reconciles: Counter<'controller' | 'result'>;
  reconcileErrors: Counter<'controller'>;
  reconcileTime: Histogram<'controller'>;
  activeWorkers: Gauge<'controller'>;
  maxConcurrentReconciles: Gauge<'controller'>;
}

function watchQueues(registry: Registry, now: () => number): RuntimeMetrics['watchQueue'] {
  const queues = new Map<string, QueueView>();
  const gauge = (name: string, help: string, value: (view: QueueView) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['name'],
      registers: [registry],
      collect() {
        for (const [queue, view] of queues) this.set({ name: queue }, value(view));
      },
    });
  };
  const seconds = (since: number): number => (now() - since) / 1000;
  gauge('workqueue_depth', 'Keys that wait in the work queue.', (view) => view.depth());
  gauge(
    'kube_sfu_operator_queue_delayed_keys',
    'Keys that are to be looked at later, after a failure or since nothing is to be done before.',
    (view) => view.delayed(),
  );
  gauge(
    'kube_sfu_operator_queue_failing_keys',
    'Keys whose last reconcile failed, or met a conflict, and is repeated with a back-off.',
    (view) => view.failing(),
  );
  gauge(
    'workqueue_unfinished_work_seconds',
    'Sum of the time that the keys now worked on have taken so far.',
    (view) => view.activeSince().reduce((sum, since) => sum + seconds(since), 0),
  );
  gauge(
    'workqueue_longest_running_processor_seconds',
    'How long the longest running work has taken so far.',
    (view) => Math.max(0, ...view.activeSince().map(seconds)),
  );
  return (name, view) => queues.set(name, view);
}

export function createRuntimeMetrics(registry: Registry, now = Date.now): RuntimeMetrics {
  const registers = [registry];
  const queue = { labelNames: ['name'] as const, registers };
  const controller = { labelNames: ['controller'] as const, registers };
  return {
    watchQueue: watchQueues(registry, now),
    queueAdds: new Counter({
      name: 'workqueue_adds_total',
      help: 'Keys added to the work queue.',
      ...queue,
    }),
    queueRetries: new Counter({
      name: 'workqueue_retries_total',
      help: 'Keys added again with a back-off.',
      ...queue,
    }),
    queueDuration: new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'How long a key waited before work on it began.',
      buckets: queueBuckets,
      ...queue,
    }),
    queueWorkDuration: new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'How long work on a key took.',
      buckets: queueBuckets,
      ...queue,
    }),
    reconciles: new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Reconciles by result: success, requeue_after, requeue (a conflict) or error.',
      labelNames: ['controller', 'result'],
      registers,
    }),
    reconcileErrors: new Counter({
      name: 'controller_runtime_reconcile_errors_total',
      help: 'Reconciles that failed.',
      ...controller,
    }),
    reconcileTime: new Histogram({
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'How long a reconcile took.',
      buckets: reconcileBuckets,
      ...controller,
    }),
    activeWorkers: new Gauge({
      name: 'controller_runtime_active_workers',
      help: 'Reconciles that run now.',
      ...controller,
    }),
    maxConcurrentReconciles: new Gauge({
      name: 'controller_runtime_max_concurrent_reconciles',
      help: 'Most reconciles that may run at a time.',
      ...controller,
    }),
  };
}

import { isApiError } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import { withTrace } from '../../common/service/trace.ts';
import type { Clock } from './clock.ts';
import type { RuntimeMetrics } from './metrics.ts';
import { WorkQueue, type Backoff, type Urgency } from './queue.ts';

/** What a reconcile wants next; nothing when the object is as it should be. */
export interface ReconcileResult {
  requeueAfterMs?: number;
}

/** Brings one object closer to its spec. Looks at the world, never at an event; may run at any time, any number of times. */
export type Reconcile = (key: string) => Promise<ReconcileResult>;

export interface ControllerOptions {
  name: string;
  concurrency: number;
  backoff: Backoff;
  reconcile: Reconcile;
}

export interface RuntimeDeps {
  logger: Logger;
  metrics: RuntimeMetrics;
  clock: Clock;
}

export interface Controller {
  enqueue(key: string, urgency?: Urgency): void;
  /**
   * For what can wait. It never cuts a back-off short: what changes all the time would otherwise make as many calls to an API
   * server that is away as to one that is there.
   */
  enqueueAfter(key: string, ms: number): void;
  close(): Promise<void>;
}

/** Runs a reconcile for each enqueued key; failures are retried with a back-off of the key's own, conflicts quietly. */
export function createController(options: ControllerOptions, deps: RuntimeDeps): Controller {
  const { name, reconcile } = options;
  const { metrics, clock } = deps;
  const logger = deps.logger.child({ controller: name });
  metrics.maxConcurrentReconciles.set({ controller: name }, options.concurrency);
  for (const result of ['success', 'requeue_after', 'requeue', 'error'])
    metrics.reconciles.inc({ controller: name, result }, 0);

  const succeed = (key: string, { requeueAfterMs }: ReconcileResult): string => {
    queue.forget(key);
    if (requeueAfterMs === undefined) return 'success';
    queue.addAfter(key, requeueAfterMs);
    return 'requeue_after';
  };

  const fail = (key: string, error: unknown): string => {
    queue.addRateLimited(key);
    if (isApiError(error, 'conflict')) {
      logger.debug({ key }, 'the object has changed meanwhile');
      return 'requeue';
    }
    metrics.reconcileErrors.inc({ controller: name });
    logger.warn({ key, err: error }, 'reconcile failed; will be retried');
    return 'error';
  };

  const workOn = async (key: string): Promise<void> => {
    const startedAt = clock.now();
    metrics.activeWorkers.inc({ controller: name });
    const result = await reconcile(key).then(
      (outcome) => succeed(key, outcome),
      (error: unknown) => fail(key, error),
    );
    metrics.activeWorkers.dec({ controller: name });
    metrics.reconciles.inc({ controller: name, result });
    const seconds = (clock.now() - startedAt) / 1000;
    metrics.reconcileTime.observe({ controller: name }, seconds);
    logger.debug({ key, result, seconds }, 'reconciled');
  };

  // Each reconcile is a trace: its log lines and the calls that it makes, and theirs, can be found together.
  const work = (key: string): Promise<void> => withTrace(undefined, () => workOn(key));

  const { concurrency, backoff } = options;
  const queue = new WorkQueue({ name, concurrency, backoff, work, metrics, clock });
  return {
    enqueue: (key, urgency) => queue.add(key, urgency),
    enqueueAfter(key, ms) {
      if (!queue.isBackingOff(key)) queue.addAfter(key, ms);
    },
    close: () => queue.close(),
  };
}

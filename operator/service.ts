import { messageOf } from '../common/errors.ts';
import type { LocalConfig } from './local/config.ts';
import { startLocalAdapter } from './local/adapter.ts';
import type { Cluster } from './cluster.ts';
import type { KubernetesConfig } from './config.ts';
import { startKubernetesAdapter } from './kubernetes/adapter.ts';
import { soleLeadership, startLeadership, type Leadership } from './kubernetes/lease.ts';
import { createKubernetesMetrics } from './kubernetes/metrics.ts';
import { startOperator, type Operator, type OperatorOptions } from './operator.ts';

export interface ServiceOptions extends Omit<OperatorOptions, 'cluster' | 'fence'> {
  /** Called when another operator may act from now on, or none can here: the process must end at once. */
  onFatal: (why: string) => void;
}

/** The operator on whichever cluster its configuration names. */
export interface Service {
  /** What keeps it from being ready; a standby is ready when it could take over. */
  waitingFor: () => string[];
  /** For the log. */
  about: Record<string, unknown>;
  close(): Promise<void>;
}

export async function startService(options: ServiceOptions): Promise<Service> {
  const { kubernetes, local } = options.config;
  if (kubernetes) return startOnKubernetes(options, kubernetes);
  if (local) return startLocally(options, local);
  throw new Error('config: exactly one of kubernetes and local must be set');
}

async function startLocally(options: ServiceOptions, config: LocalConfig): Promise<Service> {
  const { metrics, clock, logger } = options;
  const adapter = await startLocalAdapter({ config, metrics, clock, logger });
  const operator = startOperator({ ...options, cluster: adapter.cluster });
  return {
    waitingFor: () => [],
    about: { api: adapter.api.url },
    async close() {
      // At once: a reconcile may be waiting for a node that hangs, and only the end of that node ends the wait.
      await Promise.all([operator.close(), adapter.close()]);
    },
  };
}

/** Starts the controllers once this operator may act and has seen everything. */
class Acting {
  #operator: Operator | undefined;
  #closed = false;
  readonly #started: Promise<void>;

  constructor(
    options: ServiceOptions,
    cluster: Cluster,
    until: Promise<unknown>,
    fence: () => void,
  ) {
    this.#started = until.then(() => {
      if (!this.#closed) this.#operator = startOperator({ ...options, cluster, fence });
    });
    this.#started.catch((error: unknown) => {
      options.onFatal(`the controllers could not start: ${messageOf(error)}`);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#operator?.close();
  }
}

function startOnKubernetes(options: ServiceOptions, config: KubernetesConfig): Service {
  const { clock, logger, serviceMetrics, onFatal } = options;
  const metrics = createKubernetesMetrics(serviceMetrics.registry);
  const leadership: Leadership = config.leaderElection.enabled
    ? startLeadership({
        config,
        metrics,
        clock,
        logger,
        onLost: (why) => onFatal(`lease lost: ${why}`),
      })
    : soleLeadership;
  const fence = (): void => leadership.fence();
  const adapter = startKubernetesAdapter({ config, metrics, clock, logger, fence });
  const acting = new Acting(
    options,
    adapter.cluster,
    Promise.all([leadership.whenLeading, adapter.whenSynced]),
    fence,
  );
  return {
    waitingFor: () => adapter.waitingFor(),
    about: { namespace: config.namespace ?? '' },
    async close() {
      await acting.close();
      await adapter.flush();
      // Last of all that may write: from here on another operator acts.
      await leadership.close();
      await adapter.close();
    },
  };
}

import { messageOf } from '../../common/errors.ts';
import type { Cluster } from '../cluster.ts';
import type { KubernetesConfig } from '../config.ts';
import { startOperator, type Operator } from '../operator.ts';
import type { Service, ServiceOptions } from '../service.ts';
import { startKubernetesAdapter } from './adapter.ts';
import { soleLeadership, startLeadership, type Leadership } from './lease.ts';
import { createKubernetesMetrics } from './metrics.ts';

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

export function startOnKubernetes(options: ServiceOptions, config: KubernetesConfig): Service {
  const { clock, logger, serviceMetrics, onFatal } = options;
  const metrics = createKubernetesMetrics(serviceMetrics.registry);
  const fence = (): void => leadership.fence();
  const adapter = startKubernetesAdapter({ config, metrics, clock, logger, fence });
  const leadership: Leadership = config.leaderElection.enabled
    ? startLeadership({
        ...{ config, metrics, clock, logger },
        // One that sees nothing could do nothing as the leader but keep others from it.
        candidateAfter: adapter.whenSynced,
        onLost: (why) => onFatal(`lease lost: ${why}`),
      })
    : soleLeadership;
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

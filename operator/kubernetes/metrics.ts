import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

import type { RequestObserver } from '../../common/kubernetes/client.ts';
import type { InformerObserver } from '../../common/kubernetes/informer.ts';

/** client-go's own. */
const requestBuckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
const listBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30];

/** Why an Event was not written: too many wait, too many of one object, refused, or not this process' to write. */
export type EventLoss = 'queue_full' | 'rate_limited' | 'refused' | 'shutdown';

/** The metrics of everything that talks to the Kubernetes API, by client-go's names where it has one. */
export interface KubernetesMetrics {
  observeRequest: RequestObserver;
  informerObserver(resource: string): InformerObserver;
  watchInformer(resource: string, size: () => number): void;
  leader: Gauge<'name'>;
  eventsWritten: Counter<'operation'>;
  eventsLost: Counter<'cause'>;
}

function createRequestObserver(registry: Registry): RequestObserver {
  const registers = [registry];
  const total = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the Kubernetes API by status code, method and host.',
    labelNames: ['code', 'method', 'host'],
    registers,
  });
  const duration = new Histogram({
    name: 'rest_client_request_duration_seconds',
    help: 'Time until the Kubernetes API answered, by method and host.',
    labelNames: ['verb', 'host'],
    buckets: requestBuckets,
    registers,
  });
  return ({ method, host, code, seconds }) => {
    total.inc({ code, method, host });
    duration.observe({ verb: method, host }, seconds);
  };
}

function createInformerMetrics(
  registry: Registry,
): Pick<KubernetesMetrics, 'informerObserver' | 'watchInformer'> {
  const registers = [registry];
  const lists = new Histogram({
    name: 'kube_sfu_operator_informer_list_duration_seconds',
    help: 'Time of a whole list of a kind; its count is how many lists there were.',
    labelNames: ['resource'],
    buckets: listBuckets,
    registers,
  });
  const ends = new Counter({
    name: 'kube_sfu_operator_informer_watch_ends_total',
    help: 'Ends of watches by cause: timeout (in order), expired (a new list follows) or error.',
    labelNames: ['resource', 'cause'],
    registers,
  });
  const sizes = new Map<string, () => number>();
  new Gauge({
    name: 'kube_sfu_operator_informer_objects',
    help: 'Objects in the copy that the operator keeps of a kind.',
    labelNames: ['resource'],
    registers,
    collect() {
      for (const [resource, size] of sizes) this.set({ resource }, size());
    },
  });
  return {
    watchInformer: (resource, size) => sizes.set(resource, size),
    informerObserver: (resource) => ({
      listed: (_, seconds) => lists.observe({ resource }, seconds),
      watchEnded: (cause) => ends.inc({ resource, cause }),
    }),
  };
}

export function createKubernetesMetrics(registry: Registry): KubernetesMetrics {
  const registers = [registry];
  return {
    observeRequest: createRequestObserver(registry),
    ...createInformerMetrics(registry),
    leader: new Gauge({
      name: 'leader_election_master_status',
      help: 'Whether this operator is the one that acts (1) or a standby (0).',
      labelNames: ['name'],
      registers,
    }),
    eventsWritten: new Counter({
      name: 'kube_sfu_operator_events_written_total',
      help: 'Events written, by operation: create, or patch of a series.',
      labelNames: ['operation'],
      registers,
    }),
    eventsLost: new Counter({
      name: 'kube_sfu_operator_events_lost_total',
      help: 'Events that were not written, by cause: queue_full, rate_limited, refused or shutdown.',
      labelNames: ['cause'],
      registers,
    }),
  };
}

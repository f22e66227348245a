import { Counter, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The metrics that every service has, each in the registry that it serves at `/metrics`. */
export interface ServiceMetrics {
  registry: Registry;
  httpRequestDuration: Histogram<'method' | 'route' | 'code'>;
  httpClientDuration: Histogram<'target' | 'route' | 'code'>;
  errors: Counter<'code'>;
}

/** A new registry with Node's own metrics and the shared ones. Labels are bounded: no room, peer or pod names. */
export function createServiceMetrics(): ServiceMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    httpRequestDuration: new Histogram({
      name: 'kube_sfu_http_request_duration_seconds',
      help: 'Time to answer an HTTP request, by method, route pattern and status code.',
      labelNames: ['method', 'route', 'code'],
      buckets: durationBuckets,
      registers: [registry],
    }),
    httpClientDuration: new Histogram({
      name: 'kube_sfu_http_client_request_duration_seconds',
      help: 'Time of one attempt of a call to another service, by target, route pattern and status or error code.',
      labelNames: ['target', 'route', 'code'],
      buckets: durationBuckets,
      registers: [registry],
    }),
    errors: new Counter({
      name: 'kube_sfu_errors_total',
      help: 'Requests answered with an error, by error code.',
      labelNames: ['code'],
      registers: [registry],
    }),
  };
}

export { durationBuckets };

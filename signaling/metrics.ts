import { Counter, Gauge, Histogram } from 'prom-client';

import {
  createServiceMetrics,
  durationBuckets,
  type ServiceMetrics,
} from '../common/service/metrics.ts';

/** The signaling service's own metrics. Labels are bounded: no room or peer ids. */
export interface SignalingMetrics extends ServiceMetrics {
  connections: Gauge;
  connects: Counter<'result'>;
  closes: Counter<'code'>;
  peers: Gauge<'dialect'>;
  requestDuration: Histogram<'method' | 'code'>;
  forwardDuration: Histogram<'method' | 'code'>;
  joinDuration: Histogram;
  messages: Counter<'direction' | 'kind' | 'method'>;
  malformedFrames: Counter;
  unknownNotifications: Counter;
  refusals: Counter<'limit'>;
  batches: Counter<'result'>;
  leaves: Counter<'result'>;
  resumes: Counter<'result'>;
  detached: Gauge;
  moves: Counter<'result' | 'reason'>;
  moveDuration: Histogram<'reason'>;
  reaped: Counter;
}

export function createSignalingMetrics(): SignalingMetrics {
  const service = createServiceMetrics();
  const registers = [service.registry];
  const histogram = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Histogram<L>({
      name: `kube_sfu_signaling_${name}`,
      help,
      labelNames,
      buckets: durationBuckets,
      registers,
    });
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter<L>({ name: `kube_sfu_signaling_${name}`, help, labelNames, registers });
  return {
    ...service,
    connections: new Gauge({
      name: 'kube_sfu_signaling_websocket_connections',
      help: 'Open WebSocket connections.',
      registers,
    }),
    connects: counter(
      'websocket_connects_total',
      'Tries to open a WebSocket, by result: accepted, or the error code of the refusal.',
      ['result'],
    ),
    closes: counter('websocket_closes_total', 'Closed WebSocket connections, by close code.', [
      'code',
    ]),
    peers: new Gauge({
      name: 'kube_sfu_signaling_peers',
      help: 'Joined peers with a WebSocket at this replica, by dialect.',
      labelNames: ['dialect'],
      registers,
    }),
    requestDuration: histogram(
      'request_duration_seconds',
      'Time to answer a client’s request, by method and by ok or error code.',
      ['method', 'code'],
    ),
    forwardDuration: histogram(
      'forward_duration_seconds',
      'Time that the producer service took for a forwarded request, retries included, by method and by ok or error code.',
      ['method', 'code'],
    ),
    joinDuration: new Histogram({
      name: 'kube_sfu_signaling_join_duration_seconds',
      help: 'Time from a client’s join request to its answer.',
      buckets: durationBuckets,
      registers,
    }),
    messages: counter(
      'messages_total',
      'Messages from and to clients, by direction, kind and method.',
      ['direction', 'kind', 'method'],
    ),
    malformedFrames: counter('malformed_frames_total', 'Frames that were no messages.', []),
    unknownNotifications: counter(
      'unknown_notifications_total',
      'Notifications of clients with a method that does not exist.',
      [],
    ),
    refusals: counter('refusals_total', 'Refusals by a limit, by the limit.', ['limit']),
    batches: counter(
      'batches_total',
      'Batches of messages from media nodes and replicas, by result: delivered or repeated.',
      ['result'],
    ),
    leaves: counter(
      'leaves_total',
      'Peers that left, by result: done, or retried because Postgres was away.',
      ['result'],
    ),
    resumes: counter(
      'resumes_total',
      'Tries to continue a session on a new socket, by result: resumed, lost when there is no such session, or the error code.',
      ['result'],
    ),
    detached: new Gauge({
      name: 'kube_sfu_signaling_detached_sessions',
      help: 'Sessions of this replica that wait for their clients to come back, at its last look.',
      registers,
    }),
    moves: counter(
      'moves_total',
      'Moves of one side of a peer to another router, by reason, and by result: moved, rejoined when the client was closed to join anew, expired when it was closed since it did not move in time, abandoned when the connection ended first, or unneeded.',
      ['result', 'reason'],
    ),
    moveDuration: histogram(
      'move_duration_seconds',
      'Time from the word that a side has to move until its old transport is closed, by reason.',
      ['reason'],
    ),
    reaped: counter(
      'reaped_replicas_total',
      'Dead replicas whose peers this one took over or took leave of.',
      [],
    ),
  };
}

/** Shows whether this replica's heartbeats get through. */
export function observeMembership(metrics: ServiceMetrics, isHealthy: () => boolean): void {
  new Gauge({
    name: 'kube_sfu_signaling_replica_registered',
    help: 'Whether the last heartbeat of this replica reached Postgres: 1 or 0.',
    registers: [metrics.registry],
    collect() {
      this.set(isHealthy() ? 1 : 0);
    },
  });
}

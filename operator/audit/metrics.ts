import { Gauge, Histogram, type Registry } from 'prom-client';

import { kindNames, type DifferenceKind } from './kinds.ts';

export interface AuditMetrics {
  /** Shows the numbers of one look, those that are 0 included. */
  show(counts: ReadonlyMap<DifferenceKind, number>): void;
  lastSuccess: Gauge;
  duration: Histogram;
}

export function createAuditMetrics(registry: Registry): AuditMetrics {
  const registers = [registry];
  const differences = new Gauge({
    name: 'kube_sfu_operator_audit_differences',
    help: 'Differences between the custom resources, the session tables and the media nodes that last, by kind.',
    labelNames: ['kind'],
    registers,
  });
  return {
    show(counts) {
      for (const kind of kindNames) differences.set({ kind }, counts.get(kind) ?? 0);
    },
    lastSuccess: new Gauge({
      name: 'kube_sfu_operator_audit_last_success_timestamp_seconds',
      help: 'When an audit last looked at every place; 0 before the first time.',
      registers,
    }),
    duration: new Histogram({
      name: 'kube_sfu_operator_audit_duration_seconds',
      help: 'Time of one look of the audit at all places, its comparison included.',
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    }),
  };
}

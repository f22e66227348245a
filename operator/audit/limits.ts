import type { NodeObjects } from '../../common/wire/media-node-objects.ts';
import type { OperatorConfig } from '../config.ts';
import type { Limits } from './kinds.ts';

/** From the operator's own settings, and those of the nodes: of several the slowest. */
export function limitsOf(config: OperatorConfig, nodes: readonly NodeObjects[]): Limits {
  const { audit, nodes: polls, rooms, reconcile, instances } = config;
  const slowest = (of: (limits: NodeObjects['limits']) => number): number =>
    Math.max(0, ...nodes.map(({ limits }) => of(limits)));
  const sweepMs = slowest(({ sweepGraceMs, sweepIntervalMs }) => sweepGraceMs + sweepIntervalMs);
  return {
    sweepMs,
    pipeIdleMs: slowest(({ pipeIdleMs }) => 2 * pipeIdleMs),
    pipeDemandMs: slowest(({ pipeDemandIntervalMs }) => 2 * pipeDemandIntervalMs),
    pipeLostMs: slowest(({ pipeLostAfterMs }) => pipeLostAfterMs) + sweepMs,
    roomMs: reconcile.resyncMs + polls.intervalMs,
    orphanMs: rooms.orphanGraceMs + 2 * polls.intervalMs,
    instanceMs: polls.replaceAfterMs + 2 * instances.auditIntervalMs,
    replicaSilentMs: audit.replicaSilentMs,
    detachedMs: audit.detachedMs,
    auditMs: 2 * audit.intervalMs + audit.graceMs,
  };
}

import { Counter, Gauge, type Registry } from 'prom-client';

import { createAuditMetrics, type AuditMetrics } from './audit/metrics.ts';
import type { ObservedNode } from './nodes/observe.ts';
import type { NodeState } from './placement/types.ts';
import { createRuntimeMetrics, type RuntimeMetrics } from './runtime/metrics.ts';

/** One condition of one object, as far as many objects may have the same. */
export type ConditionLabels = Record<'kind' | 'type' | 'status' | 'reason', string>;

/** What the gauges look at when they are read. */
interface OperatorView {
  nodes(): readonly ObservedNode[];
  rooms(): { ready: number; notReady: number };
  conditions(): Iterable<ConditionLabels>;
  pendingInstances(): number;
}

export interface OperatorMetrics extends RuntimeMetrics {
  placements: Counter<'role'>;
  lostPlacements: Counter<'cause'>;
  polls: Counter<'result'>;
  abandonedRouters: Counter;
  orphanedRouters: Counter;
  processRestarts: Counter;
  resourceFileErrors: Gauge;
  audit: AuditMetrics;
  /** Ties the gauges to what they show. */
  observe(view: OperatorView): void;
}

const lossCauses = ['restarted', 'gone', 'dead'];
const states: NodeState[] = ['Pending', 'Ready', 'Draining', 'Unreachable', 'Dead'];

function observeView(registry: Registry, view: OperatorView): void {
  const registers = [registry];
  new Gauge({
    name: 'kube_sfu_operator_nodes',
    help: 'Media nodes by state as the operator sees them.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of states)
        this.set({ state }, view.nodes().filter((node) => node.state === state).length);
    },
  });
  new Gauge({
    name: 'kube_sfu_operator_rooms',
    help: 'MediaRooms by their Ready condition.',
    labelNames: ['ready'],
    registers,
    collect() {
      const { ready, notReady } = view.rooms();
      this.set({ ready: 'true' }, ready);
      this.set({ ready: 'false' }, notReady);
    },
  });
  new Gauge({
    name: 'kube_sfu_operator_conditions',
    help: 'Pools and rooms by kind, type, status and reason of each of their conditions.',
    labelNames: ['kind', 'type', 'status', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const condition of view.conditions()) this.inc(condition);
    },
  });
  new Gauge({
    name: 'kube_sfu_operator_pending_instance_removals',
    help: 'Ended instances whose rows are not removed from the session tables yet.',
    registers,
    collect() {
      this.set(view.pendingInstances());
    },
  });
}

export function createOperatorMetrics(registry: Registry): OperatorMetrics {
  const registers = [registry];
  const lostPlacements = new Counter({
    name: 'kube_sfu_operator_lost_placements_total',
    help: 'Routers that were lost with their node, by cause: restarted, gone or dead.',
    labelNames: ['cause'],
    registers,
  });
  // A counter that appears with its first value hides that value from alerts on an increase.
  for (const cause of lossCauses) lostPlacements.inc({ cause }, 0);
  return {
    ...createRuntimeMetrics(registry),
    placements: new Counter({
      name: 'kube_sfu_operator_placements_total',
      help: 'Routers placed on nodes, by role.',
      labelNames: ['role'],
      registers,
    }),
    lostPlacements,
    polls: new Counter({
      name: 'kube_sfu_operator_node_polls_total',
      help: 'Polls of media nodes by result: answered or missed.',
      labelNames: ['result'],
      registers,
    }),
    abandonedRouters: new Counter({
      name: 'kube_sfu_operator_abandoned_routers_total',
      help: 'Routers of deleted rooms that could not be closed in time.',
      registers,
    }),
    orphanedRouters: new Counter({
      name: 'kube_sfu_operator_orphaned_routers_total',
      help: 'Routers found on nodes that belong to no room, and closed.',
      registers,
    }),
    processRestarts: new Counter({
      name: 'kube_sfu_operator_local_process_restarts_total',
      help: 'Media-node processes that ended by themselves and were started again by the local adapter.',
      registers,
    }),
    resourceFileErrors: new Gauge({
      name: 'kube_sfu_operator_local_resource_file_errors',
      help: 'Files of the local resource folder that can not be applied as they are.',
      registers,
    }),
    audit: createAuditMetrics(registry),
    observe: (view) => observeView(registry, view),
  };
}

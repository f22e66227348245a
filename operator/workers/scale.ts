import type { MediaWorker } from '../../common/resources/types.ts';
import type { ObservedNode } from '../nodes/observe.ts';
import { decideReplicas, Recommendations, type NodeLoad } from './autoscale.ts';
import { podsOf, record, type PoolContext } from './context.ts';
import { drainingSince } from './labels.ts';

function loadOf(node: ObservedNode): NodeLoad {
  const { consumers = 0, cpuPercent = 0 } = node.instance?.status.load ?? {};
  const leaves = drainingSince(node.pod) !== undefined || node.state === 'Draining';
  if (leaves) return { kind: 'Leaves', consumers, cpuPercent };
  return { kind: node.state === 'Ready' ? 'Counts' : 'Unknown', consumers, cpuPercent };
}

/** Nodes that are about to be gone without their load are none. */
const isThere = ({ pod, state }: ObservedNode): boolean =>
  state !== 'Dead' && !pod.metadata.deletionTimestamp;

/** Brings the wanted number of nodes to what the load asks for, where the pool wants that, once in a while. */
export async function scale(context: PoolContext): Promise<MediaWorker> {
  const { deps, memory, worker } = context;
  const { autoscaling, replicas, workersPerNode } = worker.spec;
  // As with a HorizontalPodAutoscaler, a pool that somebody scaled to nothing stays there.
  if (!autoscaling || replicas === 0 || worker.metadata.deletionTimestamp) {
    delete memory.scaling;
    return worker;
  }
  const now = deps.clock.now();
  const history = memory.scaling?.history ?? new Recommendations(replicas, now);
  const { intervalMs, tolerancePercent } = deps.config.autoscaling;
  if (history.lastAt !== undefined && now < history.lastAt + intervalMs) return worker;
  const nodes = podsOf(context)
    .flatMap((pod) => deps.monitor.get(pod.metadata) ?? [])
    .filter(isThere)
    .map(loadOf);
  const decision = decideReplicas({
    ...{ spec: autoscaling, replicas, nodes, workersPerNode, tolerancePercent, history, now },
  });
  memory.scaling = { history, last: decision };
  if (decision.replicas === replicas) return worker;
  const scaled = await deps.cluster.workers.setReplicas(worker, decision.replicas);
  const reason = decision.replicas > replicas ? 'AutoscaledUp' : 'AutoscaledDown';
  record(context, {
    ...{ type: 'Normal', reason, action: 'Scale' },
    note: `${decision.grounds}: ${replicas} → ${decision.replicas} nodes`,
  });
  return scaled;
}

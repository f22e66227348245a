import type { Placement } from '../../common/resources/types.ts';
import type { NodeStatus } from '../../common/wire/media-node.ts';
import type { NodeMonitor } from '../nodes/monitor.ts';
import { mayRun, type ObservedNode } from '../nodes/observe.ts';

type RouterStatus = NodeStatus['routers'][number];

/** How a placement is lost: its pod is gone or its process ended, another instance runs there, or the node is given up. */
type LossCause = 'gone' | 'restarted' | 'dead';

/** What the monitor knows about one placement's node and router. */
export interface PlacementView {
  placement: Placement;
  node: ObservedNode | undefined;
  /** Set when the instance that the placement was made for is known to be over. */
  lost: LossCause | undefined;
  /** The instance itself answered, and this is its status. */
  status: NodeStatus | undefined;
  answeredAt: number;
  router: RouterStatus | undefined;
}

function lossOf({ instanceId }: Placement, node: ObservedNode | undefined): LossCause | undefined {
  if (!node) return 'gone';
  if (node.state === 'Dead') return 'dead';
  if (node.instance) return node.instance.id === instanceId ? undefined : 'restarted';
  // Nothing has run in a pod that is still pending, so the instance was one of an earlier pod of this name.
  return mayRun(node.pod) && node.pod.status.phase !== 'Pending' ? undefined : 'gone';
}

const routersOf = new WeakMap<NodeStatus, Map<string, RouterStatus>>();

/** Each answer of a node is indexed once, however many rooms look for their routers in it. */
function findRouter(status: NodeStatus | undefined, routerId: string): RouterStatus | undefined {
  if (!status) return undefined;
  let index = routersOf.get(status);
  if (!index) {
    index = new Map(status.routers.map((router) => [router.routerId, router]));
    routersOf.set(status, index);
  }
  return index.get(routerId);
}

export function viewPlacement(
  placement: Placement,
  namespace: string,
  monitor: NodeMonitor,
): PlacementView {
  const node = monitor.get({ namespace, name: placement.podName });
  const instance = node?.instance?.id === placement.instanceId ? node.instance : undefined;
  return {
    placement,
    node,
    lost: lossOf(placement, node),
    status: instance?.status,
    answeredAt: instance?.answeredAt ?? 0,
    router: findRouter(instance?.status, placement.routerId),
  };
}

/** Whether a call to the router's node may be answered: one that is known to be silent only holds up other work. */
export function isReachable({ node, status }: PlacementView): boolean {
  if (!node || node.state === 'Unreachable' || node.state === 'Dead') return false;
  return status !== undefined || node.misses === 0;
}

/** A router is empty when its node says so, or says that it isn't there. Of a silent node nothing is known. */
export const isEmpty = ({ status, router }: PlacementView): boolean =>
  status !== undefined && (router?.peers ?? 0) === 0;

/** Peers in the room: each is bound to one router of either side, so the larger sum counts all. */
export function countPeers(views: readonly PlacementView[]): number {
  const sum = (side: 'Producer' | 'Consumer'): number =>
    views
      .filter(({ placement }) => placement.role === side || placement.role === 'Both')
      .reduce((total, { router }) => total + (router?.peers ?? 0), 0);
  return Math.max(sum('Producer'), sum('Consumer'));
}

import { isDeepStrictEqual } from 'node:util';

import { isConditionTrue } from '../common/resources/conditions.ts';
import type { KubernetesObject, MediaRoom, MediaWorker } from '../common/resources/types.ts';
import type { NodeStatus } from '../common/wire/media-node.ts';
import { formatKey, parseKey, type Pod, type Reader } from './cluster.ts';
import type { OperatorDeps } from './deps.ts';
import type { ConditionLabels } from './metrics.ts';
import type { ObservedNode } from './nodes/observe.ts';
import { isActive } from './placement/draft.ts';
import { RoomMemory } from './rooms/memory.ts';
import { createOrphanCollector } from './rooms/orphans.ts';
import { filledRouters } from './rooms/pressure.ts';
import { createRoomReconcile } from './rooms/reconcile.ts';
import { createController, type Controller } from './runtime/controller.ts';
import { finalizer, isLeaving, poolOf } from './workers/labels.ts';
import { PortAllocator } from './workers/ports.ts';
import { createWorkerReconcile } from './workers/reconcile.ts';

/** The running controllers. */
export interface Manager {
  close(): Promise<void>;
}

interface Wiring {
  deps: OperatorDeps;
  memory: RoomMemory;
  ports: PortAllocator;
  pools: Controller;
  rooms: Controller;
}

/** Starts the controllers and ties them to what they look at. Events only say where to look. */
export function startManager(deps: OperatorDeps): Manager {
  const { config } = deps;
  const memory = new RoomMemory();
  const { backoff, poolConcurrency, roomConcurrency } = config.reconcile;
  const ports = new PortAllocator({
    pods: deps.cluster.pods,
    clock: deps.clock,
    reservationMs: config.pods.portReservationMs,
  });
  const pools = createController(
    {
      name: 'mediaworker',
      concurrency: poolConcurrency,
      backoff,
      reconcile: createWorkerReconcile(deps, ports),
    },
    deps,
  );
  const rooms = createController(
    {
      name: 'mediaroom',
      concurrency: roomConcurrency,
      backoff,
      reconcile: createRoomReconcile(deps, memory),
    },
    deps,
  );
  const unwatch = wire({ deps, memory, ports, pools, rooms });
  observeMetrics(deps);
  deps.monitor.start();
  return {
    async close() {
      for (const stop of unwatch) stop();
      await Promise.all([pools.close(), rooms.close()]);
    },
  };
}

function wire(wiring: Wiring): (() => void)[] {
  const { deps, memory, ports, pools, rooms } = wiring;
  const { cluster, ledger, monitor } = deps;
  monitor.onChange(nodeListener(wiring));
  memory.turns.onTurn((key) => rooms.enqueue(key));
  return [
    cluster.rooms.watch(({ type, object }) => {
      // What was placed before counts from the start, even before the room's own turn.
      const placements = object.status?.placements ?? [];
      if (type === 'ADDED') ledger.set(formatKey(object.metadata), placements);
      if (type === 'DELETED') for (const key of memory.wake(placements.length)) rooms.enqueue(key);
    }),
    cluster.rooms.watch(({ object }) => lookAtDrains(wiring, object)),
    watchPart(cluster.rooms, wantedOf, (key) => rooms.enqueue(key)),
    watchPart(cluster.workers, wantedOf, (key) => pools.enqueue(key)),
    watchPart(cluster.workers, placementPartOf, (_, { metadata }) => {
      for (const room of cluster.rooms.list())
        if (room.metadata.namespace === metadata.namespace) rooms.enqueue(formatKey(room.metadata));
    }),
    cluster.pods.watch(({ object }) => {
      ports.see(object);
      pools.enqueue(poolKeyOf(object));
    }),
    watchMachines(deps, pools),
  ];
}

/** A node hears that it drains when the last of its rooms does. */
function lookAtDrains({ deps, pools }: Wiring, { metadata, status }: MediaRoom): void {
  for (const placement of status?.placements ?? []) {
    if (isActive(placement)) continue;
    const { namespace } = metadata;
    const node = deps.monitor.get({ namespace, name: placement.podName });
    if (node?.instance?.status.state === 'Ready' && isLeaving(node.pod))
      pools.enqueue(poolKeyOf(node.pod));
  }
}

interface Wanted {
  finalizers: string[];
  [part: string]: unknown;
}

/** What is wanted of an object; its status, mostly our own, is left out. */
const wantedOf = ({ metadata }: KubernetesObject): Wanted => {
  const { uid, generation, labels, finalizers = [] } = metadata;
  return { uid, generation, labels, finalizers };
};

/** What of a pool decides about rooms: its other changes, such as of its size, need no look at every room. */
const placementPartOf = ({ metadata, spec }: MediaWorker): Wanted => {
  const { uid, labels, deletionTimestamp } = metadata;
  const { role, capacity, drain } = spec;
  return { uid, labels, deletionTimestamp, role, capacity, drain, finalizers: [] };
};

/** The first thing that a reconcile does to a new object, which needs no other one. */
const onlyGotFinalizer = (before: Wanted | undefined, now: Wanted): boolean =>
  before !== undefined &&
  isDeepStrictEqual({ ...before, finalizers: [...before.finalizers, finalizer] }, now);

/** Calls back for new and deleted objects, and where this part of one changed. */
function watchPart<T extends KubernetesObject>(
  reader: Reader<T>,
  partOf: (object: T) => Wanted,
  onChange: (key: string, object: T) => void,
): () => void {
  const seen = new Map<string, Wanted>();
  return reader.watch(({ type, object }) => {
    const key = formatKey(object.metadata);
    const before = seen.get(key);
    const now = partOf(object);
    if (type === 'DELETED') seen.delete(key);
    else seen.set(key, now);
    const isOld = isDeepStrictEqual(before, now) || onlyGotFinalizer(before, now);
    if (type !== 'MODIFIED' || !isOld) onChange(key, object);
  });
}

const poolKeyOf = (pod: Pod): string =>
  formatKey({ namespace: pod.metadata.namespace, name: poolOf(pod) });

/** Looks at the pools with pods on a Kubernetes node that is cordoned or open again. */
function watchMachines({ cluster }: OperatorDeps, pools: Controller): () => void {
  const cordoned = new Set<string>();
  return cluster.nodes.watch(({ type, object: { metadata, spec } }) => {
    const { name } = metadata;
    const isCordoned = type !== 'DELETED' && spec.unschedulable === true;
    if (isCordoned === cordoned.has(name)) return;
    if (isCordoned) cordoned.add(name);
    else cordoned.delete(name);
    for (const pod of cluster.pods.list())
      if (pod.spec.nodeName === name) pools.enqueue(poolKeyOf(pod));
  });
}

type NodeChange = (before: ObservedNode | undefined, after: ObservedNode | undefined) => void;

function nodeListener(wiring: Wiring): NodeChange {
  const { deps } = wiring;
  const collectOrphans = createOrphanCollector(deps);
  return (before, after) => {
    noteEndedInstance(wiring, before, after);
    if (isStateChange(before, after)) onStateChange(wiring, before, after);
    if (!before || !after || before.instance?.status === after.instance?.status) return;
    onFigures(wiring, before.instance?.status, after);
    collectOrphans(after, before.state === 'Dead');
  };
}

/** The first sight of a node, its end, another instance, another state, or the decision that it is to go. */
const isStateChange: (...change: Parameters<NodeChange>) => boolean = (before, after) =>
  before?.state !== after?.state ||
  before?.instance?.id !== after?.instance?.id ||
  (before && isLeaving(before.pod)) !== (after && isLeaving(after.pod));

/** Whether what was on the node is lost. */
const isLoss: (...change: Parameters<NodeChange>) => boolean = (before, after) =>
  before?.instance !== undefined &&
  (after?.state === 'Dead' || before.instance.id !== after?.instance?.id);

function noteEndedInstance(
  { deps, memory }: Wiring,
  before: ObservedNode | undefined,
  after: ObservedNode | undefined,
): void {
  if (!before?.instance) return;
  const isOver = before.instance.id !== after?.instance?.id;
  const isGivenUp = before.state !== 'Dead' && after?.state === 'Dead';
  if (!isOver && !isGivenUp) return;
  deps.sweeper.remove(before.instance.id);
  memory.turns.forget(before.instance.id);
}

function onStateChange(
  { deps, memory, pools, rooms }: Wiring,
  before: ObservedNode | undefined,
  after: ObservedNode | undefined,
): void {
  const pod = (after ?? before)?.pod;
  if (!pod) return;
  pools.enqueue(poolKeyOf(pod));
  const urgency = isLoss(before, after) ? 'Urgent' : 'Usual';
  for (const key of deps.ledger.roomsOn(pod.metadata.name)) rooms.enqueue(key, urgency);
  if (after?.state === 'Ready')
    for (const key of memory.wake(placesOf(deps, after))) rooms.enqueue(key);
}

const isOccupied = (status: NodeStatus | undefined): boolean =>
  status !== undefined && (status.routers.length > 0 || status.load.peers > 0);

/** How many routers the node may have. */
function placesOf({ cluster }: OperatorDeps, { pod, instance }: ObservedNode): number {
  const { namespace } = pod.metadata;
  const pool = cluster.workers.get({ namespace, name: poolOf(pod) });
  return (pool?.spec.capacity.routersPerWorker ?? 0) * (instance?.status.workers.length ?? 0);
}

function onFigures(wiring: Wiring, old: NodeStatus | undefined, after: ObservedNode): void {
  lookAtPool(wiring, old, after);
  lookAtRooms(wiring, old, after);
}

/** Changed figures are written after a while; whether a node may be evicted depends on whether it has any rooms. */
function lookAtPool(
  { deps, pools }: Wiring,
  old: NodeStatus | undefined,
  { pod, instance }: ObservedNode,
): void {
  const now = instance?.status;
  if (isOccupied(old) !== isOccupied(now)) pools.enqueue(poolKeyOf(pod));
  else if (!isDeepStrictEqual(old?.load, now?.load) || old?.routers.length !== now?.routers.length)
    pools.enqueueAfter(poolKeyOf(pod), deps.config.reconcile.statusIntervalMs);
}

/** A lost router is looked at now. */
function lookAtRooms(
  { deps, rooms }: Wiring,
  old: NodeStatus | undefined,
  { pod, instance }: ObservedNode,
): void {
  const { ledger, config } = deps;
  const now = instance?.status;
  if (hasOtherWorkers(old, now))
    for (const key of ledger.roomsOn(pod.metadata.name)) rooms.enqueue(key, 'Urgent');
  for (const key of roomsOf(ledger, compareRouters(old, now, 'gone'))) rooms.enqueue(key, 'Urgent');
  // A router that was lost before any answer listed it shows by that alone. One that can't be made has its own time.
  for (const key of roomsOf(ledger, unlistedRouters(ledger, old, now))) rooms.enqueueAfter(key, 0);
  const peersChanged = compareRouters(old, now, 'peers');
  // A drain goes on as soon as the last peer has left.
  for (const key of roomsOf(ledger, emptiedRouters(now, peersChanged)))
    if (drainsOn(deps, key, pod)) rooms.enqueue(key);
  const changed = [...peersChanged, ...filledRouters(old, now, fullAt(deps, pod))];
  for (const key of roomsOf(ledger, changed))
    rooms.enqueueAfter(key, config.reconcile.statusIntervalMs);
}

const emptiedRouters = (now: NodeStatus | undefined, changed: readonly string[]): string[] =>
  (now?.routers ?? [])
    .filter(({ routerId, peers }) => peers === 0 && changed.includes(routerId))
    .map(({ routerId }) => routerId);

/** Whether a router of the room on the pod drains. */
const drainsOn = ({ cluster }: OperatorDeps, key: string, pod: Pod): boolean =>
  cluster.rooms
    .get(parseKey(key))
    ?.status?.placements?.some(
      (placement) => !isActive(placement) && placement.podName === pod.metadata.name,
    ) ?? false;

const roomsOf = (ledger: OperatorDeps['ledger'], routerIds: readonly string[]): string[] =>
  routerIds.flatMap((routerId) => ledger.roomOf(routerId) ?? []);

/** Whether a mediasoup worker ended: another process serves in its place, or none yet. */
function hasOtherWorkers(old: NodeStatus | undefined, now: NodeStatus | undefined): boolean {
  const pids = new Set(now?.workers.map(({ pid }) => pid));
  return old?.workers.some(({ pid }) => !pids.has(pid)) ?? false;
}

/** Routers that are placed on the node and that neither of two answers in a row lists. */
function unlistedRouters(
  ledger: OperatorDeps['ledger'],
  old: NodeStatus | undefined,
  now: NodeStatus | undefined,
): string[] {
  if (!now || old?.instanceId !== now.instanceId) return [];
  const listed = new Set([...old.routers, ...now.routers].map(({ routerId }) => routerId));
  return [...ledger.routerIdsOn(now.instanceId)].filter((routerId) => !listed.has(routerId));
}

/** Consumers of a worker from which a room on it may have to grow. */
function fullAt({ cluster, config }: OperatorDeps, pod: Pod): number {
  const { namespace } = pod.metadata;
  const pool = cluster.workers.get({ namespace, name: poolOf(pod) });
  const most = pool?.spec.capacity.consumersPerWorker ?? Infinity;
  return (most * config.rooms.growAtPercent) / 100;
}

/** Routers that a node listed before and lists no more, or with other numbers of peers. */
function compareRouters(
  old: NodeStatus | undefined,
  now: NodeStatus | undefined,
  wanted: 'gone' | 'peers',
): string[] {
  const peersNow = new Map(now?.routers.map(({ routerId, peers }) => [routerId, peers]));
  return (old?.routers ?? [])
    .filter(({ routerId, peers }) => {
      if (!peersNow.has(routerId)) return wanted === 'gone';
      return wanted === 'peers' && peersNow.get(routerId) !== peers;
    })
    .map(({ routerId }) => routerId);
}

/** Of each condition what it has in common with those of other objects: its message is left out. */
const conditionsOf = (objects: readonly (MediaWorker | MediaRoom)[], kind: string) =>
  objects.flatMap(({ status }): ConditionLabels[] =>
    (status?.conditions ?? []).map(({ type, status, reason }) => ({ kind, type, status, reason })),
  );

function observeMetrics({ metrics, monitor, cluster, sweeper }: OperatorDeps): void {
  metrics.observe({
    nodes: () => monitor.list(),
    rooms: () => {
      const all = cluster.rooms.list();
      const ready = all.filter(({ status }) => isConditionTrue(status?.conditions, 'Ready')).length;
      return { ready, notReady: all.length - ready };
    },
    conditions: () => [
      ...conditionsOf(cluster.workers.list(), 'MediaWorker'),
      ...conditionsOf(cluster.rooms.list(), 'MediaRoom'),
    ],
    pendingInstances: () => sweeper.pending,
  });
}

import type { NodeObjects } from '../../common/wire/media-node-objects.ts';
import type { RoomView, Snapshot, TablesView } from './snapshot.ts';

type Row<T extends keyof TablesView> = TablesView[T][number];
type Placement = RoomView['placements'][number];

const by = <T>(rows: readonly T[], key: (row: T) => string): ReadonlyMap<string, T> =>
  new Map(rows.map((row) => [key(row), row]));
const byId = <T extends { id: string }>(rows: readonly T[]): ReadonlyMap<string, T> =>
  by(rows, ({ id }) => id);

/** What is known of an instance: it answers, its pod is silent, or it has ended. */
export type InstanceState = 'answers' | 'silent' | 'ended';

/** A snapshot with what is looked up in it. */
export class SnapshotIndex {
  readonly snapshot: Snapshot;
  readonly placements: ReadonlyMap<string, { room: RoomView; placement: Placement }>;
  readonly nodes: ReadonlyMap<string, NodeObjects>;
  /** Ends of pipes by their own ids, each with its node. */
  readonly livePipes: ReadonlyMap<
    string,
    { node: NodeObjects; pipe: NodeObjects['pipes'][number] }
  >;
  readonly workers: ReadonlyMap<string, Row<'workers'>>;
  readonly routers: ReadonlyMap<string, Row<'routers'>>;
  readonly peers: ReadonlyMap<string, Row<'peers'>>;
  readonly transports: ReadonlyMap<string, Row<'transports'>>;
  readonly pipes: ReadonlyMap<string, Row<'pipes'>>;
  readonly producers: ReadonlyMap<string, Row<'producers'>>;
  readonly dataProducers: ReadonlyMap<string, Row<'producers'>>;
  readonly consumers: ReadonlyMap<string, Row<'consumers'>>;
  readonly dataConsumers: ReadonlyMap<string, Row<'consumers'>>;
  readonly #silent: ReadonlySet<string>;
  readonly #liveRouters: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(snapshot: Snapshot) {
    const { resources, tables, nodes, silentPods } = snapshot;
    this.snapshot = snapshot;
    this.placements = new Map(
      resources.rooms.flatMap((room) =>
        room.placements.map((placement) => [placement.routerId, { room, placement }] as const),
      ),
    );
    this.nodes = by(nodes, ({ instanceId }) => instanceId);
    this.livePipes = new Map(
      nodes.flatMap((node) =>
        node.pipes.map((pipe) => [pipe.pipeTransportId, { node, pipe }] as const),
      ),
    );
    this.#liveRouters = new Map(
      nodes.map(({ instanceId, routers }) => [
        instanceId,
        new Set(routers.map(({ routerId }) => routerId)),
      ]),
    );
    this.workers = by(tables.workers, ({ instanceId }) => instanceId);
    this.routers = byId(tables.routers);
    this.peers = byId(tables.peers);
    this.transports = byId(tables.transports);
    this.pipes = byId(tables.pipes);
    this.producers = byId(tables.producers);
    this.dataProducers = byId(tables.dataProducers);
    this.consumers = byId(tables.consumers);
    this.dataConsumers = byId(tables.dataConsumers);
    this.#silent = new Set(silentPods);
  }

  isLiveRouter(instanceId: string, routerId: string): boolean {
    return this.#liveRouters.get(instanceId)?.has(routerId) ?? false;
  }

  /** @param podName where it is known by something else than the instance's row */
  stateOf(instanceId: string, podName = this.workers.get(instanceId)?.podName): InstanceState {
    if (this.nodes.has(instanceId)) return 'answers';
    // One of which no row tells the pod may be on any that is silent.
    const mayBeSilent = podName === undefined ? this.#silent.size > 0 : this.#silent.has(podName);
    return mayBeSilent ? 'silent' : 'ended';
  }
}

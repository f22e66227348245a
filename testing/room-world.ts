import { pino } from 'pino';

import { ApiError } from '../common/errors.ts';
import type { MediaRoom, MediaWorker, Placement } from '../common/resources/types.ts';
import { createServiceMetrics } from '../common/service/metrics.ts';
import { putRouterRequest } from '../common/wire/media-node.ts';
import {
  apiPortName,
  formatKey,
  type Cluster,
  type EventNote,
  type Pod,
  type PodClient,
} from '../operator/cluster.ts';
import { operatorConfig, type OperatorConfig } from '../operator/config.ts';
import type { OperatorDeps } from '../operator/deps.ts';
import { InstanceSweeper } from '../operator/instances/sweeper.ts';
import {
  createLocalCluster,
  createLocalObjects,
  podMethodsOf,
  readerOf,
} from '../operator/local/cluster.ts';
import { Collection, type NewObject } from '../operator/local/store.ts';
import { createOperatorMetrics } from '../operator/metrics.ts';
import { NodeMonitor } from '../operator/nodes/monitor.ts';
import { PlacementLedger } from '../operator/placement/ledger.ts';
import { RoomMemory } from '../operator/rooms/memory.ts';
import { createOrphanCollector } from '../operator/rooms/orphans.ts';
import { createRoomReconcile } from '../operator/rooms/reconcile.ts';
import type { Reconcile, ReconcileResult } from '../operator/runtime/controller.ts';
import { poolLabel } from '../operator/workers/labels.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeNode } from './fake-node.ts';

const logger = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });
const namespace = 'default';

type Fields = Record<string, unknown>;

/** What a test sets of an Event's object. */
export interface RecordedEvent extends EventNote {
  room: string;
}

/** Uids that are the same at each run: which of equal nodes a room gets depends on its uid. */
function createUids(): () => string {
  let made = 0;
  return () => `00000000-0000-4000-8000-${String(++made).padStart(12, '0')}`;
}

/**
 * Rooms with the real reconcile, monitor and ledger, on nodes in memory without HTTP and with a clock that moves when told:
 * each look at a room is a call of the test's.
 */
export class RoomWorld {
  readonly clock = new FakeClock();
  readonly objects = createLocalObjects(10, {
    now: () => new Date(this.clock.now()),
    newUid: createUids(),
  });
  readonly nodes = new Map<string, FakeNode>();
  readonly events: RecordedEvent[] = [];
  readonly config: OperatorConfig;
  readonly registry = createServiceMetrics();
  readonly #pods: Collection<Pod>;
  readonly #urls = new Map<string, FakeNode>();
  #cluster: Cluster;
  /** Asked before each write to a room, with the verb: an error stands for a refusal or the operator's end. */
  beforeWrite: (verb: string) => void = () => undefined;
  /** Asked after each: an error stands for an answer that was lost. */
  afterWrite: (verb: string) => void = () => undefined;
  writes = 0;
  memory!: RoomMemory;
  ledger!: PlacementLedger;
  monitor!: NodeMonitor;
  deps!: OperatorDeps;
  reconcile!: Reconcile;

  constructor(config: Fields = {}) {
    this.config = operatorConfig.parse({
      serviceAuth: { secret: 'a secret of the tests, long enough' },
      local: {
        ...{ resources: { dir: '/nowhere' }, api: { kubeconfig: '/nowhere' } },
        pods: { command: ['true'] },
      },
      ...config,
    });
    this.#pods = new Collection<Pod>({
      ...{ revisions: this.objects.revisions, validate: (pod) => pod, historySize: 10 },
      now: () => new Date(this.clock.now()),
    });
    const pods: PodClient = {
      ...readerOf(this.#pods),
      ...podMethodsOf(this.#pods),
      create: (manifest) =>
        Promise.resolve(this.#pods.create({ ...manifest, status: { phase: 'Pending' } })),
      delete: (pod) => Promise.resolve(void this.#pods.delete(pod.metadata)),
    };
    this.#cluster = createLocalCluster(this.objects, pods, logger);
    this.startOperator();
  }

  /** Begins with an empty memory, as an operator that was just started. */
  startOperator(): void {
    this.registry.registry.clear();
    this.memory = new RoomMemory();
    this.ledger = new PlacementLedger();
    const cluster = this.#observed();
    const { clock, config, ledger } = this;
    this.monitor = new NodeMonitor({
      ...{ pods: cluster.pods, clock, logger, config: config.nodes },
      fetchStatus: (url) => this.#call(url, 'GET', '/status', (node) => node.status()),
      // There are no sockets here, and the end of a node is the end of its pod.
      openLine: () => () => undefined,
      addressOf: () => undefined,
      announce: () => Promise.resolve(),
    });
    const backoff = { initialMs: 1, maxMs: 1 };
    const registry = {
      listInstances: () => Promise.resolve([]),
      removeInstances: () => Promise.resolve(),
    };
    this.deps = {
      ...{ cluster, clock, config, ledger, logger, monitor: this.monitor },
      metrics: createOperatorMetrics(this.registry.registry),
      sweeper: new InstanceSweeper({ registry, backoff, clock, logger }),
      nodeClient: this.#nodeClient(),
    };
    this.reconcile = createRoomReconcile(this.deps, this.memory);
    for (const room of this.objects.mediarooms.list())
      ledger.set(formatKey(room.metadata), room.status?.placements ?? []);
    this.monitor.start();
  }

  async close(): Promise<void> {
    await this.monitor.close();
  }

  applyPool(name: string, spec: Fields, labels?: Record<string, string>): MediaWorker {
    const metadata = { name, namespace, ...(labels ? { labels } : {}) };
    const object = { apiVersion: 'kube-sfu.dev/v1alpha1', kind: 'MediaWorker', metadata, spec };
    const pools = this.objects.mediaworkers;
    const made = object as unknown as NewObject<MediaWorker>;
    return pools.get(metadata) ? pools.update(made) : pools.create(made);
  }

  /** A running node of a pool, with a pod of this name. */
  addNode(podName: string, pool: string): FakeNode {
    const { role, workersPerNode } = this.objects.mediaworkers.require({
      ...{ namespace, name: pool },
    }).spec;
    const secret = this.config.serviceAuth.secret;
    const options = { podName, pool, role: role, workers: workersPerNode, secret };
    const node = new FakeNode(options);
    const ip = `10.${this.#urls.size >> 16}.${(this.#urls.size >> 8) & 255}.${this.#urls.size & 255}`;
    this.nodes.set(podName, node);
    this.#urls.set(`http://${ip}:7000`, node);
    this.#pods.create({
      metadata: { name: podName, namespace, labels: { [poolLabel]: pool } },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            ...{ name: 'media-node', env: [] },
            ports: [{ name: apiPortName, containerPort: 7000, protocol: 'TCP' }],
          },
        ],
      },
      status: {
        ...{ phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: 'True' }] },
        containerStatuses: [{ restartCount: 0, state: { running: { startedAt: '' } } }],
      },
    });
    return node;
  }

  /** Ends a node and its pod. */
  removeNode(podName: string): void {
    const node = this.node(podName);
    node.fault = () => 'node_unavailable';
    this.nodes.delete(podName);
    this.#pods.delete({ namespace, name: podName });
  }

  setPodStatus(podName: string, status: Pod['status']): void {
    this.#pods.update({ ...this.#pods.require({ namespace, name: podName }), status }, 'status');
  }

  annotatePod(podName: string, annotations: Record<string, string>): void {
    const pod = this.#pods.require({ namespace, name: podName });
    this.#pods.update({ ...pod, metadata: { ...pod.metadata, annotations } });
  }

  node(podName: string): FakeNode {
    const node = this.nodes.get(podName);
    if (!node) throw new Error(`no node in pod ${podName}`);
    return node;
  }

  applyRoom(name: string, spec: Fields = {}): MediaRoom {
    const metadata = { name, namespace };
    const object = { apiVersion: 'kube-sfu.dev/v1alpha1', kind: 'MediaRoom', metadata, spec };
    const { mediarooms } = this.objects;
    const old = mediarooms.get(metadata);
    const made = object as unknown as NewObject<MediaRoom>;
    if (!old) return mediarooms.create(made);
    return mediarooms.update({ ...old, spec: made.spec });
  }

  deleteRoom(name: string): void {
    this.objects.mediarooms.delete({ namespace, name });
  }

  room(name: string): MediaRoom {
    return this.objects.mediarooms.require({ namespace, name });
  }

  hasRoom(name: string): boolean {
    return this.objects.mediarooms.get({ namespace, name }) !== undefined;
  }

  placements(name: string): Placement[] {
    return this.room(name).status?.placements ?? [];
  }

  /** `Consumer c-0 Ready`, one for each placement, sorted. */
  summary(name: string): string[] {
    return this.placements(name)
      .map(({ role, podName, state }) => `${role} ${podName} ${state}`)
      .sort();
  }

  /** All router ids on all nodes, sorted. */
  routersOnNodes(): string[] {
    return [...this.nodes.values()].flatMap((node) => [...node.routers.keys()]).sort();
  }

  /** Sets the peers of the routers on a node. */
  setPeers(podName: string, peers: number, roomId?: string): void {
    this.node(podName).setPeers(peers, roomId);
  }

  /** One look at a room. */
  look(name: string): Promise<ReconcileResult> {
    return this.reconcile(`${namespace}/${name}`);
  }

  /** Looks at the room until that writes nothing more. A failure is passed on. */
  async settle(name: string): Promise<ReconcileResult> {
    for (let looks = 0; looks < 10; looks++) {
      const before = this.writes;
      const result = await this.look(name);
      if (this.writes === before) return result;
    }
    throw new Error(`room ${name} does not settle`);
  }

  /** Asks every node for its status once. */
  poll(): Promise<void> {
    return this.monitor.poll();
  }

  /** Lets the orphan collector look at every node, now and once its grace time is over. */
  async collectOrphans(): Promise<void> {
    const collect = createOrphanCollector(this.deps);
    for (const waitMs of [0, this.config.rooms.orphanGraceMs]) {
      await this.clock.advance(waitMs);
      await this.poll();
      for (const node of this.monitor.list()) collect(node, false);
    }
    await this.clock.advance(0);
  }

  /** The reasons of the Events so far, in order. */
  reasons(): string[] {
    return this.events.map(({ reason }) => reason);
  }

  #observed(): Cluster {
    const { rooms } = this.#cluster;
    const write = async <T>(verb: string, run: () => Promise<T>): Promise<T> => {
      this.beforeWrite(verb);
      this.writes++;
      const answer = await run();
      this.afterWrite(verb);
      return answer;
    };
    return {
      ...this.#cluster,
      rooms: {
        ...rooms,
        setFinalizers: (room, finalizers) =>
          write('setFinalizers', () => rooms.setFinalizers(room, finalizers)),
        setStatus: (room, status) => write('setStatus', () => rooms.setStatus(room, status)),
        delete: (room) => write('delete', () => rooms.delete(room)),
      },
      events: {
        record: ({ metadata }, event) => this.events.push({ room: metadata.name, ...event }),
      },
    };
  }

  async #call<T>(
    url: string,
    method: string,
    path: string,
    run: (node: FakeNode) => T,
  ): Promise<T> {
    const node = this.#urls.get(url);
    if (!node) throw new ApiError('node_unavailable', `nothing listens at ${url}`);
    const fault = node.fault(method, path);
    node.calls.push(`${method} ${path}`);
    if (fault === 'hang') throw new ApiError('timed_out', `${method} ${path}: no answer in time`);
    if (fault) throw new ApiError(fault, `told to fail with ${fault}`);
    return Promise.resolve(run(node));
  }

  #nodeClient(): OperatorDeps['nodeClient'] {
    const routerPath = (roomId: string, routerId: string) => `/rooms/${roomId}/routers/${routerId}`;
    return {
      status: (url) => this.#call(url, 'GET', '/status', (node) => node.status()),
      putRouter: (url, { roomId, routerId }, body) =>
        this.#call(url, 'PUT', routerPath(roomId, routerId), (node) =>
          node.putRouter(roomId, routerId, putRouterRequest.parse(body)),
        ),
      deleteRouter: (url, { roomId, routerId }) =>
        this.#call(url, 'DELETE', routerPath(roomId, routerId), (node) => {
          node.routers.delete(routerId);
          return {};
        }),
      drain: (url) =>
        this.#call(url, 'POST', '/drain', (node) => {
          node.state = 'Draining';
          return { state: 'Draining', peers: node.status().load.peers };
        }),
      announceAddress: (url, address) =>
        this.#call(url, 'PUT', '/announced_address', () => ({ address })),
    };
  }
}

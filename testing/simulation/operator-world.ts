import { isDeepStrictEqual } from 'node:util';

import { pino } from 'pino';

import { ApiError } from '../../common/errors.ts';
import { isConditionTrue } from '../../common/resources/conditions.ts';
import type { MediaRoom, MediaWorker, Placement } from '../../common/resources/types.ts';
import { mediaContainer, podUrl, type Pod } from '../../operator/cluster.ts';
import { operatorConfig, type OperatorConfig } from '../../operator/config.ts';
import type { OperatorDeps } from '../../operator/deps.ts';
import type { NewObject } from '../../operator/local/store.ts';
import { serves } from '../../operator/placement/draft.ts';
import { drainingSince } from '../../operator/workers/labels.ts';
import { SimulatedKubelet } from './kubelet.ts';
import { SimulatedKubernetes } from './kubernetes.ts';
import { SimulatedNetwork } from './network.ts';
import { runOperator } from './operator-process.ts';
import { SimulatedProcess } from './process.ts';
import { SimulatedNode } from './simulated-node.ts';
import { time } from './time.ts';

const logger = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });
const namespace = 'default';
const routersPerWorker = 4;

/** The operator's own times, but those that only make a schedule longer. */
const config: OperatorConfig = operatorConfig.parse({
  serviceAuth: { secret: 'a secret of the tests, long enough' },
  kubernetes: { backoffMaxMs: 2_000 },
  nodeClient: { timeoutMs: 2_000, retries: 1 },
  nodes: {
    ...{ intervalMs: 2_000, silentIntervalMs: 1_000, drainingIntervalMs: 1_000 },
    ...{ deadAfterMs: 6_000, replaceAfterMs: 12_000, startTimeoutMs: 20_000 },
  },
  reconcile: { backoff: { initialMs: 500, maxMs: 5_000 }, resyncMs: 20_000 },
  pods: { deletionTimeoutMs: 10_000, portReservationMs: 20_000 },
  placement: { refusalMs: 5_000 },
  rooms: { closeTimeoutMs: 10_000, shrinkAfterMs: 10_000 },
  instances: { backoff: { initialMs: 500, maxMs: 4_000 } },
});
export interface RoomSize {
  producers: number;
  consumers: number;
}

const drainSeconds = 15;

/** For how long an operator must not have heard of a node to give up what is on it, in milliseconds. */
const giveUpMs = config.nodes.deadAfterMs - 100;
/** How long ago a reason for a move may be: as long as the longest fault and what is decided may take to be written. */
const reasonHoldsMs = 60_000;

/** The operator with its own code, on a cluster, nodes and network in memory. */
export class SimulatedOperatorWorld {
  readonly kubernetes = new SimulatedKubernetes();
  readonly network = new SimulatedNetwork();
  readonly kubelet = new SimulatedKubelet(
    this.kubernetes,
    (pod, process, url) => this.#startNode(pod, process, url),
    (name) => this.#newProcess(name),
  );
  /** Every run of a node that there has been, by its instance id. */
  readonly instances = new Map<string, SimulatedNode>();
  /** Rows of instances in the store. */
  readonly rows = new Map<string, string>();
  storeAway = false;
  readonly #seen: string[] = [];
  /** Peers that are in each room. */
  readonly peers = new Map<string, number>();
  #operator: SimulatedProcess | undefined;
  #deps: OperatorDeps | undefined;
  #writesLeft: { when: 'before' | 'after'; left: number } | undefined;
  readonly #reasons = new Map<string, number>();
  readonly #heardAt = new Map<string, number>();
  readonly #placements = new Map<string, Placement[]>();
  #images = 0;
  #startedAt = 0;

  constructor() {
    globalThis.fetch = this.network.fetch as unknown as typeof fetch;
    this.network.onAnswer = (from, url, { path }) => {
      if (from === this.#operator && path === '/status') this.#noteHeard(url);
    };
    this.kubernetes.onWrite = (when) => this.#maybeCrashOperator(when);
    this.kubernetes.objects.mediarooms.subscribe(({ type, object }) => {
      if (type !== 'DELETED') this.#watchPlacements(object);
    });
    this.#tick();
  }

  applyPool(name: string, role: 'Producer' | 'Consumer' | 'Both', replicas: number): void {
    const { mediaworkers } = this.kubernetes.objects;
    const old = mediaworkers.get({ namespace, name });
    const spec = old
      ? { ...old.spec, replicas }
      : { role, replicas, capacity: { routersPerWorker }, drain: { timeoutSeconds: drainSeconds } };
    const finalizers = old?.metadata.finalizers;
    const object = {
      ...{ apiVersion: 'kube-sfu.dev/v1alpha1', kind: 'MediaWorker', spec },
      metadata: { name, namespace, ...(finalizers ? { finalizers } : {}) },
    } as unknown as NewObject<MediaWorker>;
    if (old) mediaworkers.update(object);
    else mediaworkers.create(object);
  }

  scalePool(name: string, replicas: number): void {
    this.applyPool(name, 'Both', replicas);
  }

  rollPool(name: string): void {
    const { mediaworkers } = this.kubernetes.objects;
    const old = mediaworkers.require({ namespace, name });
    const image = `image:${++this.#images}`;
    mediaworkers.update({ ...old, spec: { ...old.spec, image } });
  }

  /** Makes the room, or changes its size. */
  applyRoom(name: string, { producers, consumers }: RoomSize): void {
    const { mediarooms } = this.kubernetes.objects;
    const spec = { producers: { routers: producers }, consumers: { routers: consumers } };
    const old = mediarooms.get({ namespace, name });
    const finalizers = old?.metadata.finalizers;
    const object = {
      ...{ apiVersion: 'kube-sfu.dev/v1alpha1', kind: 'MediaRoom', spec },
      metadata: { name, namespace, ...(finalizers ? { finalizers } : {}) },
    } as unknown as NewObject<MediaRoom>;
    if (old) mediarooms.update(object);
    else mediarooms.create(object);
  }

  deleteRoom(name: string): void {
    const { mediarooms } = this.kubernetes.objects;
    if (mediarooms.get({ namespace, name })) mediarooms.delete({ namespace, name });
  }

  /** The running node in the pod. */
  nodeIn(podName: string): SimulatedNode | undefined {
    return [...this.instances.values()].find(
      ({ options, process }) => options.podName === podName && !process.ended,
    );
  }

  get podNames(): string[] {
    return this.kubelet.pods.sort();
  }

  get liveNodes(): SimulatedNode[] {
    return [...this.instances.values()].filter(({ process }) => !process.ended);
  }

  /** Deletes a pod as somebody else than the operator would. */
  deletePod(name: string): void {
    const { pods } = this.kubernetes;
    if (pods.get({ namespace, name })) pods.delete({ namespace, name }, {}, true);
  }

  async startOperator(): Promise<void> {
    const operator = this.#newProcess('operator');
    this.#operator = operator;
    this.#deps = undefined;
    this.#heardAt.clear();
    this.#startedAt = time.now();
    const { kubernetes, network } = this;
    const deps = await runOperator(operator, {
      ...{ kubernetes, network, config, logger, registry: this.#registry() },
    });
    if (this.#operator === operator) this.#deps = deps;
  }

  /** What was seen that must never be. */
  get violations(): string[] {
    return [...this.#seen, ...this.network.bugs.map(String)];
  }

  get operator(): SimulatedProcess | undefined {
    return this.#operator;
  }

  /** Ends the operator at once; another starts after a while. */
  crashOperator(downMs: number): void {
    if (!this.#operator) return;
    this.#operator.kill();
    this.#operator = undefined;
    time.schedule(downMs, () => void this.startOperator());
  }

  crashOperatorAtWrite(when: 'before' | 'after', writes: number): void {
    this.#writesLeft = { when, left: writes };
  }

  /** Ends all faults that go on, and lets the peers go home: rooms shrink to what their spec wants. */
  heal(): void {
    this.peers.clear();
    this.network.heal();
    this.kubernetes.heal();
    this.kubelet.heal();
    this.storeAway = false;
    this.#writesLeft = undefined;
    this.#operator?.resume();
    for (const node of this.liveNodes) node.refusals = 0;
  }

  #newProcess(name: string): SimulatedProcess {
    return new SimulatedProcess(name);
  }

  #startNode(pod: Pod, process: SimulatedProcess, url: string): void {
    const podName = pod.metadata.name;
    const pool = podName.slice(0, podName.lastIndexOf('-'));
    const worker = this.kubernetes.objects.mediaworkers.get({ namespace, name: pool });
    const role = worker?.spec.role ?? 'Both';
    const instanceId = `00000000-0000-4000-8000-${String(this.instances.size).padStart(12, '0')}`;
    const node = new SimulatedNode({ podName, pool, role, instanceId, process, url });
    this.instances.set(instanceId, node);
    node.listen(this.network);
    this.#register(node);
  }

  /** A node registers when it can, and again where its row was taken away. */
  #register(node: SimulatedNode): void {
    if (node.process.ended) return;
    if (!this.storeAway) this.rows.set(node.instanceId, node.options.podName);
    time.schedule(2_000, () => this.#register(node));
  }

  #registry() {
    const ask = <T>(work: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        time.schedule(time.between(1, 10), () => {
          if (this.storeAway) reject(new ApiError('store_unavailable', 'away'));
          else resolve(work());
        });
      });
    return {
      listInstances: () =>
        ask(() => [...this.rows].map(([instanceId, podName]) => ({ instanceId, podName }))),
      removeInstances: (ids: string[]) =>
        ask(() => {
          for (const id of ids) {
            this.rows.delete(id);
            this.#checkRemoval(id);
          }
        }),
    };
  }

  /** Rows of an instance that lives and was heard of may not go: its peers' sessions would go with them. */
  #checkRemoval(instanceId: string): void {
    const node = this.instances.get(instanceId);
    if (node && !node.process.ended && !this.#hasReason(node))
      this.#seen.push(`the rows of ${instanceId} were removed, and it runs`);
  }

  #maybeCrashOperator(when: 'before' | 'after'): void {
    const plan = this.#writesLeft;
    if (plan?.when !== when || --plan.left > 0) return;
    this.#writesLeft = undefined;
    this.crashOperator(2_000);
  }

  #noteHeard(url: string): void {
    const node = this.liveNodes.find(({ address }) => address === url);
    if (!node) return;
    const last = this.#heardAt.get(node.instanceId) ?? this.#startedAt;
    if (time.now() - last >= giveUpMs) this.#reasons.set(node.instanceId, time.now());
    this.#heardAt.set(node.instanceId, time.now());
  }

  #hasReason(node: SimulatedNode): boolean {
    const { process, state, instanceId, options } = node;
    if (process.ended || state === 'Draining') return true;
    const pod = this.kubernetes.pods.get({ namespace, name: options.podName });
    if (!pod || pod.metadata.deletionTimestamp || drainingSince(pod) !== undefined) return true;
    if (podUrl(pod) !== node.address) return true;
    const heardAt = this.#heardAt.get(instanceId) ?? this.#startedAt;
    if (time.now() - heardAt >= giveUpMs) return true;
    const at = this.#reasons.get(instanceId);
    return at !== undefined && time.now() - at < reasonHoldsMs;
  }

  /** Peers are on the routers that serve their room; those of a router that drains leave it. */
  #tick(): void {
    for (const { routers } of this.liveNodes)
      for (const [id, router] of routers) {
        const room = this.kubernetes.objects.mediarooms.get({ namespace, name: router.roomId });
        const serving = room?.status?.placements?.some(
          ({ routerId, state }) => routerId === id && state === 'Ready',
        );
        const peers = serving ? (this.peers.get(router.roomId) ?? 0) : 0;
        if (peers !== router.peers) routers.set(id, { ...router, peers });
      }
    time.schedule(1_000, () => this.#tick());
  }

  #watchPlacements({ metadata, spec, status }: MediaRoom): void {
    const before = this.#placements.get(metadata.uid) ?? [];
    const now = status?.placements ?? [];
    if (isDeepStrictEqual(before, now)) return;
    this.#placements.set(metadata.uid, now);
    const note = (text: string): void => {
      this.#seen.push(`${metadata.name}: ${text}`);
    };
    if (new Set(now.map(({ routerId }) => routerId)).size < now.length) note('a router twice');
    for (const placement of now)
      if (!before.some(({ routerId }) => routerId === placement.routerId))
        this.#checkNew(placement, note);
    for (const old of before)
      if (old.state === 'Ready' && !metadata.deletionTimestamp)
        this.#checkMoved(old, { before, now, spec }, note);
    this.#checkCapacity(note);
  }

  /** What serves goes for a reason alone, or where there is one more than wanted. */
  #checkMoved(
    old: Placement,
    { before, now, spec }: { before: Placement[]; now: Placement[]; spec: MediaRoom['spec'] },
    note: (text: string) => void,
  ): void {
    const isActive = ({ state }: Placement): boolean => state !== 'Draining';
    if (now.some((one) => one.routerId === old.routerId && isActive(one))) return;
    const least = { Producer: spec.producers.routers, Consumer: spec.consumers.routers };
    const count = (all: Placement[], side: 'Producer' | 'Consumer'): number =>
      all.filter((one) => isActive(one) && serves(one, side)).length;
    const isSurplus = (['Producer', 'Consumer'] as const)
      .filter((side) => serves(old, side))
      .every((side) => count(now, side) >= least[side] && count(before, side) > least[side]);
    const node = this.instances.get(old.instanceId);
    if (node && !isSurplus && !this.#hasReason(node))
      note(`${old.routerId} on ${old.instanceId} was moved without a reason`);
  }

  #checkNew({ routerId, instanceId }: Placement, note: (text: string) => void): void {
    const node = this.instances.get(instanceId);
    if (!node) note(`${routerId} was placed on ${instanceId}, which never was`);
    const pod = node && this.kubernetes.pods.get({ namespace, name: node.options.podName });
    const since = pod && (drainingSince(pod) ?? Date.parse(pod.metadata.deletionTimestamp ?? ''));
    if (since !== undefined && time.now() - since > reasonHoldsMs)
      note(`${routerId} was placed on ${instanceId}, which has been on its way out for long`);
  }

  #checkCapacity(note: (text: string) => void): void {
    const counts = new Map<string, number>();
    for (const placement of [...this.#roomPlacements()])
      counts.set(placement.instanceId, (counts.get(placement.instanceId) ?? 0) + 1);
    for (const [instanceId, count] of counts)
      if (count > routersPerWorker) note(`${count} routers are placed on ${instanceId}`);
  }

  #roomPlacements(): Placement[] {
    return this.kubernetes.objects.mediarooms
      .list()
      .flatMap(({ status }) => status?.placements ?? []);
  }

  /** What is not as it should be once all faults are over; empty when all is. */
  differences(): string[] {
    const { mediarooms, mediaworkers } = this.kubernetes.objects;
    const found: string[] = [];
    if (!this.#deps) found.push('the operator does not run');
    for (const pool of mediaworkers.list()) found.push(...this.#poolDifferences(pool));
    for (const room of mediarooms.list()) found.push(...this.#roomDifferences(room));
    const placed = new Set(this.#roomPlacements().map(({ routerId }) => routerId));
    for (const node of this.liveNodes) {
      for (const routerId of node.routers.keys())
        if (!placed.has(routerId)) found.push(`${routerId} on ${node.instanceId} is of no room`);
      if (!this.rows.has(node.instanceId)) found.push(`${node.instanceId} has no row`);
    }
    for (const instanceId of this.rows.keys())
      if (this.instances.get(instanceId)?.process.ended)
        found.push(`the row of ${instanceId} is left`);
    found.push(...this.#ledgerDifferences());
    return found;
  }

  #poolDifferences({ metadata, spec, status }: MediaWorker): string[] {
    const { name } = metadata;
    const pods = this.kubernetes.pods
      .list()
      .filter((pod) => pod.metadata.name.startsWith(`${name}-`));
    const found: string[] = [];
    if (pods.length !== spec.replicas)
      found.push(`pool ${name} has ${pods.length} pods, not ${spec.replicas}`);
    if (!isConditionTrue(status?.conditions, 'Ready') && spec.replicas > 0)
      found.push(`pool ${name} is not ready`);
    if (status?.observedGeneration !== metadata.generation)
      found.push(`pool ${name} was not looked at since it changed`);
    const image = spec.image ?? config.pods.image;
    return [...found, ...pods.flatMap((pod) => this.#podDifferences(pod, image))];
  }

  #podDifferences(pod: Pod, image: string): string[] {
    const { name } = pod.metadata;
    const node = this.nodeIn(name);
    return [
      ...(mediaContainer(pod).image === image ? [] : [`${name} is outdated`]),
      ...(drainingSince(pod) === undefined ? [] : [`${name} still drains`]),
      ...(node?.state === 'Ready' ? [] : [`the node in ${name} is ${node?.state ?? 'gone'}`]),
    ];
  }

  #roomDifferences(room: MediaRoom): string[] {
    const { metadata, spec, status } = room;
    const { name } = metadata;
    if (metadata.deletionTimestamp) return [`room ${name} is still there`];
    const placements = status?.placements ?? [];
    const found: string[] = [];
    if (status?.observedGeneration !== metadata.generation)
      found.push(`room ${name} was not looked at since it changed`);
    if (!isConditionTrue(status?.conditions, 'Ready') && this.#servesBoth(placements))
      found.push(`room ${name} is not Ready`);
    return [
      ...found,
      ...placements.flatMap((placement) => this.#placementDifferences(name, placement)),
      ...(['Producer', 'Consumer'] as const).flatMap((side) =>
        this.#sideDifferences(name, side, {
          placements,
          wanted: (side === 'Producer' ? spec.producers : spec.consumers).routers,
        }),
      ),
    ];
  }

  #placementDifferences(room: string, { routerId, state, instanceId }: Placement): string[] {
    const node = this.instances.get(instanceId);
    const found = state === 'Ready' ? [] : [`${routerId} is ${state}`];
    if (!node || node.process.ended)
      return [...found, `${routerId} is on ${instanceId}, which has ended`];
    if (node.routers.get(routerId)?.roomId === room) return found;
    return [...found, `${routerId} is not on ${instanceId}`];
  }

  #sideDifferences(
    room: string,
    side: 'Producer' | 'Consumer',
    { placements, wanted }: { placements: readonly Placement[]; wanted: number },
  ): string[] {
    const has = placements.filter((placement) => serves(placement, side)).length;
    const what = `room ${room} has ${has} ${side} routers, not ${wanted}`;
    if (has > wanted && placements.some(({ role }) => role === side)) return [what];
    if (has < wanted && this.#hasPlace(side, placements))
      return [`${what}, though there is a place`];
    return [];
  }

  #servesBoth(placements: readonly Placement[]): boolean {
    return (['Producer', 'Consumer'] as const).every((side) =>
      placements.some((placement) => serves(placement, side)),
    );
  }

  /** Whether a node could take one more router of a room. */
  #hasPlace(side: 'Producer' | 'Consumer', placements: readonly Placement[]): boolean {
    const isFirst = !placements.some((placement) => serves(placement, side));
    return this.liveNodes.some(
      ({ instanceId, options, routers }) =>
        (options.role === side || options.role === 'Both') &&
        routers.size < routersPerWorker &&
        (isFirst || !placements.some((placement) => placement.instanceId === instanceId)),
    );
  }

  #ledgerDifferences(): string[] {
    const { ledger, sweeper } = this.#deps ?? {};
    if (!ledger || !sweeper) return [];
    const placements = this.#roomPlacements();
    const found = [...this.instances.keys()].flatMap((instanceId) => {
      const real = placements.filter((placement) => placement.instanceId === instanceId).length;
      const counted = ledger.routersOn(instanceId);
      return counted === real ? [] : [`the ledger counts ${counted} on ${instanceId}, not ${real}`];
    });
    return sweeper.pending > 0
      ? [...found, `${sweeper.pending} instances wait for removal`]
      : found;
  }
}

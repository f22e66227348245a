import { pino } from 'pino';

import { ApiError } from '../common/errors.ts';
import type { MediaRoom, MediaWorker } from '../common/resources/types.ts';
import { createServiceMetrics } from '../common/service/metrics.ts';
import type { NodeRole } from '../common/wire/media-node.ts';
import {
  apiPortName,
  type Cluster,
  type Pod,
  type PodClient,
  type PodManifest,
  type PodStatus,
} from '../operator/cluster.ts';
import { operatorConfig, type OperatorConfig } from '../operator/config.ts';
import {
  createLocalCluster,
  createLocalObjects,
  podMethodsOf,
  readerOf,
} from '../operator/local/cluster.ts';
import { Collection, type NewObject, type Revisions } from '../operator/local/store.ts';
import { createOperatorMetrics } from '../operator/metrics.ts';
import { startOperator, type Operator } from '../operator/operator.ts';
import { systemClock } from '../operator/runtime/clock.ts';
import { FakeNode } from './fake-node.ts';
import { AppliedBudgets, FakeMachines, RecordedEvents } from './fake-surroundings.ts';
import { quickConfig, secret } from './quick-config.ts';

const logger = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });

/** Pods whose process is a FakeNode in this process. */
export class FakePods {
  readonly #pods: Collection<Pod>;
  readonly nodes = new Map<string, FakeNode>();
  /** Pods that keep existing after their deletion, as on a machine that is cut off. */
  readonly stuck = new Set<string>();
  /** Pods whose process is not started. */
  paused = false;
  /** The Kubernetes node that a pod is put on; without one it has none. */
  machineOf: (podName: string) => string | undefined = () => undefined;
  /** Called with each new node before it takes part. */
  onStart: (node: FakeNode) => void = () => undefined;
  /** Refuses to make a pod. */
  refuse: (manifest: PodManifest) => Error | undefined = () => undefined;

  constructor(revisions: Revisions) {
    this.#pods = new Collection<Pod>({
      revisions,
      validate: (pod) => pod,
      historySize: 10,
      now: () => new Date(),
    });
  }

  client(): PodClient {
    return {
      ...readerOf(this.#pods),
      create: async (manifest) => {
        const refusal = this.refuse(manifest);
        if (refusal) throw refusal;
        const nodeName = this.machineOf(manifest.metadata.name);
        const spec = nodeName === undefined ? manifest.spec : { ...manifest.spec, nodeName };
        const pod = this.#pods.create({ ...manifest, spec, status: { phase: 'Pending' } });
        if (!this.paused) await this.run(pod.metadata.name);
        return this.#pods.require(pod.metadata);
      },
      ...podMethodsOf(this.#pods),
      delete: async (pod, { force = false } = {}) => {
        if (!force && this.stuck.has(pod.metadata.name)) this.#pods.delete(pod.metadata, {}, true);
        else await this.#remove(pod);
      },
    };
  }

  list(): Pod[] {
    return this.#pods.list();
  }

  names(): string[] {
    return this.list()
      .map(({ metadata }) => metadata.name)
      .sort();
  }

  node(name: string): FakeNode {
    const node = this.nodes.get(name);
    if (!node) throw new Error(`no node in pod ${name}`);
    return node;
  }

  /** Starts the pod's process. */
  async run(name: string): Promise<void> {
    const pod = this.#find(name);
    const env = Object.fromEntries(
      pod.spec.containers[0].env.map(({ name: key, value }) => [key, value]),
    );
    const node = new FakeNode({
      podName: name,
      pool: env['POOL'] ?? '',
      role: env['ROLE'] as NodeRole,
      workers: Number(env['RTC_WORKERS']),
      secret,
    });
    this.onStart(node);
    await node.start();
    this.nodes.set(name, node);
    this.#update(name, (current) => withPort(current, node.port));
    this.#setRunning(name, 0, true);
  }

  /** Changes what the pod's machine says of it. */
  setStatus(name: string, change: Partial<PodStatus>): void {
    const pod = this.#find(name);
    this.#pods.update({ ...pod, status: { ...pod.status, ...change } }, 'status');
  }

  /** Deletes the pod as somebody else would. */
  async delete(name: string): Promise<void> {
    await this.client().delete(this.#find(name));
  }

  /** Ends the pod's process and starts another, as a crash does. */
  async crash(name: string): Promise<void> {
    const restarts = (this.#find(name).status.containerStatuses?.[0]?.restartCount ?? 0) + 1;
    this.#setRunning(name, restarts, false);
    await this.node(name).stop();
    this.node(name).restart();
    await this.node(name).start();
    this.#setRunning(name, restarts, true);
  }

  async close(): Promise<void> {
    await Promise.all([...this.nodes.values()].map((node) => node.stop()));
  }

  async #remove(pod: Pod): Promise<void> {
    const { name } = pod.metadata;
    await this.nodes.get(name)?.stop();
    this.nodes.delete(name);
    if (this.#pods.get(pod.metadata)) this.#pods.delete(pod.metadata);
  }

  #find(name: string): Pod {
    const pod = this.list().find(({ metadata }) => metadata.name === name);
    if (!pod) throw new ApiError('not_found', `no pod ${name}`);
    return pod;
  }

  #update(name: string, change: (pod: Pod) => Pod): void {
    this.#pods.update(change(this.#find(name)));
  }

  #setRunning(name: string, restartCount: number, running: boolean): void {
    const pod = this.#find(name);
    const state = running ? { running: { startedAt: new Date().toISOString() } } : {};
    this.#pods.update(
      {
        ...pod,
        status: {
          phase: 'Running',
          podIP: '127.0.0.1',
          conditions: [{ type: 'Ready', status: running ? 'True' : 'False' }],
          containerStatuses: [{ restartCount, state }],
        },
      },
      'status',
    );
  }
}

function withPort(pod: Pod, port: number): Pod {
  const [container, ...others] = pod.spec.containers;
  const ports = container.ports.map((item) =>
    item.name === apiPortName ? { ...item, containerPort: port } : item,
  );
  return { ...pod, spec: { ...pod.spec, containers: [{ ...container, ports }, ...others] } };
}

/** The operator's configuration here, where a test sets nothing else. */
const localConfig = {
  ...quickConfig,
  local: {
    resources: { dir: '/nowhere' },
    api: { kubeconfig: '/nowhere' },
    pods: { command: ['true'] },
  },
};

type Fields = Record<string, unknown>;

/** The operator on objects in memory and nodes in this process: everything real but pods and media. */
export class OperatorWorld {
  readonly objects = createLocalObjects(1000);
  readonly pods = new FakePods(this.objects.revisions);
  readonly machines = new FakeMachines();
  readonly events = new RecordedEvents();
  readonly budgets = new AppliedBudgets();
  readonly cluster: Cluster = {
    ...createLocalCluster(this.objects, this.pods.client(), logger),
    ...{ nodes: this.machines, events: this.events, budgets: this.budgets },
  };
  readonly config: OperatorConfig;
  readonly registry = createServiceMetrics();
  #operator: Operator | undefined;

  constructor(config: Fields = {}) {
    this.config = operatorConfig.parse({ ...localConfig, ...config });
  }

  start(): this {
    this.#operator = startOperator({
      config: this.config,
      cluster: this.cluster,
      serviceMetrics: this.registry,
      metrics: createOperatorMetrics(this.registry.registry),
      clock: systemClock,
      logger,
    });
    return this;
  }

  /** Ends the operator as a crash would: objects, pods and nodes stay. */
  async stopOperator(): Promise<void> {
    await this.#operator?.close();
    this.#operator = undefined;
    this.registry.registry.clear();
  }

  async close(): Promise<void> {
    await this.stopOperator();
    await this.pods.close();
  }

  applyPool(name: string, spec: Fields, labels?: Record<string, string>): MediaWorker {
    const metadata = { name, namespace: 'default', ...(labels ? { labels } : {}) };
    return this.#apply(this.objects.mediaworkers, 'MediaWorker', metadata, spec);
  }

  applyRoom(name: string, spec: Fields = {}): MediaRoom {
    return this.#apply(this.objects.mediarooms, 'MediaRoom', { name, namespace: 'default' }, spec);
  }

  pool(name: string): MediaWorker {
    return this.objects.mediaworkers.require({ namespace: 'default', name });
  }

  room(name: string): MediaRoom {
    return this.objects.mediarooms.require({ namespace: 'default', name });
  }

  hasRoom(name: string): boolean {
    return this.objects.mediarooms.get({ namespace: 'default', name }) !== undefined;
  }

  #apply<T extends MediaWorker | MediaRoom>(
    collection: Collection<T>,
    kind: string,
    metadata: { name: string; namespace: string; labels?: Record<string, string> },
    spec: Fields,
  ): T {
    const old = collection.get(metadata);
    const finalizers = old?.metadata.finalizers;
    const object = {
      apiVersion: 'kube-sfu.dev/v1alpha1',
      kind,
      metadata: { ...metadata, ...(finalizers ? { finalizers } : {}) },
      spec,
    } as unknown as NewObject<T>;
    return old ? collection.update(object) : collection.create(object);
  }
}

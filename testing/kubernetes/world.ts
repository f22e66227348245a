import { pino } from 'pino';

import { isConditionTrue } from '../../common/resources/conditions.ts';
import {
  apiVersion,
  type KubernetesObject,
  type MediaRoom,
  type MediaWorker,
} from '../../common/resources/types.ts';
import { KubernetesError } from '../../common/kubernetes/errors.ts';
import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { createServiceMetrics, type ServiceMetrics } from '../../common/service/metrics.ts';
import type { Pod, PodDisruptionBudget } from '../../operator/cluster.ts';
import { operatorConfig, type OperatorConfig } from '../../operator/config.ts';
import { startKubernetesAdapter } from '../../operator/kubernetes/adapter.ts';
import { createKubernetesMetrics } from '../../operator/kubernetes/metrics.ts';
import { createOperatorMetrics } from '../../operator/metrics.ts';
import { startOperator } from '../../operator/operator.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { quickConfig, secret } from '../quick-config.ts';
import { until, type UntilOptions } from '../until.ts';
import type { ApiProxy } from './api-proxy.ts';
import { startControlPlane, type ControlPlane, type ControlPlaneOptions } from './control-plane.ts';
import { Kubelets } from './kubelet.ts';
import { grantRoles, serviceUser } from './service-roles.ts';

const logger = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });

/** Who the operator is to the API server, as in a pod of its deployment. */
const operatorUser = serviceUser('operator');

/** How long the operator may take to undo everything at the end of a test, in milliseconds. */
const cleanUpTimeoutMs = 20_000;
const soon: UntilOptions = { timeoutMs: 20_000, intervalMs: 50 };

type Fields = Record<string, unknown>;
type OurPlural = 'mediaworkers' | 'mediarooms';

export interface Event {
  type: string;
  reason: string;
  action: string;
  note: string;
  regarding: { kind: string; name: string };
}

/** A control plane in which the operator has exactly the permissions of `config/rbac/`. */
export async function startWorldControlPlane(
  options: ControlPlaneOptions = {},
): Promise<ControlPlane> {
  const controlPlane = await startControlPlane({
    ...options,
    users: { ...options.users, [operatorUser]: [] },
  });
  await grantRoles(controlPlane, 'operator', 'default');
  return controlPlane;
}

export interface OperatorRunOptions {
  /** The operator's configuration besides that of the world. */
  config?: Fields;
  /** A proxy on the way to the API server. */
  through?: ApiProxy;
  /** Asked right before each write; throws where the operator may not write. */
  fence?: () => void;
}

/** One operator that runs. */
export interface OperatorRun {
  metrics: ServiceMetrics;
  /** Ends it as a crash would: what it made stays. */
  close(): Promise<void>;
}

export interface WorldOptions {
  /** The operator's configuration, where it differs from the quick one. */
  config?: Fields;
  /** How many machines there are. */
  machines?: number;
}

let worlds = 0;

/**
 * The operator in this process on a real API server, in a namespace of its own, with simulated machines. Everything is real but
 * the media nodes, which carry no media.
 */
export class KubernetesWorld {
  readonly controlPlane: ControlPlane;
  readonly namespace: string;
  readonly kubelets: Kubelets;
  readonly #config: Fields;
  readonly #operators = new Set<OperatorRun>();

  private constructor(controlPlane: ControlPlane, namespace: string, config: Fields) {
    this.controlPlane = controlPlane;
    this.namespace = namespace;
    this.#config = config;
    this.kubelets = new Kubelets({ client: controlPlane.client, secret, logger, namespace });
  }

  /** @param controlPlane from {@link startWorldControlPlane}; many worlds may share one */
  static async create(
    controlPlane: ControlPlane,
    { config = {}, machines = 3 }: WorldOptions = {},
  ): Promise<KubernetesWorld> {
    const namespace = `world-${(worlds += 1)}`;
    await controlPlane.createNamespace(namespace);
    const world = new KubernetesWorld(controlPlane, namespace, config);
    await world.kubelets.start();
    for (let i = 0; i < machines; i++) await world.kubelets.addNode(world.machine(i));
    return world;
  }

  /** The name of a machine; names are for the whole control plane. */
  machine(index: number): string {
    return `${this.namespace}-machine-${index}`;
  }

  /** Starts an operator and waits until it has seen everything. */
  async start({ config = {}, through, fence }: OperatorRunOptions = {}): Promise<OperatorRun> {
    const kubeconfig = through
      ? await through.kubeconfig(operatorUser)
      : this.controlPlane.kubeconfig(operatorUser);
    const run = await runOperator(this.#parse(config, kubeconfig), fence);
    const operator: OperatorRun = {
      metrics: run.metrics,
      close: async () => {
        if (this.#operators.delete(operator)) await run.close();
      },
    };
    this.#operators.add(operator);
    return operator;
  }

  async stopOperators(): Promise<void> {
    await Promise.all([...this.#operators].map((operator) => operator.close()));
  }

  /** Runs kubectl in the world's namespace, as the admin. */
  kubectl(args: string[], input?: string): Promise<string> {
    const { namespace } = this;
    return this.controlPlane.kubectl(args, {
      namespace,
      ...(input === undefined ? {} : { input }),
    });
  }

  applyPool(name: string, spec: Fields, labels?: Record<string, string>): Promise<MediaWorker> {
    return this.#apply('mediaworkers', { kind: 'MediaWorker', name, spec, labels });
  }

  applyRoom(name: string, spec: Fields = {}): Promise<MediaRoom> {
    return this.#apply('mediarooms', { kind: 'MediaRoom', name, spec });
  }

  pool(name: string): Promise<MediaWorker> {
    return this.#get('mediaworkers', name);
  }

  room(name: string): Promise<MediaRoom> {
    return this.#get('mediarooms', name);
  }

  pod(name: string): Promise<Pod> {
    return this.#get('pods', name);
  }

  pools(): Promise<MediaWorker[]> {
    return this.#list('mediaworkers');
  }

  rooms(): Promise<MediaRoom[]> {
    return this.#list('mediarooms');
  }

  pods(): Promise<Pod[]> {
    return this.#list('pods');
  }

  async podNames(): Promise<string[]> {
    return (await this.pods()).map(({ metadata }) => metadata.name).sort();
  }

  budgets(): Promise<PodDisruptionBudget[]> {
    return this.#list('poddisruptionbudgets');
  }

  /** The Events about an object, or about all, the oldest first. */
  async events(kind?: string, name?: string): Promise<Event[]> {
    const events = await this.#list<Event & { metadata: { creationTimestamp: string } }>('events');
    return events.filter(
      ({ regarding }) =>
        (kind === undefined || regarding.kind === kind) &&
        (name === undefined || regarding.name === name),
    );
  }

  /** Asks for deletion. One that is gone is no error. */
  async delete(kind: OurPlural | 'pods', name: string): Promise<void> {
    try {
      await this.controlPlane.client.call({ method: 'DELETE', path: this.#path(kind, name) });
    } catch (error) {
      if (!(error instanceof KubernetesError) || error.statusCode !== 404) throw error;
    }
  }

  async exists(kind: OurPlural | 'pods', name: string): Promise<boolean> {
    const list = await this.#list<KubernetesObject>(kind);
    return list.some(({ metadata }) => metadata.name === name);
  }

  /** Waits until the pool's newest spec is carried out. */
  readyPool(name: string): Promise<MediaWorker> {
    return until(`pool ${name} to be ready`, async () => ifReady(await this.pool(name)), soon);
  }

  /** Waits until the room's newest spec is carried out. */
  readyRoom(name: string): Promise<MediaRoom> {
    return until(`room ${name} to be ready`, async () => ifReady(await this.room(name)), soon);
  }

  /**
   * Heals what the test broke, deletes everything, and waits until the operator has undone what it made; one is started for that
   * where none runs.
   *
   * @throws Error naming what is left after the time, in milliseconds
   */
  async close(timeoutMs = cleanUpTimeoutMs): Promise<void> {
    try {
      await this.#heal();
      if (this.#operators.size === 0) await this.start();
      for (const kind of ['mediarooms', 'mediaworkers'] as const)
        await this.controlPlane.client.call({ method: 'DELETE', path: this.#path(kind) });
      await until('nothing to be left', () => this.#isEmpty(), { ...soon, timeoutMs });
    } finally {
      await this.stopOperators();
      await this.kubelets.close();
    }
  }

  async #heal(): Promise<void> {
    this.kubelets.release();
    await this.kubelets.recover();
    for (const node of this.kubelets.nodes.values()) node.fault = () => undefined;
  }

  /** @throws Error naming what is left */
  async #isEmpty(): Promise<boolean> {
    const left: string[] = [];
    for (const kind of ['mediarooms', 'mediaworkers', 'pods'] as const)
      for (const { metadata } of await this.#list<KubernetesObject>(kind))
        left.push(`${kind}/${metadata.name}`);
    for (const name of this.kubelets.nodes.keys()) left.push(`process of ${name}`);
    // Nobody collects garbage here; what has an owner goes with it in a whole cluster.
    for (const { metadata } of await this.budgets())
      if (!metadata.ownerReferences[0]) left.push(`poddisruptionbudgets/${metadata.name}`);
    if (left.length > 0) throw new Error(`left: ${left.join(', ')}`);
    return true;
  }

  #parse(config: Fields, kubeconfig: string): OperatorConfig {
    const kubernetes = {
      kubeconfig,
      namespace: this.namespace,
      backoffMinMs: 20,
      backoffMaxMs: 500,
      leaderElection: { enabled: false },
      ...(this.#config['kubernetes'] as Fields | undefined),
      ...(config['kubernetes'] as Fields | undefined),
    };
    const pods = { terminationGracePeriodSeconds: 1, deletionTimeoutMs: 2000 };
    return operatorConfig.parse({ ...quickConfig, pods, ...this.#config, ...config, kubernetes });
  }

  #path(kind: keyof typeof resourceTypes, name?: string): string {
    const { namespace } = this;
    return name === undefined
      ? collectionPath(resourceTypes[kind], namespace)
      : objectPath(resourceTypes[kind], { namespace, name });
  }

  #get<T>(kind: keyof typeof resourceTypes, name: string): Promise<T> {
    return this.controlPlane.client.call<T>({ method: 'GET', path: this.#path(kind, name) });
  }

  async #list<T>(kind: keyof typeof resourceTypes): Promise<T[]> {
    return (await this.controlPlane.client.list<T>(this.#path(kind))).items;
  }

  /** As `kubectl apply --server-side`. */
  #apply<T>(
    plural: OurPlural,
    object: {
      kind: string;
      name: string;
      spec: Fields;
      labels?: Record<string, string> | undefined;
    },
  ): Promise<T> {
    const { kind, name, spec, labels } = object;
    return this.controlPlane.client.call<T>({
      method: 'PATCH',
      patch: 'apply',
      path: this.#path(plural, name),
      query: { fieldManager: 'a-user', force: true },
      body: { apiVersion, kind, metadata: { name, ...(labels ? { labels } : {}) }, spec },
    });
  }
}

function ifReady<T extends MediaWorker | MediaRoom>(object: T): T | undefined {
  const { status, metadata } = object;
  const isCurrent = status?.observedGeneration === metadata.generation;
  return isCurrent && isConditionTrue(status.conditions, 'Ready') ? object : undefined;
}

async function runOperator(config: OperatorConfig, fence?: () => void): Promise<OperatorRun> {
  if (!config.kubernetes) throw new Error('the configuration is not for Kubernetes');
  const metrics = createServiceMetrics();
  const clock = systemClock;
  const adapter = startKubernetesAdapter({
    config: config.kubernetes,
    metrics: createKubernetesMetrics(metrics.registry),
    ...{ clock, logger },
    ...(fence ? { fence } : {}),
  });
  await adapter.whenSynced;
  const operator = startOperator({
    ...{ config, clock, logger },
    cluster: adapter.cluster,
    serviceMetrics: metrics,
    metrics: createOperatorMetrics(metrics.registry),
    ...(fence ? { fence } : {}),
  });
  return {
    metrics,
    async close() {
      await operator.close();
      await adapter.flush();
      await adapter.close();
    },
  };
}

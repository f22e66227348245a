import { setTimeout as sleep } from 'node:timers/promises';

import { isConditionTrue } from '../../common/resources/conditions.ts';
import type { Placement } from '../../common/resources/types.ts';
import { createRandom } from '../random.ts';
import { secret } from '../quick-config.ts';
import { until } from '../until.ts';
import { ApiProxy } from './api-proxy.ts';
import type { ControlPlane } from './control-plane.ts';
import { findFlaws } from './flaws.ts';
import { OperatorProcess, total, type Metrics } from './operator-process.ts';
import { serviceUser } from './service-roles.ts';
import { KubernetesWorld } from './world.ts';

type Fields = Record<string, unknown>;

/** Pools and rooms of two kinds: what nobody touches, and what changes all the time. */
type Tier = 'still' | 'lively';

const pools = [
  { name: 'still-producers', tier: 'still', role: 'Producer', replicas: 2 },
  { name: 'still-consumers', tier: 'still', role: 'Consumer', replicas: 3 },
  { name: 'lively-producers', tier: 'lively', role: 'Producer', replicas: 1 },
  { name: 'lively-consumers', tier: 'lively', role: 'Consumer', replicas: 2 },
] as const;
const roomCounts = { still: 40, lively: 20 };
const machines = 4;

/** Pause between two steps of the work, in milliseconds. */
const stepMs = 500;
/** Steps between two changes of a pool's size. */
const stepsOfSize = 40;
/** Peers of the rooms that nobody touches come and go in every so many steps. */
const stepsOfPeers = 4;
const sizes = [3, 1, 2];

/** How long everything may take to be as it should, in milliseconds: several of the longest back-offs. */
const settleTimeoutMs = 180_000;
const settling = { timeoutMs: settleTimeoutMs, intervalMs: 500 };
/** How long one write of the work is tried, in milliseconds. */
const writing = { timeoutMs: 90_000, intervalMs: 250 };

/** What must not change on account of the API server. */
interface Still {
  /** Of the rooms that nobody touches, by name. */
  placements: Record<string, Placement[]>;
  /** The uid of each of their pods, and the instance in it, by the pod's name. */
  pods: Record<string, string>;
  instances: Record<string, string>;
  /** Calls to their nodes that would have closed a router or drained the node. */
  disturbances: string[];
}

export interface BusyWorldOptions {
  controlPlane: ControlPlane;
  seed: number;
  /** The operator's configuration, where it differs from the default. */
  config?: Fields;
  /** The operator reaches the API server past the proxy. */
  direct?: boolean;
}

/** The operator that removes everything in the end shares this process with the nodes of many worlds. */
const cleanUpConfig = { nodes: { intervalMs: 1000, timeoutMs: 10_000 } };

/**
 * A world in which work goes on: rooms come and go, pools grow and shrink and peers join and leave, while the operator, in a
 * process of its own that is started again when it ends, reaches the API server through a proxy.
 */
export class BusyWorld {
  readonly world: KubernetesWorld;
  readonly proxy: ApiProxy;
  /** How often the operator has ended by itself and was started again. */
  restarts = 0;
  readonly #options: BusyWorldOptions;
  readonly #random: () => number;
  readonly #wanted = { pools: new Map<string, number>(), rooms: new Map<string, number>() };
  readonly #lively: string[] = [];
  #operator: OperatorProcess | undefined;
  #starting: Promise<void> = Promise.resolve();
  #closed = false;
  #working = false;
  #work: Promise<void> = Promise.resolve();
  #steps = 0;
  #made = 0;

  private constructor(world: KubernetesWorld, proxy: ApiProxy, options: BusyWorldOptions) {
    this.world = world;
    this.proxy = proxy;
    this.#options = options;
    this.#random = createRandom(options.seed);
  }

  /** Everything is there and ready. */
  static async create(options: BusyWorldOptions): Promise<BusyWorld> {
    const { controlPlane } = options;
    const world = await KubernetesWorld.create(controlPlane, { machines, config: cleanUpConfig });
    const busy = new BusyWorld(world, await ApiProxy.start(controlPlane), options);
    try {
      await busy.#start();
      for (const { name, tier, role, replicas } of pools) {
        await world.applyPool(name, { role, replicas }, { tier });
        busy.#wanted.pools.set(name, replicas);
      }
      for (let i = 0; i < roomCounts.still; i++) await busy.#makeRoom('still');
      for (let i = 0; i < roomCounts.lively; i++) await busy.#makeRoom('lively');
      await busy.settle();
      return busy;
    } catch (error) {
      await busy.close();
      throw error;
    }
  }

  get operator(): OperatorProcess {
    if (!this.#operator) throw new Error('no operator runs');
    return this.#operator;
  }

  /** Begins to change things, through the real API server. */
  startWork(): void {
    this.#working = true;
    this.#work = this.#runWork();
    // Who stops the work is told.
    this.#work.catch(() => undefined);
  }

  /** @throws what went wrong meanwhile */
  async stopWork(): Promise<void> {
    this.#working = false;
    await this.#work;
  }

  /** Waits until everything is as it is wanted, and nothing is left to do. @returns the operator's metrics then */
  settle(): Promise<Metrics> {
    return until(
      'the world to be as it is wanted',
      async () => {
        const flaws = await findFlaws(this.world, this.#wanted);
        if (flaws.length > 0) throw new Error(flaws.join('; '));
        const metrics = await this.operator.metrics();
        const waiting = total(metrics, 'workqueue_depth');
        const failing = total(metrics, 'kube_sfu_operator_queue_failing_keys');
        // Each object is looked at once in a while, and what is gone is not.
        const delayed = total(metrics, 'kube_sfu_operator_queue_delayed_keys');
        if (waiting > 0 || failing > 0 || delayed !== this.#objects)
          throw new Error(
            `${waiting} wait, ${failing} fail, ${delayed} of ${this.#objects} are looked at later`,
          );
        return metrics;
      },
      settling,
    );
  }

  async still(): Promise<Still> {
    const isStill = (name: string): boolean => name.startsWith('still-');
    const [rooms, pods] = await Promise.all([this.world.rooms(), this.world.pods()]);
    const nodes = [...this.world.kubelets.nodes.values()];
    return {
      placements: Object.fromEntries(
        rooms
          .filter(({ metadata }) => isStill(metadata.name))
          .map(({ metadata, status }) => [metadata.name, status?.placements ?? []]),
      ),
      pods: Object.fromEntries(
        pods
          .filter(({ metadata }) => isStill(metadata.name))
          .map(({ metadata }) => [metadata.name, metadata.uid]),
      ),
      instances: Object.fromEntries(
        nodes
          .filter(({ options }) => isStill(options.podName))
          .map(({ options, instanceId }) => [options.podName, instanceId]),
      ),
      disturbances: nodes
        .filter(({ options }) => isStill(options.podName))
        .flatMap(({ calls }) => calls.filter((call) => /^(DELETE|POST) /.test(call))),
    };
  }

  /** How many of the rooms that come and go, of those that are wanted now, are ready, as a share. */
  async readyShare(): Promise<number> {
    const all = await this.world.rooms();
    const ready = all.filter(({ status }) => isConditionTrue(status?.conditions, 'Ready'));
    const names = new Set(ready.map(({ metadata }) => metadata.name));
    return this.#lively.filter((name) => names.has(name)).length / this.#lively.length;
  }

  /** Ends everything. @throws what is left, or went wrong */
  async close(): Promise<void> {
    this.#closed = true;
    this.#working = false;
    await this.#work.catch(() => undefined);
    await this.#starting;
    await this.#operator?.stop();
    try {
      await this.world.close(settleTimeoutMs);
    } finally {
      await this.proxy.close();
    }
  }

  /** How many pools and rooms there are to be. */
  get #objects(): number {
    return this.#wanted.pools.size + this.#wanted.rooms.size;
  }

  #start(): Promise<void> {
    this.#starting = this.#startOperator();
    return this.#starting;
  }

  async #startOperator(): Promise<void> {
    const { controlPlane, namespace } = this.world;
    const { config = {}, direct = false } = this.#options;
    const { kubernetes, ...others } = config;
    const user = serviceUser('operator');
    const operator = await OperatorProcess.start({
      dir: controlPlane.dir,
      name: namespace,
      inspect: true,
      config: {
        log: { level: 'warn' },
        serviceAuth: { secret },
        ...others,
        kubernetes: {
          kubeconfig: direct ? controlPlane.kubeconfig(user) : await this.proxy.kubeconfig(user),
          namespace,
          leaderElection: { enabled: false },
          ...(kubernetes as Fields | undefined),
        },
      },
    });
    this.#operator = operator;
    void operator.exited.then(() => {
      if (this.#closed) return undefined;
      this.restarts += 1;
      return this.#start();
    });
  }

  async #runWork(): Promise<void> {
    while (this.#working) {
      await this.#step();
      this.#steps += 1;
      await sleep(stepMs);
    }
  }

  async #step(): Promise<void> {
    const step = this.#steps;
    if (step % stepsOfPeers === 0) this.#movePeers();
    if (step % stepsOfSize === 0)
      await this.#resize('lively-consumers', sizes[(step / stepsOfSize) % sizes.length] ?? 2);
    else if (this.#lively.length < roomCounts.lively) await this.#makeRoom('lively');
    else await this.#deleteRoom();
  }

  #movePeers(): void {
    for (const node of this.world.kubelets.nodes.values())
      if (node.options.podName.startsWith('still-')) {
        const roomIds = [...new Set([...node.routers.values()].map(({ roomId }) => roomId))];
        for (const roomId of roomIds)
          if (this.#random() < 0.3) node.setPeers(Math.floor(this.#random() * 10), roomId);
      }
  }

  async #resize(name: string, replicas: number): Promise<void> {
    await write(`scale ${name}`, () =>
      this.world.applyPool(name, { role: 'Consumer', replicas }, { tier: 'lively' }),
    );
    this.#wanted.pools.set(name, replicas);
  }

  async #makeRoom(tier: Tier): Promise<void> {
    const name = `${tier}-${(this.#made += 1)}`;
    const selector = { matchLabels: { tier } };
    const routers = tier === 'still' ? 1 + (this.#made % 2) : 1;
    await write(`make room ${name}`, () =>
      this.world.applyRoom(name, { producers: { selector }, consumers: { selector, routers } }),
    );
    this.#wanted.rooms.set(name, routers);
    if (tier === 'lively') this.#lively.push(name);
  }

  /** Deletes one of the older rooms. */
  async #deleteRoom(): Promise<void> {
    const [name = ''] = this.#lively.splice(
      Math.floor((this.#random() * roomCounts.lively) / 2),
      1,
    );
    await write(`delete room ${name}`, () => this.world.delete('mediarooms', name));
    this.#wanted.rooms.delete(name);
  }
}

/** Repeats a write until it is done, as somebody would while the API server itself is away. */
async function write(what: string, call: () => Promise<unknown>): Promise<void> {
  await until(what, () => call().then(() => true), writing);
}

import { randomBytes } from 'node:crypto';

import { Registry } from 'prom-client';

import type { KubernetesClient } from '../../common/kubernetes/client.ts';
import { KubernetesError } from '../../common/kubernetes/errors.ts';
import { Informer, type HasMeta } from '../../common/kubernetes/informer.ts';
import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { collectionSource } from '../../common/kubernetes/source.ts';
import type { Logger } from '../../common/service/logger.ts';
import { formatKey, parseKey, type KubernetesNode, type Pod } from '../../operator/cluster.ts';
import { trimPod } from '../../operator/kubernetes/trim.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { createRuntimeMetrics } from '../../operator/runtime/metrics.ts';
import { WorkQueue } from '../../operator/runtime/queue.ts';
import { managedSelector } from '../../operator/workers/labels.ts';
import type { FakeNode } from '../fake-node.ts';
import { LoopbackAddresses, startPodProcess } from './pod-process.ts';
import { decideNode } from './scheduler.ts';
import {
  crashedStatus,
  lostStatus,
  runningStatus,
  unschedulableStatus,
  waitingStatus,
} from './pod-status.ts';

/** What runs in a pod. */
export interface PodRun {
  /** Resolves once it answers. */
  start: () => Promise<unknown>;
  stop: () => Promise<void>;
  /** Makes the next start one of another run, which has nothing of this one. */
  restart: () => void;
}

export interface PodKubeletsOptions<Run extends PodRun> {
  client: KubernetesClient;
  /** Starts what a pod runs. */
  startPod: (options: PodStart) => Promise<{ node: Run; podIP: string }>;
  logger: Logger;
  /** The only namespace whose pods are run; default: all of them. */
  namespace?: string;
}

export interface NodeOptions {
  internalIP?: string;
  externalIP?: string;
  labels?: Record<string, string>;
}

interface PodStart {
  pod: Pod;
  hostIP: string;
  addresses: LoopbackAddresses;
}

interface Running<Run> {
  uid: string;
  nodeName: string;
  node: Run;
  podIP: string;
  restarts: number;
  /** Whether the process answers; that of a lost machine does not. */
  up: boolean;
}

/** Marks the nodes of one set of kubelets. */
const setLabel = 'testing.kube-sfu.dev/kubelets';
const concurrency = 16;
const backoff = { initialMs: 50, maxMs: 1000 };
const timing = { relistMs: 600_000, backoffMinMs: 50, backoffMaxMs: 1000 };

const isGone = (error: unknown): boolean =>
  error instanceof KubernetesError && error.statusCode === 404;
/** Another pod of that name, or a pod that is on a node already. */
const isConflict = (error: unknown): boolean =>
  error instanceof KubernetesError && error.statusCode === 409;

/**
 * Scheduler and kubelets of a simulated cluster: machines are Node objects, and each of the operator's pods runs at a loopback
 * address of its own. All they know comes from the API server, and all they do goes there.
 */
export class PodKubelets<Run extends PodRun> {
  readonly #options: PodKubeletsOptions<Run>;
  readonly #namespace: string;
  readonly #set = randomBytes(4).toString('hex');
  readonly #addresses = new LoopbackAddresses();
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<KubernetesNode & HasMeta>;
  readonly #queue: WorkQueue;
  readonly #running = new Map<string, Running<Run>>();
  /** Where pods were bound to, by their uid, while the informer may not show it yet. */
  readonly #bound = new Map<string, { nodeName: string; pod: Pod }>();
  readonly #silent = new Set<string>();
  readonly #failures: unknown[] = [];
  #held = false;

  constructor(options: PodKubeletsOptions<Run>) {
    this.#options = options;
    const { client, logger, namespace } = options;
    this.#namespace = namespace ?? 'default';
    this.#queue = new WorkQueue({
      name: 'kubelets',
      ...{ concurrency, backoff, clock: systemClock },
      metrics: createRuntimeMetrics(new Registry()),
      work: (key) => this.#work(key),
    });
    this.#pods = new Informer<Pod>({
      what: 'pods of the kubelets',
      ...{ timing, logger, transform: trimPod },
      source: collectionSource<Pod>(client, {
        path: collectionPath(resourceTypes.pods, namespace),
        labelSelector: managedSelector,
      }),
    });
    this.#nodes = new Informer<KubernetesNode & HasMeta>({
      what: 'nodes of the kubelets',
      ...{ timing, logger },
      source: collectionSource(client, {
        path: collectionPath(resourceTypes.nodes),
        labelSelector: `${setLabel}=${this.#set}`,
      }),
    });
  }

  async start(): Promise<this> {
    this.#pods.onChange(({ object, previous }) => {
      const metadata = (object ?? previous)?.metadata;
      if (!object && previous) this.#bound.delete(previous.metadata.uid);
      if (metadata) this.#queue.add(formatKey(metadata));
    });
    this.#nodes.onChange(() => this.#lookAgain());
    this.#pods.start();
    this.#nodes.start();
    await Promise.all([this.#pods.whenSynced, this.#nodes.whenSynced]);
    this.#lookAgain();
    return this;
  }

  /** Adds a machine. Without an address of its own it gets a loopback address. */
  async addNode(name: string, options: NodeOptions = {}): Promise<void> {
    const { internalIP = this.#addresses.next(), externalIP, labels = {} } = options;
    const addresses = [
      { type: 'InternalIP', address: internalIP },
      ...(externalIP === undefined ? [] : [{ type: 'ExternalIP', address: externalIP }]),
    ];
    const resources = { cpu: '64', memory: '256Gi', pods: '250' };
    const node = await this.#options.client.call<KubernetesNode & HasMeta>({
      method: 'POST',
      path: collectionPath(resourceTypes.nodes),
      body: {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name, labels: { ...labels, [setLabel]: this.#set } },
        status: {
          addresses,
          conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
          capacity: resources,
          allocatable: resources,
        },
      },
    });
    this.#nodes.accept(node);
  }

  /** The process of a pod. */
  node(name: string, namespace = this.#namespace): Run {
    return this.#require(name, namespace).node;
  }

  /** The processes that run, by `namespace/name` of their pods. */
  get nodes(): Map<string, Run> {
    return new Map([...this.#running].map(([key, { node }]) => [key, node]));
  }

  /** The machine that a pod is on. */
  machineOf(name: string, namespace = this.#namespace): string {
    return this.#require(name, namespace).nodeName;
  }

  /** Leaves new pods without a process, as when their image can't be pulled, until {@link release}. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#lookAgain();
  }

  /** Crashes the container of a pod, which starts again with nothing. */
  async crash(name: string, namespace?: string): Promise<void> {
    await this.endContainer(name, namespace);
    await this.restartContainer(name, namespace);
  }

  /** Crashes the container of a pod and leaves it down. */
  async endContainer(name: string, namespace = this.#namespace): Promise<void> {
    const running = this.#require(name, namespace);
    await this.#takeDown(running);
    const pod = this.#pods.get({ name, namespace });
    if (pod) await this.#patchStatus(pod.metadata, crashedStatus(pod, running.restarts));
  }

  /** Starts a container anew that {@link endContainer} has ended. */
  async restartContainer(name: string, namespace = this.#namespace): Promise<void> {
    const running = this.#require(name, namespace);
    running.node.restart();
    running.restarts += 1;
    await this.#bringUp(running);
    await this.#report({ name, namespace }, running);
  }

  /**
   * Cuts a machine off: its kubelet says nothing any more, so that deleted pods stay, and its processes don't answer. The
   * control plane notes that it is not ready.
   *
   * @param options.keepRunning the processes go on answering: only the kubelet is dead
   */
  async loseNode(name: string, { keepRunning = false } = {}): Promise<void> {
    this.#silent.add(name);
    await this.#setNodeReady(name, 'Unknown');
    for (const [key, running] of this.#running)
      if (running.nodeName === name) {
        if (!keepRunning) await this.#takeDown(running);
        await this.#patchStatus(parseKey(key), lostStatus());
      }
  }

  /** Brings a lost machine back, with the processes that it had; what was deleted meanwhile goes. */
  async recoverNode(name: string): Promise<void> {
    this.#silent.delete(name);
    await this.#setNodeReady(name, 'True');
    for (const [key, running] of this.#running)
      if (running.nodeName === name) {
        await this.#bringUp(running);
        await this.#report(parseKey(key), running);
      }
    this.#lookAgain();
  }

  /** Brings every lost machine back, and every container that was left down. */
  async recover(): Promise<void> {
    for (const name of [...this.#silent]) await this.recoverNode(name);
    for (const [key, running] of this.#running)
      if (!running.up) {
        const { namespace, name } = parseKey(key);
        await this.restartContainer(name, namespace);
      }
  }

  /** As `kubectl cordon`: nothing new is scheduled there. */
  async cordon(name: string, unschedulable = true): Promise<void> {
    await this.#options.client.call({
      method: 'PATCH',
      patch: 'merge',
      path: objectPath(resourceTypes.nodes, { name }),
      body: { spec: { unschedulable } },
    });
  }

  /**
   * Ends all processes and removes the machines; the pods stay.
   *
   * @throws AggregateError with what went wrong meanwhile
   */
  async close(): Promise<void> {
    await Promise.all([this.#queue.close(), this.#pods.stop(), this.#nodes.stop()]);
    await Promise.all([...this.#running.values()].map(({ node }) => node.stop()));
    this.#running.clear();
    await this.#options.client.call({
      method: 'DELETE',
      path: collectionPath(resourceTypes.nodes),
      query: { labelSelector: `${setLabel}=${this.#set}` },
    });
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, 'the kubelets failed');
  }

  #lookAgain(): void {
    for (const { metadata } of this.#pods.list()) this.#queue.add(formatKey(metadata));
    for (const key of this.#running.keys()) this.#queue.add(key);
  }

  async #work(key: string): Promise<void> {
    try {
      await this.#reconcile(key);
      this.#queue.forget(key);
    } catch (error) {
      if (isGone(error) || isConflict(error)) this.#queue.addRateLimited(key);
      else if (error instanceof KubernetesError && error.statusCode < 429)
        this.#failures.push(error);
      else this.#queue.addRateLimited(key);
    }
  }

  async #reconcile(key: string): Promise<void> {
    const pod = this.#pods.get(parseKey(key));
    const running = this.#running.get(key);
    if (running && running.uid !== pod?.metadata.uid) {
      this.#running.delete(key);
      await running.node.stop();
    }
    if (!pod) return;
    const { nodeName } = pod.spec;
    if (pod.metadata.deletionTimestamp !== undefined) await this.#confirmDeletion(key, pod);
    else if (nodeName === undefined) await this.#schedule(pod);
    else if (!this.#running.has(key) && !this.#silent.has(nodeName)) await this.#run(key, pod);
  }

  async #confirmDeletion(key: string, { metadata, spec }: Pod): Promise<void> {
    if (spec.nodeName !== undefined && this.#silent.has(spec.nodeName)) return;
    await this.#running.get(key)?.node.stop();
    this.#running.delete(key);
    const preconditions = { uid: metadata.uid };
    try {
      await this.#options.client.call({
        method: 'DELETE',
        path: objectPath(resourceTypes.pods, metadata),
        body: { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0, preconditions },
      });
    } catch (error) {
      if (!isGone(error) && !isConflict(error)) throw error;
    }
  }

  async #schedule(pod: Pod): Promise<void> {
    const { metadata } = pod;
    if (this.#bound.has(metadata.uid)) return;
    const nodeName = decideNode(pod, this.#nodes.list(), (name) => this.#podsOn(name));
    if (nodeName === undefined) {
      const known = pod.status.conditions?.some(({ reason }) => reason === 'Unschedulable');
      if (!known) await this.#patchStatus(metadata, unschedulableStatus());
      return;
    }
    this.#bound.set(metadata.uid, { nodeName, pod });
    try {
      await this.#options.client.call({
        method: 'POST',
        path: objectPath(resourceTypes.pods, metadata, 'binding'),
        body: {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name: metadata.name, uid: metadata.uid },
          target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
        },
      });
    } catch (error) {
      this.#bound.delete(metadata.uid);
      throw error;
    }
  }

  #podsOn(name: string): Pod[] {
    const shown = this.#pods.list().filter(({ spec }) => spec.nodeName === name);
    const uids = new Set(shown.map(({ metadata }) => metadata.uid));
    const bound = [...this.#bound.values()].filter(({ nodeName }) => nodeName === name);
    return [...shown, ...bound.flatMap(({ pod }) => (uids.has(pod.metadata.uid) ? [] : [pod]))];
  }

  async #run(key: string, pod: Pod): Promise<void> {
    const { metadata, spec } = pod;
    const nodeName = spec.nodeName ?? '';
    if (this.#held) {
      await this.#patchStatus(metadata, waitingStatus(pod, 'ImagePullBackOff'));
      return;
    }
    const hostIP = this.#hostIP(nodeName);
    const started = await this.#options.startPod({ pod, hostIP, addresses: this.#addresses });
    const running = { uid: metadata.uid, nodeName, restarts: 0, up: true, ...started };
    this.#running.set(key, running);
    await this.#report(metadata, running);
  }

  async #report(ref: { namespace: string; name: string }, running: Running<Run>): Promise<void> {
    const pod = this.#pods.get(ref);
    if (!pod) return;
    const { nodeName, podIP, restarts } = running;
    const hostIP = this.#hostIP(nodeName);
    await this.#patchStatus(ref, runningStatus(pod, { podIP, hostIP, restarts }));
  }

  async #takeDown(running: Running<Run>): Promise<void> {
    running.up = false;
    await running.node.stop();
  }

  async #bringUp(running: Running<Run>): Promise<void> {
    if (!running.up) await running.node.start();
    running.up = true;
  }

  #hostIP(nodeName: string): string {
    const { addresses = [] } = this.#nodes.get({ name: nodeName })?.status ?? {};
    return addresses.find(({ type }) => type === 'InternalIP')?.address ?? '127.0.0.1';
  }

  async #patchStatus(
    { namespace, name }: { namespace: string; name: string },
    status: object,
  ): Promise<void> {
    await this.#options.client.call({
      method: 'PATCH',
      patch: 'merge',
      path: objectPath(resourceTypes.pods, { namespace, name }, 'status'),
      body: { status },
    });
  }

  async #setNodeReady(name: string, status: 'True' | 'Unknown'): Promise<void> {
    const node = await this.#options.client.call<KubernetesNode & HasMeta>({
      method: 'PATCH',
      patch: 'merge',
      path: objectPath(resourceTypes.nodes, { name }, 'status'),
      body: { status: { conditions: [{ type: 'Ready', status }] } },
    });
    this.#nodes.accept(node);
  }

  #require(name: string, namespace: string): Running<Run> {
    const running = this.#running.get(formatKey({ namespace, name }));
    if (!running) throw new Error(`no process in pod ${namespace}/${name}`);
    return running;
  }
}

export interface KubeletsOptions extends Omit<PodKubeletsOptions<FakeNode>, 'startPod'> {
  /** Of the calls between the platform's services. */
  secret: string;
}

/** Kubelets whose pods are {@link FakeNode}s in this process. */
export class Kubelets extends PodKubelets<FakeNode> {
  constructor({ secret, ...options }: KubeletsOptions) {
    super({ ...options, startPod: (start) => startPodProcess({ ...start, secret }) });
  }
}

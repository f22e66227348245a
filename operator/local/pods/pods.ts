import { mkdirSync } from 'node:fs';
import path from 'node:path';

import { ApiError, isApiError, messageOf } from '../../../common/errors.ts';
import type { Logger } from '../../../common/service/logger.ts';
import {
  apiPortName,
  formatKey,
  mediaContainer,
  type EnvVar,
  type Pod,
  type PodClient,
  type PodManifest,
  type PodStatus,
} from '../../cluster.ts';
import type { Clock } from '../../runtime/clock.ts';
import { podMethodsOf, readerOf } from '../cluster.ts';
import type { LocalConfig } from '../config.ts';
import { Collection, type Revisions } from '../store.ts';
import { PortPool } from './ports.ts';
import { SupervisedProcess, type ProcessState } from './process.ts';
import { Readiness } from './readiness.ts';

export interface LocalPodsDeps {
  config: LocalConfig['pods'];
  revisions: Revisions;
  clock: Clock;
  logger: Logger;
  onRestart: () => void;
}

interface Running {
  process: SupervisedProcess;
  readiness: Readiness;
  port: number;
}

const apiPortOf = (pod: Pod): number =>
  mediaContainer(pod).ports.find(({ name }) => name === apiPortName)?.containerPort ?? 0;

/** Pods as child processes of the operator. */
export class LocalPods {
  readonly #deps: LocalPodsDeps;
  readonly #pods: Collection<Pod>;
  readonly #ports: PortPool;
  readonly #running = new Map<string, Running>();
  readonly #stopping = new Set<Promise<void>>();
  #closed = false;

  constructor(deps: LocalPodsDeps) {
    this.#deps = deps;
    const { config, revisions } = deps;
    if (config.logDir) mkdirSync(config.logDir, { recursive: true });
    this.#ports = new PortPool(config.ip, config.apiPorts);
    this.#pods = new Collection<Pod>({
      revisions,
      validate: (pod) => pod,
      historySize: 1,
      now: () => new Date(deps.clock.now()),
    });
  }

  client(): PodClient {
    return {
      ...readerOf(this.#pods),
      create: (manifest) => this.#create(manifest),
      ...podMethodsOf(this.#pods),
      delete: async (pod) => {
        this.#delete(pod);
        return Promise.resolve();
      },
    };
  }

  /** Deletes every pod of an owner that is gone, as Kubernetes' garbage collector does. */
  collectOwnedBy(uid: string): void {
    for (const pod of this.#pods.list())
      if (pod.metadata.ownerReferences?.some((owner) => owner.uid === uid)) this.#delete(pod);
  }

  /** Ends all processes. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const pod of this.#pods.list()) this.#delete(pod);
    await Promise.all(this.#stopping);
  }

  async #create(manifest: PodManifest): Promise<Pod> {
    if (this.#closed) throw new ApiError('node_unavailable', 'the local adapter has been closed');
    // The object comes first, so that nobody else takes its name or its media ports meanwhile.
    const pod = this.#pods.create({ ...manifest, status: { phase: 'Pending' } });
    let port: number;
    try {
      port = await this.#ports.acquire();
    } catch (error) {
      this.#remove(pod);
      throw error;
    }
    const current = this.#pods.get(pod.metadata);
    if (current?.metadata.uid !== pod.metadata.uid || current.metadata.deletionTimestamp) {
      this.#ports.release(port);
      this.#remove(pod);
      throw new ApiError('conflict', `pod ${pod.metadata.name} was deleted while it was made`);
    }
    const placed = this.#pods.update(withApiPort(current, port));
    this.#start(placed, port);
    return this.#pods.get(pod.metadata) ?? placed;
  }

  #start(pod: Pod, port: number): void {
    const { config, clock, onRestart } = this.#deps;
    const logger = this.#deps.logger.child({ pod: pod.metadata.name });
    const process = new SupervisedProcess({
      command: config.command,
      env: this.#resolveEnv(pod),
      logFile: config.logDir && path.join(config.logDir, `${pod.metadata.name}.log`),
      backoff: config.restartBackoff,
      clock,
      logger,
      onChange: (state) => {
        if (state.restartCount > 0 && state.startedAt) onRestart();
        this.#setProcessState(pod, state);
      },
    });
    const readiness = new Readiness({
      url: `http://${config.ip.includes(':') ? `[${config.ip}]` : config.ip}:${port}/readyz`,
      intervalMs: config.readinessIntervalMs,
      clock,
      onChange: (ready) => this.#setReady(pod, ready),
    });
    this.#running.set(pod.metadata.uid, { process, readiness, port });
    process.start();
    readiness.start();
  }

  #resolveEnv(pod: Pod): Record<string, string> {
    const { ip, announcedAddress } = this.#deps.config;
    const fields: Record<string, string> = {
      'metadata.name': pod.metadata.name,
      'status.podIP': ip,
      'status.hostIP': announcedAddress,
    };
    const resolve = ({ name, value, valueFrom }: EnvVar): [string, string] => [
      name,
      value ?? fields[valueFrom?.fieldRef?.fieldPath ?? ''] ?? '',
    ];
    const env = Object.fromEntries(mediaContainer(pod).env.map(resolve));
    return { ...env, API_PORT: String(apiPortOf(pod)) };
  }

  #setProcessState(pod: Pod, { restartCount, startedAt }: ProcessState): void {
    this.#setStatus(pod, (status) => ({
      ...status,
      phase: 'Running',
      podIP: this.#deps.config.ip,
      conditions: [{ type: 'Ready', status: 'False' }],
      containerStatuses: [
        {
          restartCount,
          state: startedAt ? { running: { startedAt: startedAt.toISOString() } } : {},
        },
      ],
    }));
  }

  #setReady(pod: Pod, ready: boolean): void {
    const conditions = [{ type: 'Ready', status: ready ? ('True' as const) : ('False' as const) }];
    this.#setStatus(pod, (status) => ({ ...status, conditions }));
  }

  #setStatus(pod: Pod, change: (status: PodStatus) => PodStatus): void {
    const current = this.#pods.get(pod.metadata);
    if (current?.metadata.uid !== pod.metadata.uid) return;
    this.#pods.update({ ...current, status: change(current.status) }, 'status');
  }

  #delete(pod: Pod): void {
    const current = this.#pods.get(pod.metadata);
    if (current?.metadata.uid !== pod.metadata.uid || current.metadata.deletionTimestamp) return;
    this.#pods.delete(pod.metadata, {}, true);
    const stopping = this.#stop(current)
      .catch((error: unknown) => {
        const reason = messageOf(error);
        this.#deps.logger.error(
          { pod: formatKey(pod.metadata), reason },
          'pod could not be stopped',
        );
      })
      .finally(() => this.#stopping.delete(stopping));
    this.#stopping.add(stopping);
  }

  async #stop(pod: Pod): Promise<void> {
    const running = this.#running.get(pod.metadata.uid);
    // A pod without a process is still being made; its maker notices the deletion.
    if (!running) return;
    running.readiness.close();
    await running.process.stop(pod.spec.terminationGracePeriodSeconds * 1000);
    this.#running.delete(pod.metadata.uid);
    this.#ports.release(running.port);
    this.#remove(pod);
  }

  #remove(pod: Pod): void {
    try {
      this.#pods.delete(pod.metadata, { uid: pod.metadata.uid });
    } catch (error) {
      if (!isApiError(error, 'not_found', 'conflict')) throw error;
    }
  }

  /** The process of a pod, for whoever wants to look at it. */
  pidOf(name: string): number | undefined {
    const pod = this.#pods.list().find(({ metadata }) => metadata.name === name);
    return pod && this.#running.get(pod.metadata.uid)?.process.pid;
  }
}

function withApiPort(pod: Pod, port: number): Pod {
  const container = mediaContainer(pod);
  const ports = container.ports.map((item) =>
    item.name === apiPortName ? { ...item, containerPort: port } : item,
  );
  return { ...pod, spec: { ...pod.spec, containers: [{ ...container, ports }] } };
}

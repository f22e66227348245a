import path from 'node:path';

import { apiPortName, mediaContainer, type EnvVar, type Pod } from '../../operator/cluster.ts';
import type { PodRun } from '../../testing/kubernetes/kubelet.ts';
import { until } from '../../testing/until.ts';
import { ServiceProcess } from './process.ts';

const root = path.resolve(import.meta.dirname, '../..');
/** How long a node may take until it is ready, and the pause between two looks, in milliseconds. */
const readiness = { timeoutMs: 60_000, intervalMs: 50 };

export interface MediaNodeOptions {
  pod: Pod;
  podIP: string;
  configFile: string;
  logDir: string;
  /** Told of each end that nobody asked for. */
  onCrash: () => void;
}

/** A real media node as the process of a pod. */
export class MediaNodeProcess implements PodRun {
  readonly address: string;
  readonly #process: ServiceProcess;
  readonly url: string;
  readonly #graceMs: number;

  constructor({ pod, podIP, configFile, logDir, onCrash }: MediaNodeOptions) {
    const { name } = pod.metadata;
    const container = mediaContainer(pod);
    const fields: Record<string, string> = {
      ...{ 'metadata.name': name, 'status.podIP': podIP, 'status.hostIP': podIP },
    };
    const valueOf = ({ value, valueFrom }: EnvVar): string =>
      value ?? fields[valueFrom?.fieldRef?.fieldPath ?? ''] ?? '';
    const port = container.ports.find((one) => one.name === apiPortName)?.containerPort ?? 0;
    this.address = podIP;
    this.url = `http://${podIP}:${port}`;
    this.#graceMs = pod.spec.terminationGracePeriodSeconds * 1000;
    this.#process = new ServiceProcess({
      name,
      args: [path.join(root, 'media-node/main.ts'), '--config', configFile],
      env: Object.fromEntries(container.env.map((variable) => [variable.name, valueOf(variable)])),
      logFile: () => path.join(logDir, `${name}.log`),
      onCrash,
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  async start(): Promise<void> {
    this.#process.start();
    try {
      await until('the node to be ready', () => this.#isReady(), readiness);
    } catch (error) {
      await this.#process.stop(0);
      throw error;
    }
  }

  stop(): Promise<void> {
    return this.#process.stop(this.#graceMs);
  }

  /** Another process is another run by itself. */
  restart(): void {
    return undefined;
  }

  async #isReady(): Promise<boolean> {
    if (this.pid === undefined) throw new Error('it has ended');
    const { ok } = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(1000) });
    return ok;
  }
}

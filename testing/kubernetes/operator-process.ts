import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { stringify } from 'yaml';

import { freePorts } from '../../demo/ports.ts';
import { heapUsed } from '../inspector.ts';
import { until } from '../until.ts';

const main = path.resolve(import.meta.dirname, '../../operator/main.ts');
/** How long the operator may take to end in order, in milliseconds. */
const stopTimeoutMs = 20_000;

/** As the operations guide recommends: without them Node takes memory that it does not need before it collects any garbage. */
const nodeFlags = ['--max-semi-space-size=8', '--max-old-space-size=160'];

export interface OperatorProcessOptions {
  /** For its configuration and its log. */
  dir: string;
  /** Of these files; default: `operator`. */
  name?: string;
  /** Its configuration without `listen`. */
  config: object;
  /** Whether {@link OperatorProcess.heapUsed} can be asked. */
  inspect?: boolean;
}

/** One reading of the operator's metrics, by the text of each line's name and labels. */
export type Metrics = ReadonlyMap<string, number>;

/** The sum of all series of a name whose labels contain the given text. */
export const total = (metrics: Metrics, name: string, labels = ''): number =>
  [...metrics]
    .filter(([key]) => (key === name || key.startsWith(`${name}{`)) && key.includes(labels))
    .reduce((sum, [, value]) => sum + value, 0);

/** Reads the text form of Prometheus. */
function parseMetrics(text: string): Metrics {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

/** The operator as it runs on a cluster, in a process of its own. */
export class OperatorProcess {
  readonly startedAt = performance.now();
  /** Resolves when it has ended, for whatever reason. */
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #port: number;
  readonly #inspectorPort: number | undefined;
  /** Largest resident memory that was read, in bytes. */
  peakMemory = 0;

  private constructor(child: ChildProcess, port: number, inspectorPort: number | undefined) {
    this.exited = new Promise((resolve) => child.once('exit', () => resolve()));
    this.#child = child;
    this.#port = port;
    this.#inspectorPort = inspectorPort;
  }

  static async start(options: OperatorProcessOptions): Promise<OperatorProcess> {
    const { dir, name = 'operator', config, inspect = false } = options;
    const port = await freePorts(1);
    const inspectorPort = inspect ? await freePorts(1) : undefined;
    const file = path.join(dir, `${name}.yaml`);
    await writeFile(file, stringify({ ...config, listen: { port } }));
    const log = openSync(path.join(dir, `${name}.log`), 'a');
    const inspector = inspectorPort === undefined ? [] : [`--inspect=127.0.0.1:${inspectorPort}`];
    const child = spawn(process.execPath, [...nodeFlags, ...inspector, main, '--config', file], {
      // It ends with this process, at the latest.
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    return new OperatorProcess(child, port, inspectorPort);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Reads the metrics; undefined while the operator does not answer yet. */
  async read(): Promise<Metrics | undefined> {
    if (this.hasEnded) throw new Error('the operator has ended; see its log');
    try {
      const response = await fetch(`http://127.0.0.1:${this.#port}/metrics`);
      const metrics = parseMetrics(await response.text());
      this.peakMemory = Math.max(this.peakMemory, total(metrics, 'process_resident_memory_bytes'));
      return metrics;
    } catch {
      return undefined;
    }
  }

  /** Reads the metrics, once the operator answers. */
  metrics(): Promise<Metrics> {
    return until('the operator to tell its metrics', () => this.read());
  }

  /** What is on its heap after everything was collected that nobody holds, in bytes. */
  heapUsed(): Promise<number> {
    if (this.#inspectorPort === undefined) throw new Error('the operator was started without it');
    return heapUsed(this.#inspectorPort);
  }

  async stop(): Promise<void> {
    if (this.hasEnded) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopTimeoutMs);
    await this.exited;
    clearTimeout(timer);
  }
}

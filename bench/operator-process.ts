import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { stringify } from 'yaml';

import { freePorts } from '../media-node/fixtures/ports.ts';

const root = path.resolve(import.meta.dirname, '..');
/** How long the operator may take to end in order, in milliseconds. */
const stopTimeoutMs = 20_000;

export interface OperatorPlace {
  dir: string;
  kubeconfig: string;
  secret: string;
}

/** One reading of the operator's metrics, by the text of each line's name and labels. */
export type Metrics = ReadonlyMap<string, number>;

/** The sum of all series of a name whose labels contain the given text. */
export const total = (metrics: Metrics, name: string, labels = ''): number =>
  [...metrics]
    .filter(([key]) => (key === name || key.startsWith(`${name}{`)) && key.includes(labels))
    .reduce((sum, [, value]) => sum + value, 0);

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
  readonly #child: ChildProcess;
  readonly #port: number;
  /** Largest resident memory that was read, in bytes. */
  peakMemory = 0;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
  }

  static async start({ dir, kubeconfig, secret }: OperatorPlace): Promise<OperatorProcess> {
    const port = await freePorts(1);
    const file = path.join(dir, 'operator.yaml');
    await writeFile(
      file,
      stringify({
        log: { level: 'warn' },
        serviceAuth: { secret },
        listen: { port },
        kubernetes: { kubeconfig, leaderElection: { namespace: 'default' } },
      }),
    );
    const log = openSync(path.join(dir, 'operator.log'), 'a');
    const child = spawn(process.execPath, [path.join(root, 'operator/main.ts'), '--config', file], {
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    return new OperatorProcess(child, port);
  }

  /** Reads the metrics; undefined while the operator does not answer yet. */
  async read(): Promise<Metrics | undefined> {
    if (this.#child.exitCode !== null) throw new Error('the operator has ended; see its log');
    try {
      const response = await fetch(`http://127.0.0.1:${this.#port}/metrics`);
      const metrics = parseMetrics(await response.text());
      this.peakMemory = Math.max(this.peakMemory, total(metrics, 'process_resident_memory_bytes'));
      return metrics;
    } catch {
      return undefined;
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopTimeoutMs);
    await exited;
    clearTimeout(timer);
  }
}

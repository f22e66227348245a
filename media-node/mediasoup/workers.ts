import { createWorker } from 'mediasoup';
import type { WebRtcServer, Worker } from 'mediasoup/types';

import { ApiError } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { MediaNodeConfig } from '../config.ts';

/** One worker's place: its RTC port stays when the worker is replaced. */
export interface WorkerSlot {
  readonly index: number;
  readonly port: number;
  worker?: Worker;
  server?: WebRtcServer;
  /** Share of one CPU over the last sample, in percent. */
  cpuPercent: number;
  restarts: number;
}

export interface WorkerPoolDeps {
  config: MediaNodeConfig['rtc'];
  logger: Logger;
  /** A worker died; its routers are closed already. */
  onDied: (index: number) => void;
  /** CPU time that a slot's worker has used since the last sample. */
  onCpuUsed: (index: number, seconds: number) => void;
  /** How much a worker has to do; the least loaded one gets the next router. */
  loadOf: (index: number) => number;
}

/** The mediasoup workers, one WebRtcServer each. A worker that dies is replaced with a growing pause. */
export class WorkerPool {
  readonly slots: readonly WorkerSlot[];
  readonly #deps: WorkerPoolDeps;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #sampler: NodeJS.Timeout;
  readonly #cpuMs = new WeakMap<Worker, number>();
  #closed = false;

  private constructor(deps: WorkerPoolDeps) {
    this.#deps = deps;
    this.slots = Array.from({ length: deps.config.workers }, (_, index) => ({
      index,
      port: deps.config.portStart + index,
      cpuPercent: 0,
      restarts: 0,
    }));
    this.#sampler = setInterval(() => void this.#sampleCpu(), deps.config.cpuSampleMs);
    this.#sampler.unref();
  }

  /** @throws when a worker can't start or its port can't be had */
  static async create(deps: WorkerPoolDeps): Promise<WorkerPool> {
    const pool = new WorkerPool(deps);
    try {
      await Promise.all(pool.slots.map((slot) => pool.#start(slot)));
      return pool;
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  /** @throws {ApiError} `node_unavailable` when no worker lives */
  leastLoaded(): WorkerSlot & { worker: Worker } {
    const alive = this.slots.filter((slot) => slot.worker !== undefined);
    const [best] = alive.sort((a, b) => this.#deps.loadOf(a.index) - this.#deps.loadOf(b.index));
    if (!best) throw new ApiError('node_unavailable', 'no media worker is running');
    return best as WorkerSlot & { worker: Worker };
  }

  get alive(): number {
    return this.slots.filter((slot) => slot.worker !== undefined).length;
  }

  /** @throws {ApiError} `node_unavailable` */
  webRtcServer(index: number): WebRtcServer {
    const server = this.slots[index]?.server;
    if (!server) throw new ApiError('node_unavailable', `media worker ${index} is not running`);
    return server;
  }

  async #start(slot: WorkerSlot): Promise<void> {
    const { config } = this.#deps;
    const worker = await createWorker({ logLevel: config.logLevel });
    try {
      // Which address is announced may change later, and is told with each transport's candidates instead.
      const address = { ip: config.listenIp, port: slot.port };
      const server = await worker.createWebRtcServer({
        listenInfos: [
          { protocol: 'udp', ...address },
          { protocol: 'tcp', ...address },
        ],
      });
      // The pool may have been closed while the worker started.
      if (this.#closed) throw new ApiError('node_unavailable', 'the node is stopping');
      slot.worker = worker;
      slot.server = server;
      worker.on('died', (error) => this.#died(slot, error));
    } catch (error) {
      worker.close();
      throw error;
    }
  }

  #died(slot: WorkerSlot, error: Error): void {
    this.#deps.logger.error({ err: error, worker: slot.index }, 'media worker died');
    delete slot.worker;
    delete slot.server;
    slot.cpuPercent = 0;
    slot.restarts++;
    this.#deps.onDied(slot.index);
    this.#restartLater(slot, this.#deps.config.workerRestartBackoffMs);
  }

  #restartLater(slot: WorkerSlot, delayMs: number): void {
    if (this.#closed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#start(slot).catch((error: unknown) => {
        this.#deps.logger.error({ err: error, worker: slot.index }, 'media worker does not start');
        const maxMs = this.#deps.config.workerRestartMaxBackoffMs;
        this.#restartLater(slot, Math.min(delayMs * 2, maxMs));
      });
    }, delayMs);
    this.#timers.add(timer);
  }

  async #sampleCpu(): Promise<void> {
    const intervalMs = this.#deps.config.cpuSampleMs;
    for (const slot of this.slots) {
      const { worker } = slot;
      // A worker that dies meanwhile has no usage to tell.
      const usage = await worker?.getResourceUsage().catch(() => undefined);
      if (!worker || !usage) continue;
      const total = usage.ru_utime + usage.ru_stime;
      const spent = total - (this.#cpuMs.get(worker) ?? 0);
      this.#cpuMs.set(worker, total);
      this.#deps.onCpuUsed(slot.index, spent / 1000);
      slot.cpuPercent = Math.round((spent / intervalMs) * 100);
    }
  }

  /** Resolves once the worker processes have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sampler);
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(
      this.slots.map(async (slot) => {
        const { worker } = slot;
        delete slot.worker;
        delete slot.server;
        if (!worker || worker.subprocessClosed) return;
        const ended = new Promise<void>((resolve) => worker.once('subprocessclose', resolve));
        worker.close();
        await ended;
      }),
    );
  }
}

import { mediaContainer, type Pod } from '../../operator/cluster.ts';
import type { SimulatedKubernetes } from './kubernetes.ts';
import type { SimulatedProcess } from './process.ts';
import { time } from './time.ts';

/** Starts what runs in a pod, at this address. */
export type StartPod = (pod: Pod, process: SimulatedProcess, url: string) => void;

interface Running {
  pod: Pod;
  ip: string;
  process: SimulatedProcess;
  restarts: number;
  /** Its machine is cut off: nobody starts or ends anything there, or says anything of it. */
  lost: boolean;
}

const startMs = [300, 1_500] as const;
const restartMs = [500, 2_500] as const;
const endMs = [100, 800] as const;

/** What a cluster's machines do with pods: they start, restart and end their processes, and tell the API. */
export class SimulatedKubelet {
  readonly #kubernetes: SimulatedKubernetes;
  readonly #start: StartPod;
  readonly #newProcess: (name: string) => SimulatedProcess;
  readonly #running = new Map<string, Running>();
  #ips = 0;

  constructor(
    kubernetes: SimulatedKubernetes,
    start: StartPod,
    newProcess: (name: string) => SimulatedProcess,
  ) {
    this.#kubernetes = kubernetes;
    this.#start = start;
    this.#newProcess = newProcess;
    kubernetes.pods.subscribe(({ type, object }) => {
      if (type === 'ADDED') this.#after(startMs, () => this.#run(object));
      else if (object.metadata.deletionTimestamp) this.#after(endMs, () => this.#end(object));
      else if (type === 'DELETED') this.#after(endMs, () => this.#end(object));
    });
  }

  /** Names of pods whose process runs. */
  get pods(): string[] {
    return [...this.#running.values()]
      .filter(({ process }) => !process.ended)
      .map(({ pod }) => pod.metadata.name);
  }

  /** Ends the process of a pod; its machine starts another. */
  crash(name: string): void {
    const running = this.#byName(name);
    if (!running || running.process.ended) return;
    running.process.kill();
    this.#tell(running, false);
    this.#after(restartMs, () => this.#restart(running));
  }

  /** Cuts the pod's machine off the API, until {@link heal}. */
  loseMachine(name: string): void {
    const running = this.#byName(name);
    if (running) running.lost = true;
  }

  heal(): void {
    for (const running of this.#running.values()) {
      running.lost = false;
      running.process.resume();
      const current = this.#kubernetes.pods.get(running.pod.metadata);
      const isGone = current?.metadata.uid !== running.pod.metadata.uid;
      if (isGone || current.metadata.deletionTimestamp) this.#end(running.pod);
      else if (running.process.ended) this.#restart(running);
      else this.#tell(running, true);
    }
  }

  processOf(name: string): SimulatedProcess | undefined {
    return this.#byName(name)?.process;
  }

  #byName(name: string): Running | undefined {
    return [...this.#running.values()].findLast(({ pod }) => pod.metadata.name === name);
  }

  #after([least, most]: readonly [number, number], work: () => void): void {
    time.schedule(time.between(least, most), work);
  }

  #run(pod: Pod): void {
    const current = this.#kubernetes.pods.get(pod.metadata);
    if (current?.metadata.uid !== pod.metadata.uid || current.metadata.deletionTimestamp) return;
    const ip = `10.0.${this.#ips >> 8}.${this.#ips++ & 255}`;
    const process = this.#newProcess(pod.metadata.name);
    const running = { pod, ip, process, restarts: 0, lost: false };
    this.#running.set(pod.metadata.uid, running);
    this.#begin(running);
  }

  #begin(running: Running): void {
    const { pod, ip, process } = running;
    const port = mediaContainer(pod).ports.find(({ name }) => name === 'api')?.containerPort ?? 0;
    this.#start(pod, process, `http://${ip}:${port}`);
    this.#tell(running, true);
  }

  #restart(running: Running): void {
    const { pod } = running;
    if (running.lost || !running.process.ended || !this.#running.has(pod.metadata.uid)) return;
    running.restarts++;
    running.process = this.#newProcess(pod.metadata.name);
    this.#begin(running);
  }

  #end(pod: Pod): void {
    const running = this.#running.get(pod.metadata.uid);
    if (running?.lost) return;
    running?.process.kill();
    this.#running.delete(pod.metadata.uid);
    const { pods } = this.#kubernetes;
    const current = pods.get(pod.metadata);
    if (current?.metadata.uid === pod.metadata.uid) pods.delete(pod.metadata);
  }

  #tell({ pod, ip, restarts, lost }: Running, runs: boolean): void {
    const { pods } = this.#kubernetes;
    const current = pods.get(pod.metadata);
    if (lost || current?.metadata.uid !== pod.metadata.uid) return;
    const startedAt = new Date(time.now()).toISOString();
    pods.update(
      {
        ...current,
        status: {
          ...{ phase: 'Running', podIP: ip },
          conditions: [{ type: 'Ready', status: runs ? 'True' : 'False' }],
          containerStatuses: [
            {
              ...{ name: 'media-node', restartCount: restarts },
              state: runs ? { running: { startedAt } } : {},
            },
          ],
        },
      },
      'status',
    );
  }
}

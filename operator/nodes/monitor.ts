import { messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { NodeStatus } from '../../common/wire/media-node.ts';
import { formatKey, podUrl, type Pod, type PodClient } from '../cluster.ts';
import type { Clock } from '../runtime/clock.ts';
import {
  announces,
  isCutOff,
  isPodReady,
  mayRun,
  observeAnswer,
  observePod,
  observeSilence,
  type Answer,
  type LivenessPolicy,
  type ObservedNode,
} from './observe.ts';

interface MonitorConfig extends LivenessPolicy {
  intervalMs: number;
  /** How long one poll may take. */
  timeoutMs: number;
  /** Polls under way at a time. */
  concurrency: number;
}

/** Told about what the monitor sees; `before` is undefined for a new pod, `after` for one that is gone. */
export type NodeListener = (
  before: ObservedNode | undefined,
  after: ObservedNode | undefined,
) => void;

export interface MonitorDeps {
  pods: PodClient;
  fetchStatus: (url: string, timeoutMs: number) => Promise<NodeStatus>;
  /** The address that the pod's node is to announce; undefined when any will do. */
  addressOf: (pod: Pod) => string | undefined;
  announce: (url: string, address: string) => Promise<void>;
  config: MonitorConfig;
  clock: Clock;
  logger: Logger;
}

/** Polls every pod's node directly, again and again, and keeps what it knows of each. */
export class NodeMonitor {
  readonly #deps: MonitorDeps;
  readonly #nodes = new Map<string, ObservedNode>();
  readonly #listeners = new Set<NodeListener>();
  #unwatch: (() => void) | undefined;
  #cancelRound: (() => void) | undefined;
  #closed = false;
  #round: Promise<void> = Promise.resolve();
  readonly #extra = new Set<Promise<void>>();

  constructor(deps: MonitorDeps) {
    this.#deps = deps;
  }

  /** Learns of the pods and starts polling. */
  start(): void {
    this.#unwatch = this.#deps.pods.watch(({ type, object }) => {
      if (type === 'DELETED') this.#put(formatKey(object.metadata), undefined);
      else this.#seePod(object);
    });
    this.#runRound();
  }

  get(key: { namespace: string; name: string }): ObservedNode | undefined {
    return this.#nodes.get(formatKey(key));
  }

  list(): ObservedNode[] {
    return [...this.#nodes.values()];
  }

  onChange(listener: NodeListener): void {
    this.#listeners.add(listener);
  }

  /** Polls every node once, now. */
  async poll(): Promise<void> {
    const waiting = [...this.#nodes.values()].filter(({ url, pod }) => url && mayRun(pod));
    const worker = async (): Promise<void> => {
      for (let node = waiting.shift(); node; node = waiting.shift()) await this.#pollOne(node);
    };
    await Promise.all(Array.from({ length: this.#deps.config.concurrency }, worker));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unwatch?.();
    this.#cancelRound?.();
    await Promise.all([this.#round, ...this.#extra]);
  }

  #runRound(): void {
    const { clock, config, logger } = this.#deps;
    const startedAt = clock.now();
    this.#round = this.poll()
      .catch((error: unknown) => logger.error({ err: error }, 'polling the nodes failed'))
      .then(() => {
        if (this.#closed) return;
        const rest = Math.max(0, config.intervalMs - (clock.now() - startedAt));
        this.#cancelRound = clock.schedule(rest, () => this.#runRound());
      });
  }

  #seePod(pod: Pod): void {
    const key = formatKey(pod.metadata);
    const before = this.#nodes.get(key);
    const after = observePod(pod, podUrl(pod), before);
    this.#put(key, after);
    // A node that has just become ready needn't wait for the next round.
    if (before && isPodReady(pod) && !isPodReady(before.pod)) this.#track(this.#pollOne(after));
  }

  /** Lets {@link close} wait for a poll that runs outside the rounds. */
  #track(poll: Promise<void>): void {
    const tracked = poll.finally(() => this.#extra.delete(tracked));
    this.#extra.add(tracked);
  }

  async #pollOne({ pod, url = '' }: ObservedNode): Promise<void> {
    const { config, clock } = this.#deps;
    const answer = await this.#ask(pod, url);
    // The pod may have gone or its process ended while the poll was under way.
    const key = formatKey(pod.metadata);
    const node = this.#nodes.get(key);
    if (!node || node.pod.metadata.uid !== pod.metadata.uid || !mayRun(node.pod)) return;
    this.#put(
      key,
      answer
        ? observeAnswer(node, answer, clock.now())
        : this.#unlessCutOff(node, observeSilence(node, config, clock.now())),
    );
  }

  async #ask(pod: Pod, url: string): Promise<Answer | undefined> {
    const { fetchStatus, config, logger } = this.#deps;
    const { name } = pod.metadata;
    const status = await fetchStatus(url, config.timeoutMs).catch((error: unknown) => {
      logger.debug({ pod: name, reason: messageOf(error) }, 'poll missed');
      return undefined;
    });
    // Another process may have taken the address.
    if (status?.podName !== name) return undefined;
    return this.#ensureAnnounced(pod, url, status);
  }

  /** Tells a node the address to announce, again at each poll until it does. */
  async #ensureAnnounced(pod: Pod, url: string, status: NodeStatus): Promise<Answer> {
    const { addressOf, announce, logger } = this.#deps;
    const address = addressOf(pod);
    const { name } = pod.metadata;
    if (address === undefined || announces(status, address)) return { status, address };
    try {
      await announce(url, address);
      logger.info({ pod: name, address, before: status.announcedAddress }, 'address announced');
      return { status: { ...status, announcedAddress: address }, address };
    } catch (error) {
      logger.warn({ pod: name, address, reason: messageOf(error) }, 'address not announced');
      return { status, address };
    }
  }

  #unlessCutOff(before: ObservedNode, after: ObservedNode): ObservedNode {
    if (before.state === 'Dead' || after.state !== 'Dead') return after;
    const others = this.list().filter((node) => node !== before);
    if (!isCutOff(after, others)) return after;
    return { ...after, state: after.instance ? 'Unreachable' : 'Pending' };
  }

  #put(key: string, after: ObservedNode | undefined): void {
    const before = this.#nodes.get(key);
    if (after) this.#nodes.set(key, after);
    else this.#nodes.delete(key);
    if (before?.state !== after?.state || before?.instance?.id !== after?.instance?.id)
      this.#logChange(before, after);
    for (const listener of this.#listeners) listener(before, after);
  }

  #logChange(before: ObservedNode | undefined, after: ObservedNode | undefined): void {
    this.#deps.logger.info(
      {
        pod: (after ?? before)?.pod.metadata.name,
        from: before?.state,
        to: after?.state ?? 'Gone',
        instanceId: after?.instance?.id,
        misses: after?.misses,
      },
      'node changed',
    );
  }
}

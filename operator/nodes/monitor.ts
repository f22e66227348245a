import { messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { NodeStatus } from '../../common/wire/media-node.ts';
import { formatKey, podUrl, type Pod, type PodClient } from '../cluster.ts';
import type { Clock } from '../runtime/clock.ts';
import { isLeaving } from '../workers/labels.ts';
import { missOf, type Miss } from './missed-poll.ts';
import {
  announces,
  isOutdated,
  isPodReady,
  lacksWitness,
  mayRun,
  observeAnswer,
  observeMiss,
  observePod,
  observeSameRun,
  silenceOf,
  type Answer,
  type LivenessPolicy,
  type ObservedNode,
} from './observe.ts';
import { Slots } from './slots.ts';

interface MonitorConfig extends LivenessPolicy {
  /** Pause between two polls of a node that answers. */
  intervalMs: number;
  /** How long one poll may take. */
  timeoutMs: number;
  /** After how long without an answer the next poll of the node is sent beside it. */
  silentIntervalMs: number;
  /** Pause between two polls of a node that refuses connections. */
  refusedIntervalMs: number;
  /** Pause between two polls of a node that drains. */
  drainingIntervalMs: number;
  /** Polls under way at a time; one that waits for a silent node is not counted. */
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
  /** Holds a connection to a node; calls back when it ends by itself, and returns how to end it. */
  openLine: (url: string, onClose: () => void) => () => void;
  /** The address that the pod's node is to announce; undefined when any will do. */
  addressOf: (pod: Pod) => string | undefined;
  announce: (url: string, address: string) => Promise<void>;
  config: MonitorConfig;
  clock: Clock;
  logger: Logger;
}

/** The polling of one pod's node at one address. */
interface Watch {
  pod: Pod;
  url: string;
  /** What the pod says last, while its node is asked whether that is so. */
  news?: Pod | undefined;
  /** Calls the next poll off. */
  cancel?: (() => void) | undefined;
  closeLine?: (() => void) | undefined;
  /** When the line last ended by itself: one that a node won't hold must not make polls follow one another. */
  lineEndedAt: number;
}

/** Whether the same pod says that the instance which answered is over. */
const contradicts = (before: ObservedNode, after: ObservedNode): boolean =>
  before.pod.metadata.uid === after.pod.metadata.uid &&
  before.instance !== undefined &&
  after.instance === undefined &&
  before.state !== 'Dead';

/** Nodes that are asked at once when another one refuses its connections. */
const maxWitnesses = 3;

/** A node that stays silent is polled fast for so many times `deadAfterMs`, for its verdict, and as others from then on. */
const fastPart = 2;

/**
 * Polls every pod's node directly, again and again, holds a connection to each, and keeps what it knows of each. A connection
 * that ends and a poll that takes long are reasons to ask at once; what was asked decides.
 */
export class NodeMonitor {
  readonly #deps: MonitorDeps;
  readonly #nodes = new Map<string, ObservedNode>();
  readonly #watches = new Map<string, Watch>();
  readonly #listeners = new Set<NodeListener>();
  readonly #slots: Slots;
  #unwatch: (() => void) | undefined;
  #closed = false;
  readonly #polls = new Set<Promise<void>>();

  constructor(deps: MonitorDeps) {
    this.#deps = deps;
    this.#slots = new Slots(deps.config.concurrency);
  }

  /** Learns of the pods and polls them from then on. */
  start(): void {
    this.#unwatch = this.#deps.pods.watch(({ type, object }) => {
      if (type === 'DELETED') this.#forgetPod(formatKey(object.metadata));
      else this.#seePod(object);
    });
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
    await Promise.all([...this.#watches.keys()].map(async (key) => this.#pollOne(key)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unwatch?.();
    for (const key of [...this.#watches.keys()]) this.#endWatch(key);
    await Promise.all(this.#polls);
  }

  #forgetPod(key: string): void {
    this.#endWatch(key);
    this.#put(key, undefined);
  }

  #seePod(pod: Pod): void {
    const key = formatKey(pod.metadata);
    const before = this.#nodes.get(key);
    const after = observePod(pod, podUrl(pod), before);
    if (before && contradicts(before, after)) this.#confirmEnd(key, pod);
    else this.#takePod(key, before, after);
  }

  #takePod(key: string, before: ObservedNode | undefined, after: ObservedNode): void {
    this.#put(key, after);
    const isNew = this.#keepWatch(key, after);
    const { pod } = after;
    // A node that has just become ready needn't wait for its turn.
    if (isNew || (before && isPodReady(pod) && !isPodReady(before.pod))) this.#pollNow(key);
  }

  /**
   * The pod says that the process which answers is over. Its news may be older than the answer, as after an outage of the API
   * server while the process was started again: so the node is asked, and the pod's word counts where that brings no answer.
   */
  #confirmEnd(key: string, pod: Pod): void {
    const watch = this.#watches.get(key);
    if (!watch) return;
    const isAsked = watch.news !== undefined;
    watch.news = pod;
    if (isAsked) return;
    this.#track(
      this.#ask(watch.pod, watch.url).then(({ answer }) => {
        const before = this.#nodes.get(key);
        if (this.#closed || this.#watches.get(key) !== watch || !watch.news || !before) return;
        const news = watch.news;
        watch.news = undefined;
        const isSame = answer && answer.status.instanceId === before.instance?.id;
        const after = isSame
          ? observeSameRun(news, before)
          : observePod(news, podUrl(news), before);
        if (after) this.#takePod(key, before, after);
        // Who answers in its place is to be known too.
        if (!isSame) this.#pollNow(key);
      }),
    );
  }

  /** Lets {@link close} wait for work that is under way. */
  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#deps.logger.error({ err: error }, 'polling a node failed'))
      .finally(() => this.#polls.delete(tracked));
    this.#polls.add(tracked);
  }

  /** Polls a node for as long as its process may run. @returns whether it was not polled before */
  #keepWatch(key: string, { pod, url }: ObservedNode): boolean {
    const watch = this.#watches.get(key);
    const { uid } = pod.metadata;
    if (url !== undefined && mayRun(pod)) {
      if (watch?.pod.metadata.uid === uid && watch.url === url) return false;
      this.#endWatch(key);
      this.#watches.set(key, { pod, url, lineEndedAt: -Infinity });
      return true;
    }
    this.#endWatch(key);
    return false;
  }

  #endWatch(key: string): void {
    const watch = this.#watches.get(key);
    watch?.cancel?.();
    watch?.closeLine?.();
    this.#watches.delete(key);
  }

  /** The next poll of the node, in place of one that was to come. */
  #pollAfter(key: string, ms: number): void {
    const watch = this.#watches.get(key);
    if (!watch || this.#closed) return;
    watch.cancel?.();
    watch.cancel = this.#deps.clock.schedule(ms, () => {
      watch.cancel = undefined;
      this.#pollNow(key);
    });
  }

  #pollNow(key: string): void {
    const watch = this.#watches.get(key);
    const node = this.#nodes.get(key);
    if (!watch || !node || this.#closed) return;
    watch.cancel?.();
    watch.cancel = undefined;
    // One that has answered before is asked again while it lets a poll wait.
    if (node.instance) this.#pollAfter(key, this.#silentPause(node));
    this.#track(this.#pollOne(key).then((miss) => this.#planNext(key, miss)));
  }

  /** A closed connection is a reason to ask again soon; after silence the next poll may be on its way already. */
  #planNext(key: string, miss: Miss | undefined): void {
    const node = this.#nodes.get(key);
    if (!node) return;
    const { refusedIntervalMs } = this.#deps.config;
    const isClosed = miss === 'Refused' || miss === 'Broken';
    if (node.misses === 0) this.#pollAfter(key, this.#pauseOf(node));
    else if (isClosed && this.#isFresh(node)) this.#pollAfter(key, refusedIntervalMs);
    else if (!this.#watches.get(key)?.cancel) this.#pollAfter(key, this.#silentPause(node));
  }

  #pauseOf({ pod, state }: ObservedNode): number {
    const { drainingIntervalMs, intervalMs } = this.#deps.config;
    return state === 'Draining' || isLeaving(pod) ? drainingIntervalMs : intervalMs;
  }

  #silentPause(node: ObservedNode): number {
    const { silentIntervalMs, intervalMs } = this.#deps.config;
    return this.#isFresh(node) ? silentIntervalMs : intervalMs;
  }

  /** Whether the node's verdict is still open: it has answered lately, and was not given up. */
  #isFresh(node: ObservedNode): boolean {
    const { clock, config } = this.#deps;
    return node.state !== 'Dead' && silenceOf(node, clock.now()) < fastPart * config.deadAfterMs;
  }

  /** @returns why there was no answer, as far as that still counts */
  async #pollOne(key: string): Promise<Miss | undefined> {
    const { clock, config } = this.#deps;
    const release = await this.#slots.take();
    const cancelRelease = clock.schedule(config.silentIntervalMs, release);
    try {
      const node = this.#nodes.get(key);
      if (this.#closed || node?.url === undefined || !mayRun(node.pod)) return undefined;
      return await this.#askAndNote(key, node);
    } finally {
      cancelRelease();
      release();
    }
  }

  async #askAndNote(key: string, { pod, url = '' }: ObservedNode): Promise<Miss | undefined> {
    const { clock, config } = this.#deps;
    const askedAt = clock.now();
    const { answer, miss } = await this.#ask(pod, url);
    const now = clock.now();
    // The pod may have gone or its process ended while the poll was under way.
    const node = this.#nodes.get(key);
    if (!node || node.pod.metadata.uid !== pod.metadata.uid || !mayRun(node.pod)) return undefined;
    if (isOutdated(node, askedAt, miss)) return undefined;
    // Time-outs that come late tell that it was this process that stood still: answers may lie unread.
    const isLate = now - askedAt > config.timeoutMs + config.silentIntervalMs;
    if (miss === 'Silent' && isLate) return undefined;
    if (answer) {
      this.#put(key, observeAnswer(node, answer, { askedAt, now }));
      this.#holdLine(key);
      return undefined;
    }
    const after = observeMiss(node, { miss, policy: config, now });
    this.#put(key, this.#unlessCutOff(node, after));
    if (miss === 'Refused' && after.instance) this.#askWitnesses(after);
    return miss;
  }

  async #ask(
    pod: Pod,
    url: string,
  ): Promise<{ answer: Answer; miss?: never } | { answer?: never; miss: Miss }> {
    const { fetchStatus, config, logger } = this.#deps;
    const { name } = pod.metadata;
    try {
      const status = await fetchStatus(url, config.timeoutMs);
      // Another process may have taken the address.
      if (status.podName !== name) return { miss: 'Silent' };
      return { answer: await this.#ensureAnnounced(pod, url, status) };
    } catch (error) {
      const miss = missOf(error);
      logger.debug({ pod: name, miss, reason: messageOf(error) }, 'poll missed');
      return { miss };
    }
  }

  /** A node that answers is held by a connection, whose end tells of its end. */
  #holdLine(key: string): void {
    const { clock, config, openLine } = this.#deps;
    const watch = this.#watches.get(key);
    if (!watch || watch.closeLine || clock.now() - watch.lineEndedAt < config.intervalMs) return;
    watch.closeLine = openLine(watch.url, () => {
      watch.closeLine = undefined;
      watch.lineEndedAt = clock.now();
      this.#pollNow(key);
    });
  }

  /** Others tell by their answers whether it is the operator that is cut off; those who answered last are the likeliest to. */
  #askWitnesses(suspect: ObservedNode): void {
    const { clock, config: policy } = this.#deps;
    const others = this.#othersOf(suspect);
    if (!lacksWitness(suspect, others, { policy, now: clock.now() })) return;
    const answeredAt = ({ instance }: ObservedNode): number => instance?.answeredAt ?? -Infinity;
    others
      .filter(({ misses, instance }) => misses === 0 && instance)
      .sort((a, b) => answeredAt(b) - answeredAt(a))
      .slice(0, maxWitnesses)
      .forEach(({ pod }) => this.#pollNow(formatKey(pod.metadata)));
  }

  #othersOf({ pod }: ObservedNode): ObservedNode[] {
    return this.list().filter((node) => node.pod.metadata.uid !== pod.metadata.uid);
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
    const { clock, config: policy } = this.#deps;
    if (!lacksWitness(after, this.#othersOf(after), { policy, now: clock.now() })) return after;
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

import type { Logger } from '../../common/service/logger.ts';
import { ApiError, isApiError, messageOf } from '../../common/errors.ts';
import type { LeaderElectionConfig } from '../config.ts';
import type { Clock } from './clock.ts';
import {
  buildRecord,
  decideTurn,
  releaseRecord,
  type LeaseRecord,
  type Observation,
  type StoredLease,
} from './lease.ts';

/** The Lease at the API server. Each call throws an {@link ApiError}. */
export interface LeaseClient {
  /** @returns undefined where there is none */
  get(): Promise<StoredLease | undefined>;
  /** @throws {ApiError} `conflict` where another was faster */
  create(record: LeaseRecord): Promise<StoredLease>;
  /** Writes over exactly this version. @throws {ApiError} `conflict` where it has changed */
  update(lease: StoredLease, record: LeaseRecord): Promise<StoredLease>;
}

export interface LeaderElectorDeps {
  config: Omit<LeaderElectionConfig, 'enabled' | 'name' | 'namespace' | 'identity'>;
  identity: string;
  leases: LeaseClient;
  /** What the Lease's times are written by. Nothing is decided by it, since clocks differ. */
  clock: Clock;
  /** Milliseconds that pass whether this process runs or not, and that nobody can set back. */
  monotonic: () => number;
  random?: () => number;
  logger: Logger;
  /** Called once when the lease is lost. Whoever may not act any more had best not go on at all. */
  onLost: (why: string) => void;
}

/** Longest addition to a pause, as a share of it, so that standbys don't ask in step. */
const jitterFactor = 1.2;

type State = 'standby' | 'leading' | 'ended';

/**
 * Agrees with other processes on one that acts, through a Lease, by client-go's algorithm. How old another's renewal is counts
 * from when it was seen here. The leader acts until `renewDeadlineMs` after it last sent a renewal that succeeded, others
 * take over `leaseDurationMs` after they saw it: these never overlap, however long either process is stopped in between.
 */
export class LeaderElector {
  readonly #deps: LeaderElectorDeps;
  #state: State = 'standby';
  #observed: Observation = { lease: undefined, since: 0 };
  /** When the last renewal that succeeded was sent. */
  #renewedAt = -Infinity;
  #attempt: Promise<void> = Promise.resolve();
  #attemptAt = -Infinity;
  #cancelNext: () => void = () => undefined;
  #cancelDeadline: () => void = () => undefined;
  /** A release was seen while an attempt was under way. */
  #again = false;
  #markLeading: () => void = () => undefined;
  /** Resolves when this process may act. */
  readonly whenLeading: Promise<void>;

  constructor(deps: LeaderElectorDeps) {
    this.#deps = deps;
    this.whenLeading = new Promise((resolve) => (this.#markLeading = resolve));
  }

  get isLeading(): boolean {
    return this.#state === 'leading' && this.#withinDeadline();
  }

  start(): void {
    this.#try();
  }

  /**
   * Asked right before everything that changes the world.
   *
   * @throws {ApiError} `kubernetes_unavailable` unless the lease is held at this moment
   */
  fence(): void {
    if (!this.isLeading)
      throw new ApiError('kubernetes_unavailable', 'this operator does not hold the lease');
  }

  /**
   * Asked right before the Lease itself is written, by what was known when the attempt began.
   *
   * @throws {ApiError} `kubernetes_unavailable` when that is too long ago, as after the process was stopped
   */
  checkAttempt(): void {
    const isLate = this.#deps.monotonic() - this.#attemptAt >= this.#deps.config.renewDeadlineMs;
    if (isLate || (this.#state === 'leading' && !this.#withinDeadline()))
      throw new ApiError('kubernetes_unavailable', 'the attempt to write the lease took too long');
  }

  /** Looks at the Lease at once: somebody saw it released. */
  poke(): void {
    if (this.#state !== 'standby') return;
    this.#again = true;
    this.#cancelNext();
    void this.#attempt.then(() => {
      if (this.#again) this.#try();
    });
  }

  /** Ends: the leader lets the lease go, so that a standby need not wait for its end. Repeatable. */
  async release(): Promise<void> {
    const wasLeading = this.isLeading;
    this.#end();
    await this.#attempt;
    const { lease } = this.#observed;
    this.#attemptAt = this.#deps.monotonic();
    if (!wasLeading || lease?.record.holderIdentity !== this.#deps.identity) return;
    try {
      await this.#deps.leases.update(lease, releaseRecord(lease.record, this.#deps.clock.now()));
      this.#deps.logger.info('lease released');
    } catch (error) {
      this.#deps.logger.warn({ reason: messageOf(error) }, 'the lease could not be released');
    }
  }

  #end(): void {
    this.#state = 'ended';
    this.#cancelNext();
    this.#cancelDeadline();
  }

  #withinDeadline(): boolean {
    return this.#deps.monotonic() - this.#renewedAt < this.#deps.config.renewDeadlineMs;
  }

  #isOver(): boolean {
    return this.#state === 'ended';
  }

  #try(): void {
    this.#again = false;
    this.#attemptAt = this.#deps.monotonic();
    this.#attempt = this.#tryOnce().then(() => this.#scheduleNext());
  }

  /** From start to start, so that an attempt that hung leaves time for another before the deadline. */
  #scheduleNext(): void {
    if (this.#isOver()) return;
    const { config, clock, monotonic, random = Math.random } = this.#deps;
    const jitter = this.#state === 'standby' ? 1 + random() * jitterFactor : 1;
    const pauseMs = config.retryPeriodMs * jitter - (monotonic() - this.#attemptAt);
    this.#cancelNext();
    this.#cancelNext = clock.schedule(Math.max(0, pauseMs), () => this.#try());
  }

  /** One attempt to renew or to take over. */
  async #tryOnce(): Promise<void> {
    const { leases, logger } = this.#deps;
    if (this.#state === 'leading' && !this.#withinDeadline()) {
      this.#lose('it was not renewed in time');
      return;
    }
    try {
      // A leader writes over what it wrote; only when that fails it has to look.
      if (this.#state === 'standby') this.#observe(await leases.get());
      await this.#act().catch(async (error: unknown) => {
        // It is not as it was known: another was faster, or the answer to a renewal of ours was lost.
        if (!isApiError(error, 'conflict', 'not_found')) throw error;
        this.#observe(await leases.get());
        await this.#act();
      });
    } catch (error) {
      if (this.#isOver()) return;
      if (isApiError(error, 'conflict')) logger.debug('another process took the lease');
      else logger.warn({ reason: messageOf(error) }, 'the lease could not be renewed or taken');
    }
  }

  async #act(): Promise<void> {
    if (this.#isOver()) return;
    const { leases, identity, config, clock, monotonic } = this.#deps;
    const turn = decideTurn(this.#observed, { identity, now: monotonic() });
    if (turn === 'wait') {
      if (this.#state === 'leading') this.#lose('another process holds it');
      return;
    }
    const { lease } = this.#observed;
    const sentAt = monotonic();
    const record = buildRecord(lease?.record, { identity, config, now: clock.now() });
    const written = lease ? await leases.update(lease, record) : await leases.create(record);
    if (this.#isOver()) return;
    this.#observe(written);
    this.#hold(sentAt);
  }

  #observe(lease: StoredLease | undefined): void {
    if (lease && lease.resourceVersion === this.#observed.lease?.resourceVersion) return;
    this.#observed = { lease, since: this.#deps.monotonic() };
  }

  #hold(sentAt: number): void {
    const { config, clock, monotonic, identity, logger } = this.#deps;
    this.#renewedAt = sentAt;
    this.#cancelDeadline();
    const leftMs = sentAt + config.renewDeadlineMs - monotonic();
    this.#cancelDeadline = clock.schedule(Math.max(0, leftMs), () =>
      this.#lose('it was not renewed in time'),
    );
    if (this.#state === 'leading') return;
    this.#state = 'leading';
    logger.info({ identity }, 'lease taken: this operator acts');
    this.#markLeading();
  }

  #lose(why: string): void {
    if (this.#isOver()) return;
    this.#end();
    this.#deps.onLost(why);
  }
}

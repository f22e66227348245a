import { messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { OperatorConfig } from '../config.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Examined } from './examine.ts';
import type { AuditMetrics } from './metrics.ts';
import { DifferenceTracker, type Difference } from './tracker.ts';

export interface PeriodicAuditDeps {
  /** One look; given up when the signal says so. */
  examine: (signal: AbortSignal) => Promise<Examined>;
  /** Deletes rows of rooms that nothing is of any more. */
  deleteRoomRows: (roomIds: string[]) => Promise<number>;
  config: OperatorConfig;
  metrics: AuditMetrics;
  clock: Clock;
  logger: Logger;
}

/** Differences that are logged one by one at a look; of more there is the number alone. */
const mostLogged = 20;

/** Compares the places again and again while this operator acts, and removes what nobody else does. */
export class PeriodicAudit {
  readonly #deps: PeriodicAuditDeps;
  readonly #tracker: DifferenceTracker;
  #known = new Set<string>();
  readonly #stop = new AbortController();
  #cancel: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: PeriodicAuditDeps) {
    this.#deps = deps;
    this.#tracker = new DifferenceTracker(deps.config.audit.graceMs);
  }

  start(): void {
    const { clock, config, logger } = this.#deps;
    this.#running = this.run()
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted)
          logger.warn({ reason: messageOf(error) }, 'the audit could not compare');
      })
      .then(() => {
        if (!this.#stop.signal.aborted)
          this.#cancel = clock.schedule(config.audit.intervalMs, () => this.start());
      });
  }

  /** One look. */
  async run(): Promise<void> {
    const { examine, metrics, clock, logger } = this.#deps;
    const end = metrics.duration.startTimer();
    const { findings, limits, unreachable } = await examine(this.#stop.signal);
    for (const { place, reason } of unreachable)
      logger.warn({ place, reason }, 'the audit could not look');
    if (!findings) return;
    end();
    const differences = this.#tracker.note(findings, clock.now(), limits);
    const byKind = Map.groupBy(differences, ({ kind }) => kind);
    metrics.show(new Map([...byKind].map(([kind, { length }]) => [kind, length])));
    if (unreachable.length === 0) metrics.lastSuccess.set(clock.now() / 1000);
    this.#log(differences);
    await this.#collect(byKind.get('RoomRowWithoutRoom') ?? []);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#cancel?.();
    await this.#running;
  }

  /** Each once. */
  #log(differences: readonly Difference[]): void {
    const { logger } = this.#deps;
    const keyOf = ({ kind, ids }: Difference): string => JSON.stringify([kind, ids]);
    const fresh = differences.filter((difference) => !this.#known.has(keyOf(difference)));
    this.#known = new Set(differences.map(keyOf));
    for (const { kind, severity, ids, foundIn, missingFrom, collector } of fresh.slice(
      0,
      mostLogged,
    ))
      logger.warn({ kind, severity, ids, foundIn, missingFrom, collector }, 'the places differ');
    if (fresh.length > mostLogged)
      logger.warn({ differences: fresh.length }, 'the places differ; not all are logged');
  }

  async #collect(roomRows: readonly Difference[]): Promise<void> {
    const { deleteRoomRows, logger } = this.#deps;
    const roomIds = roomRows.flatMap(({ ids }) => ids['roomId'] ?? []);
    if (roomIds.length === 0) return;
    try {
      logger.info({ rooms: await deleteRoomRows(roomIds) }, 'removed rows of rooms that are gone');
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, 'could not remove rows of rooms that are gone');
    }
  }
}

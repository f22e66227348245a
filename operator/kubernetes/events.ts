import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

import { isApiError, messageOf } from '../../common/errors.ts';
import type { KubernetesClient } from '../../common/kubernetes/client.ts';
import { collectionPath, objectPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { microTime } from '../../common/kubernetes/times.ts';
import type { KubernetesObject } from '../../common/resources/types.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { EventNote, EventRecorder } from '../cluster.ts';
import type { EventsConfig } from '../config.ts';
import type { Clock } from '../runtime/clock.ts';
import { backoffDelay, type Backoff } from '../runtime/queue.ts';
import { EventMemory, type RememberedEvent } from './event-memory.ts';
import type { EventLoss, KubernetesMetrics } from './metrics.ts';

export interface EventDeps {
  client: Pick<KubernetesClient, 'call'>;
  config: EventsConfig;
  /** Pauses while the API server is away. */
  backoff: Backoff;
  metrics: Pick<KubernetesMetrics, 'eventsWritten' | 'eventsLost'>;
  clock: Clock;
  logger: Logger;
}

const type = resourceTypes.events;
const reportingController = 'kube-sfu.dev/operator';

/** What may work later; everything else is a refusal. */
const mayPass = (error: unknown): boolean =>
  isApiError(error, 'kubernetes_unavailable', 'timed_out', 'rate_limited');

const seriesOf = ({ count, lastAt }: RememberedEvent) => ({
  count,
  lastObservedTime: microTime(lastAt),
});

/**
 * Writes Events of `events.k8s.io/v1` in the background, one after the other. Equal ones become a series, as client-go's
 * recorder makes them. Nobody waits for them, and none is worth a failure: what can't be written is counted and lost.
 */
export class KubernetesEvents implements EventRecorder {
  readonly #deps: EventDeps;
  readonly #memory: EventMemory;
  readonly #queue: RememberedEvent[] = [];
  readonly #reportingInstance = `${hostname()}-${randomBytes(4).toString('hex')}`.slice(-128);
  #writing: Promise<void> | undefined;
  #endPause: () => void = () => undefined;
  #closed = false;
  #failures = 0;

  constructor(deps: EventDeps) {
    this.#deps = deps;
    this.#memory = new EventMemory(deps.config);
  }

  record(regarding: KubernetesObject, event: EventNote): void {
    const { clock } = this.#deps;
    const noted = this.#closed ? 'shutdown' : this.#memory.note(regarding, event, clock.now());
    if (noted === 'counted') return;
    if (typeof noted === 'string') this.#lose(noted);
    else this.#enqueue(noted);
  }

  /** Writes what waits, for at most this long; what is left then is lost. */
  async close(timeoutMs: number): Promise<void> {
    for (const series of this.#memory.unwritten()) this.#enqueue(series);
    this.#closed = true;
    this.#endPause();
    let cancel = (): void => undefined;
    const timeout = new Promise<void>((resolve) => {
      cancel = this.#deps.clock.schedule(timeoutMs, resolve);
    });
    await Promise.race([this.#writing, timeout]);
    cancel();
    this.#lose('shutdown', this.#queue.splice(0).length);
  }

  #lose(cause: EventLoss, count = 1): void {
    this.#deps.metrics.eventsLost.inc({ cause }, count);
  }

  #enqueue(event: RememberedEvent): void {
    if (this.#queue.length >= this.#deps.config.maxQueue) {
      event.written = event.count;
      this.#lose('queue_full');
      return;
    }
    event.queued = true;
    this.#queue.push(event);
    this.#writing ??= this.#drain().finally(() => (this.#writing = undefined));
  }

  async #drain(): Promise<void> {
    for (let event = this.#queue[0]; event; event = this.#queue[0]) {
      // What comes while it is being written is for the next write to tell.
      event.queued = false;
      const outcome = await this.#write(event);
      if (outcome === 'later' && !this.#closed) {
        event.queued = true;
        await this.#pause();
        continue;
      }
      if (outcome === 'later') this.#lose('shutdown');
      // At the end nothing may be left to shift.
      if (this.#queue[0] === event) this.#queue.shift();
    }
  }

  async #write(event: RememberedEvent): Promise<'done' | 'later'> {
    const { metrics, logger } = this.#deps;
    const { written } = event;
    event.written = event.count;
    try {
      const operation = written === 0 ? 'create' : 'patch';
      if (operation === 'create') await this.#create(event);
      else await this.#extend(event);
      this.#failures = 0;
      metrics.eventsWritten.inc({ operation });
    } catch (error) {
      if (mayPass(error)) {
        event.written = written;
        return 'later';
      }
      // The answer to the attempt before was lost.
      if (written === 0 && isApiError(error, 'conflict')) return 'done';
      // One that was never there is made when the next of its kind comes.
      logger.warn({ reason: messageOf(error), event: event.event.reason }, 'an Event was refused');
      this.#lose('refused');
    }
    return 'done';
  }

  async #create({ regarding, event, name, firstAt, ...rest }: RememberedEvent): Promise<void> {
    const { namespace } = regarding;
    await this.#deps.client.call({
      method: 'POST',
      path: collectionPath(type, namespace),
      body: {
        apiVersion: type.apiVersion,
        kind: 'Event',
        metadata: { name, namespace },
        eventTime: microTime(firstAt),
        reportingController,
        reportingInstance: this.#reportingInstance,
        regarding,
        ...event,
        ...(rest.count > 1
          ? { series: seriesOf({ regarding, event, name, firstAt, ...rest }) }
          : {}),
      },
    });
  }

  /** Events live for an hour or so: one that is gone is made again. */
  async #extend(event: RememberedEvent): Promise<void> {
    const { namespace } = event.regarding;
    try {
      await this.#deps.client.call({
        method: 'PATCH',
        path: objectPath(type, { namespace, name: event.name }),
        patch: 'merge',
        body: { series: seriesOf(event) },
      });
    } catch (error) {
      if (!isApiError(error, 'not_found')) throw error;
      await this.#create(event);
    }
  }

  async #pause(): Promise<void> {
    const ms = backoffDelay(this.#deps.backoff, this.#failures++);
    await new Promise<void>((resolve) => {
      const cancel = this.#deps.clock.schedule(ms, resolve);
      this.#endPause = () => {
        cancel();
        resolve();
      };
    });
  }
}

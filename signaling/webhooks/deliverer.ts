import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type {
  ClaimedRoom,
  OutboxEvent,
  WebhooksRepository,
} from '../../common/db/repositories/webhooks.ts';
import { messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { WebhookEndpoint, WebhooksConfig } from './config.ts';
import type { WebhookMetrics } from './metrics.ts';
import type { Sender } from './sender.ts';

export interface DelivererDeps {
  config: WebhooksConfig;
  logger: Logger;
  metrics: WebhookMetrics;
  webhooks: WebhooksRepository;
  endpoint: WebhookEndpoint;
  send: Sender;
  random?: () => number;
}

/**
 * The pause before the next attempt: it doubles with each failure up to the longest one, and is up to a half shorter by
 * chance, so that rooms that failed together don't come back together.
 */
export function backoffMs(
  attempts: number,
  { retryMinMs, retryMaxMs }: Pick<WebhooksConfig, 'retryMinMs' | 'retryMaxMs'>,
  random: () => number,
): number {
  const longest = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(attempts, 40));
  return Math.round(longest * (1 - random() / 2));
}

/**
 * Delivers to one endpoint, room by room: a room is claimed, its events are posted one after another, and each is recorded
 * before the next. Any number of replicas do so at once. A claim lapses by itself, so that a replica that dies loses
 * nothing; what it had posted and not recorded is posted again.
 */
export function createDeliverer(deps: DelivererDeps) {
  const { config, logger, metrics, webhooks, endpoint, send, random = Math.random } = deps;
  const log = logger.child({ endpoint: endpoint.name });
  const busy = new Set<Promise<void>>();
  const stop = new AbortController();
  const abort = new AbortController();
  let wake = new AbortController();
  /** An endpoint that fails gets one room at each look, until one succeeds: whoever comes back shall not be flooded. */
  let failing = false;
  let storeFails = false;
  let running: Promise<void> = Promise.resolve();

  const wants = ({ type }: OutboxEvent): boolean =>
    !endpoint.events || (endpoint.events as string[]).includes(type);

  /** One event of a claimed room. False when the room is not to go on. */
  async function deliver(room: ClaimedRoom, event: OutboxEvent, next: Date): Promise<boolean> {
    const error = await send(event, abort.signal);
    failing = error !== undefined;
    const to = { pendingSince: next, claimMs: config.claimMs };
    if (error === undefined) return webhooks.advance(room, { ...to, sequence: event.sequence });
    const attempts = room.attempts + 1;
    const about = { room: room.room, type: event.type, eventId: event.id, attempts, error };
    if (attempts < config.maxAttempts && event.ageMs < config.maxAgeMs) {
      log.warn(about, 'an event was not delivered');
      await webhooks.retryLater(room, backoffMs(room.attempts, config, random), error);
      return false;
    }
    log.error(about, 'an event became a dead letter');
    const kept = await webhooks.bury(room, event, { ...to, attempts, error });
    if (kept) metrics.buried.inc({ endpoint: endpoint.name });
    return kept;
  }

  /** @param claimedAt by this process's clock, before Postgres wrote the claim */
  async function deliverRoom(claimed: ClaimedRoom, claimedAt: number): Promise<void> {
    const room = { ...claimed };
    let heldUntil = claimedAt + config.claimMs;
    const events = await webhooks.eventsAfter(room.room, room.sequence, config.batchSize);
    for (const [index, event] of events.entries()) {
      if (stop.signal.aborted) break;
      if (wants(event)) {
        // What is posted now is answered while the room is still ours.
        if (performance.now() + config.timeoutMs > heldUntil) break;
        const recordedAt = performance.now();
        const next = events[index + 1]?.createdAt ?? event.createdAt;
        const goesOn = await deliver(room, event, next).catch((failure: unknown) => {
          if (!abort.signal.aborted) throw failure;
        });
        if (goesOn === undefined) break;
        if (!goesOn) return;
        heldUntil = recordedAt + config.claimMs;
        room.attempts = 0;
      }
      room.sequence = event.sequence;
    }
    await webhooks.release(room, room.sequence);
  }

  /** Claims what is due. True when there may be more. */
  async function poll(): Promise<boolean> {
    const limit = (failing ? 1 : config.concurrency) - busy.size;
    if (limit <= 0) return !failing;
    const of = { endpoint: endpoint.name, claim: randomUUID(), claimMs: config.claimMs, limit };
    const claimedAt = performance.now();
    const rooms = await webhooks.claim(of);
    for (const room of rooms) {
      const work = deliverRoom(room, claimedAt)
        .catch((error: unknown) =>
          log.warn({ room: room.room, reason: messageOf(error) }, 'a delivery was not recorded'),
        )
        .finally(() => {
          busy.delete(work);
          wake.abort();
        });
      busy.add(work);
    }
    return rooms.length === limit && !failing;
  }

  /** While Postgres is away nothing is said anew at each look. */
  const tryPoll = async (): Promise<boolean> => {
    try {
      const more = await poll();
      storeFails = false;
      return more;
    } catch (error) {
      if (!storeFails) log.warn({ reason: messageOf(error) }, 'webhooks wait for Postgres');
      storeFails = true;
      return false;
    }
  };

  /** Where there may be more it is looked again as soon as a room is done. */
  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      wake = new AbortController();
      const more = await tryPoll();
      const signal = more ? AbortSignal.any([stop.signal, wake.signal]) : stop.signal;
      await sleep(config.pollMs, undefined, { signal }).catch(() => undefined);
    }
  }

  return {
    start(): void {
      running = run();
    },
    /** Lets what is under way come to its end, if that is soon, and gives the rooms to the others. */
    async stop(): Promise<void> {
      stop.abort();
      const timer = setTimeout(() => abort.abort(), config.shutdownMs);
      await running;
      await Promise.all(busy);
      clearTimeout(timer);
    },
  };
}

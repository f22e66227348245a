import { findCondition } from '../../common/resources/conditions.ts';
import type { MediaRoom } from '../../common/resources/types.ts';

/** Why a room's time is over, as an Event's reason and note. */
interface End {
  reason: 'TTLExpired' | 'IdleTimeout';
  note: string;
}

/** When a room ends by itself, in milliseconds from now; Infinity when it doesn't. */
export interface Lifetime {
  ttlMs: number;
  idleMs: number;
}

/** What is left of a room's life. */
export function lifetimeOf({ spec, status, metadata }: MediaRoom, now: number): Lifetime {
  const { ttlSeconds, idlePolicy } = spec;
  const ttlMs =
    ttlSeconds === undefined
      ? Infinity
      : Date.parse(metadata.creationTimestamp) + ttlSeconds * 1000 - now;
  const idle = findCondition(status?.conditions, 'Idle');
  const idleMs =
    idlePolicy.action === 'Delete' && idle?.status === 'True'
      ? Date.parse(idle.lastTransitionTime) + idlePolicy.afterSeconds * 1000 - now
      : Infinity;
  return { ttlMs, idleMs };
}

/** Tells why the room is to be deleted now, if it is. */
export type EndOf = (room: MediaRoom, now: number) => End | undefined;

export const ttlEnd: EndOf = (room, now) =>
  lifetimeOf(room, now).ttlMs > 0
    ? undefined
    : {
        reason: 'TTLExpired',
        note: `deleted: it was created spec.ttlSeconds (${room.spec.ttlSeconds ?? 0} s) ago`,
      };

export const idleEnd: EndOf = (room, now) =>
  lifetimeOf(room, now).idleMs > 0
    ? undefined
    : {
        reason: 'IdleTimeout',
        note: `deleted: nobody was in it for spec.idlePolicy.afterSeconds (${room.spec.idlePolicy.afterSeconds} s)`,
      };

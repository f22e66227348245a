/** A room that wants to leave a node that drains. */
export interface TurnRequest {
  instanceId: string;
  /** Key of the room. */
  room: string;
  /** Rooms on the node. */
  total: number;
  /** How many of them move at a time. */
  maxConcurrentRooms: number;
  /** When the drain began, in milliseconds since the epoch, and how long it may take. */
  since: number;
  timeoutMs: number;
  now: number;
}

/** The drain of one node. */
interface Drain {
  /** Rooms that were on it when most were. */
  total: number;
  begun: number;
  moving: Set<string>;
  /** In the order in which they asked. */
  waiting: Set<string>;
}

/** By which part of a drain's time all of its rooms have begun to move, however long the first of them take. */
const startShare = 0.5;

/**
 * Lets the rooms of each draining node go some at a time, so that what makes their routers elsewhere and moves their peers is
 * not asked for all at once. A room that nobody leaves in time holds up no others for long: they begin evenly over the first
 * part of the drain's time at the latest. It is in memory alone: after a restart rooms that move already take their turns anew.
 */
export class DrainTurns {
  readonly #drains = new Map<string, Drain>();
  #onTurn: (room: string) => void = () => undefined;

  /** Calls back with the key of a room that need not wait any longer. */
  onTurn(listener: (room: string) => void): void {
    this.#onTurn = listener;
  }

  /** @returns 0 when the room moves now, else how long it is to wait at most, in milliseconds */
  ask(request: TurnRequest): number {
    const { room, maxConcurrentRooms } = request;
    const drain = this.#drainOf(request);
    if (drain.moving.has(room)) return 0;
    const isDue = drain.begun < mustHaveBegun(drain, request);
    if (isDue || drain.moving.size < maxConcurrentRooms) {
      drain.waiting.delete(room);
      drain.moving.add(room);
      drain.begun++;
      return 0;
    }
    drain.waiting.add(room);
    const place = drain.begun + [...drain.waiting].indexOf(room) + 1;
    const at = request.since + (place / drain.total) * startShare * request.timeoutMs;
    return Math.max(1, Math.ceil(at - request.now));
  }

  /** Ends the room's turns on all nodes but these. */
  keepOnly(room: string, instanceIds: ReadonlySet<string>): void {
    for (const [instanceId, drain] of this.#drains) {
      if (instanceIds.has(instanceId)) continue;
      drain.waiting.delete(room);
      if (drain.moving.delete(room)) this.#wakeNext(drain);
    }
  }

  /** Forgets a node that is gone. */
  forget(instanceId: string): void {
    this.#drains.delete(instanceId);
  }

  /** Nodes that something is remembered about. */
  get size(): number {
    return this.#drains.size;
  }

  #drainOf({ instanceId, total }: TurnRequest): Drain {
    let drain = this.#drains.get(instanceId);
    if (!drain) {
      drain = { total, begun: 0, moving: new Set(), waiting: new Set() };
      this.#drains.set(instanceId, drain);
    }
    drain.total = Math.max(drain.total, total);
    return drain;
  }

  #wakeNext({ waiting }: Drain): void {
    const [next] = waiting;
    if (next !== undefined) this.#onTurn(next);
  }
}

/** How many rooms must have begun to move by now. */
function mustHaveBegun({ total }: Drain, { since, timeoutMs, now }: TurnRequest): number {
  const startMs = startShare * timeoutMs;
  return now >= since + startMs ? Infinity : (total * (now - since)) / startMs;
}

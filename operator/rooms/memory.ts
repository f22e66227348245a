import type { MediaRoom, Placement } from '../../common/resources/types.ts';
import { DrainTurns } from './turns.ts';

/** A decision that is carried out and not written down yet. */
interface Plan {
  /** With those that go. */
  placements: Placement[];
  /** Ids of the routers that are to be there. */
  wanted: string[];
  generation: number;
}

/** What is remembered about one room of one uid. */
class RoomNotes {
  readonly uid: string;
  #plan: Plan | undefined;
  /** When each router was made or confirmed, since when it drains, and since when nobody is on it, by its id. */
  readonly #made = new Map<string, number>();
  readonly #draining = new Map<string, number>();
  readonly #empty = new Map<string, number>();
  /** Until when an instance is left out, by its id. */
  readonly #refusals = new Map<string, number>();

  constructor(uid: string) {
    this.uid = uid;
  }

  /** Notes what was decided; undefined once it is written down. */
  setPlan(plan: Plan | undefined): void {
    this.#plan = plan;
  }

  /** The room as it was decided last, should that not be written down yet: another try goes on from there. */
  withPlan(room: MediaRoom): MediaRoom {
    if (!this.#plan) return room;
    const { placements, wanted, generation } = this.#plan;
    const written = new Set(room.status?.placements?.map(({ routerId }) => routerId));
    // It is, and only the answer was lost: somebody may use the routers already.
    if (wanted.every((routerId) => written.has(routerId))) return room;
    return { ...room, status: { ...room.status, placements, placementGeneration: generation } };
  }

  madeAt(routerId: string): number | undefined {
    return this.#made.get(routerId);
  }

  noteMade(routerId: string, now: number): void {
    this.#made.set(routerId, now);
  }

  /** Since when the router drains; the first question counts as the beginning. */
  drainingSince(routerId: string, now: number): number {
    return sinceOf(this.#draining, routerId, now);
  }

  /** For how long nobody has been on the router, in milliseconds; the first time it is told so counts as the beginning. */
  emptyFor(routerId: string, isEmpty: boolean, now: number): number {
    if (isEmpty) return now - sinceOf(this.#empty, routerId, now);
    this.#empty.delete(routerId);
    return 0;
  }

  noteRefusal(instanceId: string, until: number): void {
    this.#refusals.set(instanceId, until);
  }

  /** Instances that refused a router of this room lately. */
  refusing(now: number): ReadonlySet<string> {
    for (const [instanceId, until] of this.#refusals)
      if (until <= now) this.#refusals.delete(instanceId);
    return new Set(this.#refusals.keys());
  }

  /** Forgets the routers that the room has no more. */
  keepOnly(routerIds: ReadonlySet<string>): void {
    for (const notes of [this.#made, this.#draining, this.#empty])
      for (const routerId of notes.keys()) if (!routerIds.has(routerId)) notes.delete(routerId);
  }
}

function sinceOf(times: Map<string, number>, key: string, now: number): number {
  const since = times.get(key) ?? now;
  times.set(key, since);
  return since;
}

export type { RoomNotes };

/**
 * What the operator remembers about rooms besides what it writes down. Losing it costs a repeated call or a longer
 * drain, never a wrong state.
 */
export class RoomMemory {
  readonly #rooms = new Map<string, RoomNotes>();
  /** Keys of rooms that want more routers than there is room for, who has waited longest first. */
  readonly #waiting = new Set<string>();
  readonly turns = new DrainTurns();

  /** The notes about the room; one that was made anew under the same key begins without any. */
  notesOf(key: string, uid: string): RoomNotes {
    const known = this.#rooms.get(key);
    if (known?.uid === uid) return known;
    const notes = new RoomNotes(uid);
    this.#rooms.set(key, notes);
    return notes;
  }

  /** Notes whether the room waits for a place. One that waits already keeps its turn. */
  setWaiting(key: string, waits: boolean): void {
    if (waits) this.#waiting.add(key);
    else this.#waiting.delete(key);
  }

  /**
   * Keys of rooms that may use places that have come free. Each is put last, so that one that can't use them doesn't keep
   * others from theirs.
   *
   * @param places how many there are: more rooms than that need not look
   */
  wake(places: number): string[] {
    const woken: string[] = [];
    for (const key of this.#waiting) {
      if (woken.length >= places) break;
      woken.push(key);
    }
    for (const key of woken) {
      this.#waiting.delete(key);
      this.#waiting.add(key);
    }
    return woken;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Forgets a room that is gone. */
  forget(key: string): void {
    this.#rooms.delete(key);
    this.#waiting.delete(key);
    this.turns.keepOnly(key, new Set());
  }

  /** How many rooms something is remembered about. */
  get size(): number {
    return this.#rooms.size;
  }
}

/**
 * What the operator remembers about rooms besides what it writes down. Losing it costs a repeated call or a longer
 * drain, never a wrong state.
 */
export class RoomMemory {
  /** When each router was made or confirmed, by its id. */
  readonly #made = new Map<string, number>();
  readonly #drainingSince = new Map<string, number>();
  /** Until when an instance is left out, by `room uid/instance id`. */
  readonly #refusals = new Map<string, number>();
  /** Keys of rooms that want more routers than there is room for. */
  readonly waiting = new Set<string>();

  madeAt(routerId: string): number | undefined {
    return this.#made.get(routerId);
  }

  noteMade(routerId: string, now: number): void {
    this.#made.set(routerId, now);
  }

  /** Since when the router drains; the first question counts as the beginning. */
  drainingSince(routerId: string, now: number): number {
    const since = this.#drainingSince.get(routerId) ?? now;
    this.#drainingSince.set(routerId, since);
    return since;
  }

  noteRefusal(roomUid: string, instanceId: string, until: number): void {
    this.#refusals.set(`${roomUid}/${instanceId}`, until);
  }

  /** Instances that refused a router of this room lately. */
  refusing(roomUid: string, now: number): Set<string> {
    const found = new Set<string>();
    for (const [key, until] of this.#refusals) {
      if (until <= now) this.#refusals.delete(key);
      else if (key.startsWith(`${roomUid}/`)) found.add(key.slice(roomUid.length + 1));
    }
    return found;
  }

  forgetRouter(routerId: string): void {
    this.#made.delete(routerId);
    this.#drainingSince.delete(routerId);
  }
}

/** A set that forgets its oldest members beyond `capacity`. */
export class RecentSet {
  readonly #members = new Set<string>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  has(member: string): boolean {
    return this.#members.has(member);
  }

  /** False when it was in already. */
  add(member: string): boolean {
    if (this.#members.has(member)) return false;
    this.#members.add(member);
    if (this.#members.size > this.#capacity) {
      const [oldest] = this.#members;
      if (oldest !== undefined) this.#members.delete(oldest);
    }
    return true;
  }
}

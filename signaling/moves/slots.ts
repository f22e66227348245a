/** Lets at most `limit` of what asks for a turn have one at once, in the order that they asked. */
export function createSlots<T>(limit: number, onTurn: (holder: T) => void) {
  const holders = new Set<T>();
  const waiting = new Set<T>();

  function fill(): void {
    for (const next of waiting) {
      if (holders.size >= limit) return;
      waiting.delete(next);
      holders.add(next);
      onTurn(next);
    }
  }

  return {
    request(holder: T): void {
      waiting.add(holder);
      fill();
    },
    /** Gives the turn back, or does not want one any more. Repeatable. */
    release(holder: T): void {
      waiting.delete(holder);
      if (holders.delete(holder)) fill();
    },
  };
}

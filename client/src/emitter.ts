type Listener<Args extends unknown[]> = (...args: Args) => void;
/** Of any event: each set has the listeners of its key alone. */
type AnyListener = (...args: never) => void;

/** Typed events. A listener that throws is reported and keeps nothing else from running. */
export class Emitter<Events extends { [K in keyof Events]: unknown[] }> {
  readonly #listeners = new Map<keyof Events, Set<AnyListener>>();

  /** Returns how to unsubscribe. */
  on<K extends keyof Events>(event: K, listener: Listener<Events[K]>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set<AnyListener>();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return () => this.off(event, listener);
  }

  once<K extends keyof Events>(event: K, listener: Listener<Events[K]>): () => void {
    const off = this.on(event, (...args) => {
      off();
      listener(...args);
    });
    return off;
  }

  off<K extends keyof Events>(event: K, listener: Listener<Events[K]>): void {
    this.#listeners.get(event)?.delete(listener);
  }

  /** @internal */
  emit<K extends keyof Events>(event: K, ...args: Events[K]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        (listener as unknown as Listener<Events[K]>)(...args);
      } catch (error) {
        report(error);
      }
    }
  }
}

/** Shows an error of the application's code as any uncaught one. */
function report(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

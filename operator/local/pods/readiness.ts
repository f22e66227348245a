import type { Clock } from '../../runtime/clock.ts';

export interface ReadinessOptions {
  url: string;
  /** Pause between two looks, and the longest time that one may take. */
  intervalMs: number;
  clock: Clock;
  /** Called when readiness flips; it begins as not ready. */
  onChange: (ready: boolean) => void;
}

/** Asks a process again and again whether it takes work, as the kubelet does. */
export class Readiness {
  readonly #options: ReadinessOptions;
  #ready = false;
  #closed = false;
  #cancel: (() => void) | undefined;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#look().then((ready) => {
      if (this.#closed) return;
      if (ready !== this.#ready) this.#options.onChange(ready);
      this.#ready = ready;
      this.#cancel = this.#options.clock.schedule(this.#options.intervalMs, () => this.start());
    });
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  async #look(): Promise<boolean> {
    const { url, intervalMs } = this.#options;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(intervalMs) });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }
}

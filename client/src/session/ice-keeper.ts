import type { types } from 'mediasoup-client';

import type { Signaling } from '../signaling/messages.ts';
import { isRetryable } from '../signaling/request-error.ts';
import type { Timing } from '../timing.ts';

export interface IceKeeperOptions {
  transport: types.Transport;
  signaling: Signaling;
  timing: Timing['ice'];
  /** Restarting ICE did not help. Called once. */
  onLost: () => void;
}

/**
 * Keeps a transport connected: an interruption that does not pass by itself restarts ICE, so many times; then the
 * transport is lost.
 */
export class IceKeeper {
  readonly #options: IceKeeperOptions;
  #restarts = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(options: IceKeeperOptions) {
    this.#options = options;
    const { transport, timing } = options;
    transport.observer.on('close', () => this.stop());
    transport.on('connectionstatechange', (state) => {
      if (state === 'connected') this.#connected();
      else if (state === 'failed') void this.restart();
      else if (state === 'disconnected') this.#restartIn(timing.disconnectedMs);
    });
  }

  /** Leaves the transport to its fate, such as one that is being replaced. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Restarts ICE now. Where it does not connect in time it is restarted again, until the limit. */
  async restart(): Promise<void> {
    const { transport, signaling, timing } = this.#options;
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    if (this.#restarts >= timing.restarts) {
      this.#lost();
      return;
    }
    this.#restarts += 1;
    try {
      const { iceParameters } = await signaling.request('restartIce', {
        transportId: transport.id,
      });
      await transport.restartIce({ iceParameters });
    } catch (error) {
      if (!isRetryable(error)) {
        this.#lost();
        return;
      }
    }
    if (transport.connectionState !== 'connected') this.#restartIn(timing.restartMs);
    else this.#connected();
  }

  #connected(): void {
    clearTimeout(this.#timer);
    this.#restarts = 0;
  }

  #restartIn(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.restart(), ms);
  }

  #lost(): void {
    if (this.#stopped) return;
    this.stop();
    this.#options.onLost();
  }
}

import { setTimeout as sleep } from 'node:timers/promises';

import { LoadPeer } from '../testing/load-peer/load-peer.ts';
import { until } from '../testing/until.ts';
import type { Platform } from './platform.ts';

export interface CrowdOptions {
  platform: Platform;
  /** How many rooms, with two peers in each. */
  rooms: number;
  clients: 'sdk' | 'rejoin';
}

/** Pauses of a peer before it looks at its connection and before it joins again, in milliseconds. */
const pause = { lookMs: 250, rejoinMs: 1000 };
/** How long the peers may take until all hear each other, in milliseconds. */
const settle = { timeoutMs: 120_000, intervalMs: 250 };

/** A peer that publishes sound for as long as it is not closed, and joins again when its connection has ended. */
class Member {
  readonly room: string;
  readonly #options: CrowdOptions;
  readonly #peerId: string;
  #peer: LoadPeer | undefined;
  #stopped = false;
  #living: Promise<void> = Promise.resolve();
  joins = 0;

  constructor(options: CrowdOptions, room: string, peerId: string) {
    this.#options = options;
    this.room = room;
    this.#peerId = peerId;
  }

  get name(): string {
    return `${this.#peerId} of ${this.room}`;
  }

  start(): void {
    this.#living = this.#live();
  }

  /** Packets that it has received so far from whoever is there now. */
  get packets(): number {
    return this.#peer && !this.#peer.closed ? this.#peer.stats().packetsReceived : 0;
  }

  async close(): Promise<void> {
    this.#stopped = true;
    await this.#living;
    await this.#peer?.close();
  }

  async #live(): Promise<void> {
    while (!this.#stopped) {
      if (!this.#peer || this.#peer.closed) await this.#join().catch(() => sleep(pause.rejoinMs));
      await sleep(pause.lookMs);
    }
  }

  async #join(): Promise<void> {
    const { platform, clients } = this.#options;
    await this.#peer?.close();
    const token = await platform.tokenOf(this.room, this.#peerId);
    this.#peer = await LoadPeer.connect({
      ...{ url: platform.signalingUrl, roomId: this.room, peerId: this.#peerId },
      ...{ packetsPerSecond: 10, moves: clients === 'sdk' },
      ...(token === undefined ? {} : { token }),
    });
    await this.#peer.join();
    await this.#peer.publish({ audio: true });
    this.joins++;
  }
}

/** Live rooms without pages, two peers in each of them. */
export class Crowd {
  readonly #members: Member[];

  constructor(options: CrowdOptions) {
    this.#members = Array.from({ length: options.rooms }, (_, i) => `crowd-${i}`).flatMap((room) =>
      ['left', 'right'].map((peerId) => new Member(options, room, peerId)),
    );
  }

  /** Lets all join, one after the other, and waits until all hear each other. */
  async open(): Promise<void> {
    for (const member of this.#members) {
      member.start();
      await until(`${member.name} to join`, () => member.joins > 0, settle);
    }
    await this.hearsEachOther();
  }

  /** How often peers had to join again. */
  get rejoins(): number {
    return this.#members.reduce((sum, { joins }) => sum + Math.max(0, joins - 1), 0);
  }

  /** @throws Error naming who hears nobody */
  async hearsEachOther(): Promise<void> {
    const before = new Map(this.#members.map((member) => [member, member.packets]));
    await until(
      'every room to be alive',
      () => {
        // Who has joined anew begins to count anew.
        const deaf = this.#members.filter(
          (member) => member.packets === 0 || member.packets === before.get(member),
        );
        if (deaf.length > 0)
          throw new Error(`${deaf.map(({ name }) => name).join(', ')} hears nobody`);
        return true;
      },
      settle,
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()));
  }
}

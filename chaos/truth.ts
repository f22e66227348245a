import { setTimeout as sleep } from 'node:timers/promises';

import type { Knex } from 'knex';

import { messageOf } from '../common/errors.ts';
import { LoadPeer } from '../testing/load-peer/load-peer.ts';
import { until } from '../testing/until.ts';
import type { Platform } from './platform.ts';
import { peersOfRoom, producersOf } from './tables.ts';

export interface TruthOptions {
  platform: Platform;
  room: string;
  /** Peers that come and go all the time. */
  peers: number;
  random: () => number;
}

/** One request of a peer and how it was answered. */
export interface Told {
  at: number;
  peerId: string;
  what: 'join' | 'produce' | 'close producer' | 'leave';
  /** Undefined: it succeeded. */
  failure?: string;
}

/** What a peer was told, in one session. */
interface Actor {
  peerId: string;
  peer: LoadPeer | undefined;
  joined: boolean;
  producers: Set<string>;
  /** A request was not answered, or refused after it may have been done: the session says nothing about it. */
  unsure: boolean;
}

/** Pauses of a peer between two requests, in milliseconds. */
const pause = { minMs: 150, maxMs: 1200 };
/** How often a peer ends its session rather than publish more. */
const leaveShare = 0.3;
const closeShare = 0.2;
/** How long it may take until tables and nodes are as the peers were told, in milliseconds. */
const settle = { timeoutMs: 90_000, intervalMs: 500 };

/**
 * Peers without a browser that join, publish, close and leave in a random order while faults occur, and remember each answer.
 * After a fault {@link check} compares what they were told with what is true.
 */
export class TruthRoom {
  readonly told: Told[] = [];
  readonly #options: TruthOptions;
  readonly #actors: Actor[];
  #running = true;
  #working: Promise<unknown> = Promise.resolve();

  constructor(options: TruthOptions) {
    this.#options = options;
    this.#actors = Array.from({ length: options.peers }, (_, i) => ({
      ...{ peerId: `actor-${i}`, peer: undefined, joined: false, unsure: false },
      producers: new Set<string>(),
    }));
  }

  /** Lets the peers go on until {@link pauseAll}. */
  resume(): void {
    this.#running = true;
    this.#working = Promise.all(this.#actors.map((actor) => this.#live(actor)));
  }

  /** Resolves when no request is under way. */
  async pauseAll(): Promise<void> {
    this.#running = false;
    await this.#working;
  }

  /**
   * Waits until tables and nodes are as the peers were told.
   *
   * @throws Error naming what is not true
   */
  async check(): Promise<void> {
    await this.pauseAll();
    await until('what peers were told to be true', () => this.#compare(), settle);
  }

  async close(): Promise<void> {
    await this.pauseAll();
    for (const { peer } of this.#actors) await peer?.close();
  }

  async #live(actor: Actor): Promise<void> {
    while (this.#running) {
      await sleep(pause.minMs + this.#options.random() * (pause.maxMs - pause.minMs));
      await this.#step(actor);
    }
  }

  async #step(actor: Actor): Promise<void> {
    if (actor.peer?.closed || actor.unsure) await this.#forget(actor);
    const dice = this.#options.random();
    if (!actor.joined) await this.#join(actor);
    else if (dice < leaveShare) await this.#leave(actor);
    else if (dice < leaveShare + closeShare) this.#closeProducer(actor);
    else if (actor.producers.size < 2) await this.#produce(actor);
  }

  async #join(actor: Actor): Promise<void> {
    const { platform, room } = this.#options;
    const { peerId } = actor;
    await this.#ask(actor, 'join', async () => {
      const token = await platform.tokenOf(room, peerId);
      actor.peer = await LoadPeer.connect({
        ...{ url: platform.signalingUrl, roomId: room, peerId, packetsPerSecond: 10 },
        ...(token === undefined ? {} : { token }),
      });
      await actor.peer.join();
      actor.joined = true;
    });
  }

  async #produce(actor: Actor): Promise<void> {
    await this.#ask(actor, 'produce', async () => {
      const kind = actor.producers.size === 0 ? { audio: true } : { video: true };
      for (const id of (await actor.peer?.publish(kind)) ?? []) actor.producers.add(id);
    });
  }

  #closeProducer(actor: Actor): void {
    const [id] = actor.producers;
    if (id === undefined) return;
    actor.peer?.notify('closeProducer', { producerId: id });
    actor.producers.delete(id);
    this.#note(actor, 'close producer');
  }

  async #leave(actor: Actor): Promise<void> {
    this.#note(actor, 'leave');
    await this.#forget(actor);
  }

  async #forget(actor: Actor): Promise<void> {
    await actor.peer?.close();
    Object.assign(actor, { peer: undefined, joined: false, unsure: false });
    actor.producers.clear();
  }

  async #ask(actor: Actor, what: Told['what'], work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#note(actor, what);
    } catch (error) {
      // As a client would, it starts over: what failed must leave nothing.
      actor.unsure = true;
      this.#note(actor, what, messageOf(error));
    }
  }

  #note({ peerId }: Actor, what: Told['what'], failure?: string): void {
    this.told.push({ at: Date.now(), peerId, what, ...(failure === undefined ? {} : { failure }) });
  }

  /** @throws Error naming all that is not true */
  async #compare(): Promise<true> {
    const { platform, room } = this.#options;
    const lies: string[] = [];
    for (const actor of this.#actors)
      if (actor.unsure || actor.peer?.closed) await this.#forget(actor);
    const rows = await peersOfRoom(platform.knex, room);
    const there = this.#actors.filter(({ joined }) => joined);
    for (const { peerId } of rows)
      if (!there.some((actor) => actor.peerId === peerId)) lies.push(`${peerId} is still there`);
    for (const actor of there) {
      const row = rows.find(({ peerId }) => peerId === actor.peerId);
      if (!row?.joined) lies.push(`${actor.peerId} has not joined`);
      else lies.push(...(await this.#compareProducers(actor, row.mediaPeerId, platform.knex)));
    }
    lies.push(...this.#compareConsumers(there));
    if (lies.length > 0) throw new Error(lies.join('; '));
    return true;
  }

  async #compareProducers(actor: Actor, mediaPeerId: string, knex: Knex): Promise<string[]> {
    const rows = await producersOf(knex, mediaPeerId);
    const lost = [...actor.producers].filter((id) => !rows.includes(id));
    const extra = rows.filter((id) => !actor.producers.has(id));
    return [
      ...lost.map((id) => `producer ${id} of ${actor.peerId} is not there`),
      ...extra.map((id) => `producer ${id} of ${actor.peerId} is there though it was not told so`),
    ];
  }

  /** Everybody who is there has a consumer of each producer of the others, and packets of it. */
  #compareConsumers(there: readonly Actor[]): string[] {
    return there.flatMap((watcher) => {
      const consumers = [...(watcher.peer?.consumers.values() ?? [])];
      const wanted = there
        .filter((other) => other !== watcher)
        .flatMap(({ producers }) => [...producers]);
      const missing = wanted.filter(
        (id) => !consumers.some(({ producerId, packets }) => producerId === id && packets > 0),
      );
      const stale = consumers.filter(({ producerId }) => !wanted.includes(producerId));
      return [
        ...missing.map((id) => `${watcher.peerId} gets nothing of producer ${id}`),
        ...stale.map(
          ({ producerId }) => `${watcher.peerId} still has a consumer of producer ${producerId}`,
        ),
      ];
    });
  }
}

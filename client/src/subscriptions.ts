import { LoudestSpeakers } from './audio-top-n.ts';
import type { Feed } from './session/feed.ts';
import { Subscription, type SubscriptionContext } from './subscription.ts';

export interface SubscriptionsHandlers {
  added: (subscription: Subscription) => void;
  removed: (subscription: Subscription) => void;
}

type Context = Omit<SubscriptionContext, 'ended'>;

/** All that is received, with which consumer belongs to what. */
export class Subscriptions {
  readonly #context: Context;
  readonly #handlers: SubscriptionsHandlers;
  readonly #all = new Set<Subscription>();
  readonly #speakers: LoudestSpeakers;
  #audioTopN: number | undefined;
  #lastId = 0;

  constructor(context: Context, handlers: SubscriptionsHandlers) {
    this.#context = context;
    this.#handlers = handlers;
    this.#speakers = new LoudestSpeakers(context.timing.speakerHoldMs);
  }

  get all(): readonly Subscription[] {
    return [...this.#all];
  }

  /** A consumer that is complete: it takes the place of another, or is something new. */
  offer(feed: Feed): void {
    if (feed.closed || this.withFeed(feed)) return;
    const replaced = this.all.find((one) => one.isReplacedBy(feed));
    if (replaced) {
      void replaced.replace(feed);
      return;
    }
    const id = String((this.#lastId += 1));
    const subscription = new Subscription(id, feed, {
      ...this.#context,
      ended: (one) => {
        this.#all.delete(one);
        this.#handlers.removed(one);
      },
    });
    this.#all.add(subscription);
    if (subscription.kind === 'audio') this.#chooseSpeakers();
    this.#handlers.added(subscription);
  }

  withFeed(feed: Feed): Subscription | undefined {
    return this.all.find((one) => one.has(feed));
  }

  /** Ends all of a peer that left. */
  closePeer(peerId: string): void {
    this.#speakers.forget(peerId);
    for (const one of this.all) if (one.peerId === peerId) one.close();
  }

  closeAll(): void {
    for (const one of this.all) one.close();
  }

  setAudioTopN(count: number | undefined): void {
    this.#audioTopN = count;
    this.#chooseSpeakers();
  }

  heard(volumes: readonly { peerId: string; volume: number }[]): void {
    this.#speakers.heard(volumes, Date.now());
    this.#chooseSpeakers();
  }

  #chooseSpeakers(): void {
    const voices = this.all.filter(({ kind }) => kind === 'audio');
    const peerIds = [...new Set(voices.map(({ peerId }) => peerId))];
    const count = this.#audioTopN ?? peerIds.length;
    const chosen = this.#speakers.choose(peerIds, count, Date.now());
    for (const voice of voices) voice.setQuiet(!chosen.has(voice.peerId));
  }
}

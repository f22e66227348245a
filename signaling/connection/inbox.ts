import type { PeerMessage } from '../../common/wire/peer.ts';

/** Holds a client's messages back until it has the answer that they build on, and then passes them on in order. */
export class Inbox {
  readonly #send: (message: PeerMessage) => void;
  #held: PeerMessage[] = [];
  #isOpen = false;

  constructor(send: (message: PeerMessage) => void) {
    this.#send = send;
  }

  /** How many messages wait. */
  get held(): number {
    return this.#held.length;
  }

  push(message: PeerMessage): void {
    if (this.#isOpen) this.#send(message);
    else this.#held.push(message);
  }

  /**
   * Sends what waits, and from now on all at once.
   *
   * @param present peers that the answer named: they are not announced again
   */
  open(present: Iterable<string>): void {
    const known = new Set(present);
    this.#isOpen = true;
    const held = this.#held;
    this.clear();
    for (const message of held) {
      if (message.method === 'newPeer' && known.has(message.data.peer.peerId)) continue;
      if (message.method === 'peerClosed') known.delete(message.data.peerId);
      this.#send(message);
    }
  }

  clear(): void {
    this.#held = [];
  }
}

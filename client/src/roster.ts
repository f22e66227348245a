import type { PeerInfo } from './signaling/messages.ts';

export interface RosterHandlers {
  joined: (peer: PeerInfo) => void;
  left: (peer: PeerInfo) => void;
  updated: (peer: PeerInfo) => void;
}

/** Who else is in the room. */
export class Roster {
  readonly #handlers: RosterHandlers;
  #peers: readonly PeerInfo[] = [];
  /** Who came and went since a list was asked for: the list may be older. */
  readonly #since = new Map<string, 'joined' | 'left'>();

  constructor(handlers: RosterHandlers) {
    this.#handlers = handlers;
  }

  get peers(): readonly PeerInfo[] {
    return this.#peers;
  }

  /** A list is being asked for. */
  asking(): void {
    this.#since.clear();
  }

  /**
   * The list that was asked for.
   *
   * @param quietly - of the first join: everybody was there before
   */
  replace(list: readonly PeerInfo[], quietly: boolean): void {
    const there = list.filter(({ peerId }) => this.#since.get(peerId) !== 'left');
    for (const { peerId } of this.#peers)
      if (this.#since.get(peerId) !== 'joined' && !there.some((peer) => peer.peerId === peerId))
        this.left(peerId);
    for (const peer of there) if (!this.#find(peer.peerId)) this.#add(peer, quietly);
  }

  joined(peer: PeerInfo): void {
    this.#since.set(peer.peerId, 'joined');
    if (this.#find(peer.peerId)) this.#update(peer);
    else this.#add(peer, false);
  }

  left(peerId: string): void {
    this.#since.set(peerId, 'left');
    const peer = this.#find(peerId);
    if (!peer) return;
    this.#peers = this.#peers.filter((one) => one !== peer);
    this.#handlers.left(peer);
  }

  renamed(peerId: string, displayName: string): void {
    const peer = this.#find(peerId);
    if (peer) this.#update({ ...peer, displayName });
  }

  #find(id: string): PeerInfo | undefined {
    return this.#peers.find(({ peerId }) => peerId === id);
  }

  #add(peer: PeerInfo, quietly: boolean): void {
    this.#peers = [...this.#peers, peer];
    if (!quietly) this.#handlers.joined(peer);
  }

  #update(peer: PeerInfo): void {
    this.#peers = this.#peers.map((one) => (one.peerId === peer.peerId ? peer : one));
    this.#handlers.updated(peer);
  }
}

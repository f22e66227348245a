import type { PeerMessage } from '../../common/wire/peer.ts';
import type { ChosenRouters } from './choose.ts';

/** A peer whose WebSocket this replica holds. */
export interface LocalPeer {
  readonly mediaPeerId: string;
  /** Name of the MediaRoom. */
  readonly roomName: string;
  readonly peerId: string;
  /** Whether messages for the whole room are for this peer: it asked to join, answered or not. */
  readonly inRoom: boolean;
  /** Undefined until it is bound. */
  readonly routers: ChosenRouters | undefined;
  deliver: (message: PeerMessage) => void;
  close: (code: number, reason: string) => void;
  /** Resolves when it is closed and left. */
  readonly ended: Promise<void>;
}

/** The peers of this replica, by connection and by room. */
export function createRegistry() {
  const byId = new Map<string, LocalPeer>();
  const byRoom = new Map<string, Set<LocalPeer>>();
  return {
    add(peer: LocalPeer): void {
      byId.set(peer.mediaPeerId, peer);
      const room = byRoom.get(peer.roomName) ?? new Set();
      byRoom.set(peer.roomName, room.add(peer));
    },
    remove(peer: LocalPeer): void {
      byId.delete(peer.mediaPeerId);
      const room = byRoom.get(peer.roomName);
      if (room?.delete(peer) && room.size === 0) byRoom.delete(peer.roomName);
    },
    get: (mediaPeerId: string): LocalPeer | undefined => byId.get(mediaPeerId),
    inRoom: (roomName: string): LocalPeer[] => [...(byRoom.get(roomName) ?? [])],
    all: (): LocalPeer[] => [...byId.values()],
  };
}

export type Registry = ReturnType<typeof createRegistry>;

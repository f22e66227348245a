import type { PeerMessage } from '../../common/wire/peer.ts';
import type { PeerSides } from '../moves/sides.ts';

/**
 * How far a connection is. *connected*: no join asked yet; *joining*: asked and not answered; *resuming*: it continues a
 * session and has not been told the truth yet; *joined*: all is said.
 */
export type Stage = 'connected' | 'joining' | 'resuming' | 'joined';

/** A peer whose WebSocket this replica holds. */
export interface LocalPeer {
  readonly mediaPeerId: string;
  /** Name of the MediaRoom. */
  readonly roomName: string;
  readonly peerId: string;
  readonly stage: Stage;
  /** Whether messages for the whole room are for this peer: it asked to join, answered or not. */
  readonly inRoom: boolean;
  /** Whether its client replaces a transport when it is asked to; others are moved by closing them. */
  readonly movable: boolean;
  /** Undefined until it is bound. */
  readonly sides: PeerSides | undefined;
  /** Which of its session's owners this connection is; undefined until it is bound. */
  readonly ownerEpoch: number | undefined;
  deliver: (message: PeerMessage) => void;
  close: (code: number, reason: string) => void;
  /** Another connection has its session: it is closed, and nothing becomes of that. */
  supersede: () => void;
  /** Resolves when it is closed, and left or detached. */
  readonly ended: Promise<void>;
}

/** Whether the room has it as a member, told of all or not. */
export const hasJoined = ({ stage }: LocalPeer): boolean =>
  stage === 'joined' || stage === 'resuming';

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
    /** A later connection of the same session stays. */
    remove(peer: LocalPeer): void {
      if (byId.get(peer.mediaPeerId) === peer) byId.delete(peer.mediaPeerId);
      const room = byRoom.get(peer.roomName);
      if (room?.delete(peer) && room.size === 0) byRoom.delete(peer.roomName);
    },
    get: (mediaPeerId: string): LocalPeer | undefined => byId.get(mediaPeerId),
    inRoom: (roomName: string): LocalPeer[] => [...(byRoom.get(roomName) ?? [])],
    all: (): LocalPeer[] => [...byRoom.values()].flatMap((room) => [...room]),
  };
}

export type Registry = ReturnType<typeof createRegistry>;

import { z } from 'zod';

import { peerMessage } from './peer.ts';

/**
 * The signaling service's internal API, called by media nodes and by the other replicas.
 *
 * `POST /internal/messages` with {@link messageBatch}: everything a node has for the clients of one replica, in order.
 * Safe to repeat: a replica remembers the batch ids it has seen.
 */
const messageTarget = z.union([
  z.object({ mediaPeerIds: z.array(z.uuid()).min(1) }),
  /** Every joined peer of the room on this replica, without the one named. */
  z.object({ roomId: z.string(), exceptMediaPeerId: z.uuid().optional() }),
]);

const routedMessage = z.object({
  to: messageTarget,
  message: peerMessage,
  /**
   * With `newPeer`: which connection the new peer is, so that a replica where that one has ended already drops the late
   * word. Not for clients.
   */
  aboutMediaPeerId: z.uuid().optional(),
});

/** Volumes come for each producer router, and a room may have several: the replica merges them by `routerId`. */
const routerVolumes = z.object({
  roomId: z.string(),
  routerId: z.string(),
  peerVolumes: z.array(z.object({ peerId: z.string(), volume: z.number() })),
  activePeerId: z.string().optional(),
});

export const messageBatch = z.object({
  batchId: z.uuid(),
  messages: z.array(routedMessage).default([]),
  volumes: z.array(routerVolumes).default([]),
  /**
   * Connections that a node lost something of for good (ICE or DTLS failed, router gone): the replica closes their
   * sockets. Where one transport is named, a client that can replace it is asked to.
   */
  lostPeers: z
    .array(
      z.object({
        mediaPeerId: z.uuid(),
        reason: z.string(),
        transportId: z.uuid().optional(),
        direction: z.enum(['producer', 'consumer']).optional(),
      }),
    )
    .default([]),
});

export type MessageTarget = z.infer<typeof messageTarget>;
export type RoutedMessage = z.infer<typeof routedMessage>;
export type RouterVolumes = z.infer<typeof routerVolumes>;
export type MessageBatch = z.infer<typeof messageBatch>;
/** A batch as its sender writes it: what has nothing in it may be left out. */
export type MessageBatchInput = z.input<typeof messageBatch>;

/** `POST /internal/peers/:mediaPeerId/close`: a newer connection or an administrator takes the peer away. */
export const closePeerRequest = z.object({
  code: z.int().min(1000).max(4999),
  reason: z.string().max(120),
  /** Only a connection that took the session over earlier than the one with this epoch. */
  beforeEpoch: z.int().optional(),
});

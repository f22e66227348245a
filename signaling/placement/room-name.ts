import { createHash } from 'node:crypto';

/** The MediaRoom's annotation that keeps the id that clients use. */
export const roomIdAnnotation = 'kube-sfu.dev/room-id';

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** Names that the hash makes; an id that looks like one is hashed too, so that no id stands for another's room. */
const hashed = /^r-[0-9a-f]{32}$/;

/**
 * The MediaRoom's name for a client's room id: the id itself where Kubernetes allows it as a name (an RFC 1123 label),
 * else a hash of it.
 */
export function roomNameOf(roomId: string): string {
  if (label.test(roomId) && !hashed.test(roomId)) return roomId;
  return `r-${createHash('sha256').update(roomId).digest('hex').slice(0, 32)}`;
}

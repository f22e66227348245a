import { createHash } from 'node:crypto';

import type { NodeRole } from '../../common/wire/media-node.ts';

const letters: Record<NodeRole, string> = { Producer: 'p', Consumer: 'c', Both: 'b' };

/**
 * Eight hex digits that tell apart two rooms of one name, in other namespaces or one after the other, and the routers of two
 * instances: an operator that ends before it has written its decision down leaves routers behind whose ids nobody else gets.
 */
const shortHash = (uid: string, instanceId: string): string =>
  createHash('sha256').update(`${uid}/${instanceId}`).digest('hex').slice(0, 8);

export interface RouterName {
  room: { name: string; uid: string };
  instanceId: string;
  role: NodeRole;
  ordinal: number;
  generation: number;
}

/**
 * A router's id: readable, the same for the same decision, valid as one segment of a URL path, and at most 253
 * characters, e.g. `standup-c1-g3-9f86d081`.
 */
export const routerId = ({ room, instanceId, role, ordinal, generation }: RouterName): string =>
  `${room.name.slice(0, 200)}-${letters[role]}${ordinal}-g${generation}-${shortHash(room.uid, instanceId)}`;

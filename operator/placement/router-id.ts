import { createHash } from 'node:crypto';

import type { NodeRole } from '../../common/wire/media-node.ts';

const letters: Record<NodeRole, string> = { Producer: 'p', Consumer: 'c', Both: 'b' };

/** Eight hex digits that tell two rooms of one name apart, in other namespaces or one after the other. */
const shortHash = (uid: string): string =>
  createHash('sha256').update(uid).digest('hex').slice(0, 8);

export interface RouterName {
  room: { name: string; uid: string };
  role: NodeRole;
  ordinal: number;
  generation: number;
}

/**
 * A router's id: readable, the same for the same decision, valid as one segment of a URL path, and at most 253
 * characters, e.g. `standup-c1-g3-9f86d081`.
 */
export const routerId = ({ room, role, ordinal, generation }: RouterName): string =>
  `${room.name.slice(0, 200)}-${letters[role]}${ordinal}-g${generation}-${shortHash(room.uid)}`;

import type { PeerMessage } from '../../common/wire/peer.ts';
import { RecentSet } from './recent-set.ts';

/** The consumer that a message begins or ends, if it does. */
function lifeOf({ method, data }: PeerMessage): { id: string; begins: boolean } | undefined {
  if (method === 'newConsumer') return { id: data.consumerId, begins: true };
  if (method === 'newDataConsumer') return { id: data.dataConsumerId, begins: true };
  if (method === 'consumerClosed') return { id: data.consumerId, begins: false };
  if (method === 'dataConsumerClosed') return { id: data.dataConsumerId, begins: false };
  return undefined;
}

/**
 * Keeps one client's picture of its consumers straight, whatever order and number of copies messages about them come in:
 * a consumer is announced once, and not at all after its end; its end is told to a client that knows it, once.
 */
export function createConsumerFilter(tombstones: number) {
  const live = new Set<string>();
  const ended = new RecentSet(tombstones);
  return {
    /** Whether the client is to get this message. */
    admit(message: PeerMessage): boolean {
      const life = lifeOf(message);
      if (!life) return true;
      const { id, begins } = life;
      if (!begins) {
        ended.add(id);
        return live.delete(id);
      }
      if (live.has(id) || ended.has(id)) return false;
      live.add(id);
      return true;
    },
  };
}

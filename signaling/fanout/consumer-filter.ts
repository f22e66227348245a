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

type StateChange = Extract<PeerMessage, { method: 'consumerPaused' | 'consumerResumed' }>;

const isStateChange = (message: PeerMessage): message is StateChange =>
  message.method === 'consumerPaused' || message.method === 'consumerResumed';

/**
 * Keeps one client's picture of its consumers straight, whatever order and number of copies messages about them come in:
 * a consumer is announced once, and not at all after its end; its end is told to a client that knows it, once. That its
 * producer paused or resumed comes from another node than its announcement: what comes before goes into the announcement.
 *
 * @param memory how many ended consumers, and how many states of consumers that are not announced yet, it remembers
 */
export function createConsumerFilter(memory: number) {
  const live = new Set<string>();
  const ended = new RecentSet(memory);
  const early = new Map<string, boolean>();

  function rememberEarly(consumerId: string, paused: boolean): void {
    early.delete(consumerId);
    early.set(consumerId, paused);
    const [oldest] = early.keys();
    if (early.size > memory && oldest !== undefined) early.delete(oldest);
  }

  function announced(message: PeerMessage, id: string): PeerMessage {
    const paused = early.get(id);
    early.delete(id);
    if (message.method !== 'newConsumer' || paused === undefined) return message;
    return { ...message, data: { ...message.data, producerPaused: paused } };
  }

  return {
    /** The client knows these already, from an earlier connection. */
    adopt(ids: string[]): void {
      for (const id of ids) live.add(id);
    },

    /** What the client is to get for this message, if anything. */
    admit(message: PeerMessage): PeerMessage | undefined {
      if (isStateChange(message)) {
        const { consumerId } = message.data;
        if (live.has(consumerId)) return message;
        if (!ended.has(consumerId)) rememberEarly(consumerId, message.method === 'consumerPaused');
        return undefined;
      }
      const life = lifeOf(message);
      if (!life) return message;
      const { id, begins } = life;
      if (!begins) {
        ended.add(id);
        early.delete(id);
        return live.delete(id) ? message : undefined;
      }
      if (live.has(id) || ended.has(id)) return undefined;
      live.add(id);
      return announced(message, id);
    },
  };
}

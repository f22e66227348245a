import type { ServerStats } from '../../client/src/index.ts';
import type { Meeting } from './meeting.ts';

/** Something that the server can be asked for statistics of. */
export interface StatsTarget {
  id: string;
  label: string;
  read: () => Promise<ServerStats>;
}

const sourceNames: Record<string, string> = {
  audio: 'microphone',
  video: 'camera',
  screensharing: 'screen',
};
const sourceName = (source: string): string => sourceNames[source] ?? source;

const CHAT_ID = 'chat';

/**
 * Everything of this connection that has statistics on the server: transports, what is published and received, and the
 * chat.
 *
 * @param nameOf - what a peer is called
 */
export function statsTargets(
  { room, chatChannel }: Meeting,
  transportIds: readonly { transportId: string; direction: 'producer' | 'consumer' }[],
  nameOf: (peerId: string) => string,
): StatsTarget[] {
  return [
    ...transportIds.map(({ transportId, direction }): StatsTarget => ({
      id: transportId,
      label: direction === 'producer' ? 'Sending transport' : 'Receiving transport',
      read: () => room.getServerStats(transportId),
    })),
    ...room.publications.map((publication): StatsTarget => ({
      id: publication.source,
      label: `Your ${sourceName(publication.source)}`,
      read: () => publication.getServerStats(),
    })),
    ...room.subscriptions.map((subscription): StatsTarget => ({
      id: subscription.id,
      label: `${nameOf(subscription.peerId)}: ${sourceName(subscription.source)}`,
      read: () => subscription.getServerStats(),
    })),
    { id: CHAT_ID, label: 'Your chat', read: () => chatChannel.getServerStats() },
  ];
}

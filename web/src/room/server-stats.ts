import type { RoomClient } from './room-client.ts';
import type { Source } from './state.ts';

/** Something that the server can be asked for statistics of. */
export interface StatsTarget {
  id: string;
  label: string;
  read: () => Promise<Record<string, unknown>[]>;
}

const sourceNames: Record<Source, string> = {
  audio: 'microphone',
  video: 'camera',
  screensharing: 'screen',
};

/**
 * Everything of this connection that has statistics on the server: transports, producers, consumers, and the chat's data
 * producer and consumers.
 *
 * @param nameOf - what a peer is called
 */
export function statsTargets(
  client: RoomClient,
  nameOf: (peerId: string) => string,
): StatsTarget[] {
  const { signaling, session } = client;
  if (!signaling || !session?.joined) return [];
  const { send, receive } = session.transports;
  const transport = (id: string, label: string): StatsTarget => ({
    id,
    label,
    read: async () => (await signaling.request('getTransportStats', { transportId: id })).stats,
  });
  const state = client.store.get();
  return [
    ...(send ? [transport(send.id, 'Sending transport')] : []),
    ...(receive ? [transport(receive.id, 'Receiving transport')] : []),
    ...[...session.producers].map(([source, { id }]): StatsTarget => ({
      id,
      label: `Your ${sourceNames[source]}`,
      read: async () => (await signaling.request('getProducerStats', { producerId: id })).stats,
    })),
    ...state.consumers.map(({ id, peerId, source }): StatsTarget => ({
      id,
      label: `${nameOf(peerId)}: ${sourceNames[source]}`,
      read: async () => (await signaling.request('getConsumerStats', { consumerId: id })).stats,
    })),
    ...(session.chat ? [chatTarget(client, session.chat.id)] : []),
    ...[...session.dataConsumers.values()].map(({ id, appData }): StatsTarget => ({
      id,
      label: `${nameOf(String(appData['peerId']))}: chat`,
      read: async () =>
        (await signaling.request('getDataConsumerStats', { dataConsumerId: id })).stats,
    })),
  ];
}

const chatTarget = ({ signaling }: RoomClient, id: string): StatsTarget => ({
  id,
  label: 'Your chat',
  read: async () =>
    (await signaling?.request('getDataProducerStats', { dataProducerId: id }))?.stats ?? [],
});

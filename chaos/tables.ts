import type { Knex } from 'knex';

/** A peer with where its two sides are; null where a side has lost its router. */
export interface RoomPeer {
  mediaPeerId: string;
  peerId: string;
  joined: boolean;
  producerInstance: string | null;
  consumerInstance: string | null;
}

/** The peers of a room, as the tables have them. */
export function peersOfRoom(knex: Knex, room: string): Promise<RoomPeer[]> {
  return knex('media_peer as peer')
    .leftJoin('media_router as producer', 'producer.id', 'peer.producer_router_id')
    .leftJoin('media_router as consumer', 'consumer.id', 'peer.consumer_router_id')
    .where('peer.room_id', room)
    .select<RoomPeer[]>(
      'peer.id as mediaPeerId',
      'peer.peer_id as peerId',
      knex.raw('peer.joined_at is not null as joined'),
      'producer.instance_id as producerInstance',
      'consumer.instance_id as consumerInstance',
    );
}

/** The ids of what a peer publishes. */
export async function producersOf(knex: Knex, mediaPeerId: string): Promise<string[]> {
  const rows = await knex('media_producer')
    .where({ media_peer_id: mediaPeerId })
    .select<{ id: string }[]>('id');
  return rows.map(({ id }) => id).sort();
}

import { z } from 'zod';

import { dataProducerAppData, device, displayName, peerId, producerAppData } from './peer.ts';
import { mediaKind } from './rtp.ts';

/** Events of rooms and peers, as they are posted to the endpoints of webhooks. `docs/webhooks.md` tells when each comes. */
const time = z.iso.datetime({ offset: true });
const id = z.uuid();

/** A peer by its name, and by the connection that it has at the time. */
const ofPeer = { peerId, connectionId: id };
const router = z.object({ routerId: z.string(), pod: z.string() });
const ofProducer = { producerId: id, kind: mediaKind, appData: producerAppData };
const ofDataProducer = {
  dataProducerId: id,
  label: z.string(),
  protocol: z.string(),
  appData: dataProducerAppData,
};

/** What each type of event tells, as its `data`. */
const dataOf = {
  room_started: z.object({}),
  room_ended: z.object({ startedAt: time }),
  peer_joined: z.object({
    ...ofPeer,
    displayName,
    device,
    kind: z.enum(['WebSocket', 'Broadcaster']),
  }),
  peer_left: z.object({
    ...ofPeer,
    displayName,
    joinedAt: time,
    /** The connection of the same peer that took this one's place. */
    replacedBy: id.nullable(),
  }),
  producer_added: z.object({ ...ofPeer, ...ofProducer, replaces: id.nullable() }),
  producer_removed: z.object({ ...ofPeer, ...ofProducer, replacedBy: id.nullable() }),
  data_producer_added: z.object({ ...ofPeer, ...ofDataProducer, replaces: id.nullable() }),
  data_producer_removed: z.object({ ...ofPeer, ...ofDataProducer, replacedBy: id.nullable() }),
  node_moved: z.object({
    ...ofPeer,
    direction: z.enum(['producer', 'consumer']),
    /** Null where the node was lost. */
    from: router.nullable(),
    to: router,
  }),
};

export type WebhookEventType = keyof typeof dataOf;
export const webhookEventTypes = Object.keys(dataOf) as [WebhookEventType, ...WebhookEventType[]];

const event = <T extends WebhookEventType>(type: T) =>
  z.object({
    type: z.literal(type),
    /** The same at each attempt: who has seen it drops the event. */
    id,
    /** Grows within a room, with gaps. */
    sequence: z.int().positive(),
    timestamp: time,
    /** Name of the MediaRoom. */
    room: z.string(),
    data: dataOf[type],
  });

export const webhookEvent = z.discriminatedUnion('type', [
  event('room_started'),
  event('room_ended'),
  event('peer_joined'),
  event('peer_left'),
  event('producer_added'),
  event('producer_removed'),
  event('data_producer_added'),
  event('data_producer_removed'),
  event('node_moved'),
]);
export type WebhookEvent = z.infer<typeof webhookEvent>;

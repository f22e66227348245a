import { z } from 'zod';

import { opaque } from '../../common/wire/rtp.ts';
import { device, displayName, peerId, peerMethods } from '../../common/wire/peer.ts';
import type { RouteSpec } from './route.ts';

const nothing = z.object({});
const of = '/rooms/:roomId/broadcasters/:peerId';
const forwarded = ['peer_not_found', 'node_unavailable', 'timed_out'] as const;
const { produce, consume, createPlainTransport, connectPlainTransport, getPeerProducersInfos } =
  peerMethods;

/**
 * The API for what sends and receives plain RTP, such as ffmpeg and GStreamer. A broadcaster is a peer of its room like
 * any other; its room token comes in the `Authorization` header, and any replica serves any broadcaster.
 */
export const broadcastersSpec = {
  getRouterRtpCapabilities: {
    method: 'get',
    path: '/rooms/:roomId',
    summary: 'RTP capabilities of the room’s routers.',
    response: z.object({ routerRtpCapabilities: opaque }),
    errors: ['room_not_found', 'room_not_ready', 'quota_exceeded', 'store_unavailable'],
  },
  createBroadcaster: {
    method: 'post',
    path: '/rooms/:roomId/broadcasters',
    summary: 'Connects a broadcaster; an earlier connection of the same peer is closed.',
    body: z.object({
      peerId,
      displayName: displayName.default('Broadcaster'),
      device: device.default({}),
    }),
    response: z.object({ peerId: z.string() }),
    errors: [
      'room_not_found',
      'room_not_ready',
      'room_full',
      'quota_exceeded',
      'store_unavailable',
    ],
  },
  createTransport: {
    method: 'post',
    path: `${of}/transports`,
    summary: 'Makes a plain transport, to send (producer) or to receive (consumer).',
    body: createPlainTransport.request,
    response: createPlainTransport.response,
    errors: forwarded,
  },
  connectTransport: {
    method: 'post',
    path: `${of}/transports/:transportId/connect`,
    summary: 'Tells a transport without comedia where the other end is.',
    body: connectPlainTransport.request.omit({ transportId: true }),
    response: nothing,
    errors: [...forwarded, 'transport_not_found'],
  },
  join: {
    method: 'post',
    path: `${of}/join`,
    summary: 'Shows the broadcaster to the room.',
    body: z.object({
      displayName: displayName.optional(),
      device: device.optional(),
      rtpCapabilities: peerMethods.join.request.shape.rtpCapabilities,
    }),
    response: peerMethods.join.response,
    errors: [...forwarded, 'already_joined'],
  },
  produce: {
    method: 'post',
    path: `${of}/producers`,
    summary: 'Publishes media that a transport receives.',
    body: produce.request,
    response: produce.response,
    errors: [...forwarded, 'transport_not_found', 'not_joined'],
  },
  getPeerProducersInfos: {
    method: 'get',
    path: `${of}/peerProducersInfos`,
    summary: 'What the peers of the room publish.',
    response: getPeerProducersInfos.response,
    errors: forwarded,
  },
  consume: {
    method: 'post',
    path: `${of}/consumers`,
    summary: 'Receives what a peer publishes; media flows after resume.',
    body: consume.request,
    response: z.object({
      consumerId: z.string(),
      producerId: z.string(),
      kind: z.string(),
      rtpParameters: opaque,
      type: z.string(),
    }),
    errors: [...forwarded, 'transport_not_found', 'producer_not_found', 'cannot_consume'],
  },
  resumeConsumer: {
    method: 'post',
    path: `${of}/consumers/:consumerId/resume`,
    summary: 'Lets a consumer’s media flow.',
    response: nothing,
    errors: [...forwarded, 'consumer_not_found'],
  },
  deleteBroadcaster: {
    method: 'delete',
    path: of,
    summary: 'Ends the broadcaster and tells the others.',
    response: nothing,
    errors: ['peer_not_found', 'store_unavailable'],
  },
} as const satisfies Record<string, RouteSpec>;

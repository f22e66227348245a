import { z } from 'zod';

import { consoleResponse } from '../../common/wire/console.ts';
import { nodeRole } from '../../common/wire/media-node.ts';
import { device } from '../../common/wire/peer.ts';
import { roomId } from '../connection/room-id.ts';
import type { RouteSpec } from './route.ts';

const room = z.object({
  name: z.string().describe('name of the MediaRoom'),
  roomId: z.string().describe('id that clients join by'),
  ready: z.boolean(),
  reason: z.string().describe('one word on why it is ready or not'),
  message: z.string(),
  maxPeers: z.int(),
  placements: z.array(
    z.object({
      routerId: z.string(),
      role: nodeRole,
      podName: z.string(),
      state: z.string(),
      generation: z.int(),
    }),
  ),
});
export type RoomView = z.input<typeof room>;

const peer = z.object({
  peerId: z.string(),
  kind: z.enum(['WebSocket', 'Broadcaster']),
  displayName: z.string(),
  device,
  remoteAddress: z.string(),
  joinedAt: z.iso.datetime().nullable().describe('null: connected, not joined yet'),
});

const nothing = z.object({});

/** The administrators' API. Every route needs a room token with the grant `admin`. */
export const roomsSpec = {
  createRoom: {
    method: 'post',
    path: '/api/rooms',
    summary: 'Makes a MediaRoom. The token must be for this room, or for every one.',
    body: z.strictObject({
      roomId,
      spec: z
        .record(z.string(), z.unknown())
        .default({})
        .describe('spec of the MediaRoom; what is left out has its default'),
    }),
    response: room,
    status: 201,
    errors: ['conflict', 'quota_exceeded', 'room_not_ready'],
  },
  listRooms: {
    method: 'get',
    path: '/api/rooms',
    summary: 'All rooms. The token must be for every room.',
    response: z.object({ rooms: z.array(room) }),
    errors: [],
  },
  getRoom: {
    method: 'get',
    path: '/api/rooms/:name',
    summary: 'One room.',
    response: room,
    errors: ['room_not_found'],
  },
  deleteRoom: {
    method: 'delete',
    path: '/api/rooms/:name',
    summary: 'Deletes the MediaRoom; its peers are closed for good.',
    response: nothing,
    errors: ['room_not_found', 'room_not_ready'],
  },
  listPeers: {
    method: 'get',
    path: '/api/rooms/:name/peers',
    summary: 'The peers that are connected to the room.',
    response: z.object({ peers: z.array(peer) }),
    errors: ['room_not_found', 'store_unavailable'],
  },
  removePeer: {
    method: 'delete',
    path: '/api/rooms/:name/peers/:peerId',
    summary: 'Closes a peer for good and tells the others.',
    response: nothing,
    errors: ['room_not_found', 'peer_not_found', 'store_unavailable'],
  },
  mutePeer: {
    method: 'post',
    path: '/api/rooms/:name/peers/:peerId/mute',
    summary: 'Pauses what a peer publishes. No sources given: all of it.',
    body: z.strictObject({ sources: z.array(z.string().max(64)).max(16).default([]) }),
    response: z.object({ producerIds: z.array(z.string()) }),
    errors: ['room_not_found', 'peer_not_found', 'store_unavailable', 'node_unavailable'],
  },
  console: {
    method: 'get',
    path: '/api/console',
    summary: 'The whole platform at one moment. The token must be for every room.',
    response: consoleResponse,
    errors: [],
  },
} as const satisfies Record<string, RouteSpec>;

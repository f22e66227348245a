import { randomUUID } from 'node:crypto';

import type { PeerRow } from '../../common/db/repositories/peers.ts';
import { ApiError } from '../../common/errors.ts';
import { parseOrThrow } from '../../common/validate.ts';
import {
  peerMethods,
  type Grants,
  type PeerMethod,
  type PeerRequestInput,
  type PeerResponse,
} from '../../common/wire/peer.ts';
import { authorizePeer, authorizeRoom } from '../auth/authorize.ts';
import { requireGrant, withoutReceiving } from '../connection/grants.ts';
import { roomId as roomIdSchema } from '../connection/room-id.ts';
import { bindPeer } from '../peers/bind.ts';
import { roomNameOf } from '../placement/room-name.ts';
import { readyPlacements } from '../placement/placements.ts';
import type { Services } from '../services.ts';
import type { broadcastersSpec } from './broadcasters-spec.ts';
import type { ApiCall, Handlers } from './route.ts';

/** The broadcasters' routes. No replica keeps anything of a broadcaster: its row names its routers, and they the node. */
export function broadcastersHandlers(services: Services): Handlers<typeof broadcastersSpec> {
  const { config, peers, placements, nodes, leaver } = services;

  /** Who calls, and whether the token lets it. */
  async function callerOf({
    token,
    params,
  }: ApiCall<unknown>): Promise<{ row: PeerRow; grants: Grants }> {
    const { roomId = '', peerId = '' } = params;
    const grants = await authorizePeer(config.roomAuth, token, { roomId, peerId });
    const row = await peers.find(roomNameOf(roomId), peerId);
    if (row?.kind !== 'Broadcaster')
      throw new ApiError('peer_not_found', `there is no broadcaster ${peerId} in room ${roomId}`);
    return { row, grants };
  }

  function forward<M extends PeerMethod>(
    row: PeerRow,
    method: M,
    data: PeerRequestInput<M>,
  ): Promise<PeerResponse<M>> {
    const placement = placements.router(row.roomId, row.producerRouterId ?? '');
    if (!placement)
      throw new ApiError('router_not_found', 'the router of the broadcaster is gone; make it anew');
    // Ids in the path are checked here, those in bodies were before.
    parseOrThrow(peerMethods[method].request, data, method);
    const to = { roomId: row.roomId, peerId: row.peerId, mediaPeerId: row.id };
    return nodes.forward(placement.url, to, method, data);
  }

  /** A handler that forwards one method, if the broadcaster's token grants it. */
  async function forwardCall<M extends PeerMethod>(
    call: ApiCall<unknown>,
    method: M,
    data: PeerRequestInput<M>,
  ): Promise<PeerResponse<M>> {
    const { row, grants } = await callerOf(call);
    requireGrant(grants, method);
    return forward(row, method, data);
  }

  return {
    getRouterRtpCapabilities: async ({ token, params: { roomId = '' } }) => {
      await authorizeRoom(config.roomAuth, token, parseOrThrow(roomIdSchema, roomId, 'roomId'));
      const room = await placements.prepare(roomId);
      const [producer] = readyPlacements(room).producers;
      const routerRtpCapabilities =
        producer && (await peers.routerRtpCapabilities(producer.routerId));
      if (!routerRtpCapabilities)
        throw new ApiError('room_not_ready', 'the routers of the room are not in the tables yet');
      return { routerRtpCapabilities: { ...routerRtpCapabilities } };
    },
    createBroadcaster: async ({ token, params: { roomId = '' }, body, remoteAddress }) => {
      parseOrThrow(roomIdSchema, roomId, 'roomId');
      const { peerId } = body;
      const grants = await authorizePeer(config.roomAuth, token, { roomId, peerId });
      const room = await placements.prepare(roomId);
      await bindPeer(services, room, {
        ...body,
        id: randomUUID(),
        kind: 'Broadcaster',
        remoteAddress,
        grants,
      });
      return { peerId };
    },
    createTransport: (call) => forwardCall(call, 'createPlainTransport', call.body),
    connectTransport: (call) =>
      forwardCall(call, 'connectPlainTransport', {
        ...call.body,
        transportId: call.params['transportId'] ?? '',
      }),
    join: async (call) => {
      const { row, grants } = await callerOf(call);
      const { displayName = row.displayName, device = row.device, rtpCapabilities } = call.body;
      const data = { displayName, device, ...(rtpCapabilities ? { rtpCapabilities } : {}) };
      return forward(row, 'join', withoutReceiving(grants, data));
    },
    produce: (call) => forwardCall(call, 'produce', call.body),
    getPeerProducersInfos: (call) => forwardCall(call, 'getPeerProducersInfos', {}),
    consume: (call) => forwardCall(call, 'consume', call.body),
    resumeConsumer: (call) =>
      forwardCall(call, 'resumeConsumers', { consumerIds: [call.params['consumerId'] ?? ''] }),
    deleteBroadcaster: async (call) => {
      const { row } = await callerOf(call);
      await leaver.leaveRow(row);
      return {};
    },
  };
}

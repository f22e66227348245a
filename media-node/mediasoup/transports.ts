import type {
  DtlsParameters,
  IceCandidate,
  PlainTransport,
  WebRtcTransport,
} from 'mediasoup/types';
import type { z } from 'zod';

import { isForeignKeyViolation } from '../../common/db/knex.ts';
import { ApiError } from '../../common/errors.ts';
import type {
  connectTransportRequest,
  createTransportRequest,
} from '../../common/wire/media-node.ts';
import type { PeerResponse } from '../../common/wire/peer.ts';
import type { NodeContext } from '../context.ts';
import { askMediasoup } from './errors.ts';
import { sideKey, type LiveRouter, type LiveTransport } from './objects.ts';

type ConnectRequest = z.output<typeof connectTransportRequest>;
type CreateRequest = z.output<typeof createTransportRequest>;
type WebRtcRequest = Extract<CreateRequest, { kind: 'webrtc' }>;
type PlainRequest = Extract<CreateRequest, { kind: 'plain' }>;

const isWebRtc = (transport: WebRtcTransport | PlainTransport): transport is WebRtcTransport =>
  transport.type === 'webrtc';

/**
 * Creates a peer's transport on a router of this node and records it. A browser transport that is not yet used is given
 * again, so that a repeated call makes no second one. A peer has one receiving browser transport on a router: a connected
 * one is replaced. One on another router stays: the peer moves, and closes it when the new one works.
 *
 * @throws {ApiError} `router_not_found`, `peer_not_found`, `node_draining`, `too_many_transports`, `store_unavailable`
 */
export async function createTransport(
  ctx: NodeContext,
  routerId: string,
  request: CreateRequest,
): Promise<PeerResponse<'createWebRtcTransport'> | PeerResponse<'createPlainTransport'>> {
  // One after another, so that a repetition finds what the first call has made.
  const transport = await ctx.registry.creating.runAll([request.peer.mediaPeerId], () =>
    findOrCreate(ctx, routerId, request),
  );
  return isWebRtc(transport) ? iceServerParameters(ctx, transport) : plainParameters(transport);
}

async function findOrCreate(
  ctx: NodeContext,
  routerId: string,
  request: CreateRequest,
): Promise<WebRtcTransport | PlainTransport> {
  const router = ctx.registry.router(routerId);
  if (router.roomId !== request.peer.roomId)
    throw new ApiError('router_not_found', `router ${routerId} is not of this room`);
  const again = reusable(ctx, router, request);
  if (again) return again.transport;
  if (ctx.draining) throw new ApiError('node_draining', 'the node takes no new transport');
  const { mediaPeerId } = request.peer;
  ctx.registry.requireOpenPeer(mediaPeerId);
  if (ctx.registry.transportsOf(mediaPeerId).length >= ctx.config.rtc.transportsPerPeer)
    throw new ApiError(
      'too_many_transports',
      `a peer may have at most ${ctx.config.rtc.transportsPerPeer} transports`,
    );
  const transport =
    request.kind === 'webrtc'
      ? await createWebRtc(ctx, router, request)
      : await createPlain(ctx, router, request);
  await keep(ctx, router, request, transport);
  return transport;
}

/** Not a plain one: who sends audio and video apart makes two alike before anything is on them. */
function reusable(
  ctx: NodeContext,
  router: LiveRouter,
  request: CreateRequest,
): LiveTransport | undefined {
  if (request.kind !== 'webrtc') return undefined;
  const existing = ctx.registry
    .transportsOf(request.peer.mediaPeerId)
    .filter(
      (live) =>
        live.router === router && live.direction === request.direction && isWebRtc(live.transport),
    );
  const again = existing.find(
    (live) =>
      live.connecting === undefined &&
      live.producing.size + live.producingData.size === 0 &&
      live.transport.appData['forceTcp'] === request.forceTcp,
  );
  if (!again && request.direction === 'consumer') for (const live of existing) end(live);
  return again;
}

const sctp = (ctx: NodeContext) => ({
  enableSctp: true,
  maxSendMessageSize: ctx.config.rtc.sctpMaxMessageSize,
  maxReceiveMessageSize: ctx.config.rtc.sctpMaxMessageSize,
});

async function createWebRtc(
  ctx: NodeContext,
  { router, workerIndex }: LiveRouter,
  { direction, forceTcp }: WebRtcRequest,
): Promise<WebRtcTransport> {
  const { rtc } = ctx.config;
  const transport = await askMediasoup('createWebRtcTransport', () =>
    router.createWebRtcTransport({
      webRtcServer: ctx.workers.webRtcServer(workerIndex),
      enableUdp: !forceTcp,
      enableTcp: true,
      preferUdp: !forceTcp,
      iceConsentTimeout: rtc.iceConsentTimeoutSeconds,
      initialAvailableOutgoingBitrate: rtc.initialAvailableOutgoingBitrate,
      ...sctp(ctx),
      appData: { forceTcp },
    }),
  );
  if (direction === 'producer' && rtc.maxIncomingBitrate !== undefined)
    await askMediasoup('setMaxIncomingBitrate', () =>
      transport.setMaxIncomingBitrate(rtc.maxIncomingBitrate ?? 0),
    );
  return transport;
}

/** Where pipes and plain transports listen: not on the WebRtcServer's port, but in a range of their own. */
export function pipeListenInfo({ listenIp, announcedAddress, portMin, portMax }: PipeNetwork) {
  return {
    protocol: 'udp' as const,
    ip: listenIp,
    portRange: { min: portMin, max: portMax },
    ...(announcedAddress === undefined ? {} : { announcedAddress }),
  };
}
type PipeNetwork = NodeContext['config']['rtc']['pipe'];

const createPlain = (
  ctx: NodeContext,
  { router }: LiveRouter,
  { comedia, rtcpMux }: PlainRequest,
): Promise<PlainTransport> =>
  askMediasoup('createPlainTransport', () =>
    router.createPlainTransport({
      listenInfo: pipeListenInfo(ctx.config.rtc.pipe),
      comedia,
      rtcpMux,
    }),
  );

function onClose(transport: WebRtcTransport | PlainTransport, listener: () => void): void {
  if (isWebRtc(transport)) transport.observer.once('close', listener);
  else transport.observer.once('close', listener);
}

/** Adds the transport to the registry and the table, or closes it again. */
async function keep(
  ctx: NodeContext,
  router: LiveRouter,
  { peer, direction, kind }: CreateRequest,
  transport: WebRtcTransport | PlainTransport,
): Promise<void> {
  const live: LiveTransport = {
    id: transport.id,
    router,
    peer: { ...peer },
    direction,
    transport,
    createdAt: Date.now(),
    producing: new Map(),
    producingData: new Map(),
    consuming: new Map(),
    consumingData: new Map(),
  };
  ctx.registry.addTransport(live);
  onClose(transport, () => {
    ctx.registry.removeTransport(live);
    ctx.rows.forget('media_transport', live.id);
  });
  watchConnection(ctx, live);
  try {
    ctx.registry.requireOpenPeer(peer.mediaPeerId);
    await ctx.repository.insertTransport({
      id: live.id,
      mediaPeerId: peer.mediaPeerId,
      routerId: router.id,
      instanceId: ctx.self.instanceId,
      kind,
      direction,
    });
    ctx.registry.requireOpenPeer(peer.mediaPeerId);
  } catch (error) {
    transport.close();
    if (isForeignKeyViolation(error))
      throw new ApiError('peer_not_found', 'the peer or its router is gone', { cause: error });
    throw error;
  }
}

/** Tells the peer's replica that a transport is lost. */
export function reportLost(
  { outbox }: NodeContext,
  { id, peer, direction }: LiveTransport,
  reason: string,
): void {
  const { mediaPeerId, replicaUrl } = peer;
  outbox.reportLost(replicaUrl, { mediaPeerId, reason, transportId: id, direction });
}

/**
 * Closes a transport that is of no use any more, unless it closes already, and says so. The peer's others stay.
 *
 * @param ending whether what it carried counts as lost, or as closed by the peer
 */
export function loseTransport(
  ctx: NodeContext,
  live: LiveTransport,
  reason: string,
  ending: 'Closed' | 'Lost' = 'Lost',
): void {
  if (live.ending) return;
  live.ending = ending;
  if (!ctx.registry.isPeerClosed(live.peer.mediaPeerId)) reportLost(ctx, live, reason);
  live.transport.close();
}

/** Closes a transport as its peer wants it. */
function end(live: LiveTransport): void {
  live.ending ??= 'Closed';
  live.transport.close();
}

/** One whose ICE or DTLS is over for good is lost: its peer's replica has it replaced, or has the client come anew. */
function watchConnection(ctx: NodeContext, live: LiveTransport): void {
  const { peer, transport, direction, router } = live;
  const lost = (reason: string): void => loseTransport(ctx, live, reason);
  const routerGone = (): void => {
    router.lostSides.add(sideKey(peer.mediaPeerId, direction));
    lost('router_closed');
  };
  if (!isWebRtc(transport)) {
    transport.on('routerclose', routerGone);
    return;
  }
  transport.on('routerclose', routerGone);
  transport.on('icestatechange', (state) => {
    if (state === 'disconnected') lost('ice_disconnected');
  });
  transport.on('dtlsstatechange', (state) => {
    if (state === 'failed') lost('dtls_failed');
    // The client has closed its end.
    else if (state === 'closed') loseTransport(ctx, live, 'dtls_closed', 'Closed');
  });
}

/**
 * mediasoup's server keeps the address that it was made with, which it puts into candidates and uses for nothing else; a
 * client finds its transport by the user name of its ICE requests, whatever address it sends them to. So the newest
 * address is put in here.
 */
function announcedCandidates(
  { announcedAddress }: NodeContext,
  { iceCandidates }: WebRtcTransport,
): IceCandidate[] {
  if (announcedAddress === undefined) return iceCandidates;
  return iceCandidates.map((candidate) => ({
    ...candidate,
    ip: announcedAddress,
    address: announcedAddress,
  }));
}

function iceServerParameters(
  ctx: NodeContext,
  transport: WebRtcTransport,
): PeerResponse<'createWebRtcTransport'> {
  return {
    transportId: transport.id,
    iceParameters: transport.iceParameters,
    iceCandidates: announcedCandidates(ctx, transport),
    dtlsParameters: transport.dtlsParameters,
    ...(transport.sctpParameters ? { sctpParameters: transport.sctpParameters } : {}),
  };
}

function plainParameters(transport: PlainTransport): PeerResponse<'createPlainTransport'> {
  const { tuple, rtcpTuple } = transport;
  return {
    transportId: transport.id,
    ip: tuple.localAddress,
    port: tuple.localPort,
    ...(rtcpTuple ? { rtcpPort: rtcpTuple.localPort } : {}),
  };
}

/**
 * Connects a transport. Repeating it with the same parameters is fine; with others it is `already_connected`.
 *
 * @throws {ApiError} `transport_not_found`, `already_connected`, `invalid_request`
 */
export async function connectTransport(
  ctx: NodeContext,
  transportId: string,
  request: ConnectRequest,
): Promise<void> {
  const live = ctx.registry.transport(transportId, request.mediaPeerId);
  const fingerprint = JSON.stringify({ ...request, mediaPeerId: undefined });
  if (live.connecting && live.connecting.with !== fingerprint)
    throw new ApiError('already_connected', 'the transport is connected with other parameters');
  live.connecting ??= { with: fingerprint, done: connect(live, request) };
  try {
    await live.connecting.done;
  } catch (error) {
    delete live.connecting;
    throw error;
  }
}

async function connect({ transport }: LiveTransport, request: ConnectRequest): Promise<void> {
  if (isWebRtc(transport)) {
    if (!('dtlsParameters' in request))
      throw new ApiError('invalid_request', 'dtlsParameters: missing', {
        fields: [{ field: 'dtlsParameters', message: 'missing' }],
      });
    const dtlsParameters = request.dtlsParameters as DtlsParameters;
    await askMediasoup('dtlsParameters', () => transport.connect({ dtlsParameters }));
    return;
  }
  if (!('ip' in request))
    throw new ApiError('invalid_request', 'ip: missing', {
      fields: [{ field: 'ip', message: 'missing' }],
    });
  const { ip, port, rtcpPort } = request;
  await askMediasoup('connect', () =>
    transport.connect({ ip, port, ...(rtcpPort === undefined ? {} : { rtcpPort }) }),
  );
}

/** @throws {ApiError} `transport_not_found`, `unsupported_method` for a plain transport */
export async function restartIce(
  ctx: NodeContext,
  transportId: string,
  mediaPeerId?: string,
): Promise<PeerResponse<'restartIce'>> {
  const { transport } = ctx.registry.transport(transportId, mediaPeerId);
  if (!isWebRtc(transport))
    throw new ApiError('unsupported_method', 'a plain transport has no ICE');
  return { iceParameters: await askMediasoup('restartIce', () => transport.restartIce()) };
}

/**
 * Closes a transport with all that is on it. One that is gone is no error.
 *
 * @param mediaPeerId whose it must be; absent: the platform's own business
 * @throws {ApiError} `transport_not_found` for another peer's
 */
export function closeTransport(ctx: NodeContext, transportId: string, mediaPeerId?: string): void {
  if (!ctx.registry.transports.has(transportId)) return;
  const live = ctx.registry.transport(transportId, mediaPeerId);
  end(live);
  ctx.sessions.leaveBehind(live.peer.mediaPeerId);
}

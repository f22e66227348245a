import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createWorker } from 'mediasoup';
import type { Producer, Router, RtpCapabilities, WebRtcTransport, Worker } from 'mediasoup/types';
import { WebSocketServer, type WebSocket } from 'ws';
import { z } from 'zod';

import { peerMethods } from '../../common/wire/peer.ts';

/** One room on one router that speaks just enough of the client protocol for a load peer. No part of the platform. */
export interface BareRoom {
  url: string;
  close: () => Promise<void>;
}

interface Peer {
  id: string;
  socket: WebSocket;
  transports: Map<string, WebRtcTransport>;
  producers: Producer[];
  dataProducerIds: string[];
  receiving?: WebRtcTransport;
  capabilities?: RtpCapabilities;
}

type Handler = (peer: Peer, data: unknown) => Promise<unknown>;

const frame = z.object({
  request: z.boolean().optional(),
  id: z.int(),
  method: z.string().default(''),
  data: z.unknown(),
});
const createTransport = z.object({ appData: z.object({ direction: z.string() }) });

const send = (peer: Peer, message: object): void => peer.socket.send(JSON.stringify(message));

function transportOf(peer: Peer, transportId: string): WebRtcTransport {
  const transport = peer.transports.get(transportId);
  if (!transport) throw new Error('no such transport');
  return transport;
}

async function announce(to: Peer, from: Peer, producer: Producer): Promise<void> {
  if (!to.receiving || !to.capabilities) return;
  const consumer = await to.receiving.consume({
    producerId: producer.id,
    rtpCapabilities: to.capabilities,
  });
  const data = {
    peerId: from.id,
    transportId: to.receiving.id,
    consumerId: consumer.id,
    producerId: producer.id,
    kind: consumer.kind,
    rtpParameters: consumer.rtpParameters,
    type: consumer.type,
    producerPaused: false,
    consumerScore: consumer.score,
    appData: { peerId: from.id },
  };
  send(to, { request: true, id: 1, method: 'newConsumer', data });
}

async function announceData(to: Peer, from: Peer, dataProducerId: string): Promise<void> {
  if (!to.receiving) return;
  const { id, sctpStreamParameters, label, protocol } = await to.receiving.consumeData({
    dataProducerId,
  });
  const data = {
    peerId: from.id,
    transportId: to.receiving.id,
    dataConsumerId: id,
    dataProducerId,
    sctpStreamParameters,
    label,
    protocol,
    appData: {},
  };
  send(to, { request: true, id: 1, method: 'newDataConsumer', data });
}

function handlersOf(router: Router, peers: Map<string, Peer>): Record<string, Handler> {
  const others = (peer: Peer): Peer[] => [...peers.values()].filter((other) => other !== peer);
  return {
    getRouterRtpCapabilities: () =>
      Promise.resolve({ routerRtpCapabilities: router.rtpCapabilities }),
    async createWebRtcTransport(peer, data) {
      const { appData } = createTransport.parse(data);
      const transport = await router.createWebRtcTransport({
        listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
        enableSctp: true,
      });
      peer.transports.set(transport.id, transport);
      if (appData.direction === 'consumer') peer.receiving = transport;
      const { id: transportId, iceParameters, iceCandidates, dtlsParameters } = transport;
      return { transportId, iceParameters, iceCandidates, dtlsParameters };
    },
    async connectWebRtcTransport(peer, data) {
      const { transportId, dtlsParameters } =
        peerMethods.connectWebRtcTransport.request.parse(data);
      const { role = 'auto', fingerprints } = dtlsParameters;
      await transportOf(peer, transportId).connect({ dtlsParameters: { role, fingerprints } });
    },
    async join(peer, data) {
      const { rtpCapabilities } = peerMethods.join.request.parse(data);
      peer.capabilities = rtpCapabilities as RtpCapabilities;
      for (const other of others(peer)) {
        for (const producer of other.producers) await announce(peer, other, producer);
        for (const id of other.dataProducerIds) await announceData(peer, other, id);
      }
      const joined = others(peer).filter(({ capabilities }) => capabilities);
      return { peers: joined.map(({ id }) => ({ peerId: id, displayName: id, device: {} })) };
    },
    async produce(peer, data) {
      const { transportId, kind, rtpParameters } = peerMethods.produce.request.parse(data);
      const producer = await transportOf(peer, transportId).produce({
        kind,
        rtpParameters: rtpParameters as Producer['rtpParameters'],
      });
      peer.producers.push(producer);
      for (const other of others(peer)) await announce(other, peer, producer);
      return { producerId: producer.id };
    },
    async produceData(peer, data) {
      const { transportId, label, protocol } = peerMethods.produceData.request.parse(data);
      const { id } = await transportOf(peer, transportId).produceData({
        sctpStreamParameters: { streamId: 0, ordered: true },
        label,
        protocol,
      });
      peer.dataProducerIds.push(id);
      for (const other of others(peer)) await announceData(other, peer, id);
      return { dataProducerId: id };
    },
  };
}

/** Closes a peer's transports and tells the others what that took from them. */
function leave(peer: Peer, peers: Map<string, Peer>): void {
  peers.delete(peer.id);
  for (const transport of peer.transports.values()) transport.close();
  for (const other of peers.values())
    send(other, { notification: true, method: 'peerClosed', data: { peerId: peer.id } });
}

async function answer(peer: Peer, text: string, handlers: Record<string, Handler>): Promise<void> {
  const { request, id, method, data } = frame.parse(JSON.parse(text));
  if (!request) return;
  try {
    const handler = handlers[method];
    if (!handler) throw new Error(`unknown method ${method}`);
    const answered = (await handler(peer, data)) ?? {};
    send(peer, { response: true, id, ok: true, data: answered });
  } catch (error) {
    send(peer, { response: true, id, errorCode: 500, errorReason: String(error) });
  }
}

async function stop(server: WebSocketServer, worker: Worker): Promise<void> {
  for (const socket of server.clients) socket.terminate();
  server.close();
  const ended = once(worker, 'subprocessclose');
  worker.close();
  await ended;
}

export async function startBareRoom(): Promise<BareRoom> {
  const worker = await createWorker({ logLevel: 'error' });
  const router = await worker.createRouter({
    mediaCodecs: [
      { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 },
      { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 },
    ],
  });
  const peers = new Map<string, Peer>();
  const handlers = handlersOf(router, peers);
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (socket, { url }) => {
    const id = new URL(url ?? '/', 'ws://room').searchParams.get('peerId') ?? '';
    const peer: Peer = { id, socket, transports: new Map(), producers: [], dataProducerIds: [] };
    peers.set(id, peer);
    socket.on('message', (data) => void answer(peer, (data as Buffer).toString(), handlers));
    socket.on('close', () => leave(peer, peers));
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `ws://127.0.0.1:${port}/`, close: () => stop(server, worker) };
}

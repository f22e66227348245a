import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createWorker } from 'mediasoup';
import type { Router, RtpCapabilities, WebRtcTransport, Worker } from 'mediasoup/types';

import { rtpCapabilities } from '../../common/wire/rtp.ts';
import { RtpStream, reduceCapabilities } from './rtp-stream.ts';
import {
  SecureTransport,
  flightTimerMs,
  localDtlsParameters,
  type ServerTransport,
} from './secure-transport.ts';

let worker: Worker;
let router: Router;
let capabilities: RtpCapabilities;
const opened: { close: () => void }[] = [];

async function createTransport(): Promise<WebRtcTransport> {
  const listenInfos = [{ protocol: 'udp' as const, ip: '127.0.0.1' }];
  const transport = await router.createWebRtcTransport({ listenInfos });
  opened.push(transport);
  return transport;
}

/** Both sides of one transport, connected. */
async function connectPair(): Promise<{ remote: WebRtcTransport; local: SecureTransport }> {
  const remote = await createTransport();
  await remote.connect({ dtlsParameters: await localDtlsParameters() });
  const local = await SecureTransport.connect({ server: remote });
  opened.push(local);
  return { remote, local };
}

beforeAll(async () => {
  worker = await createWorker({ logLevel: 'error' });
  router = await worker.createRouter({
    mediaCodecs: [
      { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 },
      { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 },
    ],
  });
  const reduced = reduceCapabilities(rtpCapabilities.parse(router.rtpCapabilities));
  capabilities = reduced as RtpCapabilities;
});

afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

afterAll(async () => {
  const ended = once(worker, 'subprocessclose');
  worker.close();
  await Promise.all([ended, sleep(flightTimerMs)]);
});

describe('the load peer’s transport', () => {
  it.each(['audio', 'video'] as const)('sends and receives %s through a router', async (kind) => {
    const sender = await connectPair();
    const receiver = await connectPair();
    const stream = new RtpStream({ kind, payloadType: 101, payloadBytes: 50 });
    const rtpParameters = stream.rtpParameters();
    const producer = await sender.remote.produce({ kind, rtpParameters });
    const consumer = await receiver.remote.consume({
      producerId: producer.id,
      rtpCapabilities: capabilities,
    });
    const wanted = 20;
    const ssrcs: number[] = [];
    await new Promise<void>((resolve) => {
      receiver.local.onRtp = ({ ssrc, packet }) => {
        if (packet && ssrcs.push(ssrc) >= wanted) resolve();
      };
      const timer = setInterval(() => {
        stream.send(sender.local);
        if (ssrcs.length >= wanted) clearInterval(timer);
      }, 10);
    });
    expect(new Set(ssrcs)).toEqual(new Set([consumer.rtpParameters.encodings?.[0]?.ssrc]));
    expect(receiver.local.failedPackets).toBe(0);
    expect(sender.remote.iceState).toBe('completed');
    expect(receiver.remote.dtlsState).toBe('connected');
  });

  it('refuses a server whose certificate is not the announced one', async () => {
    const remote = await createTransport();
    await remote.connect({ dtlsParameters: await localDtlsParameters() });
    const server: ServerTransport = {
      iceParameters: remote.iceParameters,
      iceCandidates: remote.iceCandidates,
      dtlsParameters: { fingerprints: [{ algorithm: 'sha-256', value: 'AB:CD' }] },
    };
    await expect(SecureTransport.connect({ server })).rejects.toThrow(
      "the server's certificate is not the one it announced",
    );
  });

  it('refuses a server that offers no UDP candidate', async () => {
    const remote = await createTransport();
    const { iceParameters, dtlsParameters } = remote;
    const server: ServerTransport = { iceParameters, dtlsParameters, iceCandidates: [] };
    await expect(SecureTransport.connect({ server })).rejects.toThrow(
      'the server offers no UDP candidate',
    );
  });
});

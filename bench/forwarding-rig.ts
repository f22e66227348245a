import { once } from 'node:events';
import { createWorker } from 'mediasoup';
import type {
  PipeTransport,
  Producer,
  Router,
  RtpCapabilities,
  WebRtcServer,
  WebRtcTransport,
  Worker,
} from 'mediasoup/types';

import { rtpCapabilities, type MediaKind } from '../common/wire/rtp.ts';
import { RtpStream, reduceCapabilities } from '../testing/load-peer/rtp-stream.ts';
import { SecureTransport, localDtlsParameters } from '../testing/load-peer/secure-transport.ts';

/** `direct`: on the producer's router. `pipe`: on another worker's router, behind an SRTP pipe. */
export type Placement = 'direct' | 'pipe';

export interface RigOptions {
  kind: MediaKind;
  payloadBytes: number;
  /** RTP packets of which a receiver decrypts one. */
  decryptEvery: number;
}

interface Node {
  worker: Worker;
  router: Router;
  server: WebRtcServer;
}

const loopback = { protocol: 'udp', ip: '127.0.0.1' } as const;
const mediaCodecs = [
  { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 },
  { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 },
] as const;
/** A receiver's socket holds what comes while this process is busy. */
const receiveBufferBytes = 2 ** 20;

async function startNode(): Promise<Node> {
  const worker = await createWorker({ logLevel: 'error' });
  const server = await worker.createWebRtcServer({ listenInfos: [loopback] });
  const router = await worker.createRouter({ mediaCodecs: [...mediaCodecs] });
  return { worker, server, router };
}

/** The same settings as between media nodes. */
const createPipe = (router: Router): Promise<PipeTransport> =>
  router.createPipeTransport({
    listenInfo: loopback,
    enableSrtp: true,
    enableRtx: true,
    enableSctp: true,
  });

const connectPipe = (
  from: PipeTransport,
  { tuple, srtpParameters }: PipeTransport,
): Promise<void> =>
  from.connect({
    ip: tuple.localAddress,
    port: tuple.localPort,
    ...(srtpParameters ? { srtpParameters } : {}),
  });

/** @returns both ends, to be closed together */
async function pipeProducer(from: Node, to: Node, { id }: Producer): Promise<PipeTransport[]> {
  const [near, far] = await Promise.all([createPipe(from.router), createPipe(to.router)]);
  await connectPipe(near, far);
  await connectPipe(far, near);
  const { kind, rtpParameters } = await near.consume({ producerId: id });
  await far.produce({ id, kind, rtpParameters });
  return [near, far];
}

/** Processor time that the worker has used, in milliseconds. */
async function cpuMs(worker: Worker): Promise<number> {
  const { ru_utime: user, ru_stime: system } = await worker.getResourceUsage();
  return user + system;
}

/**
 * One producer, a worker that receives it, a second worker behind an SRTP pipe, and receivers at either. Sender and
 * receivers do ICE, DTLS and SRTP, and live in this process, so that they share a clock.
 */
export class ForwardingRig {
  readonly #options: RigOptions;
  readonly #source: Node;
  readonly #destination: Node;
  readonly #stream: RtpStream;
  readonly #receivers: { remote: WebRtcTransport; local: SecureTransport }[] = [];
  readonly #capabilities: RtpCapabilities;
  #sender!: SecureTransport;
  #producer!: Producer;
  #pipe: PipeTransport[] = [];

  private constructor(options: RigOptions, source: Node, destination: Node) {
    this.#options = options;
    this.#source = source;
    this.#destination = destination;
    const { kind, payloadBytes } = options;
    this.#stream = new RtpStream({ kind, payloadBytes, payloadType: 101 });
    const reduced = reduceCapabilities(rtpCapabilities.parse(source.router.rtpCapabilities));
    this.#capabilities = reduced as RtpCapabilities;
  }

  static async create(options: RigOptions): Promise<ForwardingRig> {
    const [source, destination] = await Promise.all([startNode(), startNode()]);
    const rig = new ForwardingRig(options, source, destination);
    const { remote, local } = await rig.#connect(source);
    rig.#sender = local;
    const rtpParameters = rig.#stream.rtpParameters();
    rig.#producer = await remote.produce({ kind: options.kind, rtpParameters });
    return rig;
  }

  /** Adds a receiver and calls `onRtp` for each packet that it gets. */
  async addReceiver(placement: Placement, onRtp: SecureTransport['onRtp']): Promise<void> {
    if (placement === 'pipe' && this.#pipe.length === 0)
      this.#pipe = await pipeProducer(this.#source, this.#destination, this.#producer);
    const receiver = await this.#connect(placement === 'pipe' ? this.#destination : this.#source);
    receiver.local.onRtp = onRtp;
    this.#receivers.push(receiver);
    await receiver.remote.consume({
      producerId: this.#producer.id,
      rtpCapabilities: this.#capabilities,
    });
    this.#stream.requestKeyFrame();
  }

  /** Closes all receivers, and the pipe where there is one: what it forwards would be counted. */
  removeReceivers(): void {
    for (const end of this.#pipe.splice(0)) end.close();
    for (const { remote, local } of this.#receivers.splice(0)) {
      local.close();
      remote.close();
    }
  }

  send(): void {
    this.#stream.send(this.#sender);
  }

  /** Processor time of both workers so far, in milliseconds. */
  async cpuMs(): Promise<number> {
    const [source, destination] = await Promise.all([
      cpuMs(this.#source.worker),
      cpuMs(this.#destination.worker),
    ]);
    return source + destination;
  }

  async close(): Promise<void> {
    this.removeReceivers();
    this.#sender.close();
    await Promise.all(
      [this.#source, this.#destination].map(({ worker }) => {
        const ended = once(worker, 'subprocessclose');
        worker.close();
        return ended;
      }),
    );
  }

  async #connect({
    router,
    server,
  }: Node): Promise<{ remote: WebRtcTransport; local: SecureTransport }> {
    const remote = await router.createWebRtcTransport({ webRtcServer: server });
    await remote.connect({ dtlsParameters: await localDtlsParameters() });
    const { decryptEvery } = this.#options;
    const local = await SecureTransport.connect({
      server: remote,
      decryptEvery,
      receiveBufferBytes,
    });
    return { remote, local };
  }
}

import { randomInt } from 'node:crypto';
import { RtpHeader } from 'werift';

import type { MediaKind, RtpCapabilities } from '../../common/wire/rtp.ts';
import type { SecureTransport } from './secure-transport.ts';

/** RTP clock ticks of one packet: 20 ms of Opus at 48 kHz, a frame of 30/s video at 90 kHz. */
const ticks = { audio: 960, video: 3000 } as const;
const mimeTypes = { audio: 'audio/opus', video: 'video/vp8' } as const;
/** VP8 payload descriptor (start of partition 0) and the frame's first bytes: a 320×240 key frame, an inter frame. */
const keyFrame = Buffer.from([0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00]);
const interFrame = Buffer.from([0x10, 0x11, 0x02, 0x00]);
/** The sender's clock, last in every payload. */
const timestampLength = 8;
const minPayloadBytes = keyFrame.length + timestampLength;
const payloadFeedback = { packetType: 206, pli: 1, fir: 4 };

export interface RtpStreamOptions {
  kind: MediaKind;
  payloadType: number;
  /** Bytes of a packet's payload, at least 19. */
  payloadBytes: number;
}

/** What `produce` is asked with. */
export interface ProduceParameters {
  mid: string;
  codecs: {
    mimeType: string;
    payloadType: number;
    clockRate: number;
    channels?: number;
    rtcpFeedback: { type: string; parameter: string }[];
  }[];
  encodings: { ssrc: number }[];
  rtcp: { cname: string };
}

/** One outgoing RTP stream of Opus or VP8 packets that carry no sound or picture. Video starts with a key frame. */
export class RtpStream {
  readonly ssrc = randomInt(1, 2 ** 32);
  readonly kind: MediaKind;
  readonly #payloadType: number;
  readonly #payload: Buffer;
  #sequenceNumber = randomInt(0, 2 ** 16);
  #timestamp = randomInt(0, 2 ** 32);
  #keyFrameWanted = true;
  #sent = 0;

  constructor({ kind, payloadType, payloadBytes }: RtpStreamOptions) {
    this.kind = kind;
    this.#payloadType = payloadType;
    this.#payload = Buffer.alloc(Math.max(payloadBytes, minPayloadBytes));
  }

  get packetsSent(): number {
    return this.#sent;
  }

  requestKeyFrame(): void {
    this.#keyFrameWanted = true;
  }

  /** Sends the next packet, with `performance.now()` in it. */
  send(transport: SecureTransport): void {
    if (this.kind === 'video') {
      (this.#keyFrameWanted ? keyFrame : interFrame).copy(this.#payload);
      this.#keyFrameWanted = false;
    }
    const header = new RtpHeader({
      payloadType: this.#payloadType,
      sequenceNumber: this.#sequenceNumber,
      timestamp: this.#timestamp,
      ssrc: this.ssrc,
      marker: true,
    });
    this.#sequenceNumber = (this.#sequenceNumber + 1) % 2 ** 16;
    this.#timestamp = (this.#timestamp + ticks[this.kind]) % 2 ** 32;
    this.#sent++;
    this.#payload.writeDoubleBE(performance.now(), this.#payload.length - timestampLength);
    transport.sendRtp(this.#payload, header);
  }

  rtpParameters(): ProduceParameters {
    const { kind } = this;
    const codec = { mimeType: mimeTypes[kind], payloadType: this.#payloadType };
    return {
      mid: kind,
      codecs: [
        kind === 'audio'
          ? { ...codec, clockRate: 48_000, channels: 2, rtcpFeedback: [] }
          : { ...codec, clockRate: 90_000, rtcpFeedback: [{ type: 'nack', parameter: 'pli' }] },
      ],
      encodings: [{ ssrc: this.ssrc }],
      rtcp: { cname: String(this.ssrc) },
    };
  }
}

/** When a packet of an {@link RtpStream} was sent, by the sender's `performance.now()`. */
export const sentAt = (packet: Buffer): number =>
  packet.readDoubleBE(packet.length - timestampLength);

/** Calls `wanted` for each stream whose key frame a compound RTCP packet asks for, by PLI or FIR (RFC 4585, RFC 5104). */
export function readKeyFrameRequests(compound: Buffer, wanted: (ssrc: number) => void): void {
  for (let offset = 0; offset + 12 <= compound.length;) {
    const format = compound.readUInt8(offset) & 0x1f;
    const end = offset + 4 * (compound.readUInt16BE(offset + 2) + 1);
    if (compound.readUInt8(offset + 1) === payloadFeedback.packetType) {
      if (format === payloadFeedback.pli) wanted(compound.readUInt32BE(offset + 8));
      // A FIR names its streams in entries of eight bytes after the common part.
      for (let entry = offset + 12; format === payloadFeedback.fir && entry + 8 <= end; entry += 8)
        wanted(compound.readUInt32BE(entry));
    }
    offset = end;
  }
}

/**
 * The router's capabilities that a load peer has: Opus and VP8 with RTX, and no header extension. Without transport-cc
 * and REMB the server estimates no bandwidth, since nobody here would feed its estimator.
 */
export function reduceCapabilities(router: RtpCapabilities): RtpCapabilities {
  const isKept = ({ mimeType }: { mimeType: string }): boolean =>
    Object.values(mimeTypes).some((kept) => kept === mimeType.toLowerCase());
  const all = router.codecs ?? [];
  const kept = all.filter(isKept);
  const payloadTypes = kept.map(({ preferredPayloadType }) => preferredPayloadType);
  const rtx = all.filter(
    ({ mimeType, parameters }) =>
      mimeType.toLowerCase() === 'video/rtx' && payloadTypes.includes(Number(parameters?.['apt'])),
  );
  const feedback = ['nack', 'ccm'];
  return {
    codecs: [...kept, ...rtx].map((codec) => ({
      ...codec,
      rtcpFeedback: (codec.rtcpFeedback ?? []).filter(({ type }) => feedback.includes(type)),
    })),
    headerExtensions: [],
  };
}

/** @throws Error when the router has no such codec */
export function payloadTypeOf(capabilities: RtpCapabilities, kind: MediaKind): number {
  const codec = capabilities.codecs?.find(
    ({ mimeType }) => mimeType.toLowerCase() === mimeTypes[kind],
  );
  if (codec?.preferredPayloadType === undefined) throw new Error(`no ${mimeTypes[kind]} here`);
  return codec.preferredPayloadType;
}

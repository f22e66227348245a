import { z } from 'zod';

/**
 * The RTC parameter objects of ORTC as mediasoup and mediasoup-client exchange them. The shape is checked here, at the
 * edge; what the values mean is checked by mediasoup, which owns their rules.
 */
const rtcpFeedback = z.object({
  type: z.string().max(64),
  parameter: z.string().max(64).optional(),
});
const codecParameters = z.record(
  z.string().max(64),
  z.union([z.string().max(1024), z.number(), z.null()]),
);
const kind = z.enum(['audio', 'video']);

/**
 * A check of an object's size as JSON. What a client sends here is passed on to every peer of its room, so it is bounded
 * as a whole too.
 */
export const fitsIn =
  (maxBytes: number) =>
  (value: unknown): boolean => {
    try {
      return Buffer.byteLength(JSON.stringify(value)) <= maxBytes;
    } catch {
      // Nested too deeply to be written.
      return false;
    }
  };
const maxParametersBytes = 32_768;
const maxCapabilitiesBytes = 65_536;

const codecBase = {
  mimeType: z
    .string()
    .max(128)
    .regex(/^(audio|video)\/.+$/, 'expected audio/… or video/…'),
  clockRate: z.int().positive(),
  channels: z.int().positive().optional(),
  parameters: codecParameters.optional(),
  rtcpFeedback: z.array(rtcpFeedback).max(32).optional(),
};

export const mediaCodec = z.object({
  ...codecBase,
  kind,
  preferredPayloadType: z.int().min(0).max(127).optional(),
});

export const rtpCapabilities = z
  .object({
    codecs: z.array(mediaCodec).max(128).optional(),
    headerExtensions: z
      .array(
        z.object({
          kind,
          uri: z.string().max(255),
          preferredId: z.int(),
          preferredEncrypt: z.boolean().optional(),
          direction: z.enum(['sendrecv', 'sendonly', 'recvonly', 'inactive']).optional(),
        }),
      )
      .max(128)
      .optional(),
  })
  .refine(fitsIn(maxCapabilitiesBytes), 'too large');

export const rtpParameters = z
  .object({
    mid: z.string().max(255).optional(),
    msid: z.string().max(255).optional(),
    codecs: z.array(z.object({ ...codecBase, payloadType: z.int().min(0).max(127) })).max(64),
    headerExtensions: z
      .array(
        z.object({
          uri: z.string().max(255),
          id: z.int(),
          encrypt: z.boolean().optional(),
          parameters: codecParameters.optional(),
        }),
      )
      .max(64)
      .optional(),
    encodings: z
      .array(
        z.object({
          ssrc: z.int().nonnegative().optional(),
          rid: z.string().max(64).optional(),
          codecPayloadType: z.int().optional(),
          rtx: z.object({ ssrc: z.int().nonnegative() }).optional(),
          dtx: z.boolean().optional(),
          scalabilityMode: z.string().max(32).optional(),
          scaleResolutionDownBy: z.number().optional(),
          maxBitrate: z.number().optional(),
          maxFramerate: z.number().optional(),
          active: z.boolean().optional(),
          priority: z.string().max(32).optional(),
          networkPriority: z.string().max(32).optional(),
        }),
      )
      .max(16)
      .optional(),
    rtcp: z
      .object({
        cname: z.string().max(255).optional(),
        reducedSize: z.boolean().optional(),
        mux: z.boolean().optional(),
      })
      .optional(),
  })
  .refine(fitsIn(maxParametersBytes), 'too large');

export const dtlsParameters = z.object({
  role: z.enum(['auto', 'client', 'server']).optional(),
  fingerprints: z
    .array(
      z.object({
        algorithm: z.enum(['sha-1', 'sha-224', 'sha-256', 'sha-384', 'sha-512']),
        value: z.string().max(255),
      }),
    )
    .min(1)
    .max(16),
});

export const sctpStreamParameters = z.object({
  streamId: z.int().min(0).max(65534).optional(),
  ordered: z.boolean().optional(),
  maxPacketLifeTime: z.int().nonnegative().optional(),
  maxRetransmits: z.int().nonnegative().optional(),
});

export const srtpParameters = z.object({
  cryptoSuite: z.enum([
    'AEAD_AES_256_GCM',
    'AEAD_AES_128_GCM',
    'AES_CM_128_HMAC_SHA1_80',
    'AES_CM_128_HMAC_SHA1_32',
  ]),
  keyBase64: z.string().max(128),
});

export const mediaKind = kind;
/** What mediasoup made and only a client reads: passed on as it is. */
export const opaque = z.record(z.string(), z.unknown());

export type MediaKind = z.infer<typeof kind>;
export type RtpCapabilities = z.infer<typeof rtpCapabilities>;

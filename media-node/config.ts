import { z } from 'zod';

import { commonConfig, databaseConfig, httpClientConfig } from '../common/service/config.ts';
import { announcedAddress, nodeRole } from '../common/wire/media-node.ts';
import { mediaCodec } from '../common/wire/rtp.ts';

const ms = (fallback: number, what: string) =>
  z.int().positive().default(fallback).describe(`${what}, in milliseconds`);
const count = (fallback: number, what: string) =>
  z.int().positive().default(fallback).describe(what);
const port = (what: string) => z.int().min(1).max(65535).describe(what);

/** The codecs of the public demo: what its clients are tested with. */
const defaultCodecs: z.input<typeof mediaCodec>[] = [
  { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 },
  {
    kind: 'video',
    mimeType: 'video/VP8',
    clockRate: 90_000,
    parameters: { 'x-google-start-bitrate': 1000 },
  },
  {
    kind: 'video',
    mimeType: 'video/VP9',
    clockRate: 90_000,
    parameters: { 'profile-id': 2, 'x-google-start-bitrate': 1000 },
  },
  {
    kind: 'video',
    mimeType: 'video/h264',
    clockRate: 90_000,
    parameters: {
      'packetization-mode': 1,
      'profile-level-id': '42e01f',
      'level-asymmetry-allowed': 1,
      'x-google-start-bitrate': 1000,
    },
  },
];

const pipeNetwork = z
  .strictObject({
    listenIp: z.string().default('127.0.0.1').describe('address that pipe transports bind to'),
    announcedAddress: z
      .string()
      .optional()
      .describe('address that other media nodes reach pipes at; default: the listening one'),
    portMin: port('lowest UDP port of pipes and plain transports').default(40_000),
    portMax: port('highest UDP port of pipes and plain transports').default(49_999),
  })
  .refine(({ portMin, portMax }) => portMin <= portMax, {
    path: ['portMax'],
    message: 'expected at least portMin',
  });

const rtc = z.strictObject({
  listenIp: z.string().default('127.0.0.1').describe('address that the workers’ RTC ports bind to'),
  announcedAddress: announcedAddress
    .optional()
    .describe('address in ICE candidates until the operator tells one; default: the listening one'),
  portStart: port('worker i has portStart + i, UDP and TCP'),
  workers: z.int().min(1).max(256).describe('number of mediasoup workers, about one for each CPU'),
  initialAvailableOutgoingBitrate: count(1_000_000, 'first bandwidth estimate, in bit/s'),
  maxIncomingBitrate: z
    .int()
    .positive()
    .optional()
    .describe('most that one sending transport may send, in bit/s; default: no limit'),
  sctpMaxMessageSize: count(262_144, 'largest data channel message, in bytes'),
  iceConsentTimeoutSeconds: z
    .int()
    .min(0)
    .default(30)
    .describe('silence after which ICE counts as disconnected, in seconds; 0: never'),
  transportsPerPeer: count(8, 'most transports that one peer may have on this node'),
  workerRestartBackoffMs: ms(500, 'pause before a dead worker is replaced; doubles each time'),
  workerRestartMaxBackoffMs: ms(30_000, 'longest pause before a dead worker is replaced'),
  keyFrameRequestDelayMs: ms(1_000, 'least time between two key frame requests to one producer'),
  keyFrameRetryMs: ms(
    1_000,
    'pause before a key frame is asked for again for a video stream that sends nothing; doubles each time',
  ),
  keyFrameMaxRetryMs: ms(15_000, 'longest pause before a key frame is asked for again'),
  cpuSampleMs: ms(2_000, 'how often the workers’ CPU use is measured'),
  logLevel: z
    .enum(['debug', 'warn', 'error', 'none'])
    .default('warn')
    .describe('least severity that a mediasoup worker logs'),
  pipe: pipeNetwork.prefault({}),
});

const pipes = z
  .strictObject({
    idleMs: ms(30_000, 'how long a piped producer that nobody watches, or an empty pipe, is kept'),
    stateRetryMs: ms(200, 'pause before a failed state update is repeated; doubles each time'),
    stateMaxRetryMs: ms(5_000, 'longest pause before a failed state update is repeated'),
    demandIntervalMs: ms(5_000, 'how often a destination tells the source what it still needs'),
    lostAfterMs: ms(60_000, 'silence of the far end after which a pipe is closed'),
    releasedMemoryMs: ms(
      120_000,
      'how long a released far end is remembered, so that a late creation does not outlive it',
    ),
  })
  .prefault({});

export const mediaNodeConfig = z.strictObject({
  ...commonConfig,
  instance: z.strictObject({
    podName: z.string().min(1).describe('name of this pod'),
    pool: z.string().min(1).describe('name of the MediaWorker pool'),
    role: nodeRole.describe('which side of rooms this node serves'),
  }),
  listen: z.strictObject({
    host: z
      .string()
      .default('127.0.0.1')
      .describe('address of the internal API; never a public one'),
    port: z.int().min(0).max(65535).describe('port of the internal API; 0: any free one'),
  }),
  advertiseUrl: z
    .url()
    .optional()
    .describe('base URL that other services reach the API at; default: http://host:port'),
  rtc,
  mediaCodecs: z
    .array(mediaCodec)
    .min(1)
    .default(() => z.array(mediaCodec).parse(defaultCodecs))
    .describe('codecs of routers whose room names none'),
  audioLevels: z
    .strictObject({
      intervalMs: ms(800, 'how often volumes are reported'),
      thresholdDb: z.int().min(-127).max(0).default(-80).describe('least volume reported, in dBvo'),
      maxEntries: count(10, 'most peers in one report'),
    })
    .prefault({}),
  pipes,
  join: z
    .strictObject({
      announceAfterMs: ms(
        2_000,
        'others hear of a new peer once its consumers exist, at the latest after this',
      ),
    })
    .prefault({}),
  sweep: z
    .strictObject({
      intervalMs: ms(15_000, 'how often tables and live objects are compared'),
      graceMs: ms(20_000, 'age below which an object or row is left alone'),
      refusedMs: ms(600_000, 'how long a producer that can’t be consumed is not tried again'),
    })
    .prefault({}),
  peers: z
    .strictObject({
      closedMemoryMs: ms(
        600_000,
        'how long a closed peer is remembered, so that what was under way for it makes nothing new',
      ),
    })
    .prefault({}),
  rows: z
    .strictObject({
      gatherMs: ms(20, 'how long rows to delete are gathered before they go in one statement'),
      settleMs: ms(500, 'how long a call waits for the rows of what it closed'),
    })
    .prefault({}),
  notifications: z
    .strictObject({
      retryMs: ms(100, 'pause before a failed batch is repeated; doubles each time'),
      maxRetryMs: ms(5_000, 'longest pause before a failed batch is repeated'),
      maxAgeMs: ms(30_000, 'age after which an undeliverable message is dropped'),
      maxBatch: count(500, 'most messages in one request'),
      shutdownShare: z
        .number()
        .min(0)
        .max(1)
        .default(0.2)
        .describe('share of the shutdown time that messages to clients may take'),
      replicaCacheMs: ms(2_000, 'how long the list of a room’s signaling replicas is used'),
      maxBatchBytes: count(4_194_304, 'most bytes of messages in one request'),
      maxQueue: count(50_000, 'most messages that wait for one replica'),
      lostMaxAgeMs: ms(3_600_000, 'how long a replica is told which connections are lost'),
    })
    .prefault({}),
  consume: z
    .strictObject({
      maxReceivers: count(500, 'most receiving transports in one call for consumers'),
    })
    .prefault({}),
  registration: z
    .strictObject({
      retryMs: ms(500, 'pause before registering is tried again; doubles each time'),
      maxRetryMs: ms(10_000, 'longest pause before registering is tried again'),
    })
    .prefault({}),
  metrics: z
    .strictObject({
      maxTransportsPerScrape: count(500, 'most transports asked for byte counts at one scrape'),
    })
    .prefault({}),
  database: databaseConfig,
  httpClient: httpClientConfig,
  bodyLimitBytes: count(4_194_304, 'largest request body, in bytes'),
});

export type MediaNodeConfig = z.output<typeof mediaNodeConfig>;

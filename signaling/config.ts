import { z } from 'zod';

import { kubernetesKeys } from '../common/kubernetes/config.ts';
import { commonConfig, databaseConfig, httpClientConfig } from '../common/service/config.ts';
import { webhooksConfig } from './webhooks/config.ts';

const ms = (fallback: number, what: string, most = 86_400_000) =>
  z.int().positive().max(most).default(fallback).describe(`${what}, in milliseconds`);
/** May be 0: all at once. */
const spread = (fallback: number, what: string) =>
  z.int().min(0).max(600_000).default(fallback).describe(`${what}, in milliseconds`);
const count = (fallback: number, what: string) =>
  z.int().positive().default(fallback).describe(what);
/** No more than a MediaRoom may have. */
const routers = (what: string) => z.int().min(1).max(32).default(1).describe(what);
const port = (what: string) => z.int().min(0).max(65535).describe(what);
const file = (what: string) => z.string().min(1).describe(what);

const publicListener = z.strictObject({
  host: z.string().default('0.0.0.0').describe('address that clients connect to'),
  port: port('port that clients connect to; 0 lets the system choose').default(4443),
  tls: z
    .strictObject({
      certFile: file('PEM file of the certificate chain'),
      keyFile: file('PEM file of the private key'),
    })
    .optional()
    .describe('serves HTTPS and WSS; without it HTTP and WS'),
  urls: z
    .array(z.url({ protocol: /^https?$/ }))
    .min(1)
    .describe(
      'URLs of the pages whose browsers may connect: scheme and host name must equal those of the Origin header, ports are not compared',
    ),
  page: z
    .boolean()
    .default(false)
    .describe('serves the demo page at /, which then connects to its own origin'),
  trustedProxies: z
    .int()
    .min(0)
    .default(0)
    .describe('how many proxies in front append to X-Forwarded-For; 0 takes the socket’s address'),
});

const internalListener = z
  .strictObject({
    host: z
      .string()
      .default('127.0.0.1')
      .describe('address of the internal API, probes and metrics'),
    port: port('port of the internal API; 0 lets the system choose').default(4444),
    url: z
      .url()
      .optional()
      .describe(
        'URL under which media nodes and other replicas reach it; default http://host:port',
      ),
    bodyLimitBytes: count(8_388_608, 'largest body of an internal call, in bytes'),
  })
  .prefault({});

const kubernetes = z
  .strictObject({
    ...kubernetesKeys,
    namespace: z
      .string()
      .default('default')
      .describe('namespace of the MediaRooms and MediaWorkers'),
  })
  .prefault({});

const rooms = z
  .strictObject({
    readyTimeoutMs: ms(15_000, 'how long a connection waits for its room to get ready'),
    partialAfterMs: ms(
      1_500,
      'after how long a room that is not wholly ready takes peers on the routers that are',
    ),
    onJoin: z
      .strictObject({
        producerRouters: routers('producer routers of a room that is made on first join'),
        consumerRouters: routers(
          'consumer routers of such a room: over how many nodes its watchers spread at first',
        ),
      })
      .prefault({}),
  })
  .prefault({});

const websocket = z
  .strictObject({
    maxFrameBytes: count(960_000, 'largest frame a client may send, in bytes'),
    pingIntervalMs: ms(10_000, 'pause between pings'),
    missedPings: count(
      2,
      'pings without an answer after which a client is gone: at most one pause later',
    ),
    joinTimeoutMs: ms(10_000, 'how long a connection may stay without a join'),
    clientTimeoutMs: ms(20_000, 'how long a client may take to answer a request'),
    closeTimeoutMs: ms(2_000, 'how long a client may take to answer the closing handshake'),
    maxUnanswered: count(1_000, 'most requests to one client that wait for its answer'),
    maxQueued: count(
      5_000,
      'most messages that wait for one client; beyond it the socket is closed',
    ),
    maxBufferedBytes: count(8_388_608, 'most bytes that wait for one client’s network'),
  })
  .prefault({});

const limits = z
  .strictObject({
    messagesPerSecond: count(50, 'messages a second that one connection may send in the long run'),
    messageBurst: count(200, 'messages that one connection may send at once'),
    refusalsBeforeClose: count(
      100,
      'refused or malformed messages after which the socket is closed; each accepted message takes one back',
    ),
    pendingRequests: count(100, 'requests of one connection that may wait for their answers'),
    connectionsPerAddress: count(200, 'sockets that one address may have open at this replica'),
    broadcasterBodyBytes: count(
      65_536,
      'largest body of an HTTP request of a broadcaster or admin',
    ),
  })
  .prefault({});

const replicas = z
  .strictObject({
    heartbeatMs: ms(2_000, 'pause between signs of life in the tables'),
    deadAfterMs: ms(15_000, 'silence after which the others take a replica for dead'),
    reapIntervalMs: ms(5_000, 'pause between looks for dead replicas'),
    reapConcurrency: count(
      8,
      'peers that are taken leave of at once, of a dead replica or whose time is over',
    ),
  })
  .prefault({});

const leave = z
  .strictObject({
    nodeTimeoutMs: ms(2_000, 'how long a media node may take to close a peer that left'),
    retryMinMs: ms(
      500,
      'first pause before a row that could not be deleted is tried again; it doubles',
    ),
    retryMaxMs: ms(10_000, 'longest such pause'),
  })
  .prefault({});

const resume = z
  .strictObject({
    graceMs: ms(
      30_000,
      'how long the session of a client that can resume it lasts without a socket',
    ),
  })
  .prefault({});

const moves = z
  .strictObject({
    concurrency: count(20, 'peers of one replica that move off nodes that drain at once'),
    clientTimeoutMs: ms(
      10_000,
      'how long a client may take to replace a transport, before it is asked again and others have their turn',
    ),
    overlapMs: ms(
      3_000,
      'how long a publisher keeps its old transport beside the new one, if its node lives',
    ),
    failoverSpreadMs: spread(300, 'over how long the peers of a lost node are asked to move'),
    rejoinSpreadMs: spread(
      3_000,
      'over how long clients that only rejoin are closed when they have to move',
    ),
    lostTimeoutMs: ms(
      20_000,
      'how long a client may stay without a side that was lost, before it is closed to rejoin',
    ),
    suspicionMs: ms(
      5_000,
      'how long the word of the operator is waited for when a media node does not know a peer or does not answer',
    ),
  })
  .prefault({});

const fanout = z
  .strictObject({
    batchMemory: count(
      20_000,
      'batch ids that are remembered, so that a repeated batch does nothing',
    ),
    tombstones: count(
      1_000,
      'closed consumers, and states of those not announced yet, that one connection remembers',
    ),
    endedPeers: count(
      10_000,
      'ended connections that are remembered, so that late word of their arrival is dropped',
    ),
    volumeTtlMs: ms(2_500, 'how long a router’s volumes count after its last report'),
    maxSpeakers: count(10, 'most peers named in speakingPeers'),
    resumeRetryMs: ms(1_000, 'pause before consumers that could not be resumed are tried again'),
  })
  .prefault({});

const consolePage = z
  .strictObject({
    cacheMs: ms(1_000, 'for how long a picture of the platform is served again'),
    statusTimeoutMs: ms(1_000, 'how long a media node may take to tell its status'),
    concurrency: count(8, 'media nodes that are asked at once'),
  })
  .prefault({});

const check = z
  .strictObject({ timeoutMs: ms(60_000, 'how long the command check may take') })
  .prefault({});

/** The signaling service's configuration; `config/signaling.yaml` is a sample of every key. */
export const signalingConfig = z
  .strictObject({
    ...commonConfig,
    sessionsShutdownShare: z
      .number()
      .min(0)
      .max(1)
      .default(0.7)
      .describe('share of shutdownTimeoutMs that sessions may take to close and leave'),
    shutdownDelayMs: z
      .int()
      .min(0)
      .max(600_000)
      .default(0)
      .describe(
        'how long the replica goes on serving after SIGTERM, not ready, until load balancers have noticed; in milliseconds, besides shutdownTimeoutMs',
      ),
    public: publicListener,
    internal: internalListener,
    database: databaseConfig,
    httpClient: httpClientConfig,
    roomAuth: z.strictObject({
      secret: z.string().min(32).describe('key of the room tokens (HS256)'),
      development: z
        .boolean()
        .default(false)
        .describe(
          'lets everybody in with every grant where no token is given; never in production',
        ),
    }),
    kubernetes,
    rooms,
    websocket,
    limits,
    replicas,
    leave,
    resume,
    moves,
    fanout,
    webhooks: webhooksConfig,
    console: consolePage,
    check,
  })
  .refine(({ replicas: { heartbeatMs, deadAfterMs } }) => deadAfterMs >= 3 * heartbeatMs, {
    path: ['replicas', 'deadAfterMs'],
    message: 'must be at least three times heartbeatMs',
  })
  .refine(({ database }) => database.poolMax >= 2, {
    path: ['database', 'poolMax'],
    message: 'must be at least 2: reaping a dead replica holds one connection',
  });

export type SignalingConfig = z.output<typeof signalingConfig>;

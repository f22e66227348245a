import { z } from 'zod';

import { kubernetesKeys } from '../common/kubernetes/config.ts';
import { leaseName } from '../common/kubernetes/rbac.ts';
import { commonConfig, databaseConfig, httpClientConfig } from '../common/service/config.ts';
import { auditConfig } from './audit/config.ts';
import { localConfig } from './local/config.ts';

const ms = (fallback: number, what: string) =>
  z.int().positive().default(fallback).describe(`${what}, in milliseconds`);
const count = (fallback: number, what: string) =>
  z.int().positive().default(fallback).describe(what);

const backoff = (initialMs: number, maxMs: number, what: string) =>
  z
    .strictObject({
      initialMs: ms(initialMs, `delay before the first repetition of ${what}; doubles each time`),
      maxMs: ms(maxMs, `longest delay between repetitions of ${what}`),
    })
    .prefault({});

const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'expected a DNS label')
  .max(63);
const dnsSubdomain = z
  .string()
  .regex(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/, 'expected a DNS subdomain')
  .max(253);

const leaderElection = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe(
        'whether several operators agree on one that acts; without it there may be one only',
      ),
    name: dnsSubdomain.default(leaseName).describe('name of the Lease'),
    namespace: dnsLabel
      .optional()
      .describe('namespace of the Lease; default: the one of the operator’s pod or kubeconfig'),
    identity: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe('this operator’s name in the Lease; default: host name and a random part'),
    leaseDurationMs: ms(15_000, 'how long others wait for a leader that is silent'),
    renewDeadlineMs: ms(10_000, 'how long the leader goes on without a renewal; then it exits'),
    retryPeriodMs: ms(2_000, 'pause between two attempts to renew or to take over'),
  })
  .refine(({ leaseDurationMs, renewDeadlineMs }) => renewDeadlineMs < leaseDurationMs, {
    error: 'must be less than leaseDurationMs, so that the old leader ends before the next begins',
    path: ['renewDeadlineMs'],
  })
  .refine(({ renewDeadlineMs, retryPeriodMs }) => retryPeriodMs * 1.2 < renewDeadlineMs, {
    error: 'must be less than renewDeadlineMs / 1.2, so that a failed renewal can be repeated',
    path: ['retryPeriodMs'],
  })
  .prefault({});

const events = z
  .strictObject({
    seriesWindowMs: ms(360_000, 'equal Events within this time are counted in one'),
    burst: count(25, 'Events of one object that are written without a pause'),
    refillMs: ms(60_000, 'after how long an object may have one Event more'),
    maxQueue: count(1_000, 'Events that wait to be written; what comes beyond is lost'),
    maxRemembered: count(4_096, 'Events, and objects that had some, that are remembered at most'),
    flushTimeoutMs: ms(2_000, 'how long Events that wait may take to be written at the end'),
  })
  .prefault({});

const kubernetes = z.strictObject({
  ...kubernetesKeys,
  namespace: dnsLabel
    .optional()
    .describe('the only namespace that is looked after; default: all of them'),
  fieldManager: z
    .string()
    .min(1)
    .max(128)
    .default('kube-sfu-operator')
    .describe('name under which the API server keeps what fields the operator owns'),
  leaderElection,
  events,
});

/** The operator's configuration. Unknown keys fail. */
export const operatorConfig = z
  .strictObject({
    ...commonConfig,
    listen: z
      .strictObject({
        host: z.string().default('127.0.0.1').describe('address of /healthz, /readyz and /metrics'),
        port: z
          .int()
          .min(0)
          .max(65535)
          .default(8090)
          .describe('its port; 0 lets the system choose'),
      })
      .prefault({}),
    nodeClient: httpClientConfig,
    nodes: z
      .strictObject({
        intervalMs: ms(1_000, 'pause between two polls of a node'),
        timeoutMs: ms(1_500, 'how long one poll may take'),
        silentIntervalMs: ms(
          500,
          'how long a poll may go without an answer before the next one is sent beside it',
        ),
        refusedIntervalMs: ms(100, 'pause between two polls of a node that refuses connections'),
        drainingIntervalMs: ms(250, 'pause between two polls of a node that drains'),
        concurrency: count(16, 'polls under way at a time'),
        staleAfterMisses: count(2, 'missed polls after which a node gets no new router'),
        deadAfterMisses: count(
          3,
          'missed polls after which a node is given up and its rooms move, where deadAfterMs have passed too',
        ),
        deadAfterMs: ms(3_000, 'how long a node must be silent to be given up'),
        deadAfterRefusals: count(
          3,
          'refused connections in a row after which a node is given up without that wait',
        ),
        replaceAfterMs: ms(
          30_000,
          'how long a node must be silent for its pod to be replaced, and to be given up where no other node answers that could have shown that the operator is not cut off',
        ),
        startTimeoutMs: ms(60_000, 'how long a node may take from its start to its first answer'),
      })
      .refine(({ staleAfterMisses, deadAfterMisses }) => staleAfterMisses <= deadAfterMisses, {
        error: 'must not be less than staleAfterMisses: a node that is given up gets no new router',
        path: ['deadAfterMisses'],
      })
      .refine(({ deadAfterMs, replaceAfterMs }) => deadAfterMs <= replaceAfterMs, {
        error: 'must not be less than deadAfterMs, so that rooms move before their pod is replaced',
        path: ['replaceAfterMs'],
      })
      .prefault({}),
    reconcile: z
      .strictObject({
        roomConcurrency: count(32, 'rooms worked on at a time'),
        poolConcurrency: count(2, 'pools worked on at a time'),
        backoff: backoff(500, 30_000, 'a failed reconcile'),
        resyncMs: ms(60_000, 'longest time between two looks at an object'),
        statusIntervalMs: ms(
          5_000,
          'least time between two status writes for changed figures alone',
        ),
      })
      .prefault({}),
    pods: z
      .strictObject({
        image: z
          .string()
          .min(1)
          .max(512)
          .default('kube-sfu:latest')
          .describe('image of pools that name none'),
        apiPort: z
          .int()
          .min(1)
          .max(65535)
          .default(7000)
          .describe(
            'port of the nodes’ API; with HostNetwork each node has one of its own from the pool’s range',
          ),
        configMapName: dnsSubdomain
          .optional()
          .describe(
            'ConfigMap with media-node.yaml, in the pools’ namespace; default: the configuration in the image',
          ),
        secretName: dnsSubdomain
          .optional()
          .describe(
            'Secret in the pools’ namespace whose keys are in the nodes’ environment: SERVICE_SECRET and DATABASE_URL',
          ),
        serviceAccountName: dnsSubdomain
          .optional()
          .describe('service account of the nodes; no token of it is mounted'),
        configHash: z
          .string()
          .min(1)
          .max(128)
          .optional()
          .describe(
            'stands for the content of the nodes’ ConfigMap and Secret: another value rolls all pools',
          ),
        drainProgressMs: ms(
          30_000,
          'least time between two Events that tell how far the drain of a node is',
        ),
        portReservationMs: ms(
          600_000,
          'how long the ports of a new pod are set aside while the pod does not appear',
        ),
        terminationGracePeriodSeconds: count(8, 'how long a node may take to end, in seconds'),
        deletionTimeoutMs: ms(
          120_000,
          'how long a deleted pod may stay after its grace period, as on a machine that is cut off; then it is let go',
        ),
      })
      .prefault({}),
    placement: z
      .strictObject({
        busyCpuPercent: count(
          80,
          'CPU use of a node, in percent of one CPU for its busiest worker, above which others are preferred',
        ),
        loadStepPercent: count(10, 'loads that differ by less count as equal'),
        refusalMs: ms(15_000, 'how long a node that refused a router is left out for that room'),
      })
      .prefault({}),
    rooms: z
      .strictObject({
        closeTimeoutMs: ms(
          30_000,
          "how long a deleted room's routers may take to close before the operator gives up on them",
        ),
        drainGraceMs: ms(
          2_000,
          'least time that a draining router without peers is kept, and how long peers may take to go once its deadline has passed',
        ),
        orphanGraceMs: ms(10_000, 'how long a router that belongs to no room is kept on a node'),
        growAtPercent: z
          .int()
          .min(1)
          .max(100)
          .default(80)
          .describe(
            'use of the capacity of each of a room’s consumer routers from which it gets one more, in percent',
          ),
        shrinkBelowPercent: z
          .int()
          .min(1)
          .max(100)
          .default(60)
          .describe(
            'use of capacity below which one of a room’s other consumer routers must be before an added one goes, in percent',
          ),
        shrinkAfterMs: ms(60_000, 'how long an added consumer router must be empty before it goes'),
      })
      .refine(({ growAtPercent, shrinkBelowPercent }) => shrinkBelowPercent < growAtPercent, {
        error: 'must be less than growAtPercent, so that rooms don’t shrink and grow in turn',
        path: ['shrinkBelowPercent'],
      })
      .prefault({}),
    instances: z
      .strictObject({
        backoff: backoff(1_000, 30_000, 'the removal of ended instances from the store'),
        auditIntervalMs: ms(10_000, 'pause between two comparisons of the store with the nodes'),
      })
      .prefault({}),
    audit: auditConfig,
    database: databaseConfig
      .optional()
      .describe(
        'session tables, where the rows of ended instances are removed; without it they stay',
      ),
    migrations: z
      .strictObject({
        connectTimeoutMs: ms(120_000, 'how long the command migrate waits for Postgres'),
        retryMs: ms(1_000, 'pause between two of its attempts to connect'),
        lockTimeoutMs: ms(300_000, 'how long it waits for another that is under way'),
      })
      .prefault({}),
    cleanup: z
      .strictObject({
        timeoutMs: ms(
          180_000,
          'how long rooms and pools that the command cleanup deletes may take to go',
        ),
        pollMs: ms(1_000, 'pause between two of its looks at what is left'),
      })
      .prefault({}),
    autoscaling: z
      .strictObject({
        intervalMs: ms(5_000, 'pause between two looks at a pool’s load'),
        tolerancePercent: z
          .int()
          .min(0)
          .max(100)
          .default(10)
          .describe('deviation from the target that changes nothing, in percent of it'),
      })
      .prefault({}),
    kubernetes: kubernetes.optional().describe('runs on a cluster; either this or local'),
    local: localConfig
      .optional()
      .describe('runs without a cluster: resources from a folder, pods as processes'),
  })
  .refine(({ kubernetes: cluster, local }) => (cluster === undefined) !== (local === undefined), {
    error: 'exactly one of kubernetes and local must be set',
    path: ['kubernetes'],
  })
  .refine(
    ({ local, pods, shutdownTimeoutMs }) =>
      local === undefined || pods.terminationGracePeriodSeconds * 1000 < shutdownTimeoutMs,
    {
      error:
        'must be longer than pods.terminationGracePeriodSeconds, so that local nodes can end first',
      path: ['shutdownTimeoutMs'],
    },
  );

export type OperatorConfig = z.output<typeof operatorConfig>;
export type KubernetesConfig = z.output<typeof kubernetes>;
export type LeaderElectionConfig = KubernetesConfig['leaderElection'];
export type EventsConfig = KubernetesConfig['events'];

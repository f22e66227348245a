import { z } from 'zod';

import { commonConfig, databaseConfig, httpClientConfig } from '../common/service/config.ts';
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
        intervalMs: ms(2_000, 'pause between two polls of a node'),
        timeoutMs: ms(1_500, 'how long one poll may take'),
        concurrency: count(16, 'polls under way at a time'),
        staleAfterMisses: count(3, 'missed polls after which a node gets no new router'),
        deadAfterMisses: count(
          15,
          'missed polls after which a node is given up and its rooms move',
        ),
        startTimeoutMs: ms(60_000, 'how long a node may take from its start to its first answer'),
      })
      .prefault({}),
    reconcile: z
      .strictObject({
        roomConcurrency: count(8, 'rooms worked on at a time'),
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
        terminationGracePeriodSeconds: count(8, 'how long a node may take to end, in seconds'),
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
        drainGraceMs: ms(5_000, 'least time that a draining router without peers is kept'),
        orphanGraceMs: ms(10_000, 'how long a router that belongs to no room is kept on a node'),
      })
      .prefault({}),
    instances: z
      .strictObject({
        backoff: backoff(1_000, 30_000, 'the removal of ended instances from the store'),
        auditIntervalMs: ms(10_000, 'pause between two comparisons of the store with the nodes'),
      })
      .prefault({}),
    database: databaseConfig
      .optional()
      .describe(
        'session tables, where the rows of ended instances are removed; without it they stay',
      ),
    local: localConfig.describe(
      'runs without a cluster: resources from a folder, pods as processes',
    ),
  })
  .refine(
    ({ pods, shutdownTimeoutMs }) => pods.terminationGracePeriodSeconds * 1000 < shutdownTimeoutMs,
    {
      error: 'must be longer than pods.terminationGracePeriodSeconds, so that nodes can end first',
      path: ['shutdownTimeoutMs'],
    },
  );

export type OperatorConfig = z.output<typeof operatorConfig>;

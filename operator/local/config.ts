import { z } from 'zod';

const ms = (fallback: number, what: string) =>
  z.int().positive().default(fallback).describe(`${what}, in milliseconds`);
const port = z.int().min(1).max(65535);

/** Configuration of the local adapter. */
export const localConfig = z.strictObject({
  namespace: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'expected a DNS label')
    .max(63)
    .default('default')
    .describe('namespace of objects that name none'),
  resources: z.strictObject({
    dir: z
      .string()
      .min(1)
      .describe('folder of YAML files with MediaWorkers and MediaRooms; watched'),
    // chokidar drops changes that follow another within 50 ms: what it drops must be over before the file is read.
    settleMs: z
      .int()
      .min(100)
      .default(200)
      .describe('how long a changed file must be quiet before it is read, in milliseconds'),
  }),
  api: z.strictObject({
    host: z
      .enum(['127.0.0.1', '::1', 'localhost'])
      .default('127.0.0.1')
      .describe('loopback address of the Kubernetes-shaped API'),
    port: z.int().min(0).max(65535).default(0).describe('its port; 0 lets the system choose'),
    kubeconfig: z
      .string()
      .min(1)
      .describe('file that the operator writes for clients of that API, with a token'),
    bodyLimitBytes: z.int().min(1024).default(3_145_728).describe('largest request body in bytes'),
    watchTimeoutMs: ms(1_800_000, 'longest life of a watch that names no time-out of its own'),
    watchBufferBytes: z
      .int()
      .min(1024)
      .default(16_777_216)
      .describe('unread bytes at which a slow watch is ended'),
    historySize: z.int().min(10).default(2_000).describe('changes that a watch can resume from'),
    bookmarkIntervalMs: ms(
      10_000,
      'pause between two bookmarks on a watch; clients take a watch that is silent for 30 s for dead',
    ),
  }),
  pods: z.strictObject({
    command: z
      .array(z.string().min(1))
      .min(1)
      .describe(
        'command that runs a media node, its configuration file included; "node" means the Node that runs the operator',
      ),
    ip: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1').describe('address of every pod'),
    announcedAddress: z
      .string()
      .min(1)
      .default('127.0.0.1')
      .describe('address that clients are given where a pool names none'),
    apiPorts: z
      .strictObject({
        start: port.default(14_000).describe("first port for nodes' APIs"),
        end: port.default(14_999).describe("last port for nodes' APIs"),
      })
      .refine(({ start, end }) => start <= end, {
        error: 'must not be less than start',
        path: ['end'],
      })
      .prefault({}),
    logDir: z
      .string()
      .min(1)
      .optional()
      .describe('folder with a log file for each pod; without it logs go to standard output'),
    readinessIntervalMs: ms(500, "pause between two looks at a node's /readyz"),
    restartBackoff: z
      .strictObject({
        initialMs: ms(500, 'pause before an ended process is started again; doubles each time'),
        maxMs: ms(30_000, 'longest such pause'),
        resetAfterMs: ms(60_000, 'how long a process must have run for the pause to start over'),
      })
      .prefault({}),
  }),
});

export type LocalConfig = z.output<typeof localConfig>;

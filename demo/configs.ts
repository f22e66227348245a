import type { z } from 'zod';

import type { mediaNodeConfig } from '../media-node/config.ts';
import type { operatorConfig } from '../operator/config.ts';
import type { signalingConfig } from '../signaling/config.ts';
import type { TlsFiles } from './tls.ts';

/** What all services of the demo have in common. */
interface Shared {
  databaseUrl: string;
  serviceSecret: string;
  roomSecret: string;
  logLevel: string;
  kubeconfig: string;
}

type LogLevel = 'info';

const base = (shared: Shared) => ({
  log: { level: shared.logLevel as LogLevel },
  serviceAuth: { secret: shared.serviceSecret },
});

/** The keys of a media node, with `${NAME}` where the pod's environment gives the value. */
type PodConfig = { [Key in keyof z.input<typeof mediaNodeConfig>]: unknown };

/** The nodes' configuration; what differs from pod to pod comes from the environment that the operator sets. */
export const mediaNodeConfigOf = (shared: Shared): PodConfig => ({
  ...base(shared),
  instance: { podName: '${POD_NAME}', pool: '${POOL}', role: '${ROLE}' },
  listen: { host: '${POD_IP}', port: '${API_PORT}' },
  rtc: {
    listenIp: '${POD_IP}',
    announcedAddress: '${ANNOUNCED_ADDRESS}',
    portStart: '${RTC_PORT_START}',
    workers: '${RTC_WORKERS}',
    pipe: { listenIp: '${POD_IP}', portMin: 26_000, portMax: 29_999 },
  },
  // Short, so that what a room leaves behind can be watched going away.
  pipes: { idleMs: 2000 },
  database: { url: shared.databaseUrl },
});

interface OperatorPlaces {
  port: number;
  /** First of the ports for the nodes' APIs. */
  nodeApiPort: number;
  nodeConfigFile: string;
  resourcesDir: string;
  logDir: string;
}

export const operatorConfigOf = (
  shared: Shared,
  places: OperatorPlaces,
): z.input<typeof operatorConfig> => ({
  ...base(shared),
  listen: { port: places.port },
  database: { url: shared.databaseUrl },
  local: {
    resources: { dir: places.resourcesDir },
    api: { kubeconfig: shared.kubeconfig },
    pods: {
      command: [process.execPath, 'media-node/main.ts', '--config', places.nodeConfigFile],
      apiPorts: { start: places.nodeApiPort, end: places.nodeApiPort + 499 },
      logDir: places.logDir,
    },
  },
});

interface SignalingPlaces {
  publicPort: number;
  internalPort: number;
  pageUrls: string[];
  tls: TlsFiles | undefined;
  /** Consumer nodes. */
  consumers: number;
}

export const signalingConfigOf = (
  shared: Shared,
  { publicPort, internalPort, pageUrls, tls, consumers }: SignalingPlaces,
): z.input<typeof signalingConfig> => ({
  ...base(shared),
  public: { host: '127.0.0.1', port: publicPort, urls: pageUrls, ...(tls ? { tls } : {}) },
  internal: { port: internalPort },
  database: { url: shared.databaseUrl },
  roomAuth: { secret: shared.roomSecret, development: true },
  kubernetes: { kubeconfig: shared.kubeconfig },
  // So that even a small room shows watchers on every consumer node.
  rooms: { onJoin: { consumerRouters: consumers } },
});

import type { MediaWorker } from '../../common/resources/types.ts';
import {
  apiPortName,
  mediaContainerName,
  type Container,
  type ContainerPort,
  type EnvVar,
} from '../cluster.ts';
import type { OperatorConfig } from '../config.ts';
import { apiPortOf, mediaBlockOf, type PortBlock } from './ports.ts';

export interface ContainerOptions {
  /** The pod's block of ports. */
  ports: PortBlock;
  config: OperatorConfig['pods'];
}

/** Where the ConfigMap is mounted, and where the image has its own configuration. */
const configDir = '/etc/kube-sfu';
const configFile = 'media-node.yaml';
const imageConfigFile = `config/${configFile}`;

/** Seconds between two probes, and failures in a row after which they count. A probe asks the process alone, no store. */
const probes = {
  /** Up to a minute, as the operator gives a node to answer. */
  startup: { path: '/healthz', periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 30 },
  /** A process that hangs for a minute is started again; its peers are lost with it, so this is slow on purpose. */
  liveness: { path: '/healthz', periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
  readiness: { path: '/readyz', periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3 },
};

const buildProbe = ({ path, ...times }: (typeof probes)['startup']): object => ({
  httpGet: { path, port: apiPortName },
  ...times,
});

const fromField = (name: string, fieldPath: string): EnvVar => ({
  name,
  valueFrom: { fieldRef: { fieldPath } },
});

function buildEnv(worker: MediaWorker, { ports, config }: ContainerOptions): EnvVar[] {
  const { role, workersPerNode, network } = worker.spec;
  const announced = network.announcedAddress;
  // Until the operator tells it the outside address of its machine, a node announces what it can know itself.
  const ownAddress = network.mode === 'PodIP' ? 'status.podIP' : 'status.hostIP';
  return [
    fromField('POD_NAME', 'metadata.name'),
    fromField('POD_IP', 'status.podIP'),
    { name: 'POOL', value: worker.metadata.name },
    { name: 'ROLE', value: role },
    { name: 'API_PORT', value: String(apiPortOf(network.mode, ports, config.apiPort)) },
    { name: 'RTC_PORT_START', value: String(ports.start) },
    { name: 'RTC_WORKERS', value: String(workersPerNode) },
    announced
      ? { name: 'ANNOUNCED_ADDRESS', value: announced }
      : fromField('ANNOUNCED_ADDRESS', ownAddress),
  ];
}

function buildPorts(
  { spec: { network } }: MediaWorker,
  { ports, config }: ContainerOptions,
): ContainerPort[] {
  const { start, end } = mediaBlockOf(network.mode, ports);
  const media = Array.from({ length: end - start + 1 }, (_, i) => start + i).flatMap((port) =>
    (['UDP', 'TCP'] as const).map((protocol) => ({
      name: `rtc-${protocol.toLowerCase()}-${port}`,
      containerPort: port,
      protocol,
      ...(network.mode === 'HostPort' ? { hostPort: port } : {}),
    })),
  );
  const api = apiPortOf(network.mode, ports, config.apiPort);
  return [{ name: apiPortName, containerPort: api, protocol: 'TCP' }, ...media];
}

/** The media node's own container. */
export function buildContainer(worker: MediaWorker, options: ContainerOptions): Container {
  const { image, configMapName, secretName } = options.config;
  const mounts = [{ name: 'tmp', mountPath: '/tmp' }];
  const configMount = { name: 'config', mountPath: configDir, readOnly: true };
  return {
    name: mediaContainerName,
    image: worker.spec.image ?? image,
    command: ['node', 'media-node/main.ts'],
    args: ['--config', configMapName ? `${configDir}/${configFile}` : imageConfigFile],
    env: buildEnv(worker, options),
    ...(secretName ? { envFrom: [{ secretRef: { name: secretName } }] } : {}),
    ports: buildPorts(worker, options),
    resources: worker.spec.resources,
    startupProbe: buildProbe(probes.startup),
    livenessProbe: buildProbe(probes.liveness),
    readinessProbe: buildProbe(probes.readiness),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: configMapName ? [...mounts, configMount] : mounts,
  };
}

/** What the container's mounts mount. */
export const buildVolumes = ({ configMapName }: OperatorConfig['pods']): object[] => [
  { name: 'tmp', emptyDir: {} },
  ...(configMapName ? [{ name: 'config', configMap: { name: configMapName } }] : []),
];

import { createHash } from 'node:crypto';

import { apiVersion, type MediaWorker } from '../../common/resources/types.ts';
import { apiPortName, type ContainerPort, type EnvVar, type PodManifest } from '../cluster.ts';
import { podName, poolLabel, portsAnnotation, roleLabel, specHashAnnotation } from './labels.ts';
import { formatBlock, type PortBlock } from './ports.ts';

export interface PodBuildOptions {
  ordinal: number;
  ports: PortBlock;
  /** Port of the node's API; 0 lets the adapter choose. */
  apiPort: number;
  /** How long the node may take to end, in seconds. */
  terminationGracePeriodSeconds: number;
}

/** Changes exactly when a pod must be made anew to follow its pool's spec. */
export function specHash({ spec }: MediaWorker): string {
  const { workersPerNode, network } = spec;
  const shape = JSON.stringify([
    workersPerNode,
    network.mode,
    network.portRange.start,
    network.portRange.end,
    network.announcedAddress ?? null,
  ]);
  return createHash('sha256').update(shape).digest('hex').slice(0, 16);
}

const fromField = (name: string, fieldPath: string): EnvVar => ({
  name,
  valueFrom: { fieldRef: { fieldPath } },
});

function buildEnv(worker: MediaWorker, { ports, apiPort }: PodBuildOptions): EnvVar[] {
  const { role, workersPerNode, network } = worker.spec;
  const announced = network.announcedAddress;
  // Without a given address a pod is announced by its node's, or by its own where clients reach that.
  const ownAddress = network.mode === 'PodIP' ? 'status.podIP' : 'status.hostIP';
  return [
    fromField('POD_NAME', 'metadata.name'),
    fromField('POD_IP', 'status.podIP'),
    { name: 'POOL', value: worker.metadata.name },
    { name: 'ROLE', value: role },
    { name: 'API_PORT', value: String(apiPort) },
    { name: 'RTC_PORT_START', value: String(ports.start) },
    { name: 'RTC_WORKERS', value: String(workersPerNode) },
    announced
      ? { name: 'ANNOUNCED_ADDRESS', value: announced }
      : fromField('ANNOUNCED_ADDRESS', ownAddress),
  ];
}

function buildPorts({ spec }: MediaWorker, { ports, apiPort }: PodBuildOptions): ContainerPort[] {
  const count = ports.end - ports.start + 1;
  const media = Array.from({ length: count }, (_, i) => ports.start + i).flatMap((port) =>
    (['UDP', 'TCP'] as const).map((protocol) => ({
      name: `rtc-${protocol.toLowerCase()}-${port}`,
      containerPort: port,
      protocol,
      ...(spec.network.mode === 'HostPort' ? { hostPort: port } : {}),
    })),
  );
  return [{ name: apiPortName, containerPort: apiPort, protocol: 'TCP' }, ...media];
}

/** The pod of one media node. The adapter adds what belongs to its world. */
export function buildPod(worker: MediaWorker, options: PodBuildOptions): PodManifest {
  const { metadata, spec, kind } = worker;
  return {
    metadata: {
      name: podName(metadata.name, options.ordinal),
      namespace: metadata.namespace,
      labels: {
        'app.kubernetes.io/name': 'media-node',
        'app.kubernetes.io/managed-by': 'kube-sfu-operator',
        [poolLabel]: metadata.name,
        [roleLabel]: spec.role,
      },
      annotations: {
        [portsAnnotation]: formatBlock(options.ports),
        [specHashAnnotation]: specHash(worker),
      },
      ownerReferences: [
        {
          apiVersion,
          kind,
          name: metadata.name,
          uid: metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      ...(spec.network.mode === 'HostNetwork' ? { hostNetwork: true } : {}),
      terminationGracePeriodSeconds: options.terminationGracePeriodSeconds,
      containers: [
        { name: 'media-node', env: buildEnv(worker, options), ports: buildPorts(worker, options) },
      ],
    },
  };
}

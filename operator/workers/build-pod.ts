import { createHash } from 'node:crypto';

import { apiVersion, type MediaWorker } from '../../common/resources/types.ts';
import type { PodManifest } from '../cluster.ts';
import type { OperatorConfig } from '../config.ts';
import { buildContainer, buildVolumes } from './container.ts';
import {
  configHashAnnotation,
  managedBy,
  managedByLabel,
  podName,
  poolLabel,
  portsAnnotation,
  roleLabel,
  specHashAnnotation,
} from './labels.ts';
import { applyOverrides } from './overrides.ts';
import { blockSize, formatBlock, type PortBlock } from './ports.ts';

export interface PodBuildOptions {
  ordinal: number;
  /** The pod's ports: as many as {@link blockSize} says. */
  ports: PortBlock;
  config: OperatorConfig['pods'];
}

/** Nobody's user and group: a node writes nothing but to its own /tmp. */
const unprivilegedId = 65532;

/** What the operator's pods have in common with those of other controllers, so that common tools find their way. */
const commonLabels = ({ metadata, spec }: MediaWorker): Record<string, string> => ({
  'app.kubernetes.io/name': 'media-node',
  'app.kubernetes.io/instance': metadata.name,
  'app.kubernetes.io/component': spec.role.toLowerCase(),
  'app.kubernetes.io/part-of': 'kube-sfu',
  [managedByLabel]: managedBy,
});

function buildMetadata(
  worker: MediaWorker,
  { ordinal, ports }: PodBuildOptions,
): PodManifest['metadata'] {
  const { name, namespace, uid } = worker.metadata;
  return {
    name: podName(name, ordinal),
    namespace,
    labels: { ...commonLabels(worker), [poolLabel]: name, [roleLabel]: worker.spec.role },
    annotations: { [portsAnnotation]: formatBlock(ports) },
    ownerReferences: [
      {
        ...{ apiVersion, kind: worker.kind, name, uid },
        ...{ controller: true, blockOwnerDeletion: true },
      },
    ],
  };
}

/** Pods of one pool keep away from each other where they can, so that a machine takes few of them with it. */
const buildSpread = (pool: string): object => ({
  maxSkew: 1,
  topologyKey: 'kubernetes.io/hostname',
  whenUnsatisfiable: 'ScheduleAnyway',
  labelSelector: { matchLabels: { [poolLabel]: pool } },
});

/** All of the restricted Pod Security profile but what the network mode needs. */
const podSecurity = {
  runAsNonRoot: true,
  runAsUser: unprivilegedId,
  runAsGroup: unprivilegedId,
  seccompProfile: { type: 'RuntimeDefault' },
};

function buildShape(worker: MediaWorker, options: PodBuildOptions): PodManifest {
  const { config } = options;
  const metadata = buildMetadata(worker, options);
  if (config.configHash) metadata.annotations[configHashAnnotation] = config.configHash;
  const onHost = worker.spec.network.mode === 'HostNetwork';
  const spec: PodManifest['spec'] = {
    // A pod on its machine's network asks the cluster's DNS only when it is told to.
    ...(onHost ? { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' } : {}),
    ...(config.serviceAccountName ? { serviceAccountName: config.serviceAccountName } : {}),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: config.terminationGracePeriodSeconds,
    securityContext: podSecurity,
    topologySpreadConstraints: [buildSpread(worker.metadata.name)],
    containers: [buildContainer(worker, options)],
    volumes: buildVolumes(config),
  };
  return applyOverrides({ metadata, spec }, worker);
}

/** JSON with sorted keys: equal for equal values, whoever wrote them. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );

/**
 * Tells pods of one shape from those of another: of all that a pod of the pool is made from, its name and ports excepted.
 *
 * @throws {ApiError} `invalid_request` as {@link buildPod}
 */
export function specHash(worker: MediaWorker, config: OperatorConfig['pods']): string {
  const ports = { start: 0, end: blockSize(worker) - 1 };
  const shape = buildShape(worker, { ordinal: 0, ports, config });
  return createHash('sha256').update(canonical(shape)).digest('hex').slice(0, 16);
}

/**
 * The pod of one media node.
 *
 * @throws {ApiError} `invalid_request`, with the field of the pool's overrides that can't be merged
 */
export function buildPod(worker: MediaWorker, options: PodBuildOptions): PodManifest {
  const { metadata, spec } = buildShape(worker, options);
  const hash = { [specHashAnnotation]: specHash(worker, options.config) };
  return { metadata: { ...metadata, annotations: { ...metadata.annotations, ...hash } }, spec };
}

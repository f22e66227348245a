import { ApiError } from '../../common/errors.ts';
import type { MediaWorker } from '../../common/resources/types.ts';
import {
  mediaContainerName,
  type Container,
  type ContainerPort,
  type PodManifest,
} from '../cluster.ts';
import { mergeStrategic, podSpecSchema, type JsonObject } from './strategic-merge.ts';

const templateField = 'spec.podTemplate.spec';

/**
 * The pod with its pool's overrides merged into it. What the operator relies on wins over any override: its labels and
 * annotations, the media node's container with its environment and ports, the network and how long the pod may take to end.
 *
 * @throws {ApiError} `invalid_request`, with the field of the overrides that can't be merged
 */
export function applyOverrides(pod: PodManifest, { spec }: MediaWorker): PodManifest {
  const { metadata, spec: overrides } = spec.podTemplate;
  return {
    metadata: {
      ...pod.metadata,
      labels: { ...metadata.labels, ...pod.metadata.labels },
      annotations: { ...metadata.annotations, ...pod.metadata.annotations },
    },
    spec: overrideSpec(pod.spec, overrides as JsonObject),
  };
}

function overrideSpec(own: PodManifest['spec'], overrides: JsonObject): PodManifest['spec'] {
  const [container] = own.containers;
  const { env, ports, ...open } = container;
  // The operator's own environment and ports stay out of the merge: nothing there can then touch them.
  const mergeable = { ...own, containers: [open] } as unknown as JsonObject;
  const merged = mergeStrategic(mergeable, overrides, podSpecSchema, templateField);
  const containers = listOf(merged['containers'], `${templateField}.containers`) as Container[];
  const media = containers.find(({ name }) => name === mediaContainerName) ?? open;
  const at = `${templateField}.containers[name=${mediaContainerName}]`;
  const moreEnv = listOf(media['env'], `${at}.env`) as Container['env'];
  const morePorts = listOf(media['ports'], `${at}.ports`) as ContainerPort[];
  const spec: PodManifest['spec'] = {
    ...merged,
    terminationGracePeriodSeconds: own.terminationGracePeriodSeconds,
    containers: [
      {
        ...media,
        name: mediaContainerName,
        env: [...env, ...moreEnv.filter(({ name }) => !env.some((item) => item.name === name))],
        ports: [...ports, ...morePorts.filter((port) => !ports.some((own) => clash(own, port)))],
      },
      ...containers.filter(({ name }) => name !== mediaContainerName),
    ],
  };
  // Kubernetes' scheduler, the network mode and the operator's own restarts depend on these.
  delete spec['nodeName'];
  delete spec['restartPolicy'];
  delete spec.hostNetwork;
  return own.hostNetwork ? { ...spec, hostNetwork: true } : spec;
}

const clash = (own: ContainerPort, { name, containerPort, protocol }: ContainerPort): boolean =>
  own.name === name ||
  // Without a protocol it is TCP.
  (own.containerPort === containerPort &&
    own.protocol === ((protocol as string | undefined) ?? 'TCP'));

function listOf(value: unknown, field: string): unknown[] {
  if (value === undefined) return [];
  const isList =
    Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null);
  if (isList) return value;
  const message = 'expected a list of objects';
  throw new ApiError('invalid_request', `${field}: ${message}`, { fields: [{ field, message }] });
}

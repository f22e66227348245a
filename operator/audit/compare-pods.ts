import { formatBlock, type PortBlock } from '../workers/ports.ts';
import type { Finding } from './kinds.ts';
import { inPools, onPod } from './places.ts';
import type { PodView, ResourcesView } from './snapshot.ts';

type WithPorts = PodView & { ports: PortBlock };

/** Pods with their pools and ports. */
export function comparePods({ pods, pools }: ResourcesView): Finding[] {
  const names = new Set(pools.map(({ namespace, name }) => `${namespace}/${name}`));
  const stray = pods
    .filter(({ namespace, pool }) => !names.has(`${namespace}/${pool}`))
    .map(({ namespace, name, pool }): Finding => ({
      kind: 'PodWithoutPool',
      ids: { namespace, podName: name, pool },
      foundIn: [onPod(name)],
      missingFrom: [inPools],
    }));
  return [...stray, ...overlaps(pods)];
}

/** The operator gives each port once over all pools, since pods of several may share a machine. */
function overlaps(pods: readonly PodView[]): Finding[] {
  const findings: Finding[] = [];
  let last: WithPorts | undefined;
  const withPorts = pods.filter((pod): pod is WithPorts => pod.ports !== undefined);
  for (const pod of withPorts.sort((a, b) => a.ports.start - b.ports.start)) {
    if (last && pod.ports.start <= last.ports.end) findings.push(overlap(last, pod));
    if (!last || pod.ports.end > last.ports.end) last = pod;
  }
  return findings;
}

const place = ({ namespace, name, ports }: WithPorts): string =>
  `${onPod(`${namespace}/${name}`)}, ports ${formatBlock(ports)}`;

const overlap = (a: WithPorts, b: WithPorts): Finding => ({
  kind: 'PortBlockOverlap',
  ids: {
    namespace: a.namespace,
    podName: a.name,
    otherNamespace: b.namespace,
    otherPodName: b.name,
  },
  foundIn: [place(a), place(b)],
  missingFrom: [],
});

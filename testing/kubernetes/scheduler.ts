import type { KubernetesNode, Pod } from '../../operator/cluster.ts';

/** The host ports that a pod takes, as `port/protocol`. */
function hostPorts({ spec }: Pick<Pod, 'spec'>): string[] {
  return spec.containers.flatMap(({ ports }) =>
    ports.flatMap(({ containerPort, hostPort, protocol }) => {
      const port = spec.hostNetwork ? containerPort : hostPort;
      return port === undefined ? [] : [`${port}/${protocol}`];
    }),
  );
}

function selects(pod: Pick<Pod, 'spec'>, node: KubernetesNode): boolean {
  const selector = (pod.spec['nodeSelector'] ?? {}) as Record<string, string>;
  return Object.entries(selector).every(([key, value]) => node.metadata.labels?.[key] === value);
}

const isReady = ({ status }: KubernetesNode): boolean =>
  status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ??
  false;

/**
 * The node for a pod: of those that are ready, not cordoned, selected and free of its host ports, the one with the fewest pods.
 *
 * @param podsOn the pods of a node, by its name
 */
export function decideNode(
  pod: Pick<Pod, 'spec'>,
  nodes: KubernetesNode[],
  podsOn: (node: string) => Pick<Pod, 'spec'>[],
): string | undefined {
  const wanted = new Set(hostPorts(pod));
  const fits = (node: KubernetesNode): boolean =>
    isReady(node) &&
    !node.spec.unschedulable &&
    selects(pod, node) &&
    !podsOn(node.metadata.name).some((other) => hostPorts(other).some((port) => wanted.has(port)));
  const [best] = nodes
    .filter(fits)
    .map(({ metadata: { name } }) => ({ name, pods: podsOn(name).length }))
    .sort((a, b) => a.pods - b.pods || (a.name < b.name ? -1 : 1));
  return best?.name;
}

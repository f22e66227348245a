import { runCommand } from '../../../testing/command.ts';
import type { Cluster, Pod } from './cluster.ts';
import { nodeCommand } from './machines.ts';

/**
 * Another name of the image that a media node runs, so that a pool can be given a new image on a cluster that has but one.
 * Where the suite has the machines it gives the image a second tag there; elsewhere the image's digest is its second name.
 */
export async function nextImage(cluster: Cluster, pod: Pod): Promise<string> {
  const [container] = pod.spec.containers;
  if (!container) throw new Error(`${pod.metadata.name} has no container`);
  const byDigest = pod.status.containerStatuses?.[0]?.imageID ?? '';
  if (cluster.info.kind === 'external') {
    if (byDigest.includes('@')) return byDigest;
    throw new Error(`${container.image} has no digest of a registry (imageID "${byDigest}")`);
  }
  const next = `${container.image}-next`;
  for (const node of cluster.info.nodes)
    await runCommand(nodeCommand, ['tag', node, container.image, next]);
  return next;
}

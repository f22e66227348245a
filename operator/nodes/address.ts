import { isIPv6 } from 'node:net';

import type { MediaWorker } from '../../common/resources/types.ts';
import type { KubernetesNode, Pod } from '../cluster.ts';

/** Where a machine is reached, best first. */
const addressTypes = ['ExternalIP', 'InternalIP'];

export interface AddressInput {
  pod: Pod;
  network: MediaWorker['spec']['network'];
  /** The Kubernetes node that the pod runs on. */
  machine: KubernetesNode | undefined;
}

/**
 * The address that a node's clients are to be given for media: the pool's own, else the pod's where clients reach pods, else
 * the external, else the internal one of the pod's machine.
 *
 * @returns undefined when it is not known: then what the node has from its environment stays
 */
export function decideAddress({ pod, network, machine }: AddressInput): string | undefined {
  if (network.announcedAddress) return network.announcedAddress;
  if (network.mode === 'PodIP') return pod.status.podIP;
  const addresses = machine?.status.addresses ?? [];
  // The node listens on one family: an address of the other would lead nowhere.
  const wantsIPv6 = isIPv6(pod.status.podIP ?? '');
  for (const wanted of addressTypes) {
    const candidates = addresses.filter(({ type }) => type === wanted);
    const same = candidates.find(({ address }) => isIPv6(address) === wantsIPv6);
    const found = same ?? candidates[0];
    if (found) return found.address;
  }
  return undefined;
}

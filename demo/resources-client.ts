import { CustomObjectsApi, KubeConfig } from '@kubernetes/client-node';

import type { MediaWorker } from '../common/resources/types.ts';

/** Reads the pools from the operator's API, as any client with its kubeconfig may. */
export async function listMediaWorkers(kubeconfig: string): Promise<MediaWorker[]> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const list = (await config.makeApiClient(CustomObjectsApi).listNamespacedCustomObject({
    group: 'kube-sfu.dev',
    version: 'v1alpha1',
    namespace: 'default',
    plural: 'mediaworkers',
  })) as { items: MediaWorker[] };
  return list.items;
}

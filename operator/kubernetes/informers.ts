import type { KubernetesClient } from '../../common/kubernetes/client.ts';
import { KubernetesError } from '../../common/kubernetes/errors.ts';
import { Informer, type HasMeta, type ListWatch } from '../../common/kubernetes/informer.ts';
import { collectionPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import { collectionSource, type Collection } from '../../common/kubernetes/source.ts';
import type { MediaRoom, MediaWorker } from '../../common/resources/types.ts';
import type { Logger } from '../../common/service/logger.ts';
import { formatKey, type KubernetesNode, type Pod, type PodDisruptionBudget } from '../cluster.ts';
import type { KubernetesConfig } from '../config.ts';
import { managedSelector, poolOf } from '../workers/labels.ts';
import type { KubernetesMetrics } from './metrics.ts';
import { trimNode, trimObject, trimPod } from './trim.ts';

export interface InformerDeps {
  config: KubernetesConfig;
  client: KubernetesClient;
  metrics: KubernetesMetrics;
  logger: Logger;
}

/** A budget as the API keeps it. */
export type StoredBudget = PodDisruptionBudget & HasMeta;

export interface Informers {
  mediaworkers: Informer<MediaWorker>;
  mediarooms: Informer<MediaRoom>;
  pods: Informer<Pod>;
  nodes: Informer<KubernetesNode>;
  poddisruptionbudgets: Informer<StoredBudget>;
}

/** Index of pods by the `namespace/name` of their pool. */
export const poolIndex = 'pool';

const forbidden = 403;

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/**
 * Nodes belong to the cluster, so an operator of one namespace may be forbidden to read them. Then there are none to it,
 * until the next relist asks again.
 */
export function tolerateForbidden<T>(source: ListWatch<T>, logger: Logger): ListWatch<T> {
  let denied = false;
  return {
    async list(signal) {
      try {
        const result = await source.list(signal);
        denied = false;
        return result;
      } catch (error) {
        if (!(error instanceof KubernetesError) || error.statusCode !== forbidden) throw error;
        if (!denied)
          logger.warn(
            { reason: error.message },
            'nodes may not be read: media nodes are announced by the address of their host, and a cordoned node is not seen',
          );
        denied = true;
        return { items: [], resourceVersion: '0' };
      }
    },
    watch: (resourceVersion, onEvent, signal) =>
      denied ? untilAborted(signal) : source.watch(resourceVersion, onEvent, signal),
  };
}

/** A warm copy of each kind that the operator reads. */
export function createInformers({ config, client, metrics, logger }: InformerDeps): Informers {
  const { namespace } = config;
  const source = <T>(
    type: keyof Informers,
    selector: Omit<Collection, 'path'> = {},
    within = namespace,
  ): ListWatch<T> =>
    collectionSource<T>(client, { path: collectionPath(resourceTypes[type], within), ...selector });
  const common = (what: keyof Informers) => ({
    what,
    timing: config,
    logger,
    observer: metrics.informerObserver(what),
  });
  const ours = { labelSelector: managedSelector };
  const informers: Informers = {
    mediaworkers: new Informer<MediaWorker>({
      ...common('mediaworkers'),
      source: source('mediaworkers'),
      transform: trimObject,
    }),
    mediarooms: new Informer<MediaRoom>({
      ...common('mediarooms'),
      source: source('mediarooms'),
      transform: trimObject,
    }),
    pods: new Informer<Pod>({
      ...common('pods'),
      source: source('pods', ours),
      transform: trimPod,
      indexes: {
        [poolIndex]: (pod) => [formatKey({ namespace: pod.metadata.namespace, name: poolOf(pod) })],
      },
    }),
    nodes: new Informer<KubernetesNode>({
      ...common('nodes'),
      source: tolerateForbidden(
        collectionSource<KubernetesNode>(client, { path: collectionPath(resourceTypes.nodes) }),
        logger,
      ),
      transform: trimNode,
    }),
    poddisruptionbudgets: new Informer<StoredBudget>({
      ...common('poddisruptionbudgets'),
      source: source('poddisruptionbudgets', ours),
      transform: trimObject,
    }),
  };
  for (const [what, informer] of Object.entries(informers))
    metrics.watchInformer(what, () => (informer as Informer<HasMeta>).size);
  return informers;
}

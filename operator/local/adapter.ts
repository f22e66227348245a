import type { Logger } from '../../common/service/logger.ts';
import type { Cluster } from '../cluster.ts';
import type { OperatorMetrics } from '../metrics.ts';
import type { Clock } from '../runtime/clock.ts';
import { startResourceApi, type ResourceApi } from './api/server.ts';
import { createLocalCluster, createLocalObjects, type LocalObjects } from './cluster.ts';
import type { LocalConfig } from './config.ts';
import { ResourceFolder } from './folder.ts';
import { LocalPods } from './pods/pods.ts';

export interface LocalAdapterDeps {
  config: LocalConfig;
  metrics: Pick<OperatorMetrics, 'processRestarts' | 'resourceFileErrors'>;
  clock: Clock;
  logger: Logger;
}

/** A cluster on this machine: objects in memory, from a folder and an HTTP API; pods as child processes. */
export interface LocalAdapter {
  cluster: Cluster;
  objects: LocalObjects;
  pods: LocalPods;
  folder: ResourceFolder;
  api: ResourceApi;
  /** Ends the API, the folder's watch and every process. Close the operator first. */
  close(): Promise<void>;
}

export async function startLocalAdapter(deps: LocalAdapterDeps): Promise<LocalAdapter> {
  const { config, metrics, clock, logger } = deps;
  const objects = createLocalObjects(config.api.historySize, {
    now: () => new Date(clock.now()),
  });
  const pods = new LocalPods({
    config: config.pods,
    revisions: objects.revisions,
    clock,
    logger,
    onRestart: () => metrics.processRestarts.inc(),
  });
  objects.mediaworkers.subscribe(({ type, object }) => {
    if (type === 'DELETED') pods.collectOwnedBy(object.metadata.uid);
  });
  const folder = new ResourceFolder({
    ...config.resources,
    namespace: config.namespace,
    objects,
    clock,
    logger,
    onProblems: (count) => metrics.resourceFileErrors.set(count),
  });
  await folder.start();
  const api = await startResourceApi({
    config: config.api,
    namespace: config.namespace,
    objects,
    clock,
    logger,
  });
  return {
    cluster: createLocalCluster(objects, pods.client(), logger),
    objects,
    pods,
    folder,
    api,
    async close() {
      await Promise.all([api.close(), folder.close()]);
      await pods.close();
    },
  };
}

import type { KubernetesClient } from '../../common/kubernetes/client.ts';
import { collectionPath, resourceTypes } from '../../common/kubernetes/paths.ts';
import type { KubernetesObject, MediaRoom, MediaWorker } from '../../common/resources/types.ts';
import { podUrl, type Cluster, type Pod } from '../cluster.ts';
import { trimPod } from '../kubernetes/trim.ts';
import { mayRun } from '../nodes/observe.ts';
import { managedSelector, poolOf } from '../workers/labels.ts';
import { blockOf, type PortBlock } from '../workers/ports.ts';
import type { PodView, ResourcesView, RoomView } from './snapshot.ts';

const nameOf = ({ metadata: { namespace, name } }: KubernetesObject) => ({ namespace, name });

const roomView = (room: MediaRoom): RoomView => ({
  ...nameOf(room),
  placements: room.status?.placements ?? [],
});

const podView = (pod: Pod): PodView => ({
  namespace: pod.metadata.namespace,
  name: pod.metadata.name,
  pool: poolOf(pod),
  runs: mayRun(pod),
  url: podUrl(pod),
  ports: blockOf(pod),
});

/** As the running operator sees it. */
export const resourcesOfCluster = ({ rooms, workers, pods }: Cluster): ResourcesView => ({
  rooms: rooms.list().map(roomView),
  pools: workers.list().map(nameOf),
  pods: pods.list().map(podView),
});

/** Asks the Kubernetes API. @throws {ApiError} when it can't be asked */
export async function readResources(
  client: KubernetesClient,
  namespace: string | undefined,
): Promise<ResourcesView> {
  const list = async <T>(kind: 'mediarooms' | 'mediaworkers' | 'pods', query = {}): Promise<T[]> =>
    (await client.list<T>(collectionPath(resourceTypes[kind], namespace), query)).items;
  const [rooms, pools, pods] = await Promise.all([
    list<MediaRoom>('mediarooms'),
    list<MediaWorker>('mediaworkers'),
    list<Pod>('pods', { labelSelector: managedSelector }),
  ]);
  return {
    rooms: rooms.map(roomView),
    pools: pools.map(nameOf),
    pods: pods.map(trimPod).map(podView),
  };
}

const blockOfText = (ports = ''): PortBlock | undefined => {
  const [start, end] = ports.split('-').map(Number);
  return start && end ? { start, end } : undefined;
};

/** The nodes that a pool's status names, where pods are processes that no API lists. */
const podsOfStatus = (pool: MediaWorker): PodView[] =>
  (pool.status?.nodes ?? []).map(({ podName, url, ports, instanceId }) => ({
    namespace: pool.metadata.namespace,
    name: podName,
    pool: pool.metadata.name,
    runs: instanceId !== undefined,
    url,
    ports: blockOfText(ports),
  }));

/** The same of the local adapter. @throws {ApiError} when its API can't be asked */
export async function readLocalResources(client: KubernetesClient): Promise<ResourcesView> {
  const [rooms, pools] = await Promise.all([
    client.list<MediaRoom>(collectionPath(resourceTypes.mediarooms)),
    client.list<MediaWorker>(collectionPath(resourceTypes.mediaworkers)),
  ]);
  return {
    rooms: rooms.items.map(roomView),
    pools: pools.items.map(nameOf),
    pods: pools.items.flatMap(podsOfStatus),
  };
}

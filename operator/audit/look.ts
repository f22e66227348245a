import { ApiError, messageOf } from '../../common/errors.ts';
import type { NodeObjects } from '../../common/wire/media-node-objects.ts';
import type { PodView, ResourcesView, Snapshot, TablesView } from './snapshot.ts';

/** Where an audit gets its three views from. */
export interface AuditSources {
  resources: () => Promise<ResourcesView>;
  tables: () => Promise<TablesView>;
  objects: (url: string) => Promise<NodeObjects>;
  /** Nodes that are asked at a time. */
  concurrency: number;
}

/** A place that could not be asked. */
export interface Unreachable {
  place: string;
  reason: string;
}

export interface Look {
  /** Undefined where a store could not be asked. */
  snapshot: Snapshot | undefined;
  unreachable: Unreachable[];
}

/** Looks at the resources and the tables, then at the nodes of all pods that run. Never rejects. */
export async function takeLook(sources: AuditSources): Promise<Look> {
  const [resources, tables] = await Promise.allSettled([sources.resources(), sources.tables()]);
  if (resources.status === 'fulfilled' && tables.status === 'fulfilled')
    return lookAtNodes(sources, resources.value, tables.value);
  const failed = [
    { place: 'Kubernetes API', result: resources },
    { place: 'Postgres', result: tables },
  ];
  return {
    snapshot: undefined,
    unreachable: failed.flatMap(({ place, result }) =>
      result.status === 'rejected' ? [{ place, reason: messageOf(result.reason) }] : [],
    ),
  };
}

type Reachable = PodView & { url: string };

async function lookAtNodes(
  sources: AuditSources,
  resources: ResourcesView,
  tables: TablesView,
): Promise<Look> {
  const waiting = resources.pods.filter(
    (pod): pod is Reachable => pod.runs && pod.url !== undefined,
  );
  const nodes: NodeObjects[] = [];
  const silentPods: string[] = [];
  const unreachable: Unreachable[] = [];
  const work = async (): Promise<void> => {
    for (let pod = waiting.shift(); pod; pod = waiting.shift())
      try {
        nodes.push(await ask(sources, pod));
      } catch (error) {
        silentPods.push(pod.name);
        unreachable.push({ place: `pod ${pod.name} at ${pod.url}`, reason: messageOf(error) });
      }
  };
  await Promise.all(Array.from({ length: sources.concurrency }, work));
  return { snapshot: { resources, tables, nodes, silentPods }, unreachable };
}

async function ask({ objects }: AuditSources, { name, url }: Reachable): Promise<NodeObjects> {
  const answer = await objects(url);
  // Another process may have taken the address.
  if (answer.podName !== name)
    throw new ApiError('node_unavailable', `pod ${answer.podName} answers there`);
  return answer;
}

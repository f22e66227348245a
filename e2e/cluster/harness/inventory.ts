import { createHash } from 'node:crypto';

import type { Cluster, KubeObject } from './cluster.ts';

/** What the cluster itself puts into each namespace, or keeps about what was there. */
const clustersOwn = [/^ConfigMap\/kube-root-ca\.crt$/, /^ServiceAccount\/default$/, /^Event\//];

const kindsOf = async (cluster: Cluster, namespaced: boolean): Promise<string> => {
  const args = ['api-resources', '--verbs=list', `--namespaced=${namespaced}`, '--output=name'];
  const names = (await cluster.kubectl(args)).trim().split('\n');
  // Not stored: measured when asked.
  return names.filter((name) => !name.endsWith('.metrics.k8s.io')).join(',');
};

const nameOf = ({ kind, metadata }: KubeObject): string => `${kind}/${metadata.name}`;

/** All objects of a namespace as `Kind/name`, but those that the cluster makes by itself. */
export async function objectsIn(cluster: Cluster, namespace: string): Promise<string[]> {
  const objects = await cluster.list(await kindsOf(cluster, true), { namespace });
  const names = objects.map(nameOf);
  return names.filter((name) => !clustersOwn.some((own) => own.test(name))).sort();
}

/** All objects that belong to no namespace, as `Kind/name`. */
export async function clusterObjects(cluster: Cluster): Promise<string[]> {
  return (await cluster.list(await kindsOf(cluster, false))).map(nameOf).sort();
}

const lasting =
  'deployments,statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,ingresses,' +
  'networkpolicies,poddisruptionbudgets,persistentvolumeclaims,pods,mediaworkers,mediarooms';

/** What a namespace's lasting objects are, each with a hash of what its owner has set, so that equal means untouched. */
export async function fingerprint(
  cluster: Cluster,
  namespace: string,
): Promise<Record<string, string>> {
  const objects = await cluster.list<KubeObject & { status?: unknown }>(lasting, { namespace });
  return Object.fromEntries(
    objects.map(({ status: _, ...object }) => {
      const { uid, labels } = object.metadata;
      const own = JSON.stringify({ ...object, metadata: { uid, labels } });
      return [nameOf(object), createHash('sha256').update(own).digest('hex').slice(0, 12)];
    }),
  );
}

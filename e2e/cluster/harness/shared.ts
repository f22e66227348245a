import { Cluster } from './cluster.ts';
import { dumpCluster } from './dump.ts';
import { Meeting } from './pages.ts';
import { Release } from './release.ts';
import { onFailure } from './suite.ts';

/** The room that the pages of most tests are in. */
export const roomName = 'e2e';
/** Peers of that room; each watches all others. */
export const names = ['ada', 'bert', 'cleo'];

/** The installation that the test files share: the first makes it, the last removes it. */
const sharedRelease = (cluster: Cluster): Release =>
  new Release(cluster, {
    ...{ name: 'e2e', namespace: 'e2e-system', mediaNamespace: 'e2e-media' },
    ...{ host: 'e2e.kube-sfu.test', firstPort: 24_000, consumers: 2 },
  });

export interface World {
  cluster: Cluster;
  release: Release;
}

/** Joins the cluster, and writes what can be seen of it when a test of this file fails. */
export async function enterCluster(): Promise<World> {
  const cluster = await Cluster.connect();
  onFailure((folder) => dumpCluster(cluster, folder));
  return { cluster, release: sharedRelease(cluster) };
}

/** The namespaces, the first of which enforces the strictest Pod Security. Those that are there stay. */
export async function makeNamespaces(cluster: Cluster, release: Release): Promise<void> {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  const { namespace } = release.options;
  await cluster.apply([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
  ]);
}

/** Installs the shared release where it is not there, with its room. */
export async function ensureInstalled({ cluster, release }: World): Promise<void> {
  await makeNamespaces(cluster, release);
  if (!(await release.isDeployed())) await release.deploy();
  const { mediaNamespace: namespace } = release.options;
  await cluster.apply([release.room(roomName, 2)]);
  await cluster.wait(`mediaroom/${roomName}`, 'condition=Ready', { namespace, timeoutMs: 60_000 });
}

/** Pages of all names in the shared room. */
export async function openMeeting({ cluster, release }: World): Promise<Meeting> {
  const meeting = await Meeting.open(
    {
      ingressAddress: cluster.info.ingressAddress,
      url: release.pageUrl,
      room: roomName,
      tokenOf: (peer) => release.token(roomName, peer),
    },
    names,
  );
  onFailure((folder) => meeting.dump(folder));
  return meeting;
}

import type { resourceTypes } from './paths.ts';

/**
 * What talks to the Kubernetes API: two services, and two Jobs of the Helm chart, which run the operator's commands of these names.
 * Media nodes do not: their pods get no token.
 */
export type ApiService = 'operator' | 'signaling' | 'cleanup' | 'pools';

type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/**
 * Where a permission holds. *watched*: in the namespaces that the service looks after, which are all or one; *own*: in the
 * namespace that the service itself runs in; *cluster*: for objects that belong to no namespace.
 */
export type PermissionScope = 'watched' | 'own' | 'cluster';

export interface Permission {
  resource: keyof typeof resourceTypes;
  subresource?: 'status' | 'scale' | 'finalizers';
  verbs: Verb[];
  scope: PermissionScope;
  /** Only for these objects. Kubernetes can't restrict `create` so: the name is not known yet when it asks. */
  names?: string[];
  /** What the service needs it for. */
  reason: string;
  /** There is no request of its own: the API server asks for it within another one. */
  implied?: true;
}

/** The Lease's default name; see `kubernetes.leaderElection.name` of the operator's configuration. */
export const leaseName = 'kube-sfu-operator';

/**
 * Everything that the services may do at the Kubernetes API: the one source of the manifests in `config/rbac/`. Tests run the
 * services with exactly this; a call that is missing here and an entry that is never used both fail them.
 */
export const permissions: Record<ApiService, Permission[]> = {
  operator: [
    {
      resource: 'mediaworkers',
      verbs: ['list', 'watch', 'patch'],
      scope: 'watched',
      reason: 'follows pools; sets and removes their finalizer',
    },
    {
      resource: 'mediaworkers',
      subresource: 'status',
      verbs: ['patch'],
      scope: 'watched',
      reason: 'shows what became of a pool',
    },
    {
      resource: 'mediaworkers',
      subresource: 'scale',
      verbs: ['patch'],
      scope: 'watched',
      reason: 'sets the number of nodes when it autoscales a pool',
    },
    {
      resource: 'mediaworkers',
      subresource: 'finalizers',
      verbs: ['update'],
      scope: 'watched',
      reason: 'makes pods and budgets that keep their pool from going before them',
      implied: true,
    },
    {
      resource: 'mediarooms',
      verbs: ['list', 'watch', 'patch', 'delete'],
      scope: 'watched',
      reason: 'follows rooms; sets and removes their finalizer; deletes idle and expired ones',
    },
    {
      resource: 'mediarooms',
      subresource: 'status',
      verbs: ['patch'],
      scope: 'watched',
      reason: 'places rooms',
    },
    {
      resource: 'pods',
      verbs: ['list', 'watch', 'create', 'patch', 'delete'],
      scope: 'watched',
      reason: 'runs the media nodes; marks those that drain',
    },
    {
      resource: 'poddisruptionbudgets',
      verbs: ['list', 'watch', 'patch'],
      scope: 'watched',
      reason: 'keeps nodes with live rooms from being evicted',
    },
    {
      resource: 'poddisruptionbudgets',
      verbs: ['create'],
      scope: 'watched',
      reason: 'makes the budget by the first patch (server-side apply)',
      implied: true,
    },
    {
      resource: 'events',
      verbs: ['create', 'patch'],
      scope: 'watched',
      reason: 'says why it did what it did; counts equal Events in one',
    },
    {
      resource: 'nodes',
      verbs: ['list', 'watch'],
      scope: 'cluster',
      reason: 'finds the address that clients reach a media node at; sees machines being drained',
    },
    {
      resource: 'leases',
      verbs: ['create'],
      scope: 'own',
      reason: 'makes the Lease by which several operators agree on one',
    },
    {
      resource: 'leases',
      verbs: ['get', 'update', 'list', 'watch'],
      scope: 'own',
      names: [leaseName],
      reason: 'takes, renews and releases that Lease; a standby sees its release at once',
    },
  ],
  signaling: [
    {
      resource: 'mediarooms',
      verbs: ['list', 'watch', 'create', 'delete'],
      scope: 'watched',
      reason:
        'finds the routers of rooms; makes rooms on first join, and makes and deletes them for administrators',
    },
    {
      resource: 'mediaworkers',
      verbs: ['list', 'watch'],
      scope: 'watched',
      reason: 'knows whether a pool lets a join make a room; shows pools in the console',
    },
  ],
  cleanup: [
    {
      resource: 'mediarooms',
      verbs: ['list', 'delete'],
      scope: 'watched',
      reason: 'deletes all rooms, and waits until they are gone',
    },
    {
      resource: 'mediaworkers',
      verbs: ['list', 'delete'],
      scope: 'watched',
      reason: 'deletes all pools after them, and waits until they are gone',
    },
  ],
  pools: [
    {
      resource: 'mediaworkers',
      verbs: ['list', 'create', 'patch', 'delete'],
      scope: 'watched',
      reason: 'applies the pools of the chart, and deletes those that are no longer among them',
    },
  ],
};

import { Document, isCollection, type YAMLMap } from 'yaml';

import {
  permissions,
  type ApiService,
  type Permission,
  type PermissionScope,
} from '../../common/kubernetes/rbac.ts';
import { resourceTypes } from '../../common/kubernetes/paths.ts';
import { code, table } from './table.ts';

/** Where the services run, and where the rooms and pools are, in the manifests as they stand. */
export const systemNamespace = 'kube-sfu-system';
export const roomsNamespace = 'default';

type RoleKind = 'Role' | 'ClusterRole';
type Manifest = Record<string, unknown>;

const apiVersion = 'rbac.authorization.k8s.io/v1';
const nameOf = (service: ApiService): string => `kube-sfu-${service}`;

const groupOf = ({ resource }: Permission): string => {
  const [group, version] = resourceTypes[resource].apiVersion.split('/');
  return version === undefined ? '' : (group ?? '');
};

const resourceOf = ({ resource, subresource }: Permission): string =>
  subresource === undefined ? resource : `${resource}/${subresource}`;

/** A rule for each permission, under its reason. */
export function ruleNodes(document: Document, granted: Permission[]): YAMLMap[] {
  return granted.map((permission) => {
    const node = document.createNode({
      apiGroups: [groupOf(permission)],
      resources: [resourceOf(permission)],
      verbs: permission.verbs,
      ...(permission.names ? { resourceNames: permission.names } : {}),
    });
    for (const { value } of node.items) if (isCollection(value)) value.flow = true;
    node.commentBefore = ` ${permission.reason}`;
    return node;
  });
}

const serviceAccount = (service: ApiService): Manifest => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name: nameOf(service), namespace: systemNamespace },
});

const metadataOf = (name: string, namespace: string | undefined): Manifest => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
});

interface RoleOptions {
  name: string;
  /** Absent: a ClusterRole. */
  namespace?: string | undefined;
  granted: Permission[];
}

/** A role and what binds the service to it. */
function roleDocuments(service: ApiService, { name, namespace, granted }: RoleOptions): Document[] {
  const kind: RoleKind = namespace === undefined ? 'ClusterRole' : 'Role';
  const role = new Document({ apiVersion, kind, metadata: metadataOf(name, namespace) });
  role.set('rules', ruleNodes(role, granted));
  const binding = new Document({
    apiVersion,
    kind: `${kind}Binding`,
    metadata: metadataOf(name, namespace),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects: [{ kind: 'ServiceAccount', name: nameOf(service), namespace: systemNamespace }],
  });
  return [role, binding];
}

const ofScopes = (service: ApiService, ...scopes: PermissionScope[]): Permission[] =>
  permissions[service].filter(({ scope }) => scopes.includes(scope));

function roles(service: ApiService, inOneNamespace: boolean): RoleOptions[] {
  const name = nameOf(service);
  const watched: RoleOptions = inOneNamespace
    ? { name, namespace: roomsNamespace, granted: ofScopes(service, 'watched') }
    : { name, granted: ofScopes(service, 'watched', 'cluster') };
  const cluster: RoleOptions = {
    name: `${name}-cluster`,
    granted: inOneNamespace ? ofScopes(service, 'cluster') : [],
  };
  const own: RoleOptions = {
    name: `${name}-own`,
    namespace: systemNamespace,
    granted: ofScopes(service, 'own'),
  };
  return [watched, cluster, own].filter(({ granted }) => granted.length > 0);
}

const title = {
  all: (service: ApiService): string => `The ${service} service, for rooms in every namespace.`,
  one: (service: ApiService): string =>
    `The ${service} service, for rooms in the namespace ${roomsNamespace} alone.`,
};

/** A file of `config/rbac/`: all that one service may do, in all namespaces or in one. */
export function renderRbac(service: ApiService, extent: 'all' | 'one'): string {
  const documents = [
    new Document(serviceAccount(service)),
    ...roles(service, extent === 'one').flatMap((role) => roleDocuments(service, role)),
  ];
  const header = [
    `# ${title[extent](service)} It runs in ${systemNamespace}.`,
    '# Generated from common/kubernetes/rbac.ts by "npm run generate"; not for editing.',
  ];
  return `${header.join('\n')}\n${documents.map(String).join('---\n')}`;
}

const scopes: Record<PermissionScope, string> = {
  watched: 'where its rooms are',
  own: 'its own namespace',
  cluster: 'the cluster',
};

function serviceSection(service: ApiService): string[] {
  const rows = permissions[service].map((permission) => [
    code([resourceOf(permission), groupOf(permission)].filter(Boolean).join('.')),
    permission.verbs.map(code).join(', '),
    permission.names
      ? `${scopes[permission.scope]}, only ${permission.names.map(code).join(', ')}`
      : scopes[permission.scope],
    permission.reason,
  ]);
  return table(['resource', 'verbs', 'where', 'what for'], rows);
}

/** `docs/permissions.md`: what each service may do at the Kubernetes API, and what for. */
export function renderPermissions(): string {
  return [
    '# Permissions',
    '',
    'What each service may do at the Kubernetes API, as the manifests in [config/rbac](../config/rbac) grant it. The tests run the',
    'services with exactly this against a real API server: a call that is missing here fails them, and so does an entry that is',
    'never used.',
    '',
    '## Operator',
    '',
    '[operator.yaml](../config/rbac/operator.yaml) grants it in all namespaces.',
    '[operator-namespaced.yaml](../config/rbac/operator-namespaced.yaml) is for an operator whose `kubernetes.namespace` is set: it',
    'grants the same in that namespace, and what concerns machines in the cluster.',
    '',
    ...serviceSection('operator'),
    '',
    '## Signaling',
    '',
    'It looks after one namespace, and [signaling.yaml](../config/rbac/signaling.yaml) grants all in it.',
    '',
    ...serviceSection('signaling'),
    '',
    '## Jobs of the Helm chart',
    '',
    'Before an uninstall, `cleanup`:',
    '',
    ...serviceSection('cleanup'),
    '',
    'After an installation or upgrade with `pools`:',
    '',
    ...serviceSection('pools'),
    '',
    '## Media nodes',
    '',
    'Nothing. Their pods get no token, and nothing in them talks to the Kubernetes API.',
    '',
  ].join('\n');
}

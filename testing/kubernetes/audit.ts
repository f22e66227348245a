import { readFile } from 'node:fs/promises';

import { permissions, type ApiService } from '../../common/kubernetes/rbac.ts';
import { resourceTypes } from '../../common/kubernetes/paths.ts';
import type { ControlPlane } from './control-plane.ts';

/** One line of the API server's audit log. */
interface AuditEvent {
  verb: string;
  user: { username: string };
  requestReceivedTimestamp: string;
  objectRef?: { resource: string; subresource?: string; apiGroup?: string; name?: string };
  annotations?: Record<string, string>;
}

/** Has every call of these users written down, also one that is not over yet, as a watch. */
export const auditPolicyFor = (...users: string[]): object => ({
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata', users }, { level: 'None' }],
});

export interface ApiUse {
  /** What was called and allowed, such as `patch mediarooms/status.kube-sfu.dev`, each once, sorted. */
  used: string[];
  /** What RBAC refused. */
  refused: string[];
}

const sorted = (items: string[]): string[] => [...new Set(items)].sort();

const nameOf = (verb: string, resource: string, subresource?: string, group = ''): string => {
  const path = subresource === undefined ? resource : `${resource}/${subresource}`;
  return `${verb} ${group === '' ? path : `${path}.${group}`}`;
};

/** Everything that was written down so far. */
export async function readAudit(plane: ControlPlane): Promise<AuditEvent[]> {
  const lines = (await readFile(plane.auditLog, 'utf8')).split('\n');
  // The last one is empty, or not written to its end yet.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as AuditEvent);
}

/** What a user did at the API server so far. */
export async function readApiUse(plane: ControlPlane, user: string): Promise<ApiUse> {
  const events = await readAudit(plane);
  const named = events.flatMap(({ verb, user: { username }, objectRef, annotations }) => {
    if (username !== user || !objectRef) return [];
    const { resource, subresource, apiGroup } = objectRef;
    const isRefused = annotations?.['authorization.k8s.io/decision'] === 'forbid';
    return [{ name: nameOf(verb, resource, subresource, apiGroup), isRefused }];
  });
  const which = (wanted: boolean): string[] =>
    sorted(named.filter(({ isRefused }) => isRefused === wanted).map(({ name }) => name));
  return { used: which(false), refused: which(true) };
}

/** What a service's calls may be by its permissions, in the form of {@link ApiUse}. */
export function declaredUse(service: ApiService): string[] {
  const own = permissions[service].filter(({ implied }) => !implied);
  return sorted(
    own.flatMap(({ verbs, resource, subresource }) => {
      const [group, version] = resourceTypes[resource].apiVersion.split('/');
      return verbs.map((verb) =>
        nameOf(verb, resource, subresource, version === undefined ? '' : group),
      );
    }),
  );
}

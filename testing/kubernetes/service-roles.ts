import { readFile } from 'node:fs/promises';
import path from 'node:path';

import type { ApiService } from '../../common/kubernetes/rbac.ts';
import type { ControlPlane } from './control-plane.ts';

/** Of the services’ own pods. */
export const systemNamespace = 'kube-sfu-system';
const manifests = path.resolve(import.meta.dirname, '../../config/rbac');

/** Which of the manifests of `config/rbac/`. */
export type RoleManifest = 'operator' | 'operator-namespaced' | 'signaling';

/** The user that a service's pods are, for the API server's list of users. */
export const serviceUser = (service: ApiService): string =>
  `system:serviceaccount:${systemNamespace}:kube-sfu-${service}`;

/** Grants a service what its manifest says, with this namespace in place of the one that it is written for. */
export async function grantRoles(
  plane: ControlPlane,
  manifest: RoleManifest,
  namespace: string,
): Promise<void> {
  const written = await readFile(path.join(manifests, `${manifest}.yaml`), 'utf8');
  const system = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: systemNamespace },
  });
  const here = written.replaceAll('namespace: default\n', `namespace: ${namespace}\n`);
  await plane.kubectl(['apply', '-f', '-'], { input: `${system}\n---\n${here}` });
}

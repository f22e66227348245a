import type { CustomResourceDefinition } from '../../../common/resources/crd.ts';
import { plurals } from '../../../common/resources/crd.ts';
import { apiGroup, apiVersion } from '../../../common/resources/types.ts';
import { crdOf } from '../../../common/resources/validate.ts';

const version = apiVersion.slice(apiGroup.length + 1);
const groupVersion = { groupVersion: apiVersion, version };
const verbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
const subresourceVerbs = ['get', 'patch', 'update'];

const group = { name: apiGroup, versions: [groupVersion], preferredVersion: groupVersion };

function resourcesOf({ spec }: CustomResourceDefinition): object[] {
  const { plural, singular, kind, shortNames, categories } = spec.names;
  const { scale } = spec.versions[0].subresources;
  const base = { singularName: '', namespaced: true };
  return [
    { name: plural, singularName: singular, namespaced: true, kind, verbs, shortNames, categories },
    { ...base, name: `${plural}/status`, kind, verbs: subresourceVerbs },
    ...(scale
      ? [
          {
            ...base,
            name: `${plural}/scale`,
            group: 'autoscaling',
            version: 'v1',
            kind: 'Scale',
            verbs: subresourceVerbs,
          },
        ]
      : []),
  ];
}

/** What a client asks to learn which resources there are, by path. */
export const discoveryDocuments = (): Record<string, object> => ({
  '/version': { major: '1', minor: '34', gitVersion: 'v1.34.0+kube-sfu', platform: 'local' },
  '/api': { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] },
  '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [group] },
  [`/apis/${apiGroup}`]: { kind: 'APIGroup', apiVersion: 'v1', ...group },
  [`/apis/${apiVersion}`]: {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersion,
    resources: plurals.flatMap((plural) => resourcesOf(crdOf(plural))),
  },
});

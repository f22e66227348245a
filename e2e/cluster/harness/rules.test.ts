import { describe, expect, it } from '@jest/globals';

import { grantedRules, parseRules } from './rules.ts';

describe('parseRules', () => {
  it('takes each verb on each resource and name, and no URLs', () => {
    const text = `\
mediarooms.kube-sfu.dev/status                 []                  []           [patch]
pods                                           []                  []           [list watch]
leases.coordination.k8s.io                     []                  [a b]        [get]
                                               [/api/*]            []           [get]
`;
    expect(parseRules(text)).toEqual([
      'get leases.coordination.k8s.io/a',
      'get leases.coordination.k8s.io/b',
      'list pods',
      'patch mediarooms.kube-sfu.dev/status',
      'watch pods',
    ]);
  });
});

describe('grantedRules', () => {
  it('writes permissions as kubectl does', () => {
    const common = { scope: 'watched', reason: '' } as const;
    const rules = grantedRules(
      [
        { ...common, resource: 'mediarooms', subresource: 'status', verbs: ['patch'] },
        { ...common, resource: 'pods', verbs: ['watch', 'list'] },
        { ...common, resource: 'leases', verbs: ['get'], names: ['a'] },
      ],
      (name) => `${name}-1`,
    );
    expect(rules).toEqual([
      'get leases.coordination.k8s.io/a-1',
      'list pods',
      'patch mediarooms.kube-sfu.dev/status',
      'watch pods',
    ]);
  });
});

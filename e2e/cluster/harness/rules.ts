import { resourceTypes } from '../../../common/kubernetes/paths.ts';
import { type Permission } from '../../../common/kubernetes/rbac.ts';
import type { Cluster } from './cluster.ts';

/** A service account. */
export interface Account {
  namespace: string;
  name: string;
}

/**
 * What an account may do in a namespace as `kubectl auth can-i --list` tells it, one `verb resource[/name]` each, sorted.
 * Left out is what any account may.
 */
export async function rulesOf(
  cluster: Cluster,
  account: Account,
  namespace: string,
): Promise<string[]> {
  const list = async ({ namespace: home, name }: Account): Promise<string[]> => {
    const user = `--as=system:serviceaccount:${home}:${name}`;
    const args = ['auth', 'can-i', '--list', '--no-headers', user, `--namespace=${namespace}`];
    return parseRules(await cluster.kubectl(args));
  };
  const anybodys = new Set(
    await list({ namespace: account.namespace, name: 'nobody-in-particular' }),
  );
  return (await list(account)).filter((rule) => !anybodys.has(rule));
}

/** The rows have four columns: resources, URLs, names and verbs, all but the first in brackets. */
export function parseRules(text: string): string[] {
  const rules = text.split('\n').flatMap((line) => {
    const [, resource = '', names = '', verbs = ''] =
      /^(\S+)\s+\[[^\]]*\]\s+\[([^\]]*)\]\s+\[([^\]]*)\]/.exec(line) ?? [];
    if (resource === '') return [];
    const objects = names === '' ? [''] : names.split(' ').map((name) => `/${name}`);
    return verbs.split(' ').flatMap((verb) => objects.map((name) => `${verb} ${resource}${name}`));
  });
  return [...new Set(rules)].sort();
}

/** The same of what the table of permissions grants. */
export function grantedRules(
  permissions: readonly Permission[],
  nameOf: (name: string) => string,
): string[] {
  const rules = permissions.flatMap(({ resource, subresource, verbs, names }) => {
    const { apiVersion, plural } = resourceTypes[resource];
    const group = apiVersion.includes('/')
      ? `.${apiVersion.slice(0, apiVersion.indexOf('/'))}`
      : '';
    // As kubectl writes it: the group comes between a resource and what is below it.
    const type = `${plural}${group}${subresource === undefined ? '' : `/${subresource}`}`;
    const objects = names?.map((name) => `/${nameOf(name)}`) ?? [''];
    return verbs.flatMap((verb) => objects.map((object) => `${verb} ${type}${object}`));
  });
  return [...new Set(rules)].sort();
}

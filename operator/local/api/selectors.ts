import type { ObjectMeta } from '../../../common/resources/types.ts';
import { StatusError } from './status.ts';

type Matcher = (metadata: ObjectMeta) => boolean;

const bad = (what: string, text: string): never => {
  throw new StatusError(400, 'BadRequest', `unable to parse ${what} selector "${text}"`);
};

/** Splits at commas that are not inside the parentheses of a set. */
const splitTerms = (text: string): string[] =>
  text
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== '');

function labelTerm(term: string): Matcher {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
  if (set) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    const isIn: Matcher = ({ labels }) => values.includes(labels?.[key] ?? '\0');
    return operator === 'in' ? isIn : (metadata) => !isIn(metadata);
  }
  const equality = /^([^\s!=]+)\s*(==|=|!=)\s*(\S*)$/.exec(term);
  if (equality) {
    const [, key = '', operator, value] = equality;
    return ({ labels }) => (labels?.[key] === value) === (operator !== '!=');
  }
  const existence = /^(!?)([^\s!=()]+)$/.exec(term);
  if (!existence) return bad('label', term);
  const [, not, key = ''] = existence;
  return ({ labels }) => (labels?.[key] !== undefined) === (not === '');
}

/** Custom resources can be selected by name and namespace alone. */
function fieldTerm(term: string): Matcher {
  const match = /^metadata\.(name|namespace)(==|=|!=)(.*)$/.exec(term);
  if (!match) return bad('field', term);
  const [, field, operator, value] = match;
  return (metadata) => (metadata[field as 'name' | 'namespace'] === value) === (operator !== '!=');
}

/** @throws {StatusError} 400 for a selector that can't be read */
export function parseSelectors(labelSelector: string, fieldSelector: string): Matcher {
  const matchers = [
    ...splitTerms(labelSelector).map(labelTerm),
    ...splitTerms(fieldSelector).map(fieldTerm),
  ];
  return (metadata) => matchers.every((matches) => matches(metadata));
}

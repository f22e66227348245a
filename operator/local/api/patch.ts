import { isDeepStrictEqual } from 'node:util';

import { StatusError } from './status.ts';

type Fields = Record<string, unknown>;
const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** RFC 7386: objects merge, null removes, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const result = new Map(Object.entries(isRecord(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, mergePatch(result.get(key), value));
  }
  return Object.fromEntries(result);
}

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

const refuse = (message: string): never => {
  throw new StatusError(422, 'Invalid', `the JSON patch can't be applied: ${message}`);
};

const pathOf = (pointer: string): string[] => {
  if (pointer !== '' && !pointer.startsWith('/')) refuse(`bad path "${pointer}"`);
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
};

function lookUp(document: unknown, path: string[]): unknown {
  return path.reduce<unknown>((value, key) => {
    if (Array.isArray(value))
      return /^\d+$/.test(key) ? (value[Number(key)] as unknown) : undefined;
    return isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }, document);
}

const indexOf = (list: unknown[], key: string, limit: number): number => {
  const index = key === '-' ? list.length : Number(key);
  return /^(\d+|-)$/.test(key) && index <= limit ? index : refuse(`no index "${key}"`);
};

/** Puts or removes (`undefined`) the value at a path, in a copy that the caller owns. */
function put(document: unknown, path: string[], value: unknown, insert: boolean): unknown {
  const key = path.at(-1);
  if (key === undefined) return value;
  const parent = lookUp(document, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const limit = insert ? parent.length : parent.length - 1;
    const removes = insert ? 0 : 1;
    parent.splice(indexOf(parent, key, limit), removes, ...(value === undefined ? [] : [value]));
  } else if (isRecord(parent)) {
    if (value !== undefined) parent[key] = value;
    else if (!Reflect.deleteProperty(parent, key)) refuse(`"${key}" can't be removed`);
  } else refuse(`there is no "/${path.slice(0, -1).join('/')}"`);
  return document;
}

const move = (document: unknown, from: string[], to: string[], value: unknown): unknown =>
  put(put(document, from, undefined, false), to, value, true);

const clone = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

function applyOperation(document: unknown, { op, path, from, value }: Operation): unknown {
  const target = pathOf(path);
  const source = pathOf(from ?? '');
  const requireAt = (at: string[]): unknown =>
    lookUp(document, at) ?? refuse(`there is no "/${at.join('/')}"`);
  switch (op) {
    case 'add':
      return put(document, target, value, true);
    case 'replace':
      requireAt(target);
      return put(document, target, value, false);
    case 'remove':
      requireAt(target);
      return put(document, target, undefined, false);
    case 'copy':
      return put(document, target, clone(requireAt(source)), true);
    case 'move':
      return move(document, source, target, requireAt(source));
    case 'test':
      return isDeepStrictEqual(lookUp(document, target), value)
        ? document
        : refuse(`${path} differs`);
    default:
      return refuse(`unknown operation "${op}"`);
  }
}

/** RFC 6902. @throws {StatusError} 422 when an operation does not apply */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) return refuse('it must be a list');
  return (patch as Operation[]).reduce<unknown>(applyOperation, clone(target));
}

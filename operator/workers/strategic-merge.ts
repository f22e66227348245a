/**
 * Strategic merge patches of pod specs, as `kubectl patch --type=strategic` applies them: maps are merged, null removes a
 * key, and a list is replaced, unless Kubernetes declares a merge key for it; its items are then merged by that key.
 */
import { ApiError } from '../../common/errors.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = Record<string, Json>;

/** Which lists of a map are merged by which key of their items, and what the items have themselves. */
interface MergeSchema {
  [list: string]: { key: string; items: MergeSchema };
}

const plain = (key: string): MergeSchema[string] => ({ key, items: {} });
const containers = {
  key: 'name',
  items: {
    env: plain('name'),
    ports: plain('containerPort'),
    volumeDevices: plain('devicePath'),
    volumeMounts: plain('mountPath'),
  },
};

/** The `patchMergeKey` tags of `PodSpec` and `Container` in k8s.io/api/core/v1. */
export const podSpecSchema: MergeSchema = {
  containers,
  initContainers: containers,
  ephemeralContainers: containers,
  volumes: plain('name'),
  imagePullSecrets: plain('name'),
  hostAliases: plain('ip'),
  topologySpreadConstraints: plain('topologyKey'),
  schedulingGates: plain('name'),
  resourceClaims: plain('name'),
  evictionResponders: plain('name'),
};

const directive = '$patch';
const retainKeys = '$retainKeys';
const unsupported = ['$setElementOrder/', '$deleteFromPrimitiveList/'];

const isMap = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function refuse(field: string, message: string): never {
  throw new ApiError('invalid_request', `${field}: ${message}`, { fields: [{ field, message }] });
}

/**
 * The document with the patch applied; neither is changed.
 *
 * @param field where the patch stands, for error messages
 * @throws {ApiError} `invalid_request`, with the patch's field that can't be merged
 */
export function mergeStrategic(
  original: JsonObject,
  patch: JsonObject,
  schema: MergeSchema,
  field: string,
): JsonObject {
  if (directive in patch) return applyDirective(patch, field);
  const merged = new Map(Object.entries(retain(original, patch, field)));
  for (const [key, value] of Object.entries(patch)) {
    if (key === retainKeys) continue;
    const path = `${field}.${key}`;
    if (unsupported.some((prefix) => key.startsWith(prefix)))
      refuse(path, 'is not supported here; give whole items instead');
    const next = mergeValue(merged.get(key), value, schema[key], path);
    if (next === undefined) merged.delete(key);
    else merged.set(key, next);
  }
  return Object.fromEntries(merged);
}

function applyDirective(patch: JsonObject, field: string): JsonObject {
  const { [directive]: kind, ...rest } = patch;
  if (kind === 'replace') return (clean(rest) ?? {}) as JsonObject;
  if (kind === 'delete') return {};
  return refuse(`${field}.${directive}`, 'expected delete or replace');
}

function retain(original: JsonObject, patch: JsonObject, field: string): JsonObject {
  const kept = patch[retainKeys];
  if (kept === undefined) return { ...original };
  if (!Array.isArray(kept)) return refuse(`${field}.${retainKeys}`, 'expected a list of keys');
  const unlisted = Object.keys(patch).find(
    (key) => key !== retainKeys && patch[key] !== null && !kept.includes(key),
  );
  if (unlisted !== undefined) refuse(`${field}.${unlisted}`, `must be listed in ${retainKeys}`);
  return Object.fromEntries(Object.entries(original).filter(([key]) => kept.includes(key)));
}

/** @returns undefined when nothing is left */
function mergeValue(
  original: Json | undefined,
  value: Json,
  list: MergeSchema[string] | undefined,
  field: string,
): Json | undefined {
  if (value === null) return undefined;
  if (isMap(original) && isMap(value)) return mergeStrategic(original, value, {}, field);
  if (list && Array.isArray(original) && Array.isArray(value))
    return mergeList(original, value, list, field);
  return clean(value);
}

/** A value that nothing is there to be merged with: what says how to merge means nothing in it. */
function clean(value: Json): Json | undefined {
  if (Array.isArray(value)) return value.flatMap((item) => clean(item) ?? []);
  if (!isMap(value)) return value;
  if (directive in value) return undefined;
  const entries = Object.entries(value)
    .filter(([key, item]) => item !== null && key !== retainKeys)
    .flatMap(([key, item]): [string, Json][] => {
      const cleaned = clean(item);
      return cleaned === undefined ? [] : [[key, cleaned]];
    });
  return Object.fromEntries(entries);
}

/** A patch's item with its place, checked to have the merge key. */
interface Item {
  value: JsonObject;
  id: Json;
  field: string;
}

function readItems(list: Json[], key: string, field: string): Item[] {
  return list.map((value, i) => {
    const path = `${field}[${i}]`;
    if (!isMap(value)) return refuse(path, 'expected an object');
    const id = value[key];
    if (value[directive] !== 'replace' && (id === undefined || id === null))
      refuse(`${path}.${key}`, 'is needed to find the item that is meant');
    return { value, id: id ?? null, field: path };
  });
}

function mergeList(
  original: Json[],
  patch: Json[],
  { key, items: schema }: MergeSchema[string],
  field: string,
): Json[] {
  const all = readItems(patch, key, field);
  const items = all.filter(({ value }) => !(directive in value));
  const special = all.filter(({ value }) => directive in value);
  const odd = special.find(
    ({ value }) => value[directive] !== 'delete' && value[directive] !== 'replace',
  );
  if (odd) refuse(`${odd.field}.${directive}`, 'expected delete or replace');
  const isReplaced = special.some(({ value }) => value[directive] === 'replace');
  const deleted = new Set(special.map(({ id }) => id));
  const before = isReplaced
    ? []
    : original.filter(isMap).filter((item) => !deleted.has(item[key] ?? null));
  const merged = [...before];
  for (const { value, id, field: path } of items) {
    const at = merged.findIndex((item) => item[key] === id);
    const found = merged[at];
    if (found) merged[at] = mergeStrategic(found, value, schema, path);
    else merged.push((clean(value) ?? {}) as JsonObject);
  }
  return arrange({ merged, before, patched: items.map(({ id }) => id), key });
}

/**
 * Kubernetes' order: what the patch names comes in the patch's order, the rest in its own; where both orders leave it
 * open, the patch's items come first.
 */
function arrange({
  merged,
  before,
  patched,
  key,
}: {
  merged: JsonObject[];
  before: JsonObject[];
  patched: Json[];
  key: string;
}): JsonObject[] {
  const idOf = (item: JsonObject): Json => item[key] ?? null;
  const ids = [...new Set(patched)];
  const named = ids.flatMap((id) => merged.filter((item) => idOf(item) === id));
  const others = merged.filter((item) => !ids.includes(idOf(item)));
  const placeOf = (item: JsonObject): number =>
    before.findIndex((known) => idOf(known) === idOf(item));
  const result: JsonObject[] = [];
  for (const item of named) {
    const place = placeOf(item);
    while (others[0] && place >= 0 && placeOf(others[0]) < place)
      result.push(others.shift() as JsonObject);
    result.push(item);
  }
  return [...result, ...others];
}

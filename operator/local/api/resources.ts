import { randomBytes } from 'node:crypto';

import type Koa from 'koa';

import type { CustomResourceDefinition, Plural } from '../../../common/resources/crd.ts';
import { apiVersion, type MediaRoom, type MediaWorker } from '../../../common/resources/types.ts';
import { crdOf } from '../../../common/resources/validate.ts';
import { isApiError } from '../../../common/errors.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { LocalObjects } from '../cluster.ts';
import type { LocalConfig } from '../config.ts';
import type { Collection, NewObject, Part, Stored } from '../store.ts';
import { readBody } from './body.ts';
import { jsonPatch, mergePatch } from './patch.ts';
import { fromScale, toScale } from './scale.ts';
import { parseSelectors } from './selectors.ts';
import { StatusError, success } from './status.ts';
import { renderTable, wantsTable } from './table.ts';
import { openWatch } from './watch.ts';

type Resource = MediaWorker | MediaRoom;

export interface ApiContext {
  config: LocalConfig['api'];
  objects: LocalObjects;
  clock: Clock;
  /** Streams that are open, ended when the server closes. */
  watches: Set<{ end(): void }>;
}

/** What a request's path names. */
export interface Target {
  plural: Plural;
  /** Undefined: all namespaces. */
  namespace: string | undefined;
  name: string | undefined;
  subresource: 'status' | 'scale' | undefined;
}

interface Request {
  ctx: Koa.Context;
  api: ApiContext;
  target: Target;
  collection: Collection<Resource>;
  crd: CustomResourceDefinition;
}

/** The two collections differ in what they hold; validation keeps each to its own kind. */
const collectionOf = (objects: LocalObjects, plural: Plural): Collection<Resource> =>
  objects[plural] as unknown as Collection<Resource>;

const param = (ctx: Koa.Context, name: string): string => {
  const value = ctx.query[name];
  return (Array.isArray(value) ? value[0] : value) ?? '';
};
const flag = (ctx: Koa.Context, name: string): boolean => ['true', '1'].includes(param(ctx, name));

function requireName({ target }: Request): { namespace: string; name: string } {
  const { namespace, name } = target;
  if (!namespace || !name) throw new StatusError(405, 'MethodNotAllowed', 'a name is needed here');
  return { namespace, name };
}

/** Answers one request on one of our kinds. */
export async function handleResource(
  ctx: Koa.Context,
  target: Target,
  api: ApiContext,
): Promise<void> {
  const crd = crdOf(target.plural);
  const request = { ctx, api, target, crd, collection: collectionOf(api.objects, target.plural) };
  if (target.subresource === 'scale' && !crd.spec.versions[0].subresources.scale)
    throw new StatusError(404, 'NotFound', `${target.plural} have no scale`);
  const handler = (target.name ? itemHandlers : collectionHandlers)[ctx.method];
  if (!handler) throw new StatusError(405, 'MethodNotAllowed', `${ctx.method} is not allowed here`);
  await handler(request);
}

type Handler = (request: Request) => void | Promise<void>;

const collectionHandlers: Partial<Record<string, Handler>> = {
  GET: (request) => (flag(request.ctx, 'watch') ? watchCollection(request) : list(request)),
  POST: create,
};

const itemHandlers: Partial<Record<string, Handler>> = {
  GET: (request) => answer(request, request.collection.require(requireName(request))),
  PUT: replace,
  PATCH: patch,
  DELETE: remove,
};

function answer({ ctx, target, crd }: Request, object: Resource, code = 200): void {
  ctx.status = code;
  if (target.subresource === 'scale') ctx.body = toScale(object as MediaWorker);
  else ctx.body = wantsTable(ctx) ? renderTable(crd, [object], object.metadata) : object;
}

const matcher = ({ ctx, target }: Request): ((object: Stored) => boolean) => {
  const matches = parseSelectors(param(ctx, 'labelSelector'), param(ctx, 'fieldSelector'));
  return ({ metadata }) =>
    (!target.namespace || metadata.namespace === target.namespace) && matches(metadata);
};

function list(request: Request): void {
  const { ctx, collection, crd } = request;
  const items = collection.list().filter(matcher(request));
  const metadata = { resourceVersion: String(collection.resourceVersion) };
  ctx.body = wantsTable(ctx)
    ? renderTable(crd, items, metadata)
    : { apiVersion, kind: crd.spec.names.listKind, metadata, items };
}

function watchCollection(request: Request): void {
  const { ctx, api, collection, crd } = request;
  const seconds = Number(param(ctx, 'timeoutSeconds'));
  const stream = openWatch(
    collection,
    {
      resourceVersion: param(ctx, 'resourceVersion'),
      matches: matcher(request),
      bookmarks: flag(ctx, 'allowWatchBookmarks'),
      timeoutMs: seconds > 0 ? seconds * 1000 : api.config.watchTimeoutMs,
    },
    { limits: api.config, clock: api.clock, kind: { apiVersion, kind: crd.spec.names.kind } },
  );
  api.watches.add(stream);
  stream.on('close', () => api.watches.delete(stream));
  ctx.type = 'application/json';
  // Its end is the connection's end, so that closing the API doesn't wait for an idle one.
  ctx.set('connection', 'close');
  ctx.body = stream;
  ctx.flushHeaders();
}

async function readObject({ ctx, api, target, crd }: Request): Promise<NewObject<Resource>> {
  const body = await readBody(ctx, api.config.bodyLimitBytes);
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new StatusError(400, 'BadRequest', 'the body must be an object');
  const object = body as { kind?: unknown; metadata?: Record<string, unknown> };
  if (object.kind !== crd.spec.names.kind)
    throw new StatusError(400, 'BadRequest', `kind: must be ${crd.spec.names.kind}`);
  const { namespace } = target;
  const metadata = { namespace, ...object.metadata };
  if (metadata.namespace !== namespace)
    throw new StatusError(400, 'BadRequest', 'metadata.namespace: must be the one in the path');
  return { ...object, metadata: withName(metadata) } as unknown as NewObject<Resource>;
}

function withName(metadata: Record<string, unknown>): Record<string, unknown> {
  const { generateName, ...rest } = metadata;
  if (typeof generateName !== 'string' || rest['name']) return rest;
  return { ...rest, name: `${generateName}${randomBytes(3).toString('hex').slice(0, 5)}` };
}

async function create(request: Request): Promise<void> {
  const { collection, target } = request;
  if (!target.namespace)
    throw new StatusError(405, 'MethodNotAllowed', 'a namespace is needed here');
  const object = await readObject(request);
  const fresh = { ...object };
  delete fresh.status;
  try {
    answer(request, collection.create(fresh), 201);
  } catch (error) {
    if (!isApiError(error, 'conflict')) throw error;
    throw new StatusError(409, 'AlreadyExists', `${target.plural} ${error.message}`);
  }
}

const partOf = ({ target }: Request): Part =>
  target.subresource === 'status' ? 'status' : 'object';

async function replace(request: Request): Promise<void> {
  const { ctx, api, target, collection } = request;
  const key = requireName(request);
  if (target.subresource === 'scale') {
    const scale = await readBody(ctx, api.config.bodyLimitBytes);
    const worker = collection.require(key) as MediaWorker;
    answer(request, collection.update(fromScale(scale, worker)));
    return;
  }
  const object = await readObject(request);
  if (object.metadata.name !== key.name)
    throw new StatusError(400, 'BadRequest', 'metadata.name: must be the one in the path');
  answer(request, collection.update(object, partOf(request)));
}

const patchTypes: Partial<Record<string, (target: unknown, patch: unknown) => unknown>> = {
  'application/merge-patch+json': mergePatch,
  'application/json-patch+json': jsonPatch,
  // One writer for each field is enough here: a server-side apply merges what it is given.
  'application/apply-patch+yaml': mergePatch,
};

async function patch(request: Request): Promise<void> {
  const { ctx, api, target, collection } = request;
  const key = requireName(request);
  const type = ctx.request.type;
  const apply = patchTypes[type];
  if (!apply) {
    const known = Object.keys(patchTypes).join(', ');
    throw new StatusError(415, 'UnsupportedMediaType', `the body must be one of ${known}`);
  }
  const body = await readBody(ctx, api.config.bodyLimitBytes);
  const old = collection.get(key);
  if (!old && type === 'application/apply-patch+yaml' && !target.subresource) {
    const object = apply({}, { ...(body as object), metadata: { ...metadataOf(body), ...key } });
    answer(request, collection.create(object as NewObject<Resource>), 201);
    return;
  }
  const current = collection.require(key);
  if (target.subresource === 'scale') {
    const scale = apply(toScale(current as MediaWorker), body);
    answer(request, collection.update(fromScale(scale, current as MediaWorker)));
    return;
  }
  answer(request, collection.update(patched(current, body, apply), partOf(request)));
}

const metadataOf = (body: unknown): object =>
  (body as { metadata?: object } | null)?.metadata ?? {};

/** A patch that names no resourceVersion applies to whatever is newest. */
function patched(
  current: Resource,
  body: unknown,
  apply: (target: unknown, patch: unknown) => unknown,
): NewObject<Resource> {
  const result = apply(current, body) as NewObject<Resource> | null;
  if (typeof result?.metadata !== 'object')
    throw new StatusError(422, 'Invalid', 'metadata: is required');
  return result;
}

async function remove(request: Request): Promise<void> {
  const { ctx, api, collection, crd } = request;
  const key = requireName(request);
  const options = (await readBody(ctx, api.config.bodyLimitBytes)) as {
    preconditions?: { uid?: string; resourceVersion?: string };
  } | null;
  const object = collection.delete(key, options?.preconditions ?? {});
  const gone = !collection.get(key);
  ctx.body = gone ? success(key.name, crd.spec.names.plural, object.metadata.uid) : object;
}

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

import Koa from 'koa';

import { plurals, type Plural } from '../../../common/resources/crd.ts';
import { apiVersion } from '../../../common/resources/types.ts';
import { closeServer, listen } from '../../../common/service/http.ts';
import type { Logger } from '../../../common/service/logger.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { LocalObjects } from '../cluster.ts';
import type { LocalConfig } from '../config.ts';
import { discoveryDocuments } from './discovery.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { handleResource, type ApiContext, type Target } from './resources.ts';
import { StatusError, toStatusError } from './status.ts';

export interface ResourceApiOptions {
  config: LocalConfig['api'];
  /** Namespace that the kubeconfig names. */
  namespace: string;
  objects: LocalObjects;
  clock: Clock;
  logger: Logger;
}

export interface ResourceApi {
  url: string;
  token: string;
  close(): Promise<void>;
}

const isPlural = (value: string | undefined): value is Plural =>
  plurals.some((plural) => plural === value);

/** `/apis/…/[namespaces/:namespace/]:plural[/:name[/:subresource]]` */
function parsePath(path: string): Target | undefined {
  const prefix = `/apis/${apiVersion}/`;
  if (!path.startsWith(prefix)) return undefined;
  const parts = path.slice(prefix.length).split('/').map(decodeURIComponent);
  const namespaced = parts[0] === 'namespaces';
  const [plural, name, subresource, ...rest] = parts.slice(namespaced ? 2 : 0);
  const namespace = namespaced ? parts[1] : undefined;
  if (!isPlural(plural) || rest.length > 0 || name === '' || (name && !namespaced))
    return undefined;
  if (subresource === undefined || subresource === 'status' || subresource === 'scale')
    return { plural, namespace, name, subresource };
  return undefined;
}

function answerErrors(logger: Logger): Koa.Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const known = toStatusError(error);
      if (!known) logger.error({ err: error, path: ctx.path }, 'unexpected error');
      const { status } = known ?? new StatusError(500, 'InternalError', 'internal error');
      ctx.status = status.code;
      ctx.body = status;
    }
  };
}

/** Both sides have one length, as `timingSafeEqual` needs it, whatever the client sends. */
function requireToken(token: string): Koa.Middleware {
  const wanted = Buffer.from(`Bearer ${token}`);
  return async (ctx, next) => {
    const given = Buffer.alloc(wanted.length);
    const header = ctx.get('authorization');
    given.write(header);
    if (header.length !== wanted.length || !timingSafeEqual(given, wanted))
      throw new StatusError(401, 'Unauthorized', 'Unauthorized');
    await next();
  };
}

function route(api: ApiContext): Koa.Middleware {
  const documents = discoveryDocuments();
  return async (ctx) => {
    const document = documents[ctx.path.replace(/(.)\/$/, '$1')];
    if (document && ctx.method === 'GET') {
      ctx.body = document;
      return;
    }
    const target = parsePath(ctx.path);
    if (!target)
      throw new StatusError(404, 'NotFound', 'the server could not find the requested resource');
    await handleResource(ctx, target, api);
  };
}

/**
 * Serves the objects as the Kubernetes API would, on loopback alone, and writes a kubeconfig for it: what speaks to a
 * cluster through @kubernetes/client-node or kubectl speaks to this unchanged.
 */
export async function startResourceApi(options: ResourceApiOptions): Promise<ResourceApi> {
  const { config, namespace, objects, clock, logger } = options;
  const token = randomBytes(32).toString('base64url');
  const watches: ApiContext['watches'] = new Set();
  const app = new Koa();
  app.use(answerErrors(logger));
  app.use(requireToken(token));
  app.use(route({ config, objects, clock, watches }));
  // A client that goes away in the middle of a watch is no error.
  app.on('error', (error: unknown) => logger.debug({ err: error }, 'connection lost'));
  const handle = app.callback();
  const server = createServer((request, response) => void handle(request, response));
  const port = await listen(server, config);
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  const url = `http://${host}:${port}`;
  await writeKubeconfig(config.kubeconfig, { url, token, namespace });
  return {
    url,
    token,
    async close() {
      for (const watch of watches) watch.end();
      server.closeIdleConnections();
      await closeServer(server);
    },
  };
}

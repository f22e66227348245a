import Router from '@koa/router';
import type { z } from 'zod';

import type { ErrorCode } from '../../common/errors.ts';
import { parseOrThrow } from '../../common/validate.ts';
import { bearerOf } from '../auth/authorize.ts';
import { remoteAddressOf } from '../connection/address.ts';

/** One route of the public HTTP API: its description and the schemas that check what goes through it. */
export interface RouteSpec {
  method: 'get' | 'post' | 'delete';
  /** With `:name` for each parameter. */
  path: string;
  summary: string;
  body?: z.ZodType;
  response: z.ZodType;
  /** Status of success; 200 where not given. */
  status?: number;
  /** Errors of its own; those of tokens and bad input are understood. */
  errors: readonly ErrorCode[];
}

/** A request as its handler gets it, already checked. */
export interface ApiCall<Body> {
  params: Record<string, string>;
  body: Body;
  token: string | undefined;
  remoteAddress: string;
}

type BodyOf<S extends RouteSpec> = S['body'] extends z.ZodType ? z.output<S['body']> : undefined;

/** One handler for each route of a table, typed by its schemas. */
export type Handlers<Specs extends Record<string, RouteSpec>> = {
  [K in keyof Specs]: (call: ApiCall<BodyOf<Specs[K]>>) => Promise<z.input<Specs[K]['response']>>;
};

/** Serves a table of routes. What a route answers is reduced to what its schema names. */
export function createApiRouter<Specs extends Record<string, RouteSpec>>(
  specs: Specs,
  handlers: Handlers<Specs>,
  trustedProxies: number,
): Router {
  const router = new Router();
  for (const [name, spec] of Object.entries(specs)) {
    const handle = handlers[name] as unknown as (call: ApiCall<unknown>) => Promise<unknown>;
    router[spec.method](spec.path, async (ctx) => {
      const body: unknown = spec.body
        ? parseOrThrow(spec.body, ctx.request.body ?? {}, 'body')
        : undefined;
      const answer = await handle({
        params: ctx.params,
        body,
        token: bearerOf(ctx.get('authorization')),
        remoteAddress: remoteAddressOf(ctx.req, trustedProxies),
      });
      ctx.status = spec.status ?? 200;
      ctx.body = spec.response.parse(answer);
    });
  }
  return router;
}

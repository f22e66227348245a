import { fileURLToPath } from 'node:url';

import type Koa from 'koa';

import { createPageHandler } from '../../common/service/page.ts';

const dist = fileURLToPath(new URL('../../web/dist', import.meta.url));

/** Serves the page, whose signaling is at its own origin, for what no route before it has answered. */
export function servePage(): Koa.Middleware {
  const handle = createPageHandler({ dist, config: {} });
  return async (ctx, next) => {
    const answered = await new Promise<boolean>((resolve) => {
      ctx.res.once('close', () => resolve(true));
      const reads = ctx.method === 'GET' || ctx.method === 'HEAD';
      if (reads) handle(ctx.req, ctx.res, () => resolve(false));
      else resolve(false);
    });
    // Koa has nothing to send any more.
    if (answered) ctx.respond = false;
    else await next();
  };
}

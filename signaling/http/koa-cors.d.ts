/** What this service uses of the package, which has no types of its own. */
declare module '@koa/cors' {
  import type Koa from 'koa';

  interface CorsOptions {
    /** The origin to allow; an empty string allows none. */
    origin: (ctx: Koa.Context) => string;
    allowMethods: string[];
    allowHeaders: string[];
    exposeHeaders: string[];
    /** How long a browser may keep the answer, in seconds. */
    maxAge: number;
  }

  export default function cors(options: CorsOptions): Koa.Middleware;
}

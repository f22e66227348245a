/**
 * What this service uses of the package. Its published types change Koa's own context for the whole program, so that
 * `Koa.Context` fits nowhere else any more.
 */
declare module 'koa-websocket' {
  import type { Server } from 'node:http';
  import type { ServerOptions as TlsOptions } from 'node:https';
  import type { IncomingMessage } from 'node:http';
  import type Koa from 'koa';
  import type { ServerOptions, WebSocket, WebSocketServer } from 'ws';

  interface WebSocketContext {
    req: IncomingMessage;
    websocket: WebSocket;
  }

  export interface WebSocketApp {
    ws: {
      server?: WebSocketServer;
      use: (middleware: (ctx: WebSocketContext) => Promise<void>) => unknown;
    };
    listen: (port: number, host: string) => Server;
  }

  /** Makes `app.listen` accept WebSockets too, with TLS where options for it are given. */
  export default function websockify(
    app: Koa,
    options: ServerOptions,
    tls?: TlsOptions,
  ): WebSocketApp;
}
